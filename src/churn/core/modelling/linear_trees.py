"""A logistic regression written as trees, so that it can be averaged into the booster.

On small and on nearly linear tables no boosting beats a logistic regression, and a model that is
worse than its baseline must not ship. An additive model is a sum of step functions, one tree per
feature: exact for categories and booleans, and for numbers up to the width of a bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from churn.core.modelling.baseline import Baseline
from churn.core.modelling.ensemble import LEAF, replace_trees

BINS = 128
"""Steps per number; the error of a step is some hundredth of the feature's effect."""
ROOT_PARENT = 2147483647
LOWEST = float(np.finfo(np.float32).min)
TINY = 1e-3
"""The cover of a branch that no training row took: TreeSHAP divides by covers."""

EMPTY_LEAF: dict[str, Any] = {"left": LEAF, "right": LEAF, "categories": [], "feature": 0}


@dataclass(frozen=True)
class _Step:
    """A run of values with one effect: the category's code or the lower bound of the bin, the log-odds, the rows inside."""

    start: float
    effect: float
    cover: float


def linear_booster(baseline: Baseline, codes: NDArray[np.float32], template: xgboost.Booster, base_score: float) -> xgboost.Booster:
    """The baseline as a booster with the template's features and objective.

    `codes` (n, p) are the training rows: bins lie at their quantiles, and covers are their counts.
    """
    nothing = np.full((1, codes.shape[1]), np.nan, np.float32)
    origin = float(baseline.margins(nothing)[0])
    trees = [_constant(origin - float(np.log(base_score / (1 - base_score))), codes.shape[1], float(len(codes)))]
    for place, feature in enumerate(baseline.features):
        categorical = feature.type == "category"
        starts = np.arange(len(feature.values or ()), dtype=np.float32) if categorical else _bins(codes[:, place])
        if len(starts):
            trees.append(_feature_tree(baseline, codes, place, starts, origin, categorical))
    return replace_trees(template, trees)


def _bins(column: NDArray[np.float32]) -> NDArray[np.float32]:
    """The lower bounds of the bins: the distinct values, or their quantiles if there are many."""
    values = np.unique(column[~np.isnan(column)])
    if len(values) <= BINS:
        return values
    return np.unique(np.quantile(column[~np.isnan(column)], np.linspace(0, 1, BINS, endpoint=False), method="lower"))


def _feature_tree(
    baseline: Baseline, codes: NDArray[np.float32], place: int, starts: NDArray[np.float32], origin: float, categorical: bool
) -> dict[str, Any]:
    column = codes[:, place]
    seen = column[~np.isnan(column)]
    inside = np.searchsorted(starts, seen, side="right") - 1
    counts = np.bincount(inside, minlength=len(starts))
    sums = np.bincount(inside, weights=seen.astype(np.float64), minlength=len(starts))
    middles = np.where(counts > 0, sums / np.maximum(counts, 1), starts)
    probes = np.full((len(starts), codes.shape[1]), np.nan, np.float32)
    probes[:, place] = starts if categorical else middles
    effects = baseline.margins(probes) - origin
    steps = [_Step(float(s), float(e), float(c) + TINY) for s, e, c in zip(starts, effects, counts, strict=True)]
    if categorical:
        steps.sort(key=lambda step: step.effect)
    return _Tree(place, categorical).grow(steps, float(len(codes) - len(seen)) + TINY, codes.shape[1])


@dataclass
class _Tree:
    """One tree in XGBoost's JSON schema, node by node; a right child lies next to its left sibling, as XGBoost expects."""

    feature: int
    categorical: bool
    nodes: list[dict[str, Any]] = field(default_factory=list)

    def grow(self, steps: Sequence[_Step], missing: float, width: int) -> dict[str, Any]:
        """A root that sends missing values left, to a leaf of 0, and the others right, to a balanced tree of the steps."""
        root = self._reserve(ROOT_PARENT)
        left, right = self._reserve(root), self._reserve(root)
        self._split(root, left, right, steps, LOWEST, missing + _cover(steps))
        self._leaf(left, 0.0, missing)
        self._branch(right, steps)
        return _document(self.nodes, width)

    def _branch(self, node: int, steps: Sequence[_Step]) -> None:
        if len(steps) == 1:
            self._leaf(node, steps[0].effect, steps[0].cover)
            return
        lower, upper = steps[: len(steps) // 2], steps[len(steps) // 2 :]
        left, right = self._reserve(node), self._reserve(node)
        self._split(node, left, right, upper, upper[0].start, _cover(steps))
        self._branch(left, lower)
        self._branch(right, upper)

    def _split(self, node: int, left: int, right: int, upper: Sequence[_Step], bound: float, cover: float) -> None:
        """Make an inner node: categories of `upper`, or numbers from `bound` on, go right."""
        self.nodes[node] |= {
            "left": left,
            "right": right,
            "condition": 0.0 if self.categorical else bound,
            "cover": cover,
            "categories": sorted(int(step.start) for step in upper) if self.categorical else [],
            "feature": self.feature,
        }

    def _leaf(self, node: int, effect: float, cover: float) -> None:
        self.nodes[node] |= {"condition": effect, "cover": cover}

    def _reserve(self, parent: int) -> int:
        self.nodes.append({**EMPTY_LEAF, "parent": parent})
        return len(self.nodes) - 1


def _cover(steps: Sequence[_Step]) -> float:
    return sum(step.cover for step in steps)


def _constant(margin: float, width: int, cover: float) -> dict[str, Any]:
    return _document([{**EMPTY_LEAF, "parent": ROOT_PARENT, "condition": margin, "cover": cover}], width)


def _document(nodes: Sequence[dict[str, Any]], width: int) -> dict[str, Any]:
    """The nodes in XGBoost's JSON model schema; gains are 0, since no split was searched for."""
    categorical = [place for place, node in enumerate(nodes) if node["categories"]]
    sizes = [len(nodes[place]["categories"]) for place in categorical]
    return {
        "base_weights": [node["condition"] if node["left"] == LEAF else 0.0 for node in nodes],
        "categories": [code for place in categorical for code in nodes[place]["categories"]],
        "categories_nodes": categorical,
        "categories_segments": [sum(sizes[:place]) for place in range(len(sizes))],
        "categories_sizes": sizes,
        "default_left": [1] * len(nodes),
        "id": 0,
        "left_children": [node["left"] for node in nodes],
        "loss_changes": [0.0] * len(nodes),
        "parents": [node["parent"] for node in nodes],
        "right_children": [node["right"] for node in nodes],
        "split_conditions": [node["condition"] for node in nodes],
        "split_indices": [node["feature"] for node in nodes],
        "split_type": [int(bool(node["categories"])) for node in nodes],
        "sum_hessian": [node["cover"] for node in nodes],
        "tree_param": {"num_deleted": "0", "num_feature": str(width), "num_nodes": str(len(nodes)), "size_leaf_vector": "1"},
    }
