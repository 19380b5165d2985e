"""Errors that are a user's to mend: shown as one message, without a traceback."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class ChurnError(Exception):
    """Something the user can put right; the message says what, where, and what to do next."""


class DeclarationError(ChurnError):
    """The declaration of the customer table contradicts itself."""


class BreachError(ChurnError):
    """The customer table breaks its declaration."""


def find_mistake(error: BaseException | None) -> ChurnError | None:
    """The first ChurnError among an error and its causes: Kedro wraps what a dataset raises."""
    while error is not None and not isinstance(error, ChurnError):
        error = error.__cause__
    return error


def mistakes(error: "ValidationError", section: str) -> list[str]:
    """What a pydantic model refuses in a section of the parameters: one line per mistake, with its entry and the value found."""
    return [
        f"{'.'.join([section, *(str(part) for part in item['loc'])])}: {item['msg'].removeprefix('Value error, ')}{_found(item['input'])}"
        for item in error.errors(include_url=False)
    ]


def _found(value: object) -> str:
    return f" (found: {value!r})" if isinstance(value, str | bool | int | float) or value is None else ""
