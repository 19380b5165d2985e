"""What a verdict of monitoring leads to."""

from datetime import UTC, datetime, timedelta

import pytest

from churn.automation.watch import AutomationParameters, dispatched, hold_back, issue_markdown, next_step, require_new
from churn.core.errors import ChurnError

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
RULES = AutomationParameters(cool_down_days=3, dispatches_per_week=2)
FINDING = {
    "severity": "alert",
    "reading": "changed customers",
    "text": "Contract | has changed",
    "measure": "PSI",
    "strength": 0.4,
    "since": "2026-06-01T00:00:00Z",
}
VERDICT = {
    "status": "alert",
    "action": "retrain",
    "model_version": "3",
    "window": {"rows": 1000, "start": "2026-06-01", "end": "2026-06-08"},
    "findings": [FINDING],
}


@pytest.mark.parametrize(
    ("days_ago", "held"),
    [([], None), ([4], None), ([2], "less than 3 days ago"), ([4, 5], "2 times within a week"), ([4, 8, 9], None), ([3.01, 6.99], "limit")],
)
def test_training_is_dispatched_neither_too_soon_nor_too_often(days_ago, held):
    found = hold_back([NOW - timedelta(days=days) for days in days_ago], NOW, RULES)
    assert (found is None) if held is None else (held in found)


def test_only_trainings_that_monitoring_has_dispatched_count():
    runs = [
        {"display_title": "Training: drift", "created_at": "2026-06-09T04:00:00Z"},
        {"display_title": "Training: push", "created_at": "2026-06-10T04:00:00Z"},
    ]
    assert dispatched({"total_count": 2, "workflow_runs": runs}) == [datetime(2026, 6, 9, 4, tzinfo=UTC)]


def test_the_issue_says_what_how_much_since_when_and_what_next(monkeypatch):
    for name, value in {"GITHUB_SERVER_URL": "https://example.org", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "5"}.items():
        monkeypatch.setenv(name, value)
    text = issue_markdown(VERDICT, next_step(VERDICT, None))
    assert "| alert | changed customers | Contract \\| has changed | PSI 0.4 | 2026-06-01T00:00:00Z |" in text
    assert "1,000 predictions from 2026-06-01 to 2026-06-08" in text
    assert "Training is started" in text
    assert "https://example.org/a/b/actions/runs/5" in text


def test_nothing_follows_from_the_verdict_of_an_earlier_run():
    verdict = {**VERDICT, "checked_at": "2026-06-10T12:00:00.5Z"}
    require_new(verdict, NOW)
    with pytest.raises(ChurnError, match="2026-06-10 12:00 UTC: this run has made none"):
        require_new(verdict, NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("action", "held", "said"),
    [
        ("retrain", "the limit", "Nothing is started: the limit."),
        ("fix-data", None, "Nothing is trained on broken data."),
        ("none", None, "Nothing is started."),
    ],
)
def test_the_next_step_is_what_the_workflow_does(action, held, said):
    assert next_step({**VERDICT, "action": action}, held) == said
