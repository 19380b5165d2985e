"""Boosters fitted inside folds: each stops early on customers it has not seen, on one thread, so that it is reproducible."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from churn.core.declaration import Feature
from churn.core.modelling.ensemble import log_loss
from churn.core.modelling.model import feature_types

Parameters = Mapping[str, Any]
"""XGBoost's training parameters by their documented names."""
Floats = NDArray[np.float64]

MAX_BIN = 256
FIXED: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "max_bin": MAX_BIN,
    "nthread": 1,
    "seed_per_iteration": True,
}
"""What no search changes. No class weights: they would ruin the calibration."""


@dataclass(frozen=True)
class Examples:
    """Encoded training rows: codes (n, p), outcomes 0 or 1 (n,), the fold of each row (n,), the features with their categories."""

    codes: NDArray[np.float32]
    churned: NDArray[np.float32]
    fold: NDArray[np.int64]
    features: tuple[Feature, ...]

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that hold rows."""
        return tuple(int(fold) for fold in np.unique(self.fold))

    @property
    def churn_rate(self) -> float:
        """The base score of every booster: shared, so that an average of boosters keeps it."""
        return float(self.churned.mean(dtype=np.float64))


@dataclass(frozen=True)
class Stopping:
    """Trees per booster at most, and trees without a better validation log-loss before it stops."""

    rounds: int
    patience: int


@dataclass(frozen=True)
class Fit:
    """One booster, cut at its best round, with the log-odds it gives the fold it was stopped on and the log-loss there by round."""

    booster: xgboost.Booster
    margins: Floats
    history: tuple[float, ...]

    @property
    def rounds(self) -> int:
        """The trees kept."""
        return int(self.booster.num_boosted_rounds())


class Fold:
    """One fold as validation rows and the others as quantised training rows, built once for many fits."""

    def __init__(self, examples: Examples, number: int) -> None:
        inside = examples.fold == number
        options: dict[str, Any] = {"feature_types": feature_types(examples.features), "enable_categorical": True, "nthread": 1}
        self.number = number
        self._churn_rate = examples.churn_rate
        self._train = xgboost.QuantileDMatrix(examples.codes[~inside], examples.churned[~inside], max_bin=MAX_BIN, **options)
        self._valid = xgboost.DMatrix(examples.codes[inside], examples.churned[inside], **options)

    def fit(self, parameters: Parameters, stopping: Stopping) -> Fit:
        """Boost until the log-loss on the validation rows has not improved for a while; the fold's number moves the seed."""
        found: dict[str, dict[str, list[float]]] = {}
        chosen = {**FIXED, "base_score": self._churn_rate, **parameters, "seed": int(parameters.get("seed", 0)) + self.number}
        booster = xgboost.train(
            chosen,
            self._train,
            stopping.rounds,
            evals=[(self._valid, "valid")],
            early_stopping_rounds=stopping.patience,
            evals_result=found,
            verbose_eval=False,
        )
        best = booster[: booster.best_iteration + 1]
        return Fit(best, np.asarray(best.predict(self._valid, output_margin=True), np.float64), tuple(found["valid"]["logloss"]))


def fit_all(pool: Executor, jobs: Sequence[tuple[Fold, Parameters]], stopping: Stopping) -> list[Fit]:
    """Fit every job on the pool's threads (XGBoost lets go of the interpreter); results come in the order of the jobs."""
    return list(pool.map(lambda job: job[0].fit(job[1], stopping), jobs))


def out_of_fold(examples: Examples, fits: Mapping[int, Fit]) -> Floats:
    """The log-odds of the rows (n,), each from the booster that has not seen it; NaN in folds without a fit."""
    margins = np.full(len(examples.churned), np.nan)
    for number, fit in fits.items():
        margins[examples.fold == number] = fit.margins
    return margins


def loss_of(examples: Examples, margins: Floats) -> float:
    """The log-loss of the rows that have log-odds."""
    known = ~np.isnan(margins)
    return log_loss(examples.churned[known], margins[known])
