"""What a scheduled run of monitoring leads to: one issue with the verdict, and a training run that is not started too often."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from churn.core.errors import ChurnError

ISSUE_TITLE = "Monitoring: the champion needs attention"
DRIFT = "drift"
"""The reason that a dispatched training run names; it is in the run's title."""
_WEEK = timedelta(days=7)


class AutomationParameters(BaseModel):
    """The `automation` parameters; conf/base/parameters/automation.yml says what each means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cool_down_days: float = Field(default=3, ge=0)
    dispatches_per_week: int = Field(default=2, ge=0)
    ready_seconds: float = Field(default=300, gt=0)


def dispatched(answer: Mapping[str, Any]) -> list[datetime]:
    """When monitoring has dispatched training before.

    Source of the format: GitHub's REST API, "List workflow runs for a workflow" (`display_title`, `created_at`).
    """
    runs = answer["workflow_runs"]
    return [datetime.fromisoformat(run["created_at"]) for run in runs if run["display_title"].endswith(f": {DRIFT}")]


def hold_back(past: Sequence[datetime], now: datetime, parameters: AutomationParameters) -> str | None:
    """Why no training is dispatched now, None if it may be."""
    last = max(past, default=None)
    if last is not None and now - last < timedelta(days=parameters.cool_down_days):
        return f"training was dispatched on {last:%Y-%m-%d %H:%M} UTC, less than {parameters.cool_down_days:g} days ago"
    recent = sum(now - when < _WEEK for when in past)
    if recent >= parameters.dispatches_per_week:
        return f"training was dispatched {recent} times within a week, which is the limit"
    return None


def require_new(verdict: Mapping[str, Any], since: datetime) -> None:
    """Nothing follows from the verdict of an earlier run.

    Raises:
        ChurnError: if it was made before `since`.
    """
    made = datetime.fromisoformat(verdict["checked_at"])
    if made < since:
        raise ChurnError(f"The last verdict is of {made:%Y-%m-%d %H:%M} UTC: this run has made none, and its log says why.")


def issue_markdown(verdict: Mapping[str, Any], next_step: str) -> str:
    """The issue's text: what was found, how strongly, since when, and what happens next."""
    window = verdict["window"]
    head = f"Status **{verdict['status']}**, model version {verdict['model_version']}, {window['rows']:,} predictions"
    rows = [_row(finding) for finding in verdict["findings"]]
    table = ["| severity | likely | what | strength | since |", "|---|---|---|---|---|", *rows] if rows else []
    text = [
        f"{head} from {window['start']} to {window['end']}.",
        "\n".join(table),
        f"Recommended: {verdict['action']}. {next_step}",
        run_link(),
    ]
    return "\n\n".join(part for part in text if part) + "\n"


def next_step(verdict: Mapping[str, Any], held_back: str | None) -> str:
    """What the workflow does about it."""
    if verdict["action"] == "fix-data":
        return "Nothing is trained on broken data."
    if verdict["action"] != "retrain":
        return "Nothing is started."
    return f"Nothing is started: {held_back}." if held_back else "Training is started; the gate decides about its model."


def run_link() -> str:
    """A line that leads to the workflow run and its artifacts, empty elsewhere."""
    parts = [os.environ.get(name) for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"Report: artifact `reports` of {parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""


def _row(finding: Mapping[str, Any]) -> str:
    strength = f"{finding['measure']} {finding['strength']:.3g}"
    return f"| {finding['severity']} | {finding['reading']} | {_cell(finding['text'])} | {strength} | {finding['since']} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
