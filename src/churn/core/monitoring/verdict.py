"""The verdict on a window: its status, what was found, and what to do; and the memory of earlier ones."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from churn.core.evaluation.segments import Segment
from churn.core.monitoring.drift import ColumnDrift
from churn.core.monitoring.estimated import Estimate
from churn.core.monitoring.findings import Finding
from churn.core.monitoring.measured import Measured

Status = Literal["ok", "watch", "alert", "not-judged"]
Action = Literal["none", "fix-data", "retrain"]
ADVICE: Mapping[Action, str] = {
    "none": "nothing to do",
    "fix-data": "mend the data; a model trained on them now would learn the fault",
    "retrain": "train again: kedro run --pipelines data_processing,feature_store,training,evaluation",
}
_ACTION = "action:"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WindowFacts(_Frozen):
    """Which predictions were judged: the newest of each customer. Times are ISO 8601, UTC."""

    rows: int
    start: datetime | None = None
    end: datetime | None = None
    repeated: int = 0
    other_versions: int = 0


class HistoryEntry(_Frozen):
    """What is kept of a verdict.

    `broken`: its predictions were made on broken data; `shown` are the keys that count for persistence, `alerted` the
    troubles that people know of.
    """

    start: datetime
    end: datetime
    rows: int
    model_version: str
    status: Status
    action: Action
    broken: bool = False
    shown: tuple[str, ...]
    alerted: tuple[str, ...] = ()
    estimated_roc_auc: float | None = None
    measured_roc_auc: float | None = None


class Verdict(_Frozen):
    """One window judged. `report` is where the page lies; `shown` are the keys that persistence counts.

    `unmeasured` says why performance was not measured.
    """

    status: Status
    action: Action
    summary: str
    checked_at: datetime
    window: WindowFacts
    model_version: str | None = None
    reference_sha256: str | None = None
    findings: tuple[Finding, ...] = ()
    shown: tuple[str, ...] = ()
    drift: tuple[ColumnDrift, ...] = ()
    estimated: Estimate | None = None
    measured: Measured | None = None
    outcomes: int = 0
    unmeasured: str = ""
    segments: tuple[Segment, ...] = ()
    report: str = ""

    @property
    def alerts(self) -> tuple[Finding, ...]:
        """The findings that people are told of."""
        return tuple(finding for finding in self.findings if finding.severity == "alert")

    @property
    def fingerprint(self) -> str:
        """The same for the same trouble, whatever its size."""
        keys = [self.action, *sorted(finding.key for finding in self.alerts)]
        return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def not_judged(reason: str, now: datetime, window: WindowFacts, version: str | None = None) -> Verdict:
    """No verdict, and why."""
    return Verdict(
        status="not-judged", action="none", summary=f"Not judged: {reason}.", checked_at=now, window=window, model_version=version
    )


def broken_spans(history: Sequence[HistoryEntry]) -> list[tuple[datetime, datetime]]:
    """From when to when predictions were made on broken data, of whichever version: they say nothing of the customers."""
    return [(entry.start, entry.end) for entry in history if entry.broken]


def run_of(key: str, start: datetime, version: str, history: Sequence[HistoryEntry]) -> tuple[int, datetime]:
    """In how many windows in a row a key shows, this one included, and the start of the first.

    Windows that overlap are one observation: of the earlier ones each counts only if it ends before the last counted
    begins. Another model version has another reference, so it begins anew.
    """
    count, since = 1, start
    for entry in sorted(history, key=lambda entry: entry.end, reverse=True):
        if entry.end > since or (entry.end, entry.start) == (since, start):
            continue
        if entry.model_version != version or key not in entry.shown:
            break
        count, since = count + 1, entry.start
    return count, since


def recommend(findings: Sequence[Finding], retrain_after: int) -> Action:
    """Broken data are mended, never trained on; lost performance or persistent drift of what matters is trained on."""
    alerts = [finding for finding in findings if finding.severity == "alert"]
    if any(finding.check == "contract" for finding in alerts):
        return "fix-data"
    lost = any(finding.check == "measured" for finding in alerts)
    persistent = any(finding.check == "drift" and finding.windows >= retrain_after for finding in alerts)
    return "retrain" if lost or persistent else "none"


def status_of(findings: Sequence[Finding]) -> Status:
    """The gravest of the findings."""
    severities = {finding.severity for finding in findings}
    return "alert" if "alert" in severities else "watch" if severities else "ok"


def summarise(status: Status, action: Action, findings: Sequence[Finding], notes: Sequence[str]) -> str:
    """A few lines for people."""
    head = f"{status.upper()}: " + (f"{len(findings)} finding{'s' if len(findings) != 1 else ''}" if findings else "nothing has changed")
    lines = [f"- {finding.severity}, {finding.reading}: {finding.text}" for finding in findings]
    return "\n".join([f"{head}; {ADVICE[action]}.", *lines, *notes])


def remember(history: Sequence[HistoryEntry], verdict: Verdict, alerted: Sequence[str], most: int) -> list[HistoryEntry]:
    """The history with this verdict: in place of an entry of the same window, the oldest forgotten beyond `most`."""
    if verdict.status == "not-judged" or verdict.window.start is None or verdict.window.end is None or verdict.model_version is None:
        return list(history)
    entry = HistoryEntry(
        start=verdict.window.start,
        end=verdict.window.end,
        rows=verdict.window.rows,
        model_version=verdict.model_version,
        status=verdict.status,
        action=verdict.action,
        broken=any(finding.check == "contract" and not finding.of_the_service for finding in verdict.alerts),
        shown=verdict.shown,
        alerted=tuple(sorted(alerted)),
        estimated_roc_auc=verdict.estimated.roc_auc if verdict.estimated else None,
        measured_roc_auc=verdict.measured.roc_auc if verdict.measured else None,
    )
    others = [old for old in history if (old.start, old.end) != (entry.start, entry.end)]
    return [*others, entry][-most:]


def to_tell(verdict: Verdict, history: Sequence[HistoryEntry]) -> tuple[bool, tuple[str, ...]]:
    """Whether to alert, and the troubles that people know of afterwards.

    The same trouble of a model version alerts once: only another trouble, or another recommended action, alerts again. A
    trouble that is only watched after its alert is not over; one of which nothing shows any more is forgotten.
    """
    last = next((entry for entry in reversed(history) if entry.model_version == verdict.model_version), None)
    told = set(last.alerted) if last else set()
    if verdict.status == "not-judged":
        return False, tuple(sorted(told))
    going_on = told & {_trouble(finding) for finding in verdict.findings}
    known = going_on | {key for key in told if going_on and key.startswith(_ACTION)}
    troubles = {_trouble(finding) for finding in verdict.alerts}
    now = {*troubles, _ACTION + verdict.action} if troubles else set()
    return not now <= known, tuple(sorted(now | known))


def _trouble(finding: Finding) -> str:
    """What counts as one trouble: each breach of the contract, all drift of what matters, all loss of performance.

    The columns of one cause cross their limits one after the other; a breach has a place of its own to be mended.
    """
    return finding.check if finding.check in ("drift", "measured") and finding.important else finding.key
