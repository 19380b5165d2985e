"""Which predictions share a commit, on a real log."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from churn.io.predictions.prediction_log import Entry, PredictionLog
from serving import group_commit
from serving.group_commit import GroupCommit, LogDownError
from serving.settings import LogParameters
from tests.serving.test_prediction_log import entry

LONG = 60.0


class CountedLog(PredictionLog):
    """A log that notes how many entries each commit had."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:///{folder}/log.db")
        self.commits: list[int] = []

    def write(self, entries: Sequence[Entry]) -> None:
        self.commits.append(len(entries))
        super().write(entries)


def commits(tmp_path: Path, story: Callable[[GroupCommit], Awaitable[None]]) -> list[int]:
    log = CountedLog(tmp_path)

    async def run() -> None:
        group = GroupCommit(log, LogParameters(timeout=LONG / 2))
        await group.open()
        await story(group)
        await group.close()

    asyncio.run(run())
    return log.commits


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that waited for nobody would now fail by its time limit."""
    monkeypatch.setattr(group_commit, "_GATHER_SECONDS", LONG)


async def request(group: GroupCommit, number: int) -> None:
    """A request that takes `number` turns of the event loop before it is at the log."""
    group.expect()
    for _ in range(number):
        await asyncio.sleep(0)
    group.arrive()
    await group.record([entry(number)])


def test_a_lone_request_does_not_wait(tmp_path: Path):
    assert commits(tmp_path, lambda group: request(group, 1)) == [1]


def test_requests_that_are_on_their_way_share_a_commit(tmp_path: Path):
    async def story(group: GroupCommit) -> None:
        await asyncio.gather(*(request(group, number) for number in range(40)))

    assert commits(tmp_path, story) == [40]


def test_a_request_that_does_not_come_holds_the_others_up_for_a_moment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "_GATHER_SECONDS", 0.01)

    async def story(group: GroupCommit) -> None:
        group.expect()
        await request(group, 1)

    assert commits(tmp_path, story) == [1]


class HeldLog(CountedLog):
    """A log whose commits wait for a sign."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.go = threading.Event()

    def write(self, entries: Sequence[Entry]) -> None:
        self.go.wait(LONG)
        super().write(entries)


def test_who_has_been_told_503_meanwhile_is_not_written_later(tmp_path: Path):
    log = HeldLog(tmp_path)

    async def story() -> None:
        group = GroupCommit(log, LogParameters(timeout=0.1))
        for number in (1, 2, 3):  # the first one's commit is on its way, the others wait for it
            with pytest.raises(LogDownError, match="no commit within"):
                await group.record([entry(number)])
        log.go.set()
        while group._writer is not None:
            await asyncio.sleep(0.01)
        assert group._queued == 0
        group._parameters = LogParameters(timeout=LONG)
        await group.record([entry(4)])
        await group.close()

    asyncio.run(story())
    assert log.commits == [1, 1]
    assert logged(tmp_path) == ["id-1", "id-4"]


def logged(folder: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / "log.db")) as found:
        return [row[0] for row in found.execute("SELECT prediction_id FROM prediction_log ORDER BY 1")]


def test_after_a_failure_the_log_is_tried_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "_AGAIN_SECONDS", 0.01)
    log = CountedLog(tmp_path)
    (tmp_path / "log.db").mkdir()  # no file can be opened there

    async def story() -> None:
        group = GroupCommit(log, LogParameters(timeout=LONG))
        watching = asyncio.create_task(group.watch())
        async with asyncio.timeout(LONG):
            while group.last_error is None:
                await asyncio.sleep(0.01)
            (tmp_path / "log.db").rmdir()
            while group.last_error is not None:
                await asyncio.sleep(0.01)
        watching.cancel()
        await group.close()

    asyncio.run(story())
    assert logged(tmp_path) == []


def test_a_large_batch_is_one_commit(tmp_path: Path):
    async def story(group: GroupCommit) -> None:
        await group.record([entry(number) for number in range(1234)])

    assert commits(tmp_path, story) == [1234]
    assert len(logged(tmp_path)) == 1234
