"""The page's parts without a browser: controls, words, and the addresses that are none of the page's."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow
import pytest
import yaml
from pyarrow import parquet
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from churn import config
from churn.core.declaration import Declaration
from serving.factory import create_app
from serving.page import controls, reports, words
from serving.page.page_process import PageProcess
from tests.projects import ROOT
from tests.serving.conftest import edit
from tests.serving.servers import Server


def test_without_gradio_or_if_not_wanted_the_address_says_so(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CHURN_API_KEYS", raising=False)
    monkeypatch.setattr(PageProcess, "installed", staticmethod(lambda: False))
    answer = TestClient(create_app(config.load(project))).get("/demo/")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:churn:problem:no-page")
    found = TestClient(create_app(config.load(project))).get("/demo", follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (307, "/demo/")
    edit(project / "conf" / "base" / "parameters" / "serving.yml", page=False)
    config._load.cache_clear()
    answer = TestClient(create_app(config.load(project))).get("/demo/")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:churn:problem:not-found")


def sent(server: Server, head: str, body: bytes = b"") -> bytes:
    """The whole answer to bytes that no client has tidied up."""
    place = urlsplit(server.address)
    with socket.create_connection((place.hostname, place.port), 60) as connection:
        common = f"\r\nHost: {place.netloc}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + common).encode() + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=http://127.0.0.1:9/",
        "x/../gradio_api/file=http://127.0.0.1:9/",
        "x/%2e%2E/gradio_api/file=http://127.0.0.1:9/",
        "x%2f..%2fgradio_api/file=http://127.0.0.1:9/",
        "./gradio_api/file=http://127.0.0.1:9/",
        "gradio_api/queue/join/../../file=http://127.0.0.1:9/",
        "gradio_api/upload",
        "..",
    ],
)
def test_what_the_page_never_calls_is_not_passed_on(server: Server, path: str):
    found = sent(server, f"GET /demo/{path} HTTP/1.1")
    assert found.startswith(b"HTTP/1.1 404 ")
    assert b"urn:churn:problem:not-found" in found


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"path": "http://127.0.0.1:9/", "meta": {"_type": "gradio.FileData"}}]},
        {"data": ["c-0007", [{"path": "http://127.0.0.1:9/", "meta": {"_type": "gradio.FileData"}}]]},
        {"data": {"path": "http://127.0.0.1:9/"}},
        {},
        [],
        None,
    ],
)
def test_an_event_with_more_than_plain_values_is_refused(server: Server, body: object):
    content = b"" if body is None else json.dumps(body).encode()
    for start in ("gradio_api/queue/join", "gradio_api/queue%2Fjoin/"):
        found = sent(server, f"POST /demo/{start} HTTP/1.1\r\nContent-Type: application/json", content)
        assert found.startswith(b"HTTP/1.1 422 ")
    assert sent(server, "POST /demo/gradio_api/queue/join HTTP/1.1", json.dumps(body).encode("utf-16")).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("path", ["/demo/", "/demo/gradio_api/queue/data", "/predict"])
def test_a_websocket_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch, path: str):
    monkeypatch.delenv("CHURN_API_KEYS", raising=False)
    with pytest.raises(WebSocketDisconnect), TestClient(create_app(config.load(project))).websocket_connect(path):
        pass


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


def test_visitors_who_come_at_once_have_the_list_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source, folder, copy = tmp_path / "list.parquet", tmp_path / "files", reports._copy
    folder.mkdir()
    parquet.write_table(pyarrow.table({"rank": [1, 2]}), source)

    def slowly(file: Any, target: Path) -> None:
        copy(file, target)
        time.sleep(0.1)

    monkeypatch.setattr(reports, "dataset_path", lambda *_: str(source))
    monkeypatch.setattr(reports, "_copy", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: reports.write_csv(None, folder).read_text("utf-8-sig"), range(4)))
    assert found == ["rank\n1\n2\n"] * 4


def test_the_bank_tables_declaration_makes_the_banks_page():
    declared = yaml.safe_load((ROOT / "tests/data/bank_customers.yml").read_text(encoding="utf-8"))["customers"]
    products, *others = controls.controls(Declaration.parse(declared))
    assert products == controls.Control("numOfProducts", "Number of products", "number", minimum=1, maximum=4, whole=True)
    assert [(one.label, one.kind) for one in others] == [("Has a credit card", "yes-no"), ("Is an active member", "yes-no")]
