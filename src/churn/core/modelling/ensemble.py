"""Several boosters as one: members chosen on out-of-fold predictions, trees concatenated with scaled leaves."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

LEAF = -1


def log_loss(churned: NDArray[Any], margins: NDArray[np.float64]) -> float:
    """Mean log-loss of log-odds, stable for large ones."""
    return float(np.mean(np.logaddexp(0.0, margins) - churned * margins))


def sigmoid(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of log-odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-margins)))


def choose_members(margins: NDArray[np.float64], churned: NDArray[Any], most: int, yardsticks: Sequence[int] = ()) -> NDArray[np.float64]:
    """The weight of each candidate in the average of log-odds, float64 (m,), summing to 1, at most `most` above 0.

    `margins` (m, n) are out-of-fold. A candidate whose log-loss is t standard errors of the paired
    difference worse than the best one's weighs exp(-t / 2): differences that are noise count for
    little, so that the choice does not overfit as picking the best, or a greedy choice, does. After
    the pseudo-BMA weights of Yao et al. 2018, "Using stacking to average Bayesian predictive
    distributions". Where the average is worse than one of the `yardsticks`, candidates by their place,
    the best candidate stands alone; not where it is merely worse than the best, which owes its lead to luck.
    """
    losses = np.logaddexp(0.0, margins) - churned * margins
    best = int(np.argmin(losses.mean(axis=1)))
    gaps = losses - losses[best]
    errors = gaps.std(axis=1) / np.sqrt(margins.shape[1])
    weights: NDArray[np.float64] = np.exp(-0.5 * gaps.mean(axis=1) / np.maximum(errors, 1e-12))
    weights[np.argsort(-weights, kind="stable")[most:]] = 0.0
    weights /= weights.sum()
    average = (weights[:, None] * margins).sum(axis=0)  # no matrix product: its last digits depend on the number of threads
    worse = any(log_loss(churned, average) > losses[place].mean() for place in yardsticks)
    return np.eye(len(margins))[best] if worse else weights


def merge(boosters: Sequence[xgboost.Booster], weights: Sequence[float]) -> xgboost.Booster:
    """One booster whose log-odds are the weighted average of the boosters' log-odds.

    All must share objective, features and base score; the weights are scaled to sum to 1. Leaves
    are scaled and trees concatenated in XGBoost's documented JSON model schema.

    Raises:
        ValueError: if the boosters' base scores differ, or numbers of boosters and weights do.
    """
    documents = [json.loads(bytes(booster.save_raw("json"))) for booster in boosters]
    base_scores = {document["learner"]["learner_model_param"]["base_score"] for document in documents}
    if len(base_scores) > 1:
        raise ValueError(f"boosters of different base scores do not average: {sorted(base_scores)}")
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    trees = [
        _scaled(tree, float(share))
        for document, share in zip(documents, shares, strict=True)
        for tree in document["learner"]["gradient_booster"]["model"]["trees"]
    ]
    return _load(documents[0], trees)


def replace_trees(template: xgboost.Booster, trees: list[dict[str, Any]]) -> xgboost.Booster:
    """A booster with the template's features, objective and base score, and these trees of the JSON model schema."""
    return _load(json.loads(bytes(template.save_raw("json"))), trees)


def _scaled(tree: dict[str, Any], share: float) -> dict[str, Any]:
    """The tree with every leaf, and every inner node's weight, times `share`."""
    scale = np.float32(share)
    leaves = np.array(tree["left_children"]) == LEAF
    values = np.array(tree["split_conditions"], np.float32)
    weights = np.array(tree["base_weights"], np.float32) * scale
    conditions = [
        float(value * scale) if leaf else split for value, leaf, split in zip(values, leaves, tree["split_conditions"], strict=True)
    ]
    return {**tree, "split_conditions": conditions, "base_weights": [float(weight) for weight in weights]}


def _load(document: dict[str, Any], trees: list[dict[str, Any]]) -> xgboost.Booster:
    model = document["learner"]["gradient_booster"]["model"]
    model["trees"] = [{**tree, "id": place} for place, tree in enumerate(trees)]
    model["tree_info"] = [0] * len(trees)
    model["iteration_indptr"] = list(range(len(trees) + 1))
    model["gbtree_model_param"]["num_trees"] = str(len(trees))
    document["learner"]["attributes"] = {}
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(document).encode()))
    return booster
