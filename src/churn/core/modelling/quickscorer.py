"""One row through a booster's trees in a few array operations, equal to XGBoost's own result to the last bit.

A value of a feature rules out some leaves of every tree. Which ones is worked out once, for every interval between two
thresholds and for every category; a row then is the intersection of as many bit masks as there are features, and that
leaves one leaf of each tree. Source: Lucchese et al. 2015, "QuickScorer: a fast algorithm to rank documents with
additive ensembles of regression trees"; here a feature's masks are intersected in advance.
"""

import ctypes
import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray

from churn.core.declaration import Feature
from churn.core.modelling.ensemble import LEAF, replace_trees

MOST_BYTES = 32 * 2**20
"""Of masks: above, they would cost more memory than the time is worth."""
WORD = 8
"""Leaves of one tree per byte of the masks."""
_LARGEST = float(np.finfo(np.float32).max)
_EXPONENT, _BIAS = 23, 127  # of a float32: a byte with one bit set, as a float32, has the bit's place there

Lookup = Callable[[Any], int]


class TooLargeError(ValueError):
    """The masks of this booster would take more than `MOST_BYTES`."""


class QuickScorer:
    """The churn probability of one row of raw values. Not to be called from two threads at once."""

    def __init__(self, booster: xgboost.Booster, features: Sequence[Feature]) -> None:
        """Work the masks out, which takes some tenths of a second.

        Raises:
            TooLargeError: if they would be too large.
            AttributeError: if the C library has no `expf`.
        """
        trees = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
        forest = _read(trees)
        axes = [_axis(feature, [node for node in forest.nodes if node.feature == place]) for place, feature in enumerate(features)]
        starts = np.cumsum([0, *(axis.rows for axis in axes)])
        if int(starts[-1]) * len(forest.leaves) // WORD > MOST_BYTES:
            raise TooLargeError(f"{len(trees)} trees with {len(forest.leaves)} places for leaves")
        self._lookups = [axis.lookup(int(start)) for axis, start in zip(axes, starts, strict=False)]
        self._masks = np.concatenate([axis.masks(forest.real) for axis in axes])
        self._leaves = forest.leaves
        self._words = None if len(forest.leaves) == WORD * len(trees) else len(forest.leaves) // WORD
        self._taken = np.empty((len(features), self._masks.shape[1]), np.uint8)
        self._left = np.empty(len(forest.leaves) // WORD, np.uint8)
        self._power = np.empty(len(trees), np.float32)
        self._firsts = np.arange(len(trees)) * WORD - _BIAS
        self._sum = np.empty(len(trees) + 1, np.float32)
        self._base = _base_margin(booster, trees[0])
        self._expf = _expf()

    def __call__(self, values: Sequence[Any]) -> float:
        """The churn probability; values in the order of the features.

        Raises:
            ValueError, TypeError: for a value that `churn.core.modelling.encoding` has to look at.
        """
        rows = [lookup(value) for lookup, value in zip(self._lookups, values, strict=True)]
        left, firsts = self._left, self._firsts
        np.bitwise_and.reduce(self._masks.take(rows, 0, out=self._taken, mode="clip"), 0, out=left)
        if self._words is not None:
            words = left.nonzero()[0]
            left, firsts = left[words], words * WORD - _BIAS
        self._power[:] = left
        places = (self._power.view(np.int32) >> _EXPONENT) + firsts
        self._sum[0] = self._base
        self._leaves.take(places, out=self._sum[1:], mode="clip")
        return self._probability(float(np.add.accumulate(self._sum, out=self._sum)[-1]))

    def _probability(self, margin: float) -> float:
        """XGBoost's sigmoid, step by step in float32."""
        return float(1 / (np.float32(self._expf(min(-margin, 88.7))) + np.float32(1)))


class _Node(NamedTuple):
    """An inner node: its question, and where the leaves below it are: left from `start`, right from `middle` up to `end`."""

    feature: int
    threshold: np.float32
    categories: frozenset[int]
    missing_left: bool
    start: int
    middle: int
    end: int


@dataclass(frozen=True)
class _Forest:
    """All inner nodes, and the leaves of one tree after another; each tree is padded to whole words with places that are no leaf."""

    nodes: list[_Node]
    leaves: NDArray[np.float32]
    real: NDArray[np.bool_]


def _read(trees: Sequence[Mapping[str, Any]]) -> _Forest:
    nodes: list[_Node] = []
    leaves: list[float] = []
    for tree in trees:
        _walk(tree, 0, _categories(tree), nodes, leaves)
        leaves += [np.nan] * (-len(leaves) % WORD)
    values = np.array(leaves, np.float32)
    return _Forest(nodes, values, ~np.isnan(values))


def _walk(tree: Mapping[str, Any], number: int, categories: Mapping[int, frozenset[int]], nodes: list[_Node], leaves: list[float]) -> None:
    """Take up a node and what is below it, from left to right. Source: XGBoost's JSON model schema."""
    if tree["left_children"][number] == LEAF:
        leaves.append(tree["split_conditions"][number])
        return
    start = len(leaves)
    _walk(tree, tree["left_children"][number], categories, nodes, leaves)
    middle = len(leaves)
    _walk(tree, tree["right_children"][number], categories, nodes, leaves)
    threshold = np.float32(tree["split_conditions"][number])
    missing_left = bool(tree["default_left"][number])
    right = categories.get(number, frozenset())
    nodes.append(_Node(tree["split_indices"][number], threshold, right, missing_left, start, middle, len(leaves)))


def _categories(tree: Mapping[str, Any]) -> dict[int, frozenset[int]]:
    """Node to the categories that go right."""
    places = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    return {node: frozenset(tree["categories"][start : start + size]) for node, start, size in places}


def _axis(feature: Feature, nodes: Sequence[_Node]) -> "_Categories | _Numbers":
    return _Categories(feature.values or (), nodes) if feature.type == "category" else _Numbers(nodes)


class _Categories:
    """A row of masks for each category, and one for whatever is missing or not listed."""

    def __init__(self, values: Sequence[str], nodes: Sequence[_Node]) -> None:
        self._values, self._nodes = values, nodes
        self.rows = len(values) + 1

    def lookup(self, first: int) -> Lookup:
        """From a value to its row."""
        places, missing = {value: first + place for place, value in enumerate(self._values)}, first + len(self._values)

        def row(value: Any) -> int:
            if isinstance(value, str):
                return places.get(value, missing)
            if value is None:
                return missing
            raise TypeError

        return row

    def masks(self, real: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """The leaves that each row leaves possible."""
        codes = range(len(self._values))
        left = [np.array([*(code not in node.categories for code in codes), node.missing_left]) for node in self._nodes]
        return _masks(np.repeat(real[:, None], self.rows, 1), self._nodes, left)


class _Numbers:
    """A row of masks for each interval between two thresholds, and one for missing values."""

    def __init__(self, nodes: Sequence[_Node]) -> None:
        self._nodes = nodes
        self._thresholds = np.unique(np.array([node.threshold for node in nodes], np.float32))
        self.rows = len(self._thresholds) + 2

    def lookup(self, first: int) -> Lookup:
        """From a value to its row."""
        bounds, missing = [bound(threshold) for threshold in self._thresholds], first + self.rows - 1

        def row(value: Any) -> int:
            if value is None:
                return missing
            if -_LARGEST <= value <= _LARGEST:
                return first + bisect_right(bounds, value)
            raise ValueError

        return row

    def masks(self, real: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """The leaves that each row leaves possible."""
        intervals = np.arange(self.rows - 1)
        places = np.searchsorted(self._thresholds, np.array([node.threshold for node in self._nodes], np.float32))
        left = [np.append(intervals <= place, node.missing_left) for place, node in zip(places, self._nodes, strict=True)]
        return _masks(np.repeat(real[:, None], self.rows, 1), self._nodes, left)


def _masks(possible: NDArray[np.bool_], nodes: Sequence[_Node], left: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """One bit for each leaf of `possible` (leaves, rows) that a row can reach; `left` says for each node which rows go left."""
    for node, goes_left in zip(nodes, left, strict=True):
        possible[node.start : node.middle] &= goes_left
        possible[node.middle : node.end] &= ~goes_left
    return np.ascontiguousarray(np.packbits(possible, axis=0, bitorder="little").T)


def bound(threshold: np.float32) -> float:
    """The least float64 that, rounded to float32, is not below a threshold: encoding rounds before the booster compares."""
    with np.errstate(over="ignore"):  # below the lowest number lies minus infinity
        below = np.nextafter(threshold, np.float32(-np.inf))
    middle = (float(threshold) + float(below)) / 2
    return middle if np.float32(middle) >= threshold else float(np.nextafter(middle, np.inf))


def _base_margin(booster: xgboost.Booster, tree: dict[str, Any]) -> np.float32:
    """The log-odds that the trees start from, by XGBoost's own word: what a tree of one leaf of 0 answers."""
    first = {name: value[:1] for name, value in tree.items() if isinstance(value, list) and not name.startswith("categories")}
    none: dict[str, list[int]] = {name: [] for name in tree if name.startswith("categories")}
    leaf = {"left_children": [LEAF], "right_children": [LEAF], "split_conditions": [0.0], "base_weights": [0.0], "split_type": [0]}
    alone = replace_trees(booster[:1], [{**tree, **first, **none, **leaf, "tree_param": {**tree["tree_param"], "num_nodes": "1"}}])
    row = np.full((1, booster.num_features()), np.nan, np.float32)
    return np.float32(alone.inplace_predict(row, predict_type="margin")[0])


def _expf() -> Callable[[float], float]:
    """The C library's: NumPy's own differs from it in the last bit."""
    expf = ctypes.CDLL(None).expf
    expf.argtypes, expf.restype = [ctypes.c_float], ctypes.c_float
    return expf
