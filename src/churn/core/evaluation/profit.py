"""What a retention campaign earns: profit by threshold, expected maximum profit, gain and lift.

A campaign contacts every customer whose churn probability reaches a threshold, at cost `contact` (f) each.
A contacted churner takes an offer of cost `offer` (d) with probability `success_rate` (gamma) and stays,
worth `clv`; a contacted customer who would have stayed anyway takes the offer.
Sources: Verbeke et al., European Journal of Operational Research 218 (2012), 211-229, equation 5;
Verbraken, Verbeke and Baesens, IEEE Transactions on Knowledge and Data Engineering 25 (2013), 961-973.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import special

Floats = NDArray[np.float64]


class Costs(BaseModel):
    """Value and costs of a retention campaign, per customer, all in one currency.

    `success_rate` is the expected gamma; `success_evidence` says how sure it is, as a number of
    customers: gamma ~ Beta(evidence x rate, evidence x (1 - rate)).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    clv: float = Field(gt=0)
    offer: float = Field(ge=0)
    contact: float = Field(ge=0)
    success_rate: float = Field(gt=0, lt=1)
    success_evidence: float = Field(gt=0)

    @model_validator(mode="after")
    def _campaign_can_pay(self) -> Self:
        if self.success_rate * (self.clv - self.offer) <= self.contact:
            raise ValueError(
                f"contacting even a certain churner loses money: success_rate x (clv - offer) = "
                f"{self.success_rate * (self.clv - self.offer):g} does not exceed contact = {self.contact:g}"
            )
        if self.offer + self.contact <= 0:
            raise ValueError("offer and contact are both 0: contacting everybody is free and no threshold is needed")
        return self

    @property
    def churner_gain(self) -> float:
        """Expected gain from contacting one churner."""
        return self.success_rate * (self.clv - self.offer) - self.contact

    @property
    def stayer_loss(self) -> float:
        """Loss from contacting one customer who would have stayed."""
        return self.offer + self.contact


def profit_threshold(costs: Costs) -> float:
    """The churn probability above which contacting pays: t* = (d + f) / (gamma (CLV - d) + d)."""
    return costs.stayer_loss / (costs.churner_gain + costs.stayer_loss)


def expected_value(probability: ArrayLike, costs: Costs) -> Floats:
    """Expected gain (n,) from contacting customers who leave with these probabilities.

    p (gamma (CLV - d) - f) - (1 - p) (d + f), positive above `profit_threshold` (Verbeke et al. 2012).
    """
    p = np.asarray(probability, np.float64)
    return p * costs.churner_gain - (1 - p) * costs.stayer_loss


def customer_profits(churned: ArrayLike, probability: ArrayLike, threshold: float, costs: Costs) -> Floats:
    """Expected profit (n,) from each customer when those at or above the threshold are contacted."""
    value = np.where(np.asarray(churned, bool), costs.churner_gain, -costs.stayer_loss)
    return np.where(np.asarray(probability, float) >= threshold, value, 0.0)


def profit(churned: ArrayLike, probability: ArrayLike, threshold: float, costs: Costs) -> float:
    """Mean expected profit per customer at a threshold (Verbeke et al. 2012)."""
    return float(customer_profits(churned, probability, threshold, costs).mean())


class ProfitCurve(NamedTuple):
    """Mean profit per customer (k,) at each distinct threshold (k,), thresholds falling from infinity (nobody contacted)."""

    threshold: Floats
    profit: Floats

    @property
    def best(self) -> tuple[float, float]:
        """The threshold that would have earned most, in hindsight, and what it earns."""
        top = int(np.argmax(self.profit))
        return float(self.threshold[top]), float(self.profit[top])


def profit_curve(churned: ArrayLike, probability: ArrayLike, costs: Costs) -> ProfitCurve:
    """Mean profit per customer at every threshold that changes who is contacted."""
    cuts, churners, stayers = _contacted(churned, probability)
    earned = costs.churner_gain * churners - costs.stayer_loss * stayers
    return ProfitCurve(cuts, earned / np.size(churned))


def empc(churned: ArrayLike, probability: ArrayLike, costs: Costs) -> float:
    """Expected maximum profit per customer over gamma ~ Beta (Verbraken et al. 2013), exact on the ROC convex hull.

    For every gamma the best threshold is a vertex of the hull, and profit is linear in gamma there,
    so the integral is a sum of incomplete beta functions between the gammas where the best vertex changes.
    """
    n = np.size(churned)
    _, churners, stayers = _contacted(churned, probability)
    hull = _upper_hull(stayers, churners)
    slope = (costs.clv - costs.offer) * churners[hull] / n
    fixed = (costs.contact * churners[hull] + costs.stayer_loss * stayers[hull]) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(np.diff(slope) > 0, np.diff(fixed) / np.diff(slope), np.inf)
    edges = np.clip(np.concatenate([[0.0], change, [1.0]]), 0.0, 1.0)
    a = costs.success_evidence * costs.success_rate
    b = costs.success_evidence - a
    mass = np.diff(special.betainc(a, b, edges))
    mean = a / (a + b) * np.diff(special.betainc(a + 1, b, edges))
    return float(np.sum(slope * mean - fixed * mass))


class GainCurve(NamedTuple):
    """Share of all customers contacted (k,) and share of all churners among them (k,), best first; both start at 0."""

    contacted: Floats
    reached: Floats


def gain_curve(churned: ArrayLike, probability: ArrayLike) -> GainCurve:
    """Cumulative gain by falling probability; customers with equal scores enter together."""
    _, churners, stayers = _contacted(churned, probability)
    return GainCurve((churners + stayers) / np.size(churned), churners / max(churners[-1], 1.0))


def _contacted(churned: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Distinct thresholds, falling from infinity, with the number of churners and stayers at or above each."""
    y, p = np.asarray(churned, bool), np.asarray(probability, float)
    order = np.argsort(-p, kind="stable")
    p, y = p[order], y[order]
    last = np.flatnonzero(np.append(p[1:] != p[:-1], True))
    churners = np.concatenate([[0.0], np.cumsum(y, dtype=float)[last]])
    stayers = np.concatenate([[0.0], np.cumsum(~y, dtype=float)[last]])
    return np.concatenate([[np.inf], p[last]]), churners, stayers


def _upper_hull(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Indices of the upper convex hull of points that rise in x and y (Andrew's monotone chain)."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (x[b] - x[a]) * (y[i] - y[a]) - (y[b] - y[a]) * (x[i] - x[a]) < 0:
                break
            hull.pop()
        hull.append(i)
    return np.array(hull)
