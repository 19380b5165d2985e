"""The knobs of the sample population: size, time, and change over time."""

from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_ROWS = 100_000_000
"""Rows that the customer ids and the pieces of the random stream are made for."""
Blankable = Literal["OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "PaymentMethod", "MonthlyCharges"]


class Change(BaseModel):
    """What drifts, per month after month 0; all zero: nothing changes.

    `churn_level` is added to the log-odds of churn, `price` is a relative growth of the charges,
    `monthly_contracts` and `fiber` are added to the log-odds of choosing a month-to-month contract or
    fiber, `fiber_effect` is the share of fiber's effect on churn that fades, and from month
    `competitor_month` on a competitor's offer adds `competitor_effect` to the log-odds of customers with
    fiber and a month-to-month contract. From `new_category_month` on, `new_category_share` of the
    customers pay by "Digital wallet". A share `missing` per month of the cells of `missing_columns` is empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    churn_level: float = 0.0
    price: float = Field(default=0.0, gt=-1)
    monthly_contracts: float = 0.0
    fiber: float = 0.0
    fiber_effect: float = 0.0
    competitor_month: int | None = Field(default=None, ge=0)
    competitor_effect: float = 0.0
    new_category_month: int | None = Field(default=None, ge=0)
    new_category_share: float = Field(default=0.0, ge=0, le=1)
    missing: float = Field(default=0.0, ge=0, le=1)
    missing_columns: tuple[Blankable, ...] = ()


class SampleParameters(BaseModel):
    """`params:sample_data`.

    `rows` is the number of customers in each monthly snapshot and `months` the number of snapshots, the
    first taken `first_month` months after `start`. With more than one snapshot the table has a column
    `ObservedAt`; every customer is in one snapshot. `outcome_delay` leaves the outcome of the last so many
    snapshots empty: not yet known. The log-odds of churn are `kappa` eta + `shift`, where `theta` is the
    strength of two interactions that a linear model cannot see.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(default=7043, ge=1, le=MOST_ROWS)
    seed: int = Field(default=0, ge=0)
    months: int = Field(default=1, ge=1, le=600)
    first_month: int = Field(default=0, ge=0, le=600)
    start: date = date(2026, 11, 1)
    outcome_delay: int = Field(default=0, ge=0)
    kappa: float = Field(default=1.0, gt=0)
    shift: float = 0.022
    theta: float = 0.0
    change: Change = Change()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.rows * self.months > MOST_ROWS:
            raise ValueError(f"rows x months is {self.rows * self.months:,}, the most is {MOST_ROWS:,}")
        if self.outcome_delay >= self.months and self.outcome_delay > 0:
            raise ValueError("`outcome_delay` must be less than `months`, or no outcome would be known")
        if self.start.day != 1:
            raise ValueError("`start` is the first day of a month")
        return self

    @property
    def total(self) -> int:
        """Rows of the whole table."""
        return self.rows * self.months

    def month_start(self, month: int) -> date:
        """First day of month `month` after `start`."""
        years, months = divmod(self.start.month - 1 + month, 12)
        return date(self.start.year + years, months + 1, 1)
