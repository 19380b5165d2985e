"""The frame of the monitoring report, with Evidently's pages inside."""

from collections.abc import Sequence
from html import escape
from string import Template

from churn.core.monitoring.verdict import ADVICE, Verdict

_STYLE = """
:root { --ink: #1e293b; --soft: #64748b; --line: #e2e8f0; --ok: #166534; --watch: #92400e; --alert: #b91c1c; --none: #64748b; }
* { box-sizing: border-box; }
body { margin: 0; background: #f8fafc; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 60px; }
header, section { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 20px 24px; margin-bottom: 18px; }
header { border-left: 8px solid var(--none); }
header.ok { border-left-color: var(--ok); } header.watch { border-left-color: var(--watch); }
header.alert { border-left-color: var(--alert); }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 18px; margin: 0 0 8px; } p { margin: 6px 0 0; color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin-bottom: 18px; }
.card { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; display: flex; flex-direction: column; }
.card span { color: var(--soft); font-size: 13px; } .card b { font-size: 24px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-size: 13px; border-bottom: 2px solid var(--line); padding: 6px 10px 6px 0; }
td { border-bottom: 1px solid var(--line); padding: 5px 10px 5px 0; vertical-align: top; }
.badge { border-radius: 99px; padding: 1px 10px; font-size: 12.5px; white-space: nowrap; background: #f1f5f9; color: var(--soft); }
.badge.alert { background: #fee2e2; color: var(--alert); } .badge.watch { background: #fef3c7; color: var(--watch); }
iframe { width: 100%; height: 1100px; border: 0; }
"""
_PAGE = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Monitoring: $headline</title><style>$style</style></head>
<body><main>
<header class="$kind"><h1>$headline</h1><p>$advice</p><p>$window</p><p>$unmeasured</p><p>$note</p></header>
<div class="cards">$cards</div>
$findings
$frames
$segments
</main></body></html>
""")
_HEADLINES = {"ok": "Nothing has changed", "watch": "Worth watching", "alert": "Something has changed", "not-judged": "Not judged"}
_FRAMES = {"drift": "Features and score beside the training customers", "performance": "Performance where outcomes are known"}


def page(verdict: Verdict, note: str, frames: Sequence[tuple[str, str]]) -> str:
    """The whole page; `frames` are names with whole HTML pages."""
    judged = verdict.status != "not-judged"
    unmeasured = f"Performance is not measured: {verdict.unmeasured}." if verdict.unmeasured else ""
    advice = f"Recommended: {verdict.action}. {ADVICE[verdict.action].capitalize()}." if judged else verdict.summary
    return _PAGE.substitute(
        headline=_HEADLINES[verdict.status],
        style=_STYLE,
        kind=verdict.status,
        advice=escape(advice),
        window=escape(_window(verdict)),
        unmeasured=escape(unmeasured),
        note=escape(note),
        cards="".join(f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b></div>' for name, value in _cards(verdict)),
        findings=_findings(verdict),
        segments=_segments(verdict),
        frames="".join(_frame(name, inner) for name, inner in frames),
    )


def _window(verdict: Verdict) -> str:
    window = verdict.window
    if window.start is None or window.end is None:
        return f"Checked {verdict.checked_at:%Y-%m-%d %H:%M} UTC."
    left_out = [f"{window.repeated:,} repeated predictions"] if window.repeated else []
    left_out += [f"{window.other_versions:,} of other model versions"] if window.other_versions else []
    text = f"{window.rows:,} customers from {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"
    return f"{text}, model version {verdict.model_version}" + (f"; left out: {' and '.join(left_out)}." if left_out else ".")


def _cards(verdict: Verdict) -> list[tuple[str, str]]:
    cards = []
    if verdict.drift:
        cards.append(("drifted columns", f"{sum(column.drifted for column in verdict.drift)} of {len(verdict.drift)}"))
    if (estimated := verdict.estimated) is not None:
        cards.append((f"ROC-AUC expected (off by {estimated.error_on_past:.3f} on past data)", f"{estimated.roc_auc:.3f}"))
        cards.append(("ROC-AUC of the test customers", f"{estimated.reference_measured:.3f}"))
    if (measured := verdict.measured) is not None:
        cards.append((f"ROC-AUC measured on {measured.outcomes:,} outcomes", f"{measured.roc_auc:.3f}"))
        cards.append(("share of predictions with an outcome", f"{measured.coverage:.0%}"))
        cards.append(("left, and predicted to leave", f"{measured.churn_rate:.1%}, {measured.mean_prediction:.1%}"))
    return cards


def _findings(verdict: Verdict) -> str:
    rows = [
        f'<tr><td><span class="badge {finding.severity}">{finding.severity}</span></td><td>{escape(finding.text)}</td>'
        f"<td>{escape(finding.reading)}</td><td>{finding.windows} window{'s' if finding.windows > 1 else ''}</td>"
        f"<td>{escape(finding.since[:16].replace('T', ' '))}</td></tr>"
        for finding in verdict.findings
    ]
    head = "<tr><th></th><th>what</th><th>likely</th><th>for</th><th>since (UTC)</th></tr>"
    return f"<section><h2>Findings</h2><table>{head}{''.join(rows)}</table></section>" if rows else ""


def _segments(verdict: Verdict) -> str:
    judged = [segment for segment in verdict.segments if segment.verdict != "too small to judge"]
    shown = sorted(judged, key=lambda segment: segment.verdict == "in line")  # what is out of line first
    rows = [
        f"<tr><td>{escape(segment.label)}: {escape(segment.value)}</td><td>{segment.customers:,}</td><td>{segment.churn_rate:.1%}</td>"
        f"<td>{segment.mean_prediction:.1%}</td><td>{'' if segment.roc_auc is None else f'{segment.roc_auc:.3f}'}</td>"
        f'<td><span class="badge {"" if segment.verdict == "in line" else "watch"}">{segment.verdict}</span></td></tr>'
        for segment in shown
    ]
    head = "<tr><th>segment</th><th>outcomes</th><th>left</th><th>predicted</th><th>ROC-AUC</th><th></th></tr>"
    out = sum(segment.verdict != "in line" for segment in judged)
    title = f"Segments, on known outcomes: {out} of {len(judged)} out of line"
    return f"<section><h2>{title}</h2><table>{head}{''.join(rows)}</table></section>" if rows else ""


def _frame(name: str, inner: str) -> str:
    return f'<section><h2>{_FRAMES[name]}</h2><iframe title="{name}" srcdoc="{escape(inner, quote=True)}"></iframe></section>'
