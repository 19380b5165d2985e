"""Predictions: what the API and the page both call."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from churn.core.decisions.reasons import strongest
from churn.core.decisions.whatif import ChangeError, with_changes
from churn.core.errors import ChurnError
from churn.io.models.registry import MODEL_NAME
from churn.io.predictions.prediction_log import Entry, Kind
from serving import metrics
from serving.champion.keeper import Champion, ChampionKeeper
from serving.clock import now, prediction_id
from serving.features.breaker import Breaker, DownError
from serving.features.reader import FeatureReader, Found, MissingFeaturesError, Row
from serving.group_commit import GroupCommit, LogDownError
from serving.settings import Settings
from serving.web import problems
from serving.web.problems import ProblemError

_IN_PLACE = 8
"""Up to so many rows are scored on the event loop: handing them to a thread costs more."""
_READ_TOGETHER, _READERS = 100, 2
"""Customers of a batch that are read at once, and how many such reads go on: the store's time limit is not for a queue of ours."""


class Scored(NamedTuple):
    """A row with its score, ready to be logged and answered."""

    prediction_id: str
    customer_id: str
    row: Row
    probability: float
    stale: bool


class PredictionService:
    """Features, champion and log together. Every method raises `ProblemError` for what a client should hear."""

    def __init__(self, settings: Settings, features: FeatureReader, breaker: Breaker, keeper: ChampionKeeper, log: GroupCommit) -> None:
        self._features, self._breaker, self._keeper, self._log = features, breaker, keeper, log
        self._declaration = settings.declaration
        self._labels = {feature.name: feature.label for feature in settings.declaration.features}
        self._parameters = settings.parameters
        self._max_age = timedelta(days=settings.parameters.max_age_days)
        self._batches = asyncio.Semaphore(_READERS)

    async def predict(self, customer_id: str, reasons: int = 0, request_id: str = "") -> dict[str, Any]:
        """One prediction, as `schemas.Prediction` says."""
        champion = self._champion()
        self._log.expect()
        try:
            row = await self._row(champion, customer_id)
            scored = self._scored(champion, customer_id, row, now())
            why = (await self._reasons(champion, [row], reasons))[0] if reasons else None
        finally:
            self._log.arrive()
        await self._record("predict", champion, [scored], request_id)
        return _answer(champion, scored, why)

    async def predict_batch(self, customer_ids: Sequence[str], reasons: int = 0, request_id: str = "") -> list[dict[str, Any]]:
        """One row for each customer, as `schemas.BatchRow` says: a prediction or an error."""
        champion = self._champion()
        rows = await self._rows(champion, customer_ids)
        results = await self._score_all(champion, customer_ids, rows)
        scored = [result for result in results if isinstance(result, Scored)]
        why = iter(await self._reasons(champion, [one.row for one in scored], reasons) if reasons else [None] * len(scored))
        if scored:
            await self._record("batch", champion, scored, request_id)
        for result in results:
            if isinstance(result, ProblemError):
                metrics.ERRORS.labels(result.kind).inc()
        return [
            {"customer_id": customer, "prediction": _answer(champion, result, next(why))}
            if isinstance(result, Scored)
            else {"customer_id": customer, "error": result.document(request_id)}
            for customer, result in zip(customer_ids, results, strict=True)
        ]

    async def what_if(self, customer_id: str, changes: dict[str, Any], request_id: str = "") -> dict[str, Any]:
        """The prediction before and after changes, as `schemas.WhatIfAnswer` says. Logged as `what-if`."""
        champion = self._champion()
        row = await self._row(champion, customer_id)
        names = champion.scorer.names
        learned = {feature.name: feature.values for feature in champion.scorer.model.spec.features if feature.values is not None}
        try:
            after = await asyncio.to_thread(with_changes, self._declaration, dict(zip(names, row.values, strict=True)), changes, learned)
        except ChangeError as error:
            raise problems.invalid([{"field": f"changes.{name}", "message": text} for name, text in error.mistakes.items()]) from None
        at = now()
        sides = [self._scored(champion, customer_id, one, at) for one in (row, Row([after[name] for name in names], row.as_of))]
        await self._record("what-if", champion, sides, request_id)
        return self._comparison(champion, sides, changes)

    def _champion(self) -> Champion:
        champion = self._keeper.current
        if champion is None:
            detail = "; ".join(self._keeper.problems.values()) or "no champion has been verified yet"
            raise problems.unavailable("no-model", f"There is no model to answer with: {detail}.", 5)
        return champion

    async def _row(self, champion: Champion, customer_id: str) -> Row:
        (found,) = await self._read(champion, [customer_id])
        if isinstance(found, Row):
            return found
        raise _no_row(customer_id, found)

    async def _rows(self, champion: Champion, customer_ids: Sequence[str]) -> list[Found]:
        """A batch, some customers at a time, between which other requests are served."""
        rows: list[Found] = []
        for start in range(0, len(customer_ids), _READ_TOGETHER):
            async with self._batches:
                rows += await self._read(champion, customer_ids[start : start + _READ_TOGETHER])
        return rows

    async def _read(self, champion: Champion, customer_ids: Sequence[str]) -> list[Found]:
        try:
            found = await self._breaker.call(lambda: self._features.read(customer_ids, champion.scorer.names))
        except DownError as error:
            metrics.STORE_UP.set(0)
            detail = f"The feature store does not answer: {error.reason}."
            raise problems.unavailable("feature-store-down", detail, error.retry_after) from None
        metrics.STORE_UP.set(1)
        return found

    def _scored(self, champion: Champion, customer_id: str, row: Row, at: datetime, probability: float | None = None) -> Scored:
        stale = at - row.as_of > self._max_age
        if stale and self._parameters.refuse_stale:
            detail = f"The features of customer {customer_id!r} are of {row.as_of.isoformat()}: too old to answer with."
            raise ProblemError(409, "stale-features", "Stale features", detail)
        if probability is None:
            try:
                probability = champion.scorer.score(row.values)
            except ChurnError as error:
                raise ProblemError(409, "unusable-features", "Features that cannot be scored", str(error)) from None
        return Scored(prediction_id(), customer_id, row, probability, stale)

    async def _score_all(self, champion: Champion, customer_ids: Sequence[str], rows: Sequence[Found]) -> list[Scored | ProblemError]:
        """Each row with its score or its own error; many rows in a thread, so that other requests go on."""
        at = now()
        known = [row for row in rows if isinstance(row, Row)]
        scores: list[float] | None = None
        if len(known) > _IN_PLACE:
            try:
                scores = await asyncio.to_thread(champion.scorer.score_rows, [row.values for row in known])
            except ChurnError:
                scores = None  # one row cannot be scored: find out which, one at a time
        given = iter(scores if scores is not None else [None] * len(known))
        return [self._one(champion, customer, row, at, given) for customer, row in zip(customer_ids, rows, strict=True)]

    def _one(self, champion: Champion, customer_id: str, row: Found, at: datetime, scores: Any) -> Scored | ProblemError:
        if not isinstance(row, Row):
            return _no_row(customer_id, row)
        try:
            return self._scored(champion, customer_id, row, at, next(scores))
        except ProblemError as problem:
            return problem

    async def _reasons(self, champion: Champion, rows: Sequence[Row], count: int) -> list[list[dict[str, Any]]]:
        """The strongest contributions to each row's score, largest first."""
        if not rows:
            return []
        effects = await asyncio.to_thread(champion.scorer.explain, [row.values for row in rows])
        order = strongest(effects, count)
        return [
            [self._reason(champion, row, place, effect[place]) for place in places]
            for row, effect, places in zip(rows, effects.tolist(), order.tolist(), strict=True)
        ]

    def _reason(self, champion: Champion, row: Row, place: int, effect: float) -> dict[str, Any]:
        feature = champion.scorer.model.spec.features[place]
        label = self._labels.get(feature.name, feature.label)
        return {"feature": feature.name, "label": label, "value": row.values[place], "effect": effect}

    async def _record(self, kind: Kind, champion: Champion, scored: Sequence[Scored], request_id: str) -> None:
        at = now()
        try:
            await self._log.record([_entry(kind, champion, one, at, request_id) for one in scored])
        except LogDownError as error:
            if self._parameters.prediction_log.required:
                detail = f"The prediction log cannot be written, and nothing is answered without it: {error}."
                raise problems.unavailable("log-down", detail) from None
            metrics.UNLOGGED.inc(len(scored))
        for one in scored:
            metrics.observe(kind, one.probability, (at - one.row.as_of).total_seconds())

    def _comparison(self, champion: Champion, sides: Sequence[Scored], changes: dict[str, Any]) -> dict[str, Any]:
        before, after = (dict(zip(champion.scorer.names, side.row.values, strict=True)) for side in sides)
        columns = self._declaration.columns
        threshold = champion.scorer.threshold
        scores = [
            {"prediction_id": side.prediction_id, "churn_probability": side.probability, "churn": side.probability >= threshold}
            for side in sides
        ]
        changed = [
            {
                "column": name,
                "label": self._labels[name],
                "before": before[name],
                "after": after[name],
                "actionable": columns[name].actionable,
            }
            for name in changes
        ]
        common = {key: value for key, value in _answer(champion, sides[0], None).items() if key in _SHARED}
        return {**common, "before": scores[0], "after": scores[1], "changes": changed}


_SHARED = frozenset({"customer_id", "threshold", "model", "features_as_of", "stale"})


def _no_row(customer_id: str, found: MissingFeaturesError | None) -> ProblemError:
    if found is None:
        return problems.unknown_customer(customer_id)
    detail = f"Of customer {customer_id!r} {found}, which the model needs. Run `kedro run --pipelines feature_store`."
    return ProblemError(409, "features-missing", "Features are missing", detail)


def _answer(champion: Champion, scored: Scored, reasons: list[dict[str, Any]] | None) -> dict[str, Any]:
    answer = {
        "prediction_id": scored.prediction_id,
        "customer_id": scored.customer_id,
        "churn_probability": scored.probability,
        "churn": scored.probability >= champion.scorer.threshold,
        "threshold": champion.scorer.threshold,
        "model": {"name": MODEL_NAME, "version": champion.version},
        "features_as_of": scored.row.as_of,
        "stale": scored.stale,
    }
    return answer if reasons is None else {**answer, "reasons": reasons}


def _entry(kind: Kind, champion: Champion, scored: Scored, at: datetime, request_id: str) -> Entry:
    features = orjson.dumps(dict(zip(champion.scorer.names, scored.row.values, strict=True))).decode()
    return Entry(
        prediction_id=scored.prediction_id,
        predicted_at=at,
        kind=kind,
        customer_id=scored.customer_id,
        features=features,
        features_as_of=scored.row.as_of,
        probability=scored.probability,
        threshold=champion.scorer.threshold,
        model_version=champion.version,
        request_id=request_id,
    )
