"""The evaluation as one HTML page that needs nothing from outside."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from churn.core.evaluation.profit import Costs, profit_threshold
from churn.pipelines.evaluation.page import PAGE, STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = {
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision",
    "log_loss": "Log-loss (lower is better)",
    "brier": "Brier score (lower is better)",
    "top_decile_lift": "Lift of the top tenth",
    "f1": "F1 at the threshold",
    "precision": "Precision at the threshold",
    "recall": "Recall at the threshold",
    "ece": "Calibration error (ECE)",
    "ece_noise_floor": "… noise floor of a perfectly calibrated model",
    "profit": "Profit per customer at the threshold",
    "profit_best": "… at the best threshold in hindsight",
    "empc": "Expected maximum profit (EMPC)",
}
DIFFERENCES = {
    "log_loss": "Log-loss (gain)",
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision",
    "profit": "Profit per customer",
}
PLOT_TEXTS = {
    "calibration_curve": "Calibration curve",
    "profit_curve": "Profit curve",
    "gain_curve": "Gain curve",
    "confusion_matrix": "Confusion matrix",
    "shap_summary": "SHAP summary. Categories are coloured in the order of the declaration",
}
OUTCOMES = {
    "promoted": ("good", "Promoted to champion"),
    "rejected": ("bad", "Not promoted"),
    "awaiting-approval": ("open", "Awaiting approval"),
    "kept": ("open", "Champion kept"),
}


def render(
    decision: Mapping[str, Any],
    models: Mapping[str, Mapping[str, float]],
    comparisons: Mapping[str, Any],
    segments: list[dict[str, Any]],
    figures: Mapping[str, "Figure"],
    costs: Costs,
) -> str:
    """The whole page.

    Args:
        decision: The gate's decision.
        models: Test metrics of challenger, champion (where there is one) and baseline.
        comparisons: The challenger's paired differences by the other model's name.
        segments: Segments of the test customers.
        figures: Plots by name.
        costs: Value and costs behind the profits.
    """
    kind, headline = OUTCOMES[decision["outcome"]]
    ours = models["challenger"]
    return PAGE.substitute(
        style=STYLE,
        kind=kind,
        headline=headline,
        version=escape(decision["version"]),
        against=_against(decision),
        reason=escape(decision["reason"]),
        cards="".join(_cards(ours)),
        customers=f"{decision['customers']:,}",
        churn_rate=f"{ours['churn_rate']:.1%}",
        metrics=_metrics_table(models),
        differences="".join(_differences_table(name, found) for name, found in comparisons.items()),
        rules=_rules_table(decision["rules"]),
        money=_money(ours, costs),
        plots="".join(f'<figure class="{name}">{_image(figures[name], text)}</figure>' for name, text in PLOT_TEXTS.items()),
        segments=_segments_table(segments),
        segment_note=_segment_note(segments),
    )


def _against(decision: Mapping[str, Any]) -> str:
    champion = decision["champion"]
    if champion is None:
        return "no champion to compare with"
    version = f"champion version {escape(champion)}"
    return f"without {version}, which cannot score this table" if decision["misfits"] else f"against {version}"


def _cards(ours: Mapping[str, float]) -> Iterable[str]:
    for name in ("roc_auc", "average_precision", "log_loss", "profit"):
        title = METRICS[name].split(" (")[0]
        yield f"<div class=card><span>{title}</span><b>{_number(ours[name])}</b><small>{_interval(ours, name)}</small></div>"
    share, at = f"{ours['profit_share']:.1%}", f"threshold {ours['threshold']:.3f}"
    yield f"<div class=card><span>Of the best profit in hindsight</span><b>{share}</b><small>{at}</small></div>"


def _metrics_table(models: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [title, *(f"<b>{_number(found[name])}</b> <small>{_interval(found, name)}</small>" for found in models.values())]
        for name, title in METRICS.items()
    ]
    return _table(["", *(name.capitalize() for name in models)], rows)


def _differences_table(other: str, found: Mapping[str, Any]) -> str:
    rows = [
        [
            title,
            f"<b>{found[name]['value']:+.4f}</b>",
            f"{found[name]['low']:+.4f} to {found[name]['high']:+.4f}",
            _meaning(found[name]),
            f"{found[name]['detectable']:.4f}",
        ]
        for name, title in DIFFERENCES.items()
    ]
    heads = [f"Challenger against {other}", "Difference", "95% interval", "Meaning", "Detectable"]
    return _table(heads, rows, "even")


def _meaning(difference: Mapping[str, float]) -> str:
    if difference["low"] > 0:
        return _badge("good", "better")
    return _badge("bad", "worse") if difference["high"] < 0 else _badge("quiet", "cannot tell")


def _rules_table(rules: list[dict[str, Any]]) -> str:
    if not rules:
        return "<p>No rule was applied: the models are the same.</p>"
    rows = [
        [
            escape(rule["title"][0].upper() + rule["title"][1:]).rstrip(","),
            _number(rule["value"]),
            f"{rule['relation']} {_number(rule['bound'])}",
            _badge("good", "passed") if rule["passed"] else _badge("bad", "failed"),
        ]
        for rule in rules
    ]
    return _table(["Rule", "Value", "Must be", ""], rows)


def _money(ours: Mapping[str, float], costs: Costs) -> str:
    return (
        f"A customer is worth {costs.clv:g}; a contact costs {costs.contact:g}, an offer {costs.offer:g}, and {costs.success_rate:.0%} "
        f"of the contacted churners stay. Contacting pays from a churn probability of <b>{profit_threshold(costs):.3f}</b>; the model's "
        f"threshold is <b>{ours['threshold']:.3f}</b>. On these customers it earns <b>{ours['profit']:.2f}</b> per customer, "
        f"<b>{ours['profit_share']:.1%}</b> of the {ours['profit_best']:.2f} at the threshold that was best in hindsight "
        f"({ours['threshold_best']:.3f})."
    )


def _segments_table(segments: list[dict[str, Any]]) -> str:
    rows, last = [], ""
    for segment in segments:
        label = escape(segment["label"]) if segment["label"] != last else ""
        last = segment["label"]
        kind = {"in line": "good", "too small to judge": "quiet"}.get(segment["verdict"], "bad")
        auc = (
            "–"
            if segment["roc_auc"] is None
            else f"{segment['roc_auc']:.3f} <small>{segment['roc_auc_low']:.3f} to {segment['roc_auc_high']:.3f}</small>"
        )
        gap = f"{segment['gap']:+.3f} <small>±{segment['gap_noise']:.3f}</small>"
        rows.append(
            [
                f"<b>{label}</b>",
                escape(segment["value"]),
                f"{segment['customers']:,}",
                f"{segment['churn_rate']:.1%}",
                f"{segment['mean_prediction']:.1%}",
                gap,
                auc,
                _badge(kind, segment["verdict"]),
            ]
        )
    return _table(["Feature", "Value", "Customers", "Churn rate", "Mean prediction", "Gap, noise", "ROC-AUC", ""], rows)


def _segment_note(segments: list[dict[str, Any]]) -> str:
    judged = [segment for segment in segments if segment["verdict"] != "too small to judge"]
    off = sum(segment["verdict"] != "in line" for segment in judged)
    return f"{off} of {len(judged)} judged segments are out of line." if judged else "No segment is large enough to judge."


def _table(heads: list[str], rows: list[list[str]], kind: str = "") -> str:
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _badge(kind: str, text: str) -> str:
    return f'<span class="badge {kind}">{text}</span>'


def _interval(found: Mapping[str, float], name: str) -> str:
    return f"{_number(found[f'{name}_low'])} to {_number(found[f'{name}_high'])}" if f"{name}_low" in found else ""


def _number(value: float) -> str:
    """Four decimals below 1, two above."""
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def _image(figure: "Figure", text: str) -> str:
    from base64 import b64encode
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f'<img alt="{text}" src="data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"><figcaption>{text}</figcaption>'
