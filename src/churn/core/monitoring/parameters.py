"""`params:monitoring`; conf/base/parameters/monitoring.yml says what each number means."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_ENOUGH = 10_000
"""Customers of whom a window shows by itself whatever passes the drift's floor."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WindowParameters(_Strict):
    """Which rows of the prediction log are judged."""

    by: Literal["count", "time"] = "count"
    rows: int = Field(default=1000, ge=1)
    days: float = Field(default=7, gt=0)
    max_rows: int = Field(default=100_000, ge=1)
    min_rows: int = Field(default=200, ge=30)
    pooled: int = Field(default=3, ge=1)

    def pooled_of(self, rows: int) -> int:
        """How many windows of so many rows the second look at drift takes: no more than it needs."""
        return max(1, min(self.pooled, -(-_ENOUGH // rows)))


class ContractParameters(_Strict):
    """What the served features must look like; shares are of the window's rows."""

    null_increase: float = Field(default=0.02, gt=0, lt=1)
    unknown_share: float = Field(default=0.005, gt=0, lt=1)
    range_share: float = Field(default=0.01, gt=0, lt=1)
    unit_factor: float = Field(default=6.0, gt=1)
    duplicate_increase: float = Field(default=0.05, gt=0, lt=1)
    stale_share: float = Field(default=0.1, gt=0, lt=1)
    stale_after_days: float = Field(default=40, gt=0)
    silent_days: float = Field(default=7, gt=0)
    volume_factor: float = Field(default=3.0, gt=1)


class DriftParameters(_Strict):
    """When a changed distribution is called drift."""

    psi_floor: float = Field(default=0.01, ge=0)
    bins: int = Field(default=10, ge=2)
    alert_after: int = Field(default=1, ge=1)
    retrain_after: int = Field(default=2, ge=1)
    matter_share: float = Field(default=0.02, ge=0, lt=1)


class PerformanceParameters(_Strict):
    """When performance is called lost."""

    outcomes: int = Field(default=1000, ge=50)
    label_horizon_days: float = Field(default=45, gt=0)
    min_coverage: float = Field(default=0.95, gt=0, le=1)
    min_outcomes: int = Field(default=200, ge=50)
    min_churners: int = Field(default=30, ge=5)
    auc_drop: float = Field(default=0.02, ge=0, lt=0.5)
    log_loss_rise: float = Field(default=0.003, ge=0)
    estimated_drop: float = Field(default=0.02, ge=0, lt=0.5)


class MonitoringParameters(_Strict):
    """All parameters of the pipeline `monitoring`."""

    window: WindowParameters = WindowParameters()
    family_wise_error: float = Field(default=0.01, gt=0, lt=1)
    contract: ContractParameters = ContractParameters()
    drift: DriftParameters = DriftParameters()
    performance: PerformanceParameters = PerformanceParameters()
    reference_rows: int = Field(default=10_000, ge=200)
    report_rows: int = Field(default=10_000, ge=100)
    history: int = Field(default=200, ge=1)
    report: str = ""
