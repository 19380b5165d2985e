"""The parameters of data processing."""

from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitParameters(_Strict):
    """Who is tested: `test_share` of the customers by hash and, with `test_from`, only rows from that time on."""

    test_share: float = Field(gt=0, lt=1)
    test_from: AwareDatetime | None = None


class ProcessingParameters(_Strict):
    """`params:data_processing`.

    `snapshot_at` is the time that rows describe where the table has no `observed_at`; `leak_auc` is the
    single-feature ROC-AUC above which a feature counts as a leak, measured on about `leak_rows` rows.
    """

    snapshot_at: AwareDatetime
    split: SplitParameters
    leak_auc: float = Field(gt=0.5, le=1)
    leak_rows: int = Field(ge=1_000)


def utc_text(time: datetime) -> str:
    """A time as ISO 8601 text in UTC, which every SQL engine reads alike."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")
