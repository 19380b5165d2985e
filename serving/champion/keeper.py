"""The champion that serves: found by alias, fetched and checked by a child process, swapped in as one reference."""

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.core.errors import ChurnError
from churn.core.modelling.model import ChurnModel
from churn.io.models.registry import MODEL_SHA256
from serving import metrics
from serving.champion import champion_files, fetch_champion, registry_poll
from serving.champion.champion_files import Verified
from serving.champion.fetch_champion import ABSENT, REFUSED, TRACKING_VARIABLE, UNREACHABLE, VERIFIED
from serving.champion.registry_poll import Registered
from serving.champion.scorer import Scorer
from serving.settings import Settings

_log = logging.getLogger(__name__)
REGISTRY, CHAMPION, CACHE = "registry", "champion", "cache"
_REGISTRY_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@dataclass(frozen=True)
class Champion:
    """A model in service."""

    version: str
    sha256: str
    scorer: Scorer


@dataclass(frozen=True)
class Look:
    """What a look for a new champion came to."""

    changed: bool
    detail: str


class ChampionKeeper:
    """Holds the champion. `problems` names what is wrong, by `registry`, `champion` and `cache`; empty if nothing is.

    Args:
        settings: of the app.
        missing: which of these features the feature store lacks.
    """

    def __init__(self, settings: Settings, missing: Callable[[Sequence[str]], Awaitable[Sequence[str]]]) -> None:
        self._settings, self._missing = settings, missing
        self._busy = asyncio.Lock()
        self._refused: tuple[str | None, float] = (None, 0.0)
        self.current: Champion | None = None
        self.problems: dict[str, str] = {CHAMPION: "not fetched yet"}

    async def look(self, force: bool = False) -> Look:
        """Ask the registry who is champion, and serve that one if it passes the checks.

        Args:
            force: fetch and check it even if its version is the one that serves, or has been refused.
        """
        async with self._busy:
            if not force and (answer := await self._poll()) is not None:
                return answer
            return await self._fetch()

    def names(self) -> Sequence[str]:
        """The features that the champion needs; empty while there is none."""
        return () if self.current is None else self.current.scorer.names

    async def watch(self) -> None:
        """Look again and again. Ends by being cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged; the watch goes on
                _log.exception("The look for a new champion failed; the old one goes on serving")
            await asyncio.sleep(self._settings.parameters.champion_interval)

    async def _poll(self) -> Look | None:
        """The cheap question first; None where the child process has to go."""
        try:
            found = await asyncio.to_thread(registry_poll.registered_champion, self._settings.tracking_uri)
        except registry_poll.UnreachableError as error:
            return await self._unreachable(str(error))
        except registry_poll.CannotTellError:
            return Look(False, self.problems[CHAMPION]) if time.monotonic() < self._refused[1] else None
        self.problems.pop(REGISTRY, None)
        return self._absent() if found is None else await self._take_up(found)

    async def _take_up(self, found: Registered) -> Look | None:
        """The registry's champion against the one that serves, the one refused and the files kept here; None as `_poll`."""
        if self.current is not None and (found.version, found.sha256) == (self.current.version, self.current.sha256):
            return self._unchanged(found.version)
        if found.version == self._refused[0] and time.monotonic() < self._refused[1]:
            return Look(False, self.problems[CHAMPION])
        if found.sha256 is None:
            return await self._refuse(found.version, f"it has no tag {MODEL_SHA256} to check its files against")
        verified = Verified(found.version, found.sha256)
        folder = champion_files.model_folder(self._settings.champion_folder, verified.sha256)
        return await self._load(verified) if folder.is_dir() else None

    async def _fetch(self) -> Look:
        found = await self._child()
        if found["outcome"] == UNREACHABLE:
            return await self._unreachable(found["detail"])
        self.problems.pop(REGISTRY, None)
        if found["outcome"] == ABSENT:
            return self._absent()
        if found["outcome"] == REFUSED:
            return await self._refuse(found.get("version"), found["detail"])
        verified = Verified(found["version"], found["sha256"])
        return await self._load(verified) or await self._refuse(verified.version, "its verified files cannot be loaded")

    async def _child(self) -> dict[str, Any]:
        """Run the child process and read its last line; whatever else happens there is a refusal."""
        settings = self._settings
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", fetch_champion.__name__, str(settings.champion_folder)),
            env={**_REGISTRY_LIMITS, **os.environ, TRACKING_VARIABLE: settings.tracking_uri, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), settings.parameters.champion_timeout)
        except TimeoutError:
            return {"outcome": UNREACHABLE, "detail": f"fetching the champion took more than {settings.parameters.champion_timeout:g} s"}
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return _outcome(process.returncode, out, err)

    async def _load(self, verified: Verified) -> Look | None:
        """Serve verified files; None if they are not what was verified. Made ready in a thread, so that requests go on."""
        if self.current is not None and verified == Verified(self.current.version, self.current.sha256):
            return self._unchanged(verified.version)
        folder = champion_files.model_folder(self._settings.champion_folder, verified.sha256)
        try:
            scorer = await asyncio.to_thread(_checked_scorer, folder, verified.sha256)
        except ChurnError as error:
            _log.warning("The files of champion version %s in %s are not used: %s", verified.version, folder, error)
            return None
        if (absent := await self._missing(scorer.names)) and self._has_another(verified):
            return await self._refuse(verified.version, f"the feature store has no {', '.join(absent)}, which it needs")
        old, self.current = self.current, Champion(verified.version, verified.sha256, scorer)
        self.problems.pop(CHAMPION, None)
        self._refused = (None, 0.0)
        if old is not None:
            metrics.MODEL.labels(old.version).set(0)
        metrics.MODEL.labels(verified.version).set(1)
        _log.info("Champion version %s serves (sha256 %s)", verified.version, verified.sha256)
        self._remember(verified)
        return Look(True, f"version {verified.version} serves")

    def _has_another(self, verified: Verified) -> bool:
        """Whether a champion serves, or could, if this one does not."""
        return self.current is not None or champion_files.last_verified(self._settings.champion_folder) not in (None, verified)

    def _remember(self, verified: Verified) -> None:
        """For a start without registry. The champion serves even if that fails."""
        self.problems.pop(CACHE, None)
        try:
            champion_files.remember(self._settings.champion_folder, verified)
        except OSError as error:
            self.problems[CACHE] = f"version {verified.version} serves, but is not kept for a start without registry: {error}"
            _log.error("Cache of champions: %s", self.problems[CACHE])

    async def _unreachable(self, reason: str) -> Look:
        """The registry is down: whoever serves goes on; at start the last verified champion does."""
        if self.problems.get(REGISTRY) != reason:
            _log.warning("The model registry is not reachable: %s", reason)
        self.problems[REGISTRY] = reason
        if self.current is None and (found := champion_files.last_verified(self._settings.champion_folder)) is not None:
            return await self._load(found) or Look(False, reason)
        return Look(False, reason)

    def _unchanged(self, version: str) -> Look:
        self.problems.pop(CHAMPION, None)
        self._refused = (None, 0.0)
        return Look(False, f"version {version} is still the champion")

    def _absent(self) -> Look:
        detail = "no model has been promoted yet; run `kedro run`"
        if self.current is not None:
            detail = f"no version is champion any more; version {self.current.version} goes on serving"
        self.problems[CHAMPION] = detail
        return Look(False, detail)

    async def _refuse(self, version: str | None, reason: str) -> Look:
        if version is None:
            version = await self._version()
        serving = "none serves" if self.current is None else f"version {self.current.version} goes on serving"
        detail = f"version {version or 'unknown'} was refused: {reason} ({serving})"
        _log.error("Champion %s", detail)
        metrics.REFUSED.inc()
        self.problems[CHAMPION] = detail
        self._refused = (version, time.monotonic() + self._settings.parameters.champion_retry)
        if self.current is None and (found := champion_files.last_verified(self._settings.champion_folder)) is not None:
            look = await self._load(found)
            serving = "none serves" if self.current is None else f"version {found.version} serves"
            self.problems[CHAMPION] = f"version {version or 'unknown'} was refused: {reason} ({serving})"
            self._refused = (version, time.monotonic() + self._settings.parameters.champion_retry)
            return look or Look(False, detail)
        return Look(False, detail)

    async def _version(self) -> str | None:
        try:
            found = await asyncio.to_thread(registry_poll.registered_champion, self._settings.tracking_uri)
        except (registry_poll.UnreachableError, registry_poll.CannotTellError):
            return None
        return None if found is None else found.version


def _checked_scorer(folder: Path, sha256: str) -> Scorer:
    scorer = Scorer(ChurnModel.load(folder, sha256))
    fetch_champion.check(scorer)
    return scorer


def _outcome(code: int | None, out: bytes, err: bytes) -> dict[str, Any]:
    lines = out.decode(errors="replace").strip().splitlines()
    if code == 0 and lines:
        with contextlib.suppress(ValueError, AttributeError):  # the last line is something else
            found = json.loads(lines[-1])
            if found.get("outcome") in (VERIFIED, ABSENT, REFUSED, UNREACHABLE):
                return dict(found)
    last = (err.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
    return {"outcome": REFUSED, "detail": f"the check of its files ended with exit status {code}: {last}"}
