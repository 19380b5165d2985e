"""What an alert says to people."""

from churn.core.monitoring.verdict import ADVICE, Verdict


def alert_title(verdict: Verdict) -> str:
    """The trouble in one line."""
    readings = dict.fromkeys(finding.reading for finding in verdict.alerts)
    return f"Churn monitoring: {' and '.join(readings) or verdict.status} (model version {verdict.model_version})"


def alert_body(verdict: Verdict) -> str:
    """What changed, in which feature, by how much, since when, the likely reading, the advice and where the report is."""
    window = verdict.window
    lines = [f"{window.rows:,} customers, {_day(window.start)} to {_day(window.end)} UTC."]
    for finding in verdict.alerts:
        since = f" (for {finding.windows} windows, since {finding.since[:16].replace('T', ' ')})" if finding.windows > 1 else ""
        lines.append(f"- {finding.text}{since}. Likely: {finding.reading}.")
    return "\n".join([*lines, f"Recommended: {verdict.action}: {ADVICE[verdict.action]}.", f"Report: {verdict.report}"])


def _day(moment: object) -> str:
    return str(moment)[:16]
