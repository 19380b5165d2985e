"""The rules of a declaration: their names, and how their counts are named."""

from enum import StrEnum

EXAMPLES = 3
"""How many examples a breach shows."""


ROWS, POSITIVES, NEGATIVES, OTHER_VALUES = "rows", "positives", "negatives", "other_values"
"""What is counted beside the rules: rows, rows of each class, and how many values of the target are not the positive one."""


class Rule(StrEnum):
    """The rules of a declaration, as a message names them."""

    NO_ROWS = "no rows"
    MISSING_COLUMN = "missing column"
    UNKNOWN_COLUMN = "unknown column"
    RENAMED_COLUMN = "renamed column"
    REPEATED_COLUMN = "repeated column"
    BAD_EXPRESSION = "derived expression"
    BLANK = "missing value"
    WRONG_TYPE = "wrong type"
    OUT_OF_RANGE = "out of range"
    UNKNOWN_VALUE = "unknown value"
    DUPLICATE_KEY = "duplicate key"
    ONE_CLASS = "one class only"
    LEAK = "gives the answer away"
    SPLIT = "empty split"


def repeated_name(name: str, times: int) -> str:
    """How readers rename a header name that has come before, so that every column keeps a name of its own."""
    return f"{name} (repeated {times})"


def count_name(rule: Rule, column: str) -> str:
    """The name under which the rows that break `rule` in `column` are counted."""
    return f"{rule}: {column}"
