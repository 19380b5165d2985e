"""Alerts as real servers receive them."""

import json
import logging
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from churn.core.errors import ChurnError
from churn.io.monitoring.alerts import URLS_VARIABLE, Alert, AlertDataset, addresses, deliver
from churn.pipelines.monitoring.nodes import confirm_delivery
from tests.serving.servers import free_port

TITLE, BODY = "Churn monitoring: broken data", "- MonthlyCharges is 100 times what it was\nReport: data/reports/monitoring/report.html"
SECRET = "verysecrettoken"


@pytest.fixture
def web() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server that keeps what is posted to it."""
    received: list[dict[str, Any]] = []

    class Keeper(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path.startswith("/broken") else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


class Mailbox:
    """What aiosmtpd calls with each message."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.messages.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[str, Mailbox]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield f"127.0.0.1:{controller.port}", box
    controller.stop()


def test_a_web_hook_and_a_mailbox_receive_the_alert(
    web: tuple[str, list[dict[str, Any]]], mail: tuple[str, Mailbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URLS_VARIABLE, f"json://{web[0]}/hook, mailto://{mail[0]}?from=churn@example.org&to=lead@example.org&mode=insecure")
    AlertDataset(str(tmp_path / "alert.json")).save(Alert(title=TITLE, body=BODY, send=True))
    (posted,) = web[1]
    assert posted["title"] == TITLE
    assert BODY.splitlines()[0] in posted["message"]
    ((to, message),) = mail[1].messages
    assert to == ["lead@example.org"]
    assert message["Subject"] == TITLE
    parts = [part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart()]
    assert "MonthlyCharges is 100 times" in parts[0]


def test_what_people_know_is_not_sent(web: tuple[str, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URLS_VARIABLE, f"json://{web[0]}/hook")
    AlertDataset(str(tmp_path / "alert.json")).save(Alert(title=TITLE, body=BODY, send=False))
    assert web[1] == []


def test_a_failure_names_the_address_by_number_and_shows_no_secret(
    web: tuple[str, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    urls = f"json://{web[0]}/hook json://user:{SECRET}@{web[0]}/broken/{SECRET} nonsense{SECRET}"
    monkeypatch.setenv(URLS_VARIABLE, urls)
    alert = AlertDataset(str(tmp_path / "alert.json"))
    with caplog.at_level(logging.DEBUG):
        alert.save(Alert(title=TITLE, body=BODY, send=True))  # fails nothing here: what follows is written
        with pytest.raises(ChurnError) as failed:
            confirm_delivery(alert.load(), [], "")
    assert "address 2 (json), 3 (not an address)" in str(failed.value)
    assert len(web[1]) == 2  # the first has it
    assert SECRET not in str(failed.value) + caplog.text + (tmp_path / "alert.json").read_text()


def test_only_the_address_that_failed_gets_the_alert_again_while_the_trouble_is_the_same(
    web: tuple[str, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, first = f"json://{web[0]}/hook", Alert(title=TITLE, body=BODY, send=True, told=("unit:x",))
    again = first.model_copy(update={"send": False, "title": "not news"})

    def tell(alert: Alert, second: str) -> tuple[list[str], tuple[str, ...]]:
        monkeypatch.setenv(URLS_VARIABLE, f"{good} {second}")
        web[1].clear()
        kept = AlertDataset(str(tmp_path / "alert.json"))  # another run
        kept.save(alert)
        return [posted["title"] for posted in web[1]], kept.load().failed

    broken = f"json://{web[0]}/broken"
    assert tell(first, broken) == ([TITLE, TITLE], ("2 (json)",))
    assert tell(again, broken) == ([TITLE], ("2 (json)",))
    assert tell(again, f"json://{web[0]}/mended") == ([TITLE], ())
    assert tell(again, broken) == ([], ())
    assert tell(first, broken)[1] == ("2 (json)",)
    assert tell(again.model_copy(update={"told": ()}), broken) == ([], ())  # all is well: the old message is no news


def test_without_an_address_it_is_told_here(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv(URLS_VARIABLE, raising=False)
    with caplog.at_level(logging.WARNING):
        deliver(TITLE, BODY, addresses())
    assert TITLE in caplog.text
    assert BODY in caplog.text
