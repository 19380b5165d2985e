"""A seeded population of telecom customers whose churn probabilities are known.

Columns are drawn one after another, each given those before it, with the shares and coefficients of
`churn.core.population.tables`. Because the probability of every customer is known, so is the best
ROC-AUC and log-loss that any model can reach on a draw: `bayes_auc` and `bayes_log_loss`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.core.evaluation.bayes import bayes_auc, bayes_log_loss
from churn.core.population import tables as t
from churn.core.population.ids import customer_ids
from churn.core.population.knobs import Change, SampleParameters

__all__ = ["CHUNK", "Change", "Customers", "SampleParameters", "bayes_auc", "bayes_log_loss", "chunks", "draw"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

CHUNK = 65_536
"""Customers that share one piece of the random stream: a constant, so that the table never depends on memory."""
_UNIFORMS = (
    *("tenure_bin", "tenure", "Contract", "InternetService", "SeniorCitizen", "Partner", "Dependents", "gender"),
    *("PhoneService", "MultipleLines", *t.ADD_ONS, "PaperlessBilling", "PaymentMethod", "Churn", "new_category"),
)
_NORMALS = ("common", "streaming", "price", "total")
_MISSING_STREAM = 2


@dataclass(frozen=True)
class Customers:
    """Some consecutive rows of the population.

    `codes` index the texts of `tables.VALUES`, -1 is an empty cell; charges are USD, NaN where
    empty; `month` is the snapshot's. `probability` is the true churn probability of each customer,
    `churned` the outcome (also where `codes["Churn"]` does not show it yet).
    """

    customer_id: NDArray[np.bytes_]
    month: NDArray[np.int64]
    tenure: NDArray[np.int64]
    senior: NDArray[np.bool_]
    codes: dict[str, Codes]
    monthly_charges: Floats
    total_charges: Floats
    probability: Floats
    churned: NDArray[np.bool_]

    def features(self) -> dict[str, NDArray[np.generic]]:
        """The cleaned features in the order of the telco declaration: text, bool, int64 and float64 arrays."""
        values: dict[str, NDArray[np.generic]] = {name: _text(name, codes) for name, codes in self.codes.items() if name != "Churn"}
        values |= {name: self.codes[name] == 1 for name in ("Partner", "Dependents", "PhoneService", "PaperlessBilling")}
        values |= {"SeniorCitizen": self.senior, "tenure": self.tenure, "MonthlyCharges": self.monthly_charges}
        values["TotalCharges"] = np.where(self.tenure == 0, 0.0, self.total_charges)
        order = ("gender", "SeniorCitizen", "Partner", "Dependents", "tenure", "PhoneService", "MultipleLines", "InternetService")
        last = ("Contract", "PaperlessBilling", "PaymentMethod", "MonthlyCharges", "TotalCharges")
        return {name: values[name] for name in (*order, *t.ADD_ONS, *last)}


def chunks(parameters: SampleParameters) -> Iterator[Customers]:
    """The whole population, at most `CHUNK` customers at a time.

    A customer depends on the seed, the knobs and their row number only: a longer table of one snapshot
    starts with the shorter one.
    """
    for start in range(0, parameters.total, CHUNK):
        yield _chunk(parameters, start, min(CHUNK, parameters.total - start))


def draw(parameters: SampleParameters) -> Customers:
    """The whole population at once (about 300 bytes a row)."""
    parts = list(chunks(parameters))
    join = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Customers.__annotations__ if name != "codes"}
    return Customers(codes={name: np.concatenate([part.codes[name] for part in parts]) for name in parts[0].codes}, **join)


def _chunk(parameters: SampleParameters, start: int, count: int) -> Customers:
    rows = np.arange(start, start + count, dtype=np.int64)
    since = rows // parameters.rows
    month = (parameters.first_month + since).astype(np.float64)
    change = parameters.change
    u, z = _streams(parameters.seed, start, count)
    tenure = _tenure(u["tenure_bin"], u["tenure"])
    codes = _services(u, z, tenure, month, change)
    _billing(u, codes, month, change)
    senior = u["SeniorCitizen"] < t.SENIOR[codes["InternetService"]]
    _household(u, codes, tenure, senior)
    monthly, total = _charges(z, codes, tenure, np.power(1 + change.price, month))
    probability = 1 / (1 + np.exp(-_log_odds(parameters, codes, tenure, senior, month)))
    churned = u["Churn"] < probability
    known = since < parameters.months - parameters.outcome_delay
    codes["Churn"] = np.where(known, churned, -1).astype(np.int8)
    ids = customer_ids(rows, parameters.seed)
    customers = Customers(ids, parameters.first_month + since, tenure, senior, codes, monthly, total, probability, churned)
    _blank(customers, parameters, start)
    return customers


def _streams(seed: int, start: int, count: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Uniform and normal numbers of a chunk, row by row, so that a part of it starts like the whole."""
    uniform = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(start // CHUNK, 0)))
    normal = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(start // CHUNK, 1)))
    u = np.ascontiguousarray(uniform.random((count, len(_UNIFORMS))).T)
    z = np.ascontiguousarray(normal.standard_normal((count, len(_NORMALS))).T)
    return dict(zip(_UNIFORMS, u, strict=True)), dict(zip(_NORMALS, z, strict=True))


def _tenure(bin_draw: Floats, inside: Floats) -> NDArray[np.int64]:
    bins = _pick(bin_draw, np.broadcast_to(t.TENURE_SHARES, (len(bin_draw), len(t.TENURE_SHARES))))
    width = t.TENURE_TO[bins] - t.TENURE_FROM[bins] + 1
    return np.asarray(t.TENURE_FROM[bins] + (inside * width).astype(np.int64), np.int64)


def _services(
    u: Mapping[str, Floats], z: Mapping[str, Floats], tenure: NDArray[np.int64], month: Floats, change: Change
) -> dict[str, Codes]:
    contract_shares = _tilt(t.CONTRACT_SHARES[np.searchsorted(t.CONTRACT_TENURE, tenure)], t.MONTHLY, change.monthly_contracts * month)
    contract = _pick(u["Contract"], contract_shares)
    internet_shares = _tilt(t.INTERNET_SHARES[contract, np.searchsorted(t.INTERNET_TENURE, tenure)], t.FIBER, change.fiber * month)
    internet = _pick(u["InternetService"], internet_shares)
    fiber, none, years = internet == t.FIBER, internet == t.NO_INTERNET, tenure / 12
    phone = u["PhoneService"] < t.PHONE[internet]
    lines = t.LINES["base"] + t.LINES["tenure_years"] * years + t.LINES["fiber"] * fiber + t.LINES["no_internet"] * none
    codes = {
        "gender": (u["gender"] >= t.FEMALE).astype(np.int8),
        "Contract": contract,
        "InternetService": internet,
        "PhoneService": phone.astype(np.int8),
        "MultipleLines": _yes_no(u["MultipleLines"] < _sigmoid(lines), phone),
    }
    for name, (base, year, one, two, with_fiber) in t.ADD_ONS.items():
        logit = base + year * years + one * (contract == t.ONE_YEAR) + two * (contract == t.TWO_YEARS) + with_fiber * fiber
        codes[name] = _yes_no(u[name] < _sigmoid(_with_factors(name, logit, z)), ~none)
    return codes


def _with_factors(name: str, logit: Floats, z: Mapping[str, Floats]) -> Floats:
    """Add the shared factors; the logit is stretched so that the mean share stays."""
    streaming = t.STREAMING_LOADING if name in t.STREAMING else 0.0
    stretch = np.sqrt(1 + (t.COMMON_LOADING**2 + streaming**2) / t.LOGISTIC_TO_NORMAL**2)
    return np.asarray(stretch * logit + t.COMMON_LOADING * z["common"] + streaming * z["streaming"])


def _billing(u: Mapping[str, Floats], codes: dict[str, Codes], month: Floats, change: Change) -> None:
    codes["PaperlessBilling"] = (u["PaperlessBilling"] < t.PAPERLESS[codes["InternetService"]]).astype(np.int8)
    codes["PaymentMethod"] = _pick(u["PaymentMethod"], t.PAYMENT_SHARES[codes["Contract"], codes["InternetService"]])
    if change.new_category_month is not None:
        moved = (u["new_category"] < change.new_category_share) & (month >= change.new_category_month)
        codes["PaymentMethod"][moved] = t.DIGITAL_WALLET


def _household(u: Mapping[str, Floats], codes: dict[str, Codes], tenure: NDArray[np.int64], senior: NDArray[np.bool_]) -> None:
    partner = u["Partner"] < t.PARTNER[np.searchsorted(t.PARTNER_TENURE, tenure)]
    dependents = t.DEPENDENTS[partner.astype(np.int8)] * t.DEPENDENTS_SENIOR[senior.astype(np.int8)]
    codes["Partner"] = partner.astype(np.int8)
    codes["Dependents"] = (u["Dependents"] < dependents).astype(np.int8)


def _charges(z: Mapping[str, Floats], codes: dict[str, Codes], tenure: NDArray[np.int64], level: Floats) -> tuple[Floats, Floats]:
    price = t.INTERNET_PRICE[codes["InternetService"]] + t.PRICE_NOISE * z["price"]
    for name, usd in t.PRICES.items():
        price += usd * (codes[name] == 1)
    monthly = _to_step(np.maximum(price, t.LOWEST_PRICE) * level)
    noise = np.where(tenure > 1, t.TOTAL_NOISE / np.sqrt(np.maximum(tenure, 1)), 0.0)
    total = _to_step(np.maximum(tenure * monthly * (1 + noise * z["total"]), 0.0))
    return monthly, np.where(tenure == 0, np.nan, total)


def _log_odds(
    parameters: SampleParameters, codes: Mapping[str, Codes], tenure: NDArray[np.int64], senior: NDArray[np.bool_], month: Floats
) -> Floats:
    c, change = t.CHURN, parameters.change
    contract, fiber, none = codes["Contract"], codes["InternetService"] == t.FIBER, codes["InternetService"] == t.NO_INTERNET
    eta = c["base"] + c["SeniorCitizen"] * senior + c["log_tenure"] * np.log1p(tenure) + c["tenure_years"] * tenure / 12
    eta += c["one_year"] * (contract == t.ONE_YEAR) + c["two_years"] * (contract == t.TWO_YEARS)
    eta += c["fiber"] * (1 - change.fiber_effect * month) * fiber + c["no_internet"] * none
    eta += c["electronic_check"] * (codes["PaymentMethod"] == t.ELECTRONIC_CHECK)
    for name in ("Dependents", "PhoneService", "MultipleLines", *t.ADD_ONS, "PaperlessBilling"):
        eta += c[name] * (codes[name] == 1)
    support, security = codes["TechSupport"] == 1, codes["OnlineSecurity"] == 1
    monthly = contract == t.MONTHLY
    eta += parameters.theta * (fiber & monthly & (tenure <= t.NEW_CUSTOMER) & ~support)
    eta -= parameters.theta * ((codes["InternetService"] == t.DSL) & security & support)
    eta = parameters.kappa * eta + parameters.shift + change.churn_level * month
    if change.competitor_month is not None:
        eta += change.competitor_effect * (fiber & monthly & (month >= change.competitor_month))
    return np.asarray(eta)


def _blank(customers: Customers, parameters: SampleParameters, start: int) -> None:
    """Empty the cells that the knob for missing values takes; the truth stays what it was."""
    change = parameters.change
    if not change.missing or not change.missing_columns:
        return
    rng = np.random.default_rng(np.random.SeedSequence(parameters.seed, spawn_key=(start // CHUNK, _MISSING_STREAM)))
    gone = rng.random((len(customers.month), len(change.missing_columns))) < (change.missing * customers.month)[:, None]
    for name, empty in zip(change.missing_columns, gone.T, strict=True):
        if name == "MonthlyCharges":
            customers.monthly_charges[empty] = np.nan
        else:
            customers.codes[name][empty] = -1


def _pick(uniform: Floats, shares: Floats) -> Codes:
    """A category by inverse transform: `uniform` (n,), `shares` (n, k); rows need not sum to exactly 1."""
    bounds = np.cumsum(shares, axis=1)
    return np.asarray((uniform[:, None] * bounds[:, -1:] >= bounds[:, :-1]).sum(axis=1), np.int8)


def _tilt(shares: Floats, category: int, log_odds: Floats) -> Floats:
    """Shift the log-odds of one category, the others keep their proportions."""
    weights = np.array(shares)
    weights[:, category] *= np.exp(log_odds)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _yes_no(yes: NDArray[np.bool_], available: NDArray[np.bool_]) -> Codes:
    return np.where(available, yes, t.NOT_AVAILABLE).astype(np.int8)


def _to_step(usd: Floats) -> Floats:
    """Round to `PRICE_STEP`, to the double nearest the decimal number."""
    return np.asarray(np.round(np.round(usd / t.PRICE_STEP) * t.PRICE_STEP, 2))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def _text(name: str, codes: Codes) -> NDArray[np.object_]:
    return np.array([*t.VALUES[name], None], dtype=object)[codes]
