"""Customer ids like 7590-VHVEG: unique, and known from the row number and the seed alone."""

import numpy as np
from numpy.typing import NDArray

_DIGITS, _LETTERS = 10**4, 26**5
_ROUNDS = 3


def customer_ids(rows: NDArray[np.int64], seed: int) -> NDArray[np.bytes_]:
    """The ids of the given row numbers, as ASCII of 10 characters.

    A Feistel network over (four digits, five letters) permutes all 1.2e11 ids, so two rows never share one
    and neighbours look unrelated.

    Raises:
        ValueError: if a row number is negative or beyond the number of ids.
    """
    if len(rows) and (rows.min() < 0 or rows.max() >= _DIGITS * _LETTERS):
        raise ValueError(f"row numbers lie between 0 and {_DIGITS * _LETTERS - 1}")
    digits, letters = rows.astype(np.uint64) % np.uint64(_DIGITS), rows.astype(np.uint64) // np.uint64(_DIGITS)
    for turn in range(_ROUNDS):
        letters = (letters + _mix(digits, seed, 2 * turn)) % np.uint64(_LETTERS)
        digits = (digits + _mix(letters, seed, 2 * turn + 1)) % np.uint64(_DIGITS)
    text = np.empty((len(rows), 10), np.uint8)
    for place in (3, 2, 1, 0):
        digits, rest = np.divmod(digits, np.uint64(10))
        text[:, place] = rest + np.uint64(ord("0"))
    text[:, 4] = ord("-")
    for place in (9, 8, 7, 6, 5):
        letters, rest = np.divmod(letters, np.uint64(26))
        text[:, place] = rest + np.uint64(ord("A"))
    return text.view("S10")[:, 0]


def _mix(values: NDArray[np.uint64], seed: int, turn: int) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood 2014), keyed by seed and turn; below 2^63 so that a sum never wraps."""
    key = np.random.SeedSequence((seed, turn)).generate_state(1, np.uint64)[0]
    x = values + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(1), np.uint64)
