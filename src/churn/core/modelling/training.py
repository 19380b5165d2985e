"""From training rows to one model: search inside folds, choose members, fit them on all rows, merge."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from churn.core.declaration import Feature
from churn.core.errors import ChurnError
from churn.core.modelling.blend import Blend, Choice, choose, fit_in_folds, fit_on_all
from churn.core.modelling.boosting import Examples, Floats, Stopping
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.ensemble import sigmoid
from churn.core.modelling.model import ChurnModel, build_model
from churn.core.modelling.search import Trial, search
from churn.core.split import folds

SEARCH_DIGITS = 16
"""Where in the MD5 hex digest the sample for the search reads its 16 digits: independent of the test split and the folds."""
FEWEST_FOLDS = 2

logger = logging.getLogger(__name__)


class BudgetParameters(BaseModel):
    """One named budget; conf/base/parameters/training.yml says what each number means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int = Field(ge=4)
    folds: int = Field(ge=2, le=20)
    members: int = Field(ge=1)
    rounds: int = Field(ge=1)
    patience: int = Field(ge=1)

    @property
    def stopping(self) -> Stopping:
        """When a booster stops."""
        return Stopping(self.rounds, self.patience)


class TrainingParameters(BaseModel):
    """The `training` parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: str
    budgets: dict[str, BudgetParameters]
    search_rows: int = Field(ge=1000)
    seed: int = Field(ge=0)
    threads: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _budget_exists(self) -> "TrainingParameters":
        if self.budget not in self.budgets:
            raise ValueError(f"`budget` is {self.budget!r}, but `budgets` has {', '.join(sorted(self.budgets))}")
        return self

    @property
    def chosen(self) -> BudgetParameters:
        """The budget in force."""
        return self.budgets[self.budget]

    def final_folds(self, rows: int) -> int:
        """The folds of the final fit of a table above `search_rows`: fewer where rows abound, which make up for them."""
        return max(2, min(self.chosen.folds, self.chosen.folds * self.search_rows // rows))

    def members(self, rows: int) -> int:
        """The members of the model at most: fewer above `search_rows`, where an average has less noise to remove."""
        return max(1, min(self.chosen.members, self.chosen.members * self.search_rows // rows))


@dataclass(frozen=True)
class TrainedModel:
    """The model with the evidence of its training.

    `trials`: one dict per trial (number, log_loss, auc, rounds by fold, stopped after the first folds,
    weight in the model, parameters); `oof`: the out-of-fold churn probability of each training row, in
    the order the rows were given; `history`: mean validation log-loss per round of the heaviest member;
    `parameters`: that member's, and `linear_weight`, the share of the logistic regression.
    """

    model: ChurnModel
    trials: list[dict[str, Any]]
    oof: Floats
    history: tuple[float, ...]
    parameters: dict[str, Any]


def train(  # noqa: PLR0913 - the table in three parts, the declaration in two, and how to train
    rows: Any,
    churned: Sequence[bool] | NDArray[np.bool_],
    customer_ids: Sequence[str],
    features: Sequence[Feature],
    parameters: TrainingParameters,
    *,
    threshold: float,
    schema_sha256: str,
    progress: bool = False,
) -> TrainedModel:
    """Search, choose, fit and merge; the same rows in any order and on any number of threads give the same model.

    Args:
        rows: a pandas DataFrame with the features, n rows.
        churned: whether each customer left, n.
        customer_ids: n texts; they decide the folds.
        features: the declared features; categories without `values` get the sorted values of the rows.
        parameters: the budget and the seed.
        threshold: the churn probability from which a customer counts as a churner; kept with the model.
        schema_sha256: the hash of the declaration; kept with the model.
        progress: show a progress bar on standard error.

    Raises:
        ChurnError: if there are too few rows of either class to fill two folds.
    """
    filled = learn_categories(features, rows)
    codes = encode(filled, rows)
    outcomes = np.asarray(churned, bool).astype(np.float32)
    order = _order(customer_ids, codes, outcomes)
    ids = [customer_ids[place] for place in order]
    fold = _filled_folds(ids, outcomes[order], parameters.final_folds(len(ids)))
    table = Examples(codes[order], outcomes[order], fold, filled)
    choice, trials, blend = _fit(table, ids, parameters, progress)
    model = build_model(blend.booster, filled, rows.iloc[order], threshold=threshold, schema_sha256=schema_sha256)
    oof = np.empty(len(order))
    oof[order] = sigmoid(blend.margins)
    return TrainedModel(model, trials, oof, blend.history, _chosen_parameters(choice))


def _order(customer_ids: Sequence[str], codes: NDArray[np.float32], outcomes: NDArray[np.float32]) -> NDArray[np.int64]:
    """The places of the rows sorted by customer, and by content where a customer has several."""
    ids = np.asarray(customer_ids, dtype=str)
    order = np.argsort(ids, kind="stable")
    if (ids[order][1:] != ids[order][:-1]).all():
        return order
    return np.lexsort((outcomes, *codes.T, ids))


def _fit(table: Examples, ids: Sequence[str], parameters: TrainingParameters, progress: bool) -> tuple[Choice, list[dict[str, Any]], Blend]:
    budget = parameters.chosen
    few = _sample(ids, parameters.search_rows)
    fold = _filled_folds([ids[place] for place in few], table.churned[few], budget.folds)
    searched = Examples(table.codes[few], table.churned[few], fold, table.features)
    with ThreadPoolExecutor(parameters.threads or os.cpu_count() or 1) as pool:
        trials = _search(pool, searched, parameters, progress)
        choice = choose(trials, searched, parameters.members(len(ids)))
        weights = {trial.number: weight for trial, weight in choice.members}
        rows = [_row(trial, searched, weights.get(trial.number, 0.0)) for trial in trials]
        if len(few) == len(ids):
            return choice, rows, fit_on_all(pool, searched, choice)
        return choice, rows, fit_in_folds(pool, table, choice, budget.stopping)


def _search(pool: Executor, examples: Examples, parameters: TrainingParameters, progress: bool) -> list[Trial]:
    budget = parameters.chosen
    with _bar(budget.trials, progress) as report:
        return search(pool, examples, budget.trials, budget.stopping, parameters.seed, report)


def _sample(ids: Sequence[str], count: int) -> NDArray[np.int64]:
    """The places of at most `count` rows, those of the lowest hashes, in order."""
    if len(ids) <= count:
        return np.arange(len(ids))
    digests = (hashlib.md5(key.encode(), usedforsecurity=False).digest()[SEARCH_DIGITS // 2 :] for key in ids)
    hashes = np.fromiter((int.from_bytes(digest) for digest in digests), np.uint64, len(ids))
    return np.sort(np.argsort(hashes, kind="stable")[:count])


def _filled_folds(ids: Sequence[str], churned: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """The fold of each row (n,): the largest number of folds, up to `most`, of which each holds churners and stayers."""
    for count in range(most, FEWEST_FOLDS - 1, -1):
        found = folds(ids, count)
        rows, churners = np.bincount(found, minlength=count), np.bincount(found, churned, count)
        if (churners > 0).all() and (churners < rows).all():
            if count < most:
                logger.warning("%d folds instead of %d: more would leave one without churners or without stayers", count, most)
            return found
    raise ChurnError(
        f"{len(ids)} training rows with {int(churned.sum())} churners do not fill even {FEWEST_FOLDS} folds with both classes. "
        "Bring more rows of the rarer class, or check the target's `positive` value in conf/base/parameters/customers.yml."
    )


@contextmanager
def _bar(total: int, progress: bool) -> Iterator[Callable[[Trial], None]]:
    from tqdm import tqdm

    with tqdm(total=total, desc="search", unit="trial", disable=not progress) as bar:
        best = np.inf

        def report(trial: Trial) -> None:
            nonlocal best
            best = min(best, trial.loss)
            bar.set_postfix_str(f"log-loss {best:.4f}", refresh=False)
            bar.update()

        yield report


def _row(trial: Trial, examples: Examples, weight: float) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    known = ~np.isnan(trial.margins)
    return {
        "number": trial.number,
        "log_loss": trial.loss,
        "auc": float(roc_auc_score(examples.churned[known], trial.margins[known])),
        "rounds": list(trial.rounds),
        "stopped": trial.stopped,
        "weight": weight,
        "parameters": dict(trial.parameters),
    }


def _chosen_parameters(choice: Choice) -> dict[str, Any]:
    return {**(choice.heaviest.parameters if choice.heaviest else {}), "linear_weight": choice.linear}
