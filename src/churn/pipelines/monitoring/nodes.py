"""Monitoring: which predictions, which reference, the verdict, whom to tell, and what to remember."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from churn.core.declaration import CHURNED, CUSTOMER_ID, Declaration
from churn.core.errors import ChurnError
from churn.core.evaluation.evaluate import EvaluationParameters
from churn.core.lazy_types import DataFrame
from churn.core.monitoring.alert_text import alert_body, alert_title
from churn.core.monitoring.gauges import gauges, metrics
from churn.core.monitoring.judge import Window, judge
from churn.core.monitoring.operation import check_service, without_customers
from churn.core.monitoring.parameters import MonitoringParameters, PerformanceParameters, WindowParameters
from churn.core.monitoring.table import Reference, Sample, columns
from churn.core.monitoring.verdict import HistoryEntry, Verdict, WindowFacts, broken_spans, not_judged, remember, to_tell
from churn.io.monitoring.alerts import Alert, Delivery, unreached
from churn.io.predictions.outcomes import OBSERVED_AT
from churn.io.predictions.window import LoggedWindow, feature_columns

_DAY = 86_400
_PART = 10_000

logger = logging.getLogger(__name__)


def ask_log(parameters: MonitoringParameters) -> tuple[WindowParameters, PerformanceParameters]:
    """What to read: the windows that are looked at, and the predictions that are old enough to be measured."""
    window = parameters.window
    asked = window.model_copy(update={"pooled": window.pooled_of(window.rows)}) if window.by == "count" else window
    return asked, parameters.performance


def choose_version(logged: LoggedWindow, newest: str | None) -> str:
    """The model version that serves: that of the newest prediction, of two the later version; without any the one trained last."""
    rows = logged.rows
    last = rows.loc[rows["predicted_at"] == rows["predicted_at"].max(), "model_version"]
    return max((str(version) for version in last), key=int, default=newest or "")


def match_outcomes(mature: DataFrame, outcomes: DataFrame, parameters: MonitoringParameters) -> DataFrame:
    """The predictions that are old enough, each with the last outcome observed within its horizon; missing where there is none.

    Which predictions these are has nothing to do with what is known of them.
    """
    horizon = timedelta(days=parameters.performance.label_horizon_days)
    pairs = mature[["prediction_id", CUSTOMER_ID, "predicted_at"]].merge(outcomes, on=CUSTOMER_ID)
    waited = pairs[OBSERVED_AT] - pairs["predicted_at"]
    own = pairs[(waited > timedelta(0)) & (waited <= horizon)].sort_values(OBSERVED_AT, kind="stable")
    known = own.drop_duplicates("prediction_id", keep="last").set_index("prediction_id")[CHURNED]
    return mature.assign(**{CHURNED: mature["prediction_id"].map(known).astype(object)})


def judge_window(
    logged: LoggedWindow,
    mature: DataFrame,
    reference: Reference | None,
    history: list[dict[str, Any]],
    customers: Declaration,
    parameters: MonitoringParameters,
    evaluation: EvaluationParameters,
) -> tuple[dict[str, Any], list[Window]]:
    """The verdict as JSON, and the window that it is about, for the report: none where its customers are not judged."""
    now = datetime.now(UTC)
    if logged.traffic.newest is None:
        return _plain(not_judged("there are no predictions yet", now, WindowFacts(rows=0)), parameters), []
    if reference is None:
        version = choose_version(logged, None)
        reason = f"model version {version} has no reference; `kedro run --pipelines training,evaluation` makes a version that has one"
        facts = WindowFacts(rows=len(newest_rows(logged.rows, parameters.window)), start=logged.traffic.newest, end=logged.traffic.newest)
        service = check_service(logged.traffic, now, parameters.contract)
        return _plain(without_customers(reason, service, now, facts, version), parameters), []
    earlier = [HistoryEntry.model_validate(entry) for entry in history]
    window = assemble(logged, mature, reference, earlier, parameters)
    verdict = judge(reference, window, earlier, customers.columns, parameters, now, evaluation.segments)
    return _plain(verdict, parameters), [window] if verdict.drift else []


def assemble(
    logged: LoggedWindow, mature: DataFrame, reference: Reference, history: Sequence[HistoryEntry], parameters: MonitoringParameters
) -> Window:
    """The window, the sound ones before it, and the measured predictions, of the reference's model version.

    An empty window is one of the moment of the newest prediction.
    """
    everyone = newest_rows(logged.rows, parameters.window)
    now = everyone[everyone["model_version"] == reference.version]
    before = logged.rows.drop(everyone.index)
    before = _sound(before[before["model_version"] == reference.version], history)
    current = sample(now, reference)
    candidates = mature[mature["model_version"] == reference.version]
    known = candidates[candidates[CHURNED].notna()]
    facts = WindowFacts(
        rows=len(now),
        start=now["predicted_at"].min().to_pydatetime() if len(now) else logged.traffic.newest,
        end=now["predicted_at"].max().to_pydatetime() if len(now) else logged.traffic.newest,
        repeated=logged.repeated,
        other_versions=len(everyone) - len(now),
    )
    return Window(
        facts,
        current,
        ((now["predicted_at"] - now["features_as_of"]).dt.total_seconds() / _DAY).to_numpy(),
        Sample.joined([sample(before, reference), current]) if len(before) else None,
        sample(known, reference) if len(known) else None,
        len(candidates),
        logged.traffic,
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
    return predictions[predictions["predicted_at"] >= datetime.now(UTC) - timedelta(days=window.days)]


def compose_alert(verdict: dict[str, Any], history: list[dict[str, Any]], report: str) -> Alert:  # noqa: ARG001 - read so that it is there first
    """What to tell people, if it is news."""
    found = read(verdict)
    send, told = to_tell(found, [HistoryEntry.model_validate(entry) for entry in history])
    return Alert(title=alert_title(found), body=alert_body(found), send=send, told=told)


def extend_history(
    verdict: dict[str, Any], history: list[dict[str, Any]], delivered: Delivery, parameters: MonitoringParameters
) -> list[dict[str, Any]]:
    """The history with this verdict and what was told; an address that did not take it does not keep it from being written."""
    earlier = [HistoryEntry.model_validate(entry) for entry in history]
    extended = remember(earlier, read(verdict), delivered.told, parameters.history)
    return [entry.model_dump(mode="json") for entry in extended]


def confirm_delivery(delivered: Delivery, history: list[dict[str, Any]], exported: str) -> None:  # noqa: ARG001 - read so that they are there first
    """The last step, once everything is written.

    Raises:
        ChurnError: naming the addresses that the alert did not reach.
    """
    if delivered.failed:
        raise ChurnError(f"{unreached(delivered)}\nThe next run tries again.")


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
