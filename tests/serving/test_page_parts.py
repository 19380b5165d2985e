"""The page's parts without a browser: controls, words, and the address where there is no page."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from churn import config
from churn.core.declaration import Declaration
from serving.factory import create_app
from serving.page import controls, words
from serving.page.page_process import PageProcess
from tests.serving.conftest import edit


def test_without_gradio_or_if_not_wanted_the_address_says_so(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CHURN_API_KEYS", raising=False)
    monkeypatch.setattr(PageProcess, "installed", staticmethod(lambda: False))
    answer = TestClient(create_app(config.load(project))).get("/demo/")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:churn:problem:no-page")
    found = TestClient(create_app(config.load(project))).get("/demo", follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (307, "http://testserver/demo/")
    edit(project / "conf" / "base" / "parameters" / "serving.yml", page=False)
    config._load.cache_clear()
    answer = TestClient(create_app(config.load(project))).get("/demo/")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:churn:problem:not-found")


def test_controls_follow_the_declared_columns():
    columns = {
        "Age": {"type": "integer", "min": 18, "max": 99, "unit": "year", "actionable": True},
        "Plan": {"type": "category", "values": ["S", "L"], "null": True, "actionable": True},
        "City": {"type": "category", "actionable": True},
        "Active": {"type": "boolean", "actionable": True},
        "Balance": {"type": "number"},
    }
    known = controls.controls(Declaration.parse({"key": "id", "target": {"column": "left", "positive": "1"}, "columns": columns}))
    age, plan, city, _ = known
    assert (age.label, age.kind, age.minimum, age.maximum, age.whole) == ("Age (year)", "number", 18, 99, True)
    assert plan.options == (("S", "S"), ("L", "L"), ("Not known", controls.NOT_KNOWN))
    assert city.open
    assert [value for _, value in city.options_with("Rome")] == ["Rome"]
    values = {"Age": 40, "Plan": None, "City": "Rome", "Active": True}
    before = {control.column: control.shown(values[control.column]) for control in known}
    assert {control.column: control.meant(before[control.column]) for control in known} == values
    assert controls.changes(known, before, list(before.values())) == {}
    assert controls.changes(known, before, [41, "S", "Rome", "no"]) == {"Age": 41, "Plan": "S", "Active": False}
    assert controls.changes(known, {**before, "Plan": "S"}, [40, controls.NOT_KNOWN, "Rome", "yes"]) == {"Plan": None}


def test_percentages_have_the_decimals_that_tell_them_apart():
    assert words.percents(0.5, 0.25) == ["50%", "25%"]
    assert words.percents(0.1621, 0.1639) == ["16.2%", "16.4%"]
    assert words.percents(0.3, 0.3) == ["30%", "30%"]


def test_what_comes_from_data_is_escaped():
    assert "<b>" not in words.notice("<b>")
    shown = words.health({"status": "ok", "summary": "<script>", "checked_at": "2026-11-01T12:30:00Z"}, "/demo/report/x")
    assert "<script>" not in shown
    assert "Data and model look as they should" in shown
    assert "Last checked on 1 November 2026 at 12:30 UTC." in shown
    assert 'href="/demo/report/x"' in shown
    assert "There is not enough data to judge yet" in words.health({"status": "something new"}, "/demo/report/x")
