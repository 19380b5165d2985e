"""Server processes of the tests: one for all workers of a test run, ended with the last that uses it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

START_SECONDS = 400  # on a machine that may be busy


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(command: list[str], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """A server in a process group of its own, so that `end` reaches its children too."""
    with log.open("wb") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **options)


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = START_SECONDS) -> None:
    """Ask until it is ready; a server that ends or stays silent fails the test with the end of its log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.1)
    end(process.pid)
    pytest.fail(f"{process.args} does not start:\n{log.read_text(errors='replace')[-3000:]}")


def end(group: int, how: int = signal.SIGKILL) -> None:
    """End a process group and wait until its leader is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, how)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not _gone(group):
        time.sleep(0.02)


@contextlib.contextmanager
def shared(folder: Path, name: str, start_it: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A service that the workers of one test run share.

    Args:
        folder: one for all workers.
        name: of the service.
        start_it: starts it and says in JSON what its users need; `group` and `how` are for `end`, `folder` is removed then.
    """
    note, lock = folder / f"{name}.json", FileLock(folder / f"{name}.lock")
    with lock:
        state = json.loads(note.read_text()) if note.exists() else {"users": 0, **start_it()}
        note.write_text(json.dumps({**state, "users": state["users"] + 1}))
    try:
        yield state
    finally:
        with lock:
            state = json.loads(note.read_text())
            if state["users"] > 1:
                note.write_text(json.dumps({**state, "users": state["users"] - 1}))
            else:
                note.unlink()
                if "group" in state:
                    end(state["group"], state.get("how", signal.SIGKILL))
                    shutil.rmtree(state["folder"], ignore_errors=True)


def _gone(process: int) -> bool:
    try:
        return os.waitpid(process, os.WNOHANG)[0] == process
    except ChildProcessError:  # another worker's child
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False
