"""The final fit: which trials make up the model, fitted again on all rows, and merged into one booster."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import xgboost

from churn.core.baseline import fit_baseline_encoded
from churn.core.boosting import FIXED, Examples, Fit, Floats, Fold, Stopping, fit_all, out_of_fold
from churn.core.ensemble import choose_members, merge
from churn.core.linear_trees import linear_booster
from churn.core.model import feature_types
from churn.core.search import Trial


@dataclass(frozen=True)
class Choice:
    """The members and their weights, which sum to 1 with that of the logistic regression."""

    members: tuple[tuple[Trial, float], ...]
    linear: float


@dataclass(frozen=True)
class Blend:
    """The merged booster, its out-of-fold log-odds (n,), and the validation log-loss by round of the heaviest member."""

    booster: xgboost.Booster
    margins: Floats
    history: tuple[float, ...]


def choose(trials: Sequence[Trial], examples: Examples, steps: int) -> Choice:
    """The trials, and the logistic regression beside them, whose average is best out of fold.

    The greedy choice starts with the best of them all: the blend is never worse out of fold than the
    library's defaults or the baseline.
    """
    complete = [trial for trial in trials if not trial.stopped]
    candidates = [*(trial.margins for trial in complete), linear_margins(examples)]
    counts = choose_members(np.array(candidates), examples.churned, steps)
    weights = counts / counts.sum()
    members = tuple((trial, float(weight)) for trial, weight in zip(complete, weights, strict=False) if weight)
    return Choice(members, float(weights[-1]))


def linear_margins(examples: Examples) -> Floats:
    """The out-of-fold log-odds (n,) of the logistic regression."""
    margins = np.empty(len(examples.churned))
    for number in examples.folds:
        inside = examples.fold == number
        fitted = fit_baseline_encoded(examples.codes[~inside], examples.churned[~inside], examples.features)
        margins[inside] = fitted.margins(examples.codes[inside])
    return margins


def fit_choice(pool: Executor, examples: Examples, choice: Choice, stopping: Stopping) -> Blend:
    """Fit each member once per fold and average: a bag whose boosters all stop early on rows they have not seen.

    The logistic regression joins as trees, fitted on all rows.
    """
    folds = [Fold(examples, number) for number in examples.folds]
    jobs = [(fold, trial.parameters) for trial, _ in choice.members for fold in folds]
    done = fit_all(pool, jobs, stopping)
    bags = [done[start : start + len(folds)] for start in range(0, len(done), len(folds))]
    boosters = [fit.booster for fit in done]
    weights = [weight / len(folds) for _, weight in choice.members for _ in folds]
    margins = np.zeros(len(examples.churned))
    for bag, (_, weight) in zip(bags, choice.members, strict=True):
        margins += weight * out_of_fold(examples, {fold.number: fit for fold, fit in zip(folds, bag, strict=True)})
    if choice.linear:
        boosters.append(_linear(examples))
        weights.append(choice.linear)
        margins += choice.linear * linear_margins(examples)
    return Blend(merge(boosters, weights), margins, _history(bags, choice))


def _linear(examples: Examples) -> xgboost.Booster:
    """The logistic regression on all rows as a booster; a booster of one round lends its frame."""
    few = xgboost.DMatrix(
        examples.codes[:2], examples.churned[:2], feature_types=feature_types(examples.features), enable_categorical=True, nthread=1
    )
    frame = xgboost.train({**FIXED, "base_score": examples.churn_rate}, few, 1)
    fitted = fit_baseline_encoded(examples.codes, examples.churned, examples.features)
    return linear_booster(fitted, examples.codes, frame, examples.churn_rate)


def _history(bags: Sequence[Sequence[Fit]], choice: Choice) -> tuple[float, ...]:
    """The mean validation log-loss by round, as far as all folds went, of the heaviest member."""
    if not bags:
        return ()
    heaviest = bags[int(np.argmax([weight for _, weight in choice.members]))]
    length = min(len(fit.history) for fit in heaviest)
    return tuple(float(loss) for loss in np.mean([fit.history[:length] for fit in heaviest], axis=0))
