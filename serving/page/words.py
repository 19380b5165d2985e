"""The page's answers as HTML, in plain words. Every text that comes from data is escaped."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from churn.core.decisions.reasons import effect_in_words, fact, value_in_words
from churn.core.declaration import Feature

REASONS = 5
"""How many reasons are shown."""
_MOST_DECIMALS = 3


def notice(text: str, kind: str = "info") -> str:
    """A message; `kind` is info or warning."""
    return f'<div class="churn-notice {kind}" role="status">{escape(text)}</div>' if text else ""


def percents(*shares: float) -> list[str]:
    """Shares as percentages, with as many decimals as it takes to tell them apart."""
    for decimals in range(_MOST_DECIMALS + 1):
        texts = [f"{100 * share:.{decimals}f}%" for share in shares]
        if len(set(texts)) == len(set(shares)):
            break
    return texts


def risk(answer: Mapping[str, Any]) -> str:
    """The probability as a bar with the threshold, and what follows from it."""
    probability, threshold = answer["churn_probability"], answer["threshold"]
    chance, line = percents(probability, threshold)
    call = answer["churn"]
    side = f"This customer is {'at or above' if call else 'below'} the calling line of {line} (the mark on the bar): "
    follows = "a call is worth its cost." if call else "a call would cost more than it is expected to bring."
    return (
        f'<div class="churn-card"><div class="churn-head"><h3>Customer {escape(answer["customer_id"])}</h3>{_verdict(call)}</div>'
        f'<p class="churn-big">{chance} <small>chance of leaving</small></p>{_bar(probability, threshold, chance)}'
        f"<p>{side}{follows}</p>{_age(answer)}</div>"
    )


def reasons(features: Mapping[str, Feature], answer: Mapping[str, Any]) -> str:
    """The strongest reasons in words, strongest first."""
    strongest = [one for one in answer["reasons"] if one["effect"] != 0][:REASONS]
    if not strongest:
        return '<div class="churn-card"><h3>Why?</h3><p>Nothing about this customer stands out.</p></div>'
    lines = "".join(_reason(features, one) for one in strongest)
    return f'<div class="churn-card"><h3>Why?</h3><ul class="churn-reasons">{lines}</ul></div>'


def facts(features: Mapping[str, Feature], values: Mapping[str, Any]) -> str:
    """What is known of the customer, in the declared order."""
    cells = "".join(
        f"<div><dt>{escape(feature.label)}</dt><dd>{escape(value_in_words(feature, values[name]))}</dd></div>"
        for name, feature in features.items()
        if name in values
    )
    return f'<div class="churn-card"><h3>What we know</h3><dl class="churn-facts">{cells}</dl></div>'


def effect(features: Mapping[str, Feature], answer: Mapping[str, Any]) -> str:
    """A what-if: the probability before and after, and what was changed."""
    before, after, threshold = answer["before"], answer["after"], answer["threshold"]
    old, new, line = percents(before["churn_probability"], after["churn_probability"], threshold)
    bars = "".join(
        f'<div class="churn-side"><span>{when}</span>{_bar(side["churn_probability"], threshold, text)}<b>{text}</b></div>'
        for when, side, text in (("Before", before, old), ("After", after, new))
    )
    changed = "".join(
        f"<li>{escape(_label(features, one))}: {escape(_value(features, one, 'before'))} → {escape(_value(features, one, 'after'))}</li>"
        for one in answer["changes"]
    )
    return (
        f'<div class="churn-card"><div class="churn-head"><h3>{_moved(before, after, old, new)}</h3>{_verdict(after["churn"])}</div>{bars}'
        f"<p>{_consequence(before['churn'], after['churn'], line)}</p><ul>{changed}</ul>"
        '<p class="churn-small">An estimate from how similar customers behaved, not a promise.</p></div>'
    )


def health(verdict: Mapping[str, Any] | None, report: str) -> str:
    """The last verdict of the monitoring, when it was made, and a link to its report.

    Args:
        verdict: None if there is none.
        report: the address of the report.
    """
    if verdict is None:
        return notice("No check of data and model has been recorded yet. Your data team makes one with: kedro run --pipelines monitoring")
    title, kind = _HEALTH.get(str(verdict.get("status")), _HEALTH["not-judged"])
    lines = str(verdict.get("summary") or "").splitlines()
    text = f'<p class="churn-small">{escape(_checked(verdict))}</p>' + "".join(f"<p>{escape(line)}</p>" for line in lines)
    text += f'<p>For your data team: <a href="{escape(report)}" target="_blank" rel="noopener">Open the full report</a></p>'
    chip = f'<span class="churn-chip {kind}">{_CHIPS[kind]}</span>'
    return f'<div class="churn-card"><div class="churn-head"><h3>{title}</h3>{chip}</div>{text}</div>'


def day(moment: datetime | str) -> str:
    """A time as a day, such as 1 November 2026 (UTC)."""
    found = (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).astimezone(UTC)
    return f"{found.day} {found:%B %Y}"


_CHIPS = {"call": "Look into it", "watch": "Keep an eye on it", "keep": "No action needed", "none": "Not judged"}
_HEALTH = {
    "ok": ("Data and model look as they should", "keep"),
    "watch": ("Something is moving", "watch"),
    "alert": ("Something has changed", "call"),
    "not-judged": ("There is not enough data to judge yet", "none"),
}


def _checked(verdict: Mapping[str, Any]) -> str:
    try:
        when = datetime.fromisoformat(str(verdict.get("checked_at"))).astimezone(UTC)
    except ValueError:
        return "Nobody knows when this was checked."
    return f"Last checked on {day(when)} at {when:%H:%M} UTC."


def _verdict(call: bool) -> str:
    return f'<span class="churn-chip {"call" if call else "keep"}">{"Call" if call else "No need to call"}</span>'


def _bar(probability: float, threshold: float, text: str) -> str:
    kind = "call" if probability >= threshold else "keep"
    return (
        f'<div class="churn-bar" role="img" aria-label="{text} chance of leaving">'
        f'<i class="{kind}" style="width:{100 * probability:.1f}%"></i><u style="left:{100 * threshold:.1f}%"></u></div>'
    )


def _age(answer: Mapping[str, Any]) -> str:
    when = day(answer["features_as_of"])
    if answer["stale"]:
        return notice(f"This rests on data of {when}, which is too old to rely on. Check the customer's record before you act.", "warning")
    return f'<p class="churn-small">Customer data of {when}. Prediction model version {escape(answer["model"]["version"])}.</p>'


def _reason(features: Mapping[str, Feature], one: Mapping[str, Any]) -> str:
    feature, size = features.get(one["feature"]), one["effect"]
    text = fact(feature, one["value"]) if feature else f"{one['label']}: {one['value']}"
    way = "up" if size > 0 else "down"
    return f'<li class="{way}"><b>{escape(text)}</b><span>{effect_in_words(size)}</span></li>'


def _label(features: Mapping[str, Feature], one: Mapping[str, Any]) -> str:
    return features[one["column"]].label if one["column"] in features else str(one["label"])


def _value(features: Mapping[str, Feature], one: Mapping[str, Any], side: str) -> str:
    feature = features.get(one["column"])
    return value_in_words(feature, one[side]) if feature else str(one[side])


def _moved(before: Mapping[str, Any], after: Mapping[str, Any], old: str, new: str) -> str:
    change = after["churn_probability"] - before["churn_probability"]
    if math.isclose(change, 0, abs_tol=1e-9):
        return f"The risk stays at {old}"
    return f"The risk {'rises' if change > 0 else 'falls'} from {old} to {new}"


def _consequence(before: bool, after: bool, line: str) -> str:
    if before == after:
        return f"It stays {'at or above' if after else 'below'} the calling line of {line}."
    return f"It {'rises above' if after else 'falls below'} the calling line of {line}."


def list_summary(rows: Sequence[Mapping[str, Any]], count: int) -> str:
    """How long the list is, of when, and what its order means."""
    if not rows:
        return notice("Nobody is on the list: for no customer is a call expected to bring more than it costs.")
    shown = f"The first {len(rows):,} of {count:,} customers" if count > len(rows) else f"{count:,} customers"
    order = "first those for whom a call is expected to bring the most, its cost and the chance that it helps counted in."
    return f"<p>{shown} worth a call, {order} Made on {day(rows[0]['scored_at'])}. Click a row to see the customer.</p>"


def listed(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """The rows of the retention list as the page's table shows them; see `LIST_HEADINGS`."""
    return [
        [row["rank"], row["customer_id"], percents(row["churn_probability"])[0], f"{row['expected_value']:,.2f}"]
        + [row[f"reason_{place}"] or "" for place in (1, 2, 3)]
        for row in rows
    ]


LIST_HEADINGS = ["Rank", "Customer", "Chance of leaving", "A call is worth", "Main reason", "Second reason", "Third reason"]
