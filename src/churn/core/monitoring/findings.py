"""What monitoring has found, and how it says so."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Check = Literal["contract", "drift", "estimated", "measured"]
Severity = Literal["watch", "alert"]
Reading = Literal["broken data", "changed customers", "changed behaviour", "service down"]
Kind = Literal[
    "missing-column",
    "types",
    "nulls",
    "unknown-values",
    "renamed-value",
    "unit",
    "range",
    "duplicates",
    "volume",
    "stale-features",
    "silence",
    "feature-drift",
    "score-drift",
    "estimated-auc",
    "auc",
    "calibration",
]


class Finding(BaseModel):
    """One thing that is not as it was.

    `strength` is its size in the unit that `measure` names, `since` the start (ISO 8601) of the first of the `windows`
    in a row that show it, `important` whether the model leans on the column.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: Check
    kind: Kind
    severity: Severity
    reading: Reading
    text: str
    measure: str
    strength: float
    column: str | None = None
    p_value: float | None = None
    important: bool = True
    windows: int = 1
    since: str = ""

    @property
    def key(self) -> str:
        """What makes it the same trouble in the next window."""
        return f"{self.kind}:{self.column or ''}"

    @property
    def of_the_service(self) -> bool:
        """Whether it says nothing of the data: how much the service is asked."""
        return self.kind in ("silence", "volume")


def broken(kind: Kind, column: str | None, text: str, measure: str, strength: float) -> Finding:
    """A breach of the data contract."""
    return Finding(
        check="contract", kind=kind, severity="alert", reading="broken data", column=column, text=text, measure=measure, strength=strength
    )
