"""The split by hash."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.core.split import folds, held_out, hex_bound

IDS = [f"customer-{number}" for number in range(20_000)]


def in_test(key: str, share: float) -> bool:
    return hashlib.md5(key.encode()).hexdigest()[:8] < hex_bound(share)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_share_is_kept(share: float) -> None:
    found = np.mean([in_test(key, share) for key in IDS])
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / len(IDS))


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.text())
def test_a_larger_share_keeps_who_was_in_the_test(one: float, other: float, key: str) -> None:
    assert in_test(key, min(one, other)) <= in_test(key, max(one, other))


@pytest.mark.parametrize("share", [0, 1, -0.1, 2])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        hex_bound(share)


@given(st.lists(st.text()), st.floats(0.001, 0.999))
def test_it_is_the_engines_split(keys: list[str], share: float) -> None:
    assert held_out(keys, share).tolist() == [in_test(key, share) for key in keys]


def test_folds_are_even_and_independent_of_the_test_split() -> None:
    numbers = folds(IDS, 5)
    side = np.array([in_test(key, 0.2) for key in IDS])
    for fold in range(5):
        assert abs(np.mean(numbers == fold) - 0.2) < 0.015
        assert abs(np.mean(side[numbers == fold]) - 0.2) < 0.03


@given(st.lists(st.text(), min_size=1), st.integers(2, 10))
def test_a_customer_stays_in_its_fold(keys: list[str], count: int) -> None:
    numbers = folds(keys, count)
    assert ((numbers >= 0) & (numbers < count)).all()
    assert [int(folds([key], count)[0]) for key in keys] == numbers.tolist()
