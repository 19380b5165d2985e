"""Is the service itself as it should be? Age of the features, silence, and how much is asked."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from churn.core.monitoring.findings import Finding, broken
from churn.core.monitoring.parameters import ContractParameters

_DAY = 86_400.0
_RATES = 3
"""Earlier windows needed before a rate can be called unusual."""


def check_freshness(ages: NDArray[np.float64], newest: datetime, now: datetime, parameters: ContractParameters) -> list[Finding]:
    """Old features, and a log that nobody writes to.

    Args:
        ages: age in days of each row's features when they were used, (n,).
        newest: time of the newest prediction.
        now: time of the judgement.
        parameters: the limits.
    """
    found = []
    share = float((ages > parameters.stale_after_days).mean())
    if share >= parameters.stale_share:
        text = f"{share:.1%} of the predictions used features older than {parameters.stale_after_days:g} days"
        found.append(broken("stale-features", None, text, "share of rows", share))
    silent = (now - newest).total_seconds() / _DAY
    if silent > parameters.silent_days:
        text = f"the newest prediction is {silent:.1f} days old"
        found.append(broken("silence", None, text, "days", silent).model_copy(update={"severity": "watch"}))
    return found


def check_volume(per_day: float, earlier: Sequence[float], parameters: ContractParameters) -> list[Finding]:
    """Predictions a day against the median of earlier windows."""
    usual = float(np.median(earlier)) if len(earlier) >= _RATES else 0.0
    if usual <= 0 or 1 / parameters.volume_factor <= per_day / usual <= parameters.volume_factor:
        return []
    text = f"{per_day:,.0f} predictions a day, usually {usual:,.0f}"
    return [broken("volume", None, text, "times the usual", per_day / usual).model_copy(update={"severity": "watch"})]
