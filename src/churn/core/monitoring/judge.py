"""The judgement of a window of predictions: contract, drift, estimated and measured performance, in this order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from churn.core.declaration import Column as Declared
from churn.core.evaluation.segments import Segment, SegmentParameters, segments
from churn.core.monitoring.contract import check_columns, check_contract
from churn.core.monitoring.coverage import why_not_measured
from churn.core.monitoring.drift import ColumnDrift, compare_twice
from churn.core.monitoring.estimated import Estimate, estimate
from churn.core.monitoring.findings import Finding
from churn.core.monitoring.measured import Measured, measure
from churn.core.monitoring.operation import NEVER_ASKED, Traffic, check_freshness, check_service, without_customers
from churn.core.monitoring.parameters import MonitoringParameters
from churn.core.monitoring.readings import drift_findings, estimated_findings, measured_findings
from churn.core.monitoring.table import Reference, Sample
from churn.core.monitoring.verdict import HistoryEntry, Verdict, WindowFacts, recommend, run_of, status_of, summarise


@dataclass(frozen=True)
class Window:
    """Predictions of one model version: the newest of each customer.

    `pooled` are these and the sound ones of the windows before it (None: there are none); `ages` the features' ages in days (n,);
    `labelled` those that have an outcome, of the `labelled_of` newest predictions that are old enough for it.
    """

    facts: WindowFacts
    sample: Sample
    ages: NDArray[np.float64]
    pooled: Sample | None = None
    labelled: Sample | None = None
    labelled_of: int = 0
    traffic: Traffic = NEVER_ASKED


def judge(
    reference: Reference,
    window: Window,
    history: Sequence[HistoryEntry],
    declared: Mapping[str, Declared],
    parameters: MonitoringParameters,
    now: datetime,
    segment_parameters: SegmentParameters = SegmentParameters(),  # noqa: B008 - frozen
) -> Verdict:
    """The verdict on a window.

    Half of the family-wise error goes to drift, half to measured performance, so that a window without any change
    alerts with at most that probability; the contract's limits are far outside of what chance does.
    """
    facts = window.facts
    service = check_service(window.traffic, now, parameters.contract)
    if len(window.sample) < parameters.window.min_rows or facts.start is None or facts.end is None:
        reason = f"{len(window.sample)} customers in the window, {parameters.window.min_rows} needed"
        return without_customers(reason, service, now, facts, reference.version)
    contract = [
        *check_contract(reference, window.sample, declared, parameters.contract),
        *check_freshness(window.ages, parameters.contract),
    ]
    sound = not any(finding.severity == "alert" for finding in contract)  # whatever became of the service since
    unmeasured = why_not_measured(_known(window), window.labelled_of, parameters.performance)
    drift, estimated, measured = _measurements(reference, window, parameters, measurable=not unmeasured)
    later = [
        *drift_findings(drift, reference, facts.start, history, parameters),
        *estimated_findings(estimated, parameters),
        *_on_sound_data(measured_findings(measured, drift, parameters), reference, window, declared, parameters),
    ]
    found = [*contract, *service, *(later if sound else [_of_broken_data(finding) for finding in later])]
    found = [_dated(finding, facts.start, reference.version, history) for finding in found]
    action, status = recommend(found, parameters.drift.retrain_after), status_of(found)
    return Verdict(
        status=status,
        action=action,
        summary=summarise(status, action, found, _notes(measured, estimated, unmeasured)),
        checked_at=now,
        window=facts,
        model_version=reference.version,
        reference_sha256=reference.sha256,
        findings=tuple(found),
        shown=tuple(sorted(_shown(found, drift, sound))),
        drift=drift,
        estimated=estimated,
        measured=measured,
        outcomes=len(_known(window)),
        unmeasured=unmeasured,
        segments=tuple(_segments(reference, window, segment_parameters)) if measured is not None else (),
    )


def _known(window: Window) -> NDArray[np.bool_]:
    """The known outcomes, (n,)."""
    return np.zeros(0, bool) if window.labelled is None or window.labelled.churned is None else window.labelled.churned


def _measurements(
    reference: Reference, window: Window, parameters: MonitoringParameters, measurable: bool
) -> tuple[tuple[ColumnDrift, ...], Estimate, Measured | None]:
    half = parameters.family_wise_error / 2
    theirs, ours = reference.compared(), window.sample.compared()
    pooled = None if window.pooled is None else window.pooled.compared()
    both = [name for name in theirs if name in ours and (pooled is None or name in pooled)]
    before, now = ({name: side[name] for name in both} for side in (theirs, ours))
    drift = compare_twice(before, now, None if pooled is None else {name: pooled[name] for name in both}, half, parameters.drift)
    test = reference.test
    assert test.churned is not None  # noqa: S101 - a reference has outcomes
    estimated = estimate(test.scores, test.churned, window.sample.scores)
    if window.labelled is None or not measurable:
        return drift, estimated, None
    return drift, estimated, measure((test.scores, test.churned), (window.labelled.scores, _known(window)), window.labelled_of)


def _on_sound_data(
    findings: Iterable[Finding], reference: Reference, window: Window, declared: Mapping[str, Declared], parameters: MonitoringParameters
) -> list[Finding]:
    """Measured performance, which is no trouble of the model where the predictions with an outcome were made on broken data.

    Outcomes come late: the fault may have been mended long before.
    """
    found = list(findings)
    if not found or window.labelled is None:
        return found
    breaches = check_columns(reference, window.labelled, declared, parameters.contract)
    return [_of_broken_data(finding, f"; predicted on broken data: {breaches[0].text}") for finding in found] if breaches else found


def _of_broken_data(finding: Finding, reason: str = "") -> Finding:
    """What follows from broken data is not a second trouble."""
    return finding.model_copy(update={"severity": "watch", "reading": "broken data", "text": finding.text + reason})


def _dated(finding: Finding, start: datetime, version: str, history: Sequence[HistoryEntry]) -> Finding:
    windows, since = run_of(finding.key, start, version, history)
    return finding.model_copy(update={"windows": windows, "since": since.isoformat()})


def _shown(found: Sequence[Finding], drift: Sequence[ColumnDrift], sound: bool) -> set[str]:
    """The keys that persistence counts: drift where the window shows it by itself; on broken data only the breaches."""
    absent = {column.column for column in drift if not column.present}
    counted = [finding for finding in found if finding.check != "drift" or finding.column not in absent]
    return {finding.key for finding in counted if sound or finding.check == "contract"}


def _segments(reference: Reference, window: Window, parameters: SegmentParameters) -> list[Segment]:
    labelled = window.labelled
    assert labelled is not None  # noqa: S101 - there is nothing measured without it
    assert labelled.churned is not None  # noqa: S101
    named = {
        name: [None if place < 0 else column.labels[place] for place in column.values.astype(int).tolist()]
        for name, column in labelled.columns.items()
        if not column.is_number
    }
    features = [feature for feature in reference.features if feature.name in named]
    return segments(named, features, labelled.churned, labelled.scores, parameters)


def _notes(measured: Measured | None, estimated: Estimate, unmeasured: str) -> list[str]:
    notes = [f"Estimated ROC-AUC {estimated.roc_auc:.3f} (blind to changed behaviour)."]
    if measured is None:
        return [*notes, f"Not measured: {unmeasured}."]
    text = f"Measured ROC-AUC {measured.roc_auc:.3f} [{measured.roc_auc_low:.3f}, {measured.roc_auc_high:.3f}]"
    return [*notes, f"{text} on {measured.outcomes:,} outcomes, {measured.coverage:.0%} of {measured.predictions:,} predictions."]
