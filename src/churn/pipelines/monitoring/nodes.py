"""Monitoring: which predictions, which reference, the verdict, whom to tell, and what to remember."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from churn.core.declaration import CHURNED, Declaration
from churn.core.evaluation.evaluate import EvaluationParameters
from churn.core.lazy_types import DataFrame
from churn.core.monitoring.alert_text import alert_body, alert_title
from churn.core.monitoring.gauges import gauges, metrics
from churn.core.monitoring.judge import Window, judge
from churn.core.monitoring.parameters import MonitoringParameters, WindowParameters
from churn.core.monitoring.table import Reference, Sample, columns
from churn.core.monitoring.verdict import HistoryEntry, Verdict, WindowFacts, broken_spans, not_judged, remember, to_tell
from churn.io.monitoring.alerts import Alert
from churn.io.predictions.window import feature_columns

_DAY = 86_400
_PART = 10_000

logger = logging.getLogger(__name__)


def ask_window(parameters: MonitoringParameters) -> WindowParameters:
    """Which predictions to read."""
    window = parameters.window
    return window.model_copy(update={"pooled": window.pooled_of(window.rows)}) if window.by == "count" else window


def choose_version(predictions: DataFrame, newest: str | None, parameters: MonitoringParameters) -> str:
    """The model version of most predictions in the window; of the version trained last where there are none; else empty."""
    window = newest_rows(predictions, parameters.window)
    return str(window["model_version"].mode().iloc[0]) if len(window) else newest or ""


def ask_outcomes(outcomes: DataFrame, parameters: MonitoringParameters) -> DataFrame:
    """The newest outcomes: more than are measured, because not every customer was predicted."""
    return outcomes.sort_values("observed_at").tail(5 * parameters.performance.outcomes)


def judge_window(
    predictions: DataFrame,
    labelled: DataFrame,
    reference: Reference | None,
    history: list[dict[str, Any]],
    customers: Declaration,
    parameters: MonitoringParameters,
    evaluation: EvaluationParameters,
) -> tuple[dict[str, Any], list[Window]]:
    """The verdict as JSON, and the window that it is about, for the report: none where there is no verdict."""
    now = datetime.now(UTC)
    chosen = newest_rows(predictions, parameters.window)
    if not len(chosen):
        return _plain(not_judged("there are no predictions yet", now, WindowFacts(rows=0)), parameters), []
    if reference is None:
        version = choose_version(predictions, None, parameters)
        reason = f"model version {version} has no reference; `kedro run --pipelines training,evaluation` makes a version that has one"
        return _plain(not_judged(reason, now, WindowFacts(rows=len(chosen)), version), parameters), []
    earlier = [HistoryEntry.model_validate(entry) for entry in history]
    window = assemble(predictions, labelled, reference, earlier, parameters)
    verdict = judge(reference, window, earlier, customers.columns, parameters, now, evaluation.segments)
    return _plain(verdict, parameters), [window] if verdict.status != "not-judged" else []


def assemble(
    predictions: DataFrame, labelled: DataFrame, reference: Reference, history: Sequence[HistoryEntry], parameters: MonitoringParameters
) -> Window:
    """The window, the sound ones before it, and the labelled predictions, of the reference's model version."""
    everyone = newest_rows(predictions, parameters.window)
    now = everyone[everyone["model_version"] == reference.version]
    before = predictions.drop(everyone.index)
    before = _sound(before[before["model_version"] == reference.version], history)
    current = sample(now, reference)
    answered = labelled[labelled["model_version"] == reference.version]
    known = answered.tail(parameters.performance.outcomes)
    facts = WindowFacts(
        rows=len(now),
        start=now["predicted_at"].min().to_pydatetime() if len(now) else None,
        end=now["predicted_at"].max().to_pydatetime() if len(now) else None,
        repeated=int(predictions["repeated"].iloc[0]),
        other_versions=len(everyone) - len(now),
    )
    return Window(
        facts,
        current,
        ((now["predicted_at"] - now["features_as_of"]).dt.total_seconds() / _DAY).to_numpy(),
        Sample.joined([sample(before, reference), current]) if len(before) else None,
        sample(known, reference) if len(known) else None,
        round(answered["eligible"].iloc[0] * len(known) / len(answered)) if len(known) else 0,
    )


def _sound(rows: DataFrame, history: Sequence[HistoryEntry]) -> DataFrame:
    """Without the predictions of windows whose data were broken: the second look would find the fault after it was mended."""
    for start, end in broken_spans(history):
        rows = rows[~rows["predicted_at"].between(start, end)]
    return rows


def sample(rows: DataFrame, reference: Reference) -> Sample:
    """Logged predictions as columns, with outcomes where the rows have them; parsed in parts, which bounds the memory."""
    return Sample.joined([_parsed(rows.iloc[start : start + _PART], reference) for start in range(0, max(len(rows), 1), _PART)])


def _parsed(rows: DataFrame, reference: Reference) -> Sample:
    features = columns(reference.features, feature_columns(rows["features"].tolist()))
    return Sample(features, rows["probability"].to_numpy(float), rows[CHURNED].to_numpy(bool) if CHURNED in rows else None)


def newest_rows(predictions: DataFrame, window: WindowParameters) -> DataFrame:
    """The window itself, without those before it that are read to be pooled."""
    if window.by == "count":
        return predictions.tail(window.rows)
    since = datetime.now(UTC).timestamp() - window.days * _DAY
    return predictions[predictions["predicted_at"].map(datetime.timestamp) >= since].tail(window.max_rows)


def compose_alert(verdict: dict[str, Any], history: list[dict[str, Any]], report: str) -> Alert:  # noqa: ARG001 - read so that it is there first
    """What to tell people, if it is news."""
    found = read(verdict)
    send, told = to_tell(found, [HistoryEntry.model_validate(entry) for entry in history])
    return Alert(title=alert_title(found), body=alert_body(found), send=send, told=told)


def extend_history(
    verdict: dict[str, Any], history: list[dict[str, Any]], delivered: Alert, parameters: MonitoringParameters
) -> list[dict[str, Any]]:
    """The history with this verdict, once people have been told."""
    earlier = [HistoryEntry.model_validate(entry) for entry in history]
    extended = remember(earlier, read(verdict), delivered.told, parameters.history)
    return [entry.model_dump(mode="json") for entry in extended]


def export(verdict: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """The verdict as Prometheus gauges (text format) and as metrics for the tracking server."""
    found = read(verdict)
    return gauges(found), metrics(found)


def read(verdict: dict[str, Any]) -> Verdict:
    """A verdict from its JSON."""
    return Verdict.model_validate({name: value for name, value in verdict.items() if name != "fingerprint"})


def _plain(verdict: Verdict, parameters: MonitoringParameters) -> dict[str, Any]:
    logger.info(verdict.summary)
    return {**verdict.model_copy(update={"report": parameters.report}).model_dump(mode="json"), "fingerprint": verdict.fingerprint}
