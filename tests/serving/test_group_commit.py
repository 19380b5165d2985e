"""Which predictions share a commit, on a real log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from churn.io.predictions.prediction_log import Entry, PredictionLog
from serving import group_commit
from serving.group_commit import GroupCommit
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


def test_a_large_batch_is_one_commit(tmp_path: Path):
    async def story(group: GroupCommit) -> None:
        await group.record([entry(number) for number in range(1234)])

    assert commits(tmp_path, story) == [1234]
    log = CountedLog(tmp_path)
    log.open()
    assert log._open.exec_driver_sql("SELECT count(*) FROM prediction_log").scalar() == 1234
    log.close()
