"""The verdict as numbers: for Prometheus, and for the tracking server."""

from collections.abc import Iterator, Mapping

from churn.core.monitoring.verdict import Verdict

_STATUS: Mapping[str, int] = {"not-judged": -1, "ok": 0, "watch": 1, "alert": 2}
_HELP = {
    "churn_monitoring_status": "0 ok, 1 watch, 2 alert, -1 not judged",
    "churn_monitoring_retrain_recommended": "1 where the verdict recommends retraining",
    "churn_monitoring_checked_timestamp_seconds": "When the verdict was made",
    "churn_monitoring_window_rows": "Customers in the window",
    "churn_monitoring_findings": "Findings by check and severity",
    "churn_monitoring_psi": "Population stability index of a feature or the score",
    "churn_monitoring_missing_share": "Share of empty cells",
    "churn_monitoring_roc_auc": "ROC-AUC: estimated without outcomes, measured, and of the test customers",
    "churn_monitoring_outcome_coverage": "Share of the predictions whose outcome is known",
}


def metrics(verdict: Verdict) -> dict[str, float]:
    """Flat metrics, named `monitoring_...`."""
    found = {"monitoring_status": float(_STATUS[verdict.status]), "monitoring_rows": float(verdict.window.rows)}
    found["monitoring_findings"] = float(len(verdict.findings))
    found["monitoring_retrain_recommended"] = float(verdict.action == "retrain")
    if verdict.drift:
        found["monitoring_drifted_columns"] = float(sum(column.drifted for column in verdict.drift))
        found |= {f"monitoring_psi_{_plain(column.column)}": column.psi for column in verdict.drift}
    if verdict.estimated is not None:
        found["monitoring_estimated_roc_auc"] = verdict.estimated.roc_auc
    if verdict.measured is not None:
        found["monitoring_measured_roc_auc"] = verdict.measured.roc_auc
        found["monitoring_measured_log_loss"] = verdict.measured.log_loss
        found["monitoring_outcome_coverage"] = verdict.measured.coverage
    return found


def gauges(verdict: Verdict) -> str:
    """Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    described: set[str] = set()
    for name, labels, value in _samples(verdict):
        if name not in described:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
            described.add(name)
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value:.10g}" if inside else f"{name} {value:.10g}")
    return "\n".join(lines) + "\n"


def _samples(verdict: Verdict) -> Iterator[tuple[str, dict[str, str], float]]:
    yield "churn_monitoring_status", {"version": verdict.model_version or ""}, _STATUS[verdict.status]
    yield "churn_monitoring_retrain_recommended", {}, float(verdict.action == "retrain")
    yield "churn_monitoring_checked_timestamp_seconds", {}, verdict.checked_at.timestamp()
    yield "churn_monitoring_window_rows", {}, verdict.window.rows
    for check in ("contract", "drift", "estimated", "measured"):
        for severity in ("watch", "alert"):
            count = sum((finding.check, finding.severity) == (check, severity) for finding in verdict.findings)
            yield "churn_monitoring_findings", {"check": check, "severity": severity}, count
    for column in verdict.drift:
        yield "churn_monitoring_psi", {"column": column.column}, column.psi
    for column in verdict.drift:
        yield "churn_monitoring_missing_share", {"column": column.column}, column.missing_current
    yield from _performance(verdict)


def _performance(verdict: Verdict) -> Iterator[tuple[str, dict[str, str], float]]:
    name = "churn_monitoring_roc_auc"
    if verdict.estimated is not None:
        yield name, {"kind": "estimated"}, verdict.estimated.roc_auc
        yield name, {"kind": "test"}, verdict.estimated.reference_measured
    if verdict.measured is not None:
        yield name, {"kind": "measured"}, verdict.measured.roc_auc
        yield "churn_monitoring_outcome_coverage", {}, verdict.measured.coverage


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _plain(name: str) -> str:
    """MLflow takes letters, digits and some signs in names."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in name)
