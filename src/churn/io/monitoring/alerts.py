"""Telling people: by apprise to the addresses in CHURN_ALERT_URLS, or on the terminal where there are none."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kedro.io import AbstractDataset
from pydantic import BaseModel, ConfigDict

from churn.core.errors import ChurnError

URLS_VARIABLE = "CHURN_ALERT_URLS"

logger = logging.getLogger(__name__)


class Alert(BaseModel):
    """A message; `send` is false where people know already, `told` are the keys that they know of afterwards."""

    model_config = ConfigDict(frozen=True)

    title: str
    body: str
    send: bool
    told: tuple[str, ...] = ()


class AlertDataset(AbstractDataset[Alert, Alert]):
    """Saving an alert delivers it; loading gives what was delivered."""

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        self._delivered: Alert | None = None

    def save(self, data: Alert) -> None:
        """Deliver it, if there is something to tell.

        Raises:
            ChurnError: as `deliver`.
        """
        if data.send:
            deliver(data.title, data.body, addresses())
        self._delivered = data

    def load(self) -> Alert:
        """What was delivered."""
        assert self._delivered is not None  # noqa: S101 - Kedro loads what it has saved
        return self._delivered

    def _exists(self) -> bool:
        return self._delivered is not None

    def _describe(self) -> dict[str, Any]:
        return {"to": f"{len(addresses())} addresses of {URLS_VARIABLE}"}


def addresses() -> list[str]:
    """The addresses of CHURN_ALERT_URLS, between white space or commas; a comma inside one is written %2C."""
    return [url for url in re.split(r"[\s,]+", os.environ.get(URLS_VARIABLE, "")) if url]


def deliver(title: str, body: str, urls: Sequence[str]) -> None:
    """Send to every address; without any, write to the log.

    Raises:
        ChurnError: naming by number and kind those that did not take it; the others have it. An address is never shown: it
            holds secrets.
    """
    if not urls:
        logger.warning("%s\n%s\n(%s names no address, so it is told here only.)", title, body, URLS_VARIABLE)
        return
    with _quiet():
        failed = [number for number, url in enumerate(urls, 1) if not _sent(url, title, body)]
    if failed:
        which = ", ".join(f"{number} ({_kind(urls[number - 1])})" for number in failed)
        raise ChurnError(
            f"The alert did not reach address {which} of {URLS_VARIABLE}; it will be tried again by the next run.\n{title}\n{body}"
        )
    logger.info("Alert sent to %d addresses: %s", len(urls), title)


def _sent(url: str, title: str, body: str) -> bool:
    import apprise

    found = apprise.Apprise()
    return bool(found.add(url)) and bool(found.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT))


def _kind(url: str) -> str:
    kind = url.partition("://")[0]
    return kind if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", kind) and "://" in url else "not an address"


@contextmanager
def _quiet() -> Iterator[None]:
    """The logs of Apprise and of its HTTP client show parts of addresses."""
    theirs = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests")]
    levels = [log.level for log in theirs]
    for log in theirs:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for log, level in zip(theirs, levels, strict=True):
            log.setLevel(level)
