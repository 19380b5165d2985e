"""What measurements say, as findings: drift, estimated and measured performance."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from churn.core.evaluation.metrics import Z
from churn.core.monitoring.drift import ColumnDrift
from churn.core.monitoring.estimated import Estimate
from churn.core.monitoring.findings import Finding, Reading
from churn.core.monitoring.measured import Measured
from churn.core.monitoring.parameters import MonitoringParameters
from churn.core.monitoring.table import SCORE, Reference
from churn.core.monitoring.two_sample import holm
from churn.core.monitoring.verdict import HistoryEntry, run_of


def drift_findings(
    drift: Sequence[ColumnDrift], reference: Reference, start: datetime, history: Sequence[HistoryEntry], parameters: MonitoringParameters
) -> Iterator[Finding]:
    """The drifted columns, strongest first: an alert if the model leans on the column and enough windows in a row show it."""
    for column in sorted((column for column in drift if column.drifted), key=lambda column: -column.psi):
        is_score = column.column == SCORE
        important = is_score or reference.importance.get(column.column, 1.0) >= parameters.drift.matter_share
        finding = Finding(
            check="drift",
            kind="score-drift" if is_score else "feature-drift",
            severity="watch",
            reading="changed customers",
            column=column.column,
            text=_drift_text(column, reference),
            measure="PSI",
            strength=column.psi,
            p_value=column.p_value,
            important=important,
        )
        windows = run_of(finding.key, start, reference.version, history)[0]
        alert = important and column.present and windows >= parameters.drift.alert_after
        yield finding.model_copy(update={"severity": "alert" if alert else "watch"})


def _drift_text(column: ColumnDrift, reference: Reference) -> str:
    share = "" if column.column == SCORE else f", {reference.importance.get(column.column, 0):.0%} of what moves the scores"
    size = f"(PSI {column.psi:.3f}{share}{_look(column)})"
    if column.place is None:
        before, after = ("none" if value is None else f"{value:.4g}" for value in (column.before, column.after))
        return f"{column.column}: median {before} -> {after} {size}"
    labels = reference.training[column.column].labels
    name = "(empty)" if column.place < 0 else labels[column.place]
    return f"{column.column}: {name} {column.before or 0:.1%} -> {column.after or 0:.1%} {size}"


def _look(column: ColumnDrift) -> str:
    """Which rows the numbers are of, where they are not the window's."""
    if not column.pooled:
        return ""
    return "; this window and those before it" + ("" if column.present else ", no longer seen in this one alone")


def estimated_findings(found: Estimate, parameters: MonitoringParameters) -> Iterator[Finding]:
    """A lower ROC-AUC to expect, beyond the spread of the window: worth watching, and no proof."""
    drop = found.reference_roc_auc - found.roc_auc
    if drop - Z * found.standard_error >= parameters.performance.estimated_drop:
        text = (
            f"ROC-AUC is expected to be {found.roc_auc:.3f} on these customers, {found.reference_roc_auc:.3f} on the test customers "
            f"(estimated without outcomes; off by {found.error_on_past:.3f} on past data)"
        )
        yield Finding(
            check="estimated",
            kind="estimated-auc",
            severity="watch",
            reading="changed customers",
            text=text,
            measure="ROC-AUC",
            strength=drop,
        )


def measured_findings(found: Measured | None, drift: Sequence[ColumnDrift], parameters: MonitoringParameters) -> Iterator[Finding]:
    """Lost performance, by two tests (Holm) that share half of the error, each with a floor in size."""
    if found is None:
        return
    limits, error = parameters.performance, parameters.family_wise_error / 2
    auc_p, relation_p = (float(p) for p in holm(np.array([found.auc_p_value, found.calibration_p_value])))
    changed = relation_p < error and found.log_loss_avoidable >= limits.log_loss_rise
    if auc_p < error and found.reference_roc_auc - found.roc_auc >= limits.auc_drop:
        customers = not changed and any(column.drifted for column in drift)
        yield _lower_auc(found, auc_p, "changed customers" if customers else "changed behaviour")
    if changed:
        yield _other_relation(found, relation_p)


def _lower_auc(found: Measured, p_value: float, reading: Reading) -> Finding:
    return Finding(
        check="measured",
        kind="auc",
        severity="alert",
        reading=reading,
        text=f"ROC-AUC {found.reference_roc_auc:.3f} -> {found.roc_auc:.3f} on {found.outcomes:,} outcomes",
        measure="ROC-AUC",
        strength=found.reference_roc_auc - found.roc_auc,
        p_value=p_value,
    )


def _other_relation(found: Measured, p_value: float) -> Finding:
    rate = f"{found.churn_rate:.1%} left, {found.mean_prediction:.1%} were predicted"
    slope = f"slope {found.reference_slope:.2f} -> {found.slope:.2f}"
    size = f"ROC-AUC {found.reference_roc_auc:.3f} -> {found.roc_auc:.3f}; {found.outcomes:,} outcomes"
    if found.rate_share >= 1 / 2:
        text = f"customers with the same features leave at another rate: {rate} ({slope}; {size})"
    else:
        way = "less" if found.slope < found.reference_slope else "more"
        text = f"high and low scores mean {way} than they did: {slope} of the outcome's log-odds on the score's ({rate}; {size})"
    return Finding(
        check="measured",
        kind="calibration",
        severity="alert",
        reading="changed behaviour",
        text=text,
        measure="log-loss that recalibrating would save",
        strength=found.log_loss_avoidable,
        p_value=p_value,
    )
