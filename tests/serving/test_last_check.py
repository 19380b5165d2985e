"""What monitoring has found is in the API's /metrics, and never in their way."""

import asyncio
from pathlib import Path

import pytest

from churn.core.errors import ChurnError
from churn.io.predictions.gauges import read_gauges, write_gauges
from churn.io.predictions.prediction_log import PredictionLog
from serving import last_check
from serving.last_check import LastCheck
from tests.serving.servers import serve

TEXT = "# TYPE churn_monitoring_status gauge\nchurn_monitoring_status 2\n"


def test_gauges_are_kept_one_after_the_other(tmp_path: Path, postgres):
    for url in (f"sqlite:///{tmp_path}/new/log.db", str(postgres.database("gauges"))):
        assert read_gauges(url) == ""
        for text in ("old\n", TEXT):
            write_gauges(url, text)
        assert read_gauges(url) == TEXT
        PredictionLog(url).open()  # the same schema


def test_metrics_show_the_last_verdict(project: Path):
    write_gauges(f"sqlite:///{project}/data/serving/predictions.db", TEXT)
    with serve(project) as server:
        server.predict("c-0007")
        shown = server.get("/metrics").text
    assert shown.endswith(TEXT)
    assert "churn_requests_total" in shown


def test_a_database_that_fails_leaves_what_was_known(monkeypatch: pytest.MonkeyPatch):
    answers = iter([TEXT, ChurnError("it is gone"), "newer\n"])
    asked = []

    def read(url: str) -> str:
        asked.append(url)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(last_check, "read_gauges", read)

    monkeypatch.setattr(last_check, "_PATIENCE_SECONDS", None)

    async def story() -> list[bytes]:
        check, found = LastCheck("sqlite:///x"), []
        for _ in range(3):
            found += [await check.gauges(), await check.gauges()]  # the second is within the minute
            check._rest_until = 0.0
        return found

    assert asyncio.run(story()) == [TEXT.encode()] * 4 + [b"newer\n"] * 2
    assert len(asked) == 3


def test_a_reading_that_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    async def story() -> tuple[bytes, bytes]:
        free = asyncio.Event()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(last_check, "_PATIENCE_SECONDS", 0.01)
        monkeypatch.setattr(last_check, "read_gauges", lambda _: asyncio.run_coroutine_threadsafe(free.wait(), loop).result() and TEXT)
        check = LastCheck("sqlite:///x")
        before = await check.gauges()
        free.set()
        monkeypatch.setattr(last_check, "_PATIENCE_SECONDS", None)
        return before, await check.gauges()

    assert asyncio.run(story()) == (b"", TEXT.encode())
