"""Names of columns and values as people read and misspell them."""

from collections.abc import Sequence
from difflib import get_close_matches


def spaced(name: str) -> str:
    """`MonthlyCharges` as `Monthly Charges`; `customerID` as `customer ID`."""
    return "".join(f" {c}" if c.isupper() and i and not name[i - 1].isupper() else c for i, c in enumerate(name))


def nearest(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate spelled most like `name`, case and punctuation aside; None if none is near."""
    plain = {_plain(candidate): candidate for candidate in reversed(candidates)}
    found = get_close_matches(_plain(name), list(plain), n=1, cutoff=0.75)
    return plain[found[0]] if found else None


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names in quotes, the first `most` of them."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum()) or text
