"""The split by hash: a customer is on the same side in every run, however the table grows."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

HEX_DIGITS = 8
TEST_DIGITS = 0
"""Where in the MD5 hex digest the test split reads its digits."""
FOLD_DIGITS = 8
"""Where the folds inside the training customers read theirs: independent of the test split."""
LEAK_DIGITS = 16
"""Where the sample that leaks are measured on reads its: independent of both."""


def hex_bound(share: float) -> str:
    """The hex text below which a share of all 32-bit hashes lies.

    Compared as text, so that every SQL engine gives the same answer without casting.

    Raises:
        ValueError: if the share is not inside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"a share lies between 0 and 1, not {share}")
    return f"{round(share * 16**HEX_DIGITS):0{HEX_DIGITS}x}"


def held_out(customer_ids: Iterable[str], share: float) -> NDArray[np.bool_]:
    """Whether each customer is in a test set of this share of all customers, as the engine's SQL decides it."""
    bound, stop = hex_bound(share), TEST_DIGITS + HEX_DIGITS
    digits = (hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[TEST_DIGITS:stop] for key in customer_ids)
    return np.fromiter((text < bound for text in digits), np.bool_)


def folds(customer_ids: Iterable[str], count: int) -> NDArray[np.int64]:
    """The fold, 0 to count - 1, of each customer id by its hash."""
    stop = FOLD_DIGITS + HEX_DIGITS
    digits = (hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[FOLD_DIGITS:stop] for key in customer_ids)
    positions = np.fromiter((int(text, 16) for text in digits), np.int64)
    return np.asarray(positions * count // 16**HEX_DIGITS, np.int64)
