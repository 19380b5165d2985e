"""The rules of a declaration: their names, how their counts are named, and how near a name is to another."""

from collections.abc import Sequence
from difflib import get_close_matches
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


def nearest(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate spelled most like `name`, case and punctuation aside; None if none is near."""
    plain = {_plain(candidate): candidate for candidate in reversed(candidates)}
    found = get_close_matches(_plain(name), list(plain), n=1, cutoff=0.75)
    return plain[found[0]] if found else None


def count_name(rule: Rule, column: str) -> str:
    """The name under which the rows that break `rule` in `column` are counted."""
    return f"{rule}: {column}"


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum()) or text


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names in quotes, the first `most` of them."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
