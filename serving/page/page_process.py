"""Starts the page's process at the first visit, and ends it with the API."""

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any

from serving import page
from serving.settings import Settings

_log = logging.getLogger(__name__)
_REST_SECONDS = 10.0
"""After a page that did not start, so long until another try."""


class PageDownError(Exception):
    """The page cannot be started; the text says why."""


class PageProcess:
    """The page's process: none before the first visit, and another one after one that has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[int] | None = None
        self._rest_until = 0.0
        self._stopping = False

    @staticmethod
    def installed() -> bool:
        """Whether Gradio is there; nothing is imported."""
        return importlib.util.find_spec("gradio") is not None

    def port(self, api: tuple[str, int]) -> int | None:
        """The page's port on the loopback, or None while it starts.

        Args:
            api: host and port at which this API answers.

        Raises:
            PageDownError: if it could not be started a moment ago, or the server is stopping.
        """
        if self._stopping:
            raise PageDownError("The service is stopping.")
        if self._starting is None:
            if time.monotonic() < self._rest_until:
                raise PageDownError("The page could not be started; the service's log says why.")
            self._starting = asyncio.create_task(self._start(api))
        if not self._starting.done():
            return None
        task = self._starting
        if (error := task.exception()) is not None:
            self.forget()
            self._rest_until = time.monotonic() + _REST_SECONDS
            raise PageDownError(str(error))
        return task.result()

    def forget(self) -> None:
        """It does not answer any more: the next visit starts another one."""
        self._starting = None

    async def close(self) -> None:
        """End it."""
        self._stopping = True
        if self._starting is not None:
            self._starting.cancel()
        self._kill()
        if self._process is not None:
            await self._process.wait()

    async def _start(self, api: tuple[str, int]) -> int:
        host, port = api
        folder = self._settings.champion_folder / f"page-{socket.gethostname()}-{port}"  # containers may share the disk, not the loopback
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._kill()
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", page.__name__, "--api", address, "--folder", str(folder)),
            env={**os.environ, "KEDRO_ENV": self._settings.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=self._settings.root,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._end_it_before_the_server_waits()
        assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
        line = await process.stdout.readline()
        if not line:
            raise PageDownError(f"The page's process ended with {await process.wait()}; the service's log says why.")
        found = int(json.loads(line)["port"])
        _log.info("The page at %s is served by process %s", page.PATH, process.pid)
        return found

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _end_it_before_the_server_waits(self) -> None:
        """On a signal to stop: an open page holds a stream, and the server waits for streams before it tells the app anything."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if callable(before) and not isinstance(before, _Chained):
                signal.signal(number, _Chained(self._stop, before))

    def _stop(self) -> None:
        self._stopping = True
        self._kill()


class _Chained:
    """A signal handler that does something and goes on to the one before."""

    def __init__(self, first: Any, then: Any) -> None:
        self._first, self._then = first, then

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._first()
        self._then(number, frame)
