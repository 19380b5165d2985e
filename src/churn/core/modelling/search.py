"""The search for good boosters.

Optuna proposes, and hears the results, in batches of a constant size: so what it finds depends on the
budget's number of trials and on the seed, never on time or on threads.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from churn.core.modelling.boosting import Examples, Fit, Floats, Fold, Parameters, Stopping, fit_all, loss_of, out_of_fold

BATCH = 4
"""Trials proposed at a time: a constant, since the proposals depend on it."""
HEAT = 2
"""Folds that a trial runs on before it is compared with those before it."""
PASSING = 1 / 3
"""The best part of the trials so far, which a new one must reach on the first folds to run on the others."""
STARTUP = 8
"""Trials before the sampler starts to learn, the starters among them."""

LIBRARY_DEFAULTS: dict[str, Any] = {
    "eta": 0.3,
    "max_depth": 6,
    "min_child_weight": 1.0,
    "subsample": 1.0,
    "colsample_bynode": 1.0,
    "lambda": 1.0,
    "root_alpha": 0.0,
    "root_gamma": 0.0,
    "max_cat_to_onehot": 4,
}
_SLOW = {**LIBRARY_DEFAULTS, "eta": 0.1, "min_child_weight": 5.0, "subsample": 0.7, "lambda": 2.0}
STARTERS: tuple[dict[str, Any], ...] = (
    LIBRARY_DEFAULTS,
    {**_SLOW, "max_depth": 1},
    {**_SLOW, "max_depth": 2, "colsample_bynode": 0.7},
    {**_SLOW, "max_depth": 4, "eta": 0.05, "min_child_weight": 1.0, "subsample": 0.85, "colsample_bynode": 0.7, "lambda": 1.0},
    {**_SLOW, "max_depth": 5, "min_child_weight": 20.0, "colsample_bynode": 0.4, "lambda": 10.0},
)
"""Always the first trials: the library's defaults, an additive model, one with pairs, a middling and a cautious one."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters with its out-of-fold log-odds (n,), best rounds by fold, and mean validation log-loss by round.

    A trial that was stopped after the first folds has NaN elsewhere, and its `loss` is the best
    trial's so far plus what it was worse by on those folds.
    """

    number: int
    parameters: Parameters
    margins: Floats
    loss: float
    rounds: tuple[int, ...]
    history: tuple[float, ...]
    stopped: bool


def search(pool: Executor, examples: Examples, trials: int, stopping: Stopping, seed: int, report: Callable[[Trial], None]) -> list[Trial]:
    """Run the trials and return them in order; `report` is called after each, in order."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=STARTUP)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    for starter in STARTERS:
        study.enqueue_trial(starter)
    race = _Race(pool, examples, stopping)
    while len(race.trials) < trials:
        asked = [study.ask() for _ in range(min(BATCH, trials - len(race.trials)))]
        for question, trial in zip(asked, race.run([propose(question, seed) for question in asked]), strict=True):
            study.tell(question, trial.loss)
            report(trial)
    return race.trials


def propose(trial: Any, seed: int) -> dict[str, Any]:
    """XGBoost's parameters for an Optuna trial. The space is wide: a narrow one loses to the library's defaults on some tables."""
    return {
        "eta": trial.suggest_float("eta", 0.03, 0.3, log=True),
        "max_depth": trial.suggest_int("max_depth", 1, 10),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 100, log=True),
        "subsample": trial.suggest_float("subsample", 0.4, 1.0),
        "colsample_bynode": trial.suggest_float("colsample_bynode", 0.2, 1.0),
        "lambda": trial.suggest_float("lambda", 0.1, 100, log=True),
        "alpha": trial.suggest_float("root_alpha", 0, 3) ** 2,
        "gamma": trial.suggest_float("root_gamma", 0, 3) ** 2,
        "max_cat_to_onehot": trial.suggest_int("max_cat_to_onehot", 1, 16, log=True),
        "seed": seed,
    }


class _Race:
    """Trials on the first folds; those that do well there, and the starters, on all."""

    def __init__(self, pool: Executor, examples: Examples, stopping: Stopping) -> None:
        self._pool, self._examples, self._stopping = pool, examples, stopping
        self._folds = [Fold(examples, number) for number in examples.folds]
        self._heats: list[float] = []
        self._best = (np.inf, np.inf)
        self.trials: list[Trial] = []

    def run(self, proposals: Sequence[Parameters]) -> list[Trial]:
        """Run a batch, every trial against the same past."""
        first, rest = self._folds[:HEAT], self._folds[HEAT:]
        fits: list[dict[int, Fit]] = [{} for _ in proposals]
        self._fit(proposals, fits, range(len(proposals)), first)
        heats = [loss_of(self._examples, out_of_fold(self._examples, found)) for found in fits]
        self._heats += heats
        bar = float(np.quantile(self._heats, PASSING))
        passed = [place for place, heat in enumerate(heats) if heat <= bar or len(self.trials) + place < len(STARTERS)]
        self._fit(proposals, fits, passed, rest)
        batch = [self._trial(place, proposals[place], fits[place], heats[place]) for place in range(len(proposals))]
        self.trials += batch
        return batch

    def _fit(self, proposals: Sequence[Parameters], fits: list[dict[int, Fit]], places: Sequence[int], folds: Sequence[Fold]) -> None:
        jobs = [(place, fold) for place in places for fold in folds]
        done = fit_all(self._pool, [(fold, proposals[place]) for place, fold in jobs], self._stopping)
        for (place, fold), fit in zip(jobs, done, strict=True):
            fits[place][fold.number] = fit

    def _trial(self, place: int, parameters: Parameters, fits: dict[int, Fit], heat: float) -> Trial:
        margins = out_of_fold(self._examples, fits)
        stopped = len(fits) < len(self._folds)
        loss = self._best[0] + heat - self._best[1] if stopped else loss_of(self._examples, margins)
        if not stopped and loss < self._best[0]:
            self._best = (loss, heat)
        rounds = tuple(fit.rounds for fit in fits.values())
        history = mean_history([fit.history for fit in fits.values()])
        return Trial(len(self.trials) + place, parameters, margins, loss, rounds, history, stopped)


def mean_history(histories: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The mean validation log-loss by round, as far as all folds went."""
    length = min(len(history) for history in histories)
    return tuple(float(loss) for loss in np.mean([history[:length] for history in histories], axis=0))
