"""Is the service itself as it should be? Age of the features, silence, and how much is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from churn.core.monitoring.findings import Finding, broken
from churn.core.monitoring.parameters import ContractParameters
from churn.core.monitoring.verdict import Verdict, WindowFacts, not_judged, recommend, status_of, summarise

_DAY = 86_400.0
EARLIER = 3
"""Earlier periods whose median is the usual volume."""


@dataclass(frozen=True)
class Traffic:
    """What the service was asked: the time of the newest prediction (None: never), and predictions in periods of `days` days.

    `counts` begins with the period that ends now; `EARLIER` more precede it.
    """

    newest: datetime | None = None
    days: float = 7
    counts: tuple[int, ...] = ()


NEVER_ASKED = Traffic()


def check_freshness(ages: NDArray[np.float64], parameters: ContractParameters) -> list[Finding]:
    """Old features.

    Args:
        ages: age in days of each row's features when they were used, (n,).
        parameters: the limits.
    """
    share = float((ages > parameters.stale_after_days).mean())
    if share < parameters.stale_share:
        return []
    text = f"{share:.1%} of the predictions used features older than {parameters.stale_after_days:g} days"
    return [broken("stale-features", None, text, "share of rows", share)]


def check_service(traffic: Traffic, now: datetime, parameters: ContractParameters) -> list[Finding]:
    """A log that nobody writes to, else one that grows much faster or slower than in the periods before.

    A log that does not reach into the last of the `EARLIER` periods has no usual volume.
    """
    if traffic.newest is None:
        return []
    silent = (now - traffic.newest).total_seconds() / _DAY
    if silent > parameters.silent_days:
        text = f"no prediction for {silent:.1f} days: look at the service, and at who asks it"
        return [broken("silence", None, text, "days", silent).model_copy(update={"reading": "service down"})]
    counts = [count / traffic.days for count in traffic.counts]
    usual = float(np.median(counts[1:])) if len(counts) > EARLIER and counts[-1] else 0.0
    if usual <= 0 or 1 / parameters.volume_factor <= counts[0] / usual <= parameters.volume_factor:
        return []
    text = f"{counts[0]:,.0f} predictions a day, usually {usual:,.0f}"
    return [broken("volume", None, text, "times the usual", counts[0] / usual).model_copy(update={"severity": "watch"})]


def without_customers(reason: str, found: Sequence[Finding], now: datetime, window: WindowFacts, version: str | None = None) -> Verdict:
    """The verdict where the customers cannot be judged, which `reason` explains: on the service alone, if it is not as it should be."""
    if not found:
        return not_judged(reason, now, window, version)
    since = "" if window.start is None else window.start.isoformat()
    dated = tuple(finding.model_copy(update={"since": since}) for finding in found)
    status, action = status_of(dated), recommend(dated, 1)
    return Verdict(
        status=status,
        action=action,
        summary=summarise(status, action, dated, [f"Customers not judged: {reason}."]),
        checked_at=now,
        window=window,
        model_version=version,
        findings=dated,
        shown=tuple(finding.key for finding in dated),
    )
