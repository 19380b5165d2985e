"""The final fit: which trials make up the model, fitted again on all rows, and merged into one booster."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost

from churn.core.modelling.baseline import fit_baseline_encoded
from churn.core.modelling.boosting import FIXED, Examples, Fit, Floats, Fold, Stopping, fit_all, out_of_fold
from churn.core.modelling.ensemble import choose_members, merge
from churn.core.modelling.linear_trees import linear_booster
from churn.core.modelling.model import feature_types
from churn.core.modelling.search import Trial, mean_history

SEED_STEP = 1000
"""Between the members' seeds: much alike in parameters, they should differ in chance."""


@dataclass(frozen=True)
class Choice:
    """The members and their weights, which sum to 1 with that of the logistic regression; the out-of-fold log-odds (n,)."""

    members: tuple[tuple[Trial, float], ...]
    linear: float
    margins: Floats

    @property
    def heaviest(self) -> Trial | None:
        """The member with the largest weight."""
        return max(self.members, key=lambda member: member[1])[0] if self.members else None


@dataclass(frozen=True)
class Blend:
    """The merged booster, its out-of-fold log-odds (n,), and the validation log-loss by round of the heaviest member."""

    booster: xgboost.Booster
    margins: Floats
    history: tuple[float, ...]


def choose(trials: Sequence[Trial], examples: Examples, most: int) -> Choice:
    """The best trials and, where it can keep up, the logistic regression, weighted by how well they do out of fold.

    The average is never worse out of fold than the library's defaults, the first trial, or the baseline.
    """
    complete = [trial for trial in trials if not trial.stopped]
    candidates = np.array([*(trial.margins for trial in complete), linear_margins(examples)])
    weights = choose_members(candidates, examples.churned, most, yardsticks=(0, len(complete)))
    members = tuple((trial, float(weight)) for trial, weight in zip(complete, weights[:-1], strict=True) if weight)
    margins = (weights[:, None] * candidates).sum(axis=0)
    return Choice(members, float(weights[-1]), margins)


def linear_margins(examples: Examples) -> Floats:
    """The out-of-fold log-odds (n,) of the logistic regression."""
    margins = np.empty(len(examples.churned))
    for number in examples.folds:
        inside = examples.fold == number
        fitted = fit_baseline_encoded(examples.codes[~inside], examples.churned[~inside], examples.features)
        margins[inside] = fitted.margins(examples.codes[inside])
    return margins


def fit_on_all(pool: Executor, examples: Examples, choice: Choice) -> Blend:
    """Fit each member on all rows, for as many rounds as were best on average in the search, in proportion to the rows.

    The out-of-fold log-odds are the search's.
    """
    growth = len(examples.folds) / (len(examples.folds) - 1)
    matrix = xgboost.QuantileDMatrix(examples.codes, examples.churned, max_bin=FIXED["max_bin"], **_options(examples))
    base = {**FIXED, "base_score": examples.churn_rate}

    def fit(trial: Trial) -> xgboost.Booster:
        seed = int(trial.parameters["seed"]) + SEED_STEP * (trial.number + 1)
        rounds = max(1, round(float(np.mean(trial.rounds)) * growth))
        return xgboost.train({**base, **trial.parameters, "seed": seed}, matrix, rounds)

    boosters = list(pool.map(fit, [trial for trial, _ in choice.members]))
    history = choice.heaviest.history if choice.heaviest else ()
    return Blend(_merged(examples, boosters, [weight for _, weight in choice.members], choice.linear), choice.margins, history)


def fit_in_folds(pool: Executor, examples: Examples, choice: Choice, stopping: Stopping) -> Blend:
    """Fit each member once per fold and average: for tables so large that the search saw only some of the rows.

    More rows bear more rounds: every booster stops early anew, on rows that it has not seen.
    """
    folds = [Fold(examples, number) for number in examples.folds]
    done = fit_all(pool, [(fold, trial.parameters) for trial, _ in choice.members for fold in folds], stopping)
    bags = [done[start : start + len(folds)] for start in range(0, len(done), len(folds))]
    weights = [weight / len(folds) for _, weight in choice.members for _ in folds]
    margins = np.zeros(len(examples.churned))
    for bag, (_, weight) in zip(bags, choice.members, strict=True):
        margins += weight * out_of_fold(examples, {fold.number: fit for fold, fit in zip(folds, bag, strict=True)})
    if choice.linear:
        margins += choice.linear * linear_margins(examples)
    booster = _merged(examples, [fit.booster for fit in done], weights, choice.linear)
    return Blend(booster, margins, _history(bags, choice))


def _history(bags: Sequence[Sequence[Fit]], choice: Choice) -> tuple[float, ...]:
    if not bags:
        return ()
    heaviest = int(np.argmax([weight for _, weight in choice.members]))
    return mean_history([fit.history for fit in bags[heaviest]])


def _merged(examples: Examples, boosters: list[xgboost.Booster], weights: list[float], linear: float) -> xgboost.Booster:
    if not linear:
        return merge(boosters, weights)
    return merge([*boosters, _linear(examples)], [*weights, linear])


def _linear(examples: Examples) -> xgboost.Booster:
    """The logistic regression on all rows as a booster; a booster of one round lends its frame."""
    few = xgboost.DMatrix(examples.codes[:2], examples.churned[:2], **_options(examples))
    frame = xgboost.train({**FIXED, "base_score": examples.churn_rate}, few, 1)
    fitted = fit_baseline_encoded(examples.codes, examples.churned, examples.features)
    return linear_booster(fitted, examples.codes, frame, examples.churn_rate)


def _options(examples: Examples) -> dict[str, Any]:
    return {"feature_types": feature_types(examples.features), "enable_categorical": True, "nthread": 1}
