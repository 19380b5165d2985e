"""Telling people: by apprise to the addresses in CHURN_ALERT_URLS, or on the terminal where there are none."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
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


class Delivery(BaseModel):
    """The last message that was sent: `failed` are the addresses, by number and kind, that have not taken it yet."""

    model_config = ConfigDict(frozen=True)

    title: str = ""
    body: str = ""
    told: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class AlertDataset(AbstractDataset[Alert, Delivery]):
    """Saving an alert delivers it; loading gives what came of it.

    An address that does not take it fails nothing here, so that what follows is still written. It gets the message again
    at each run while the trouble stays the same; the others do not.

    Args:
        filepath: JSON, local or remote: what came of the last delivery. It holds no address.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        from kedro_datasets.json import JSONDataset

        self.metadata = metadata
        self._file = JSONDataset(filepath=filepath, save_args={"indent": 1})

    def save(self, data: Alert) -> None:
        """Deliver it, if there is something to tell, or what an earlier run could not."""
        before = self.load()
        if data.send:
            due = Delivery(title=data.title, body=data.body, told=data.told, failed=tuple(named(addresses())))
        elif before.told == data.told:
            due = before
        else:
            due = Delivery(told=data.told)
        urls = {name: url for name, url in named(addresses()).items() if name in due.failed}
        failed = send(due.title, due.body, urls) if data.send or urls else ()
        self._file.save(due.model_copy(update={"failed": failed}).model_dump(mode="json"))

    def load(self) -> Delivery:
        """What came of the last delivery."""
        return Delivery.model_validate(self._file.load()) if self._file.exists() else Delivery()

    def _exists(self) -> bool:
        return bool(self._file.exists())

    def _describe(self) -> dict[str, Any]:
        return {"to": f"{len(addresses())} addresses of {URLS_VARIABLE}"}


def addresses() -> list[str]:
    """The addresses of CHURN_ALERT_URLS, between white space or commas; a comma inside one is written %2C."""
    return [url for url in re.split(r"[\s,]+", os.environ.get(URLS_VARIABLE, "")) if url]


def named(urls: Sequence[str]) -> dict[str, str]:
    """The addresses by number and kind, such as `2 (mailto)`: an address is never shown, for it holds secrets."""
    return {f"{number} ({_kind(url)})": url for number, url in enumerate(urls, 1)}


def deliver(title: str, body: str, urls: Sequence[str]) -> None:
    """Send to every address; without any, write to the log.

    Raises:
        ChurnError: naming those that did not take it; the others have it.
    """
    failed = send(title, body, named(urls))
    if failed:
        raise ChurnError(unreached(Delivery(title=title, body=body, failed=failed)))


def send(title: str, body: str, urls: Mapping[str, str]) -> tuple[str, ...]:
    """Send to every address; without any, write to the log.

    Args:
        title: the message in a line.
        body: the message.
        urls: the addresses by name, as `named` gives them.

    Returns:
        The names of those that did not take it.
    """
    if not urls:
        logger.warning("%s\n%s\n(%s names no address, so it is told here only.)", title, body, URLS_VARIABLE)
        return ()
    with _quiet():
        failed = tuple(name for name, url in urls.items() if not _sent(url, title, body))
    if len(failed) < len(urls):
        logger.info("Alert sent to %d of %d addresses: %s", len(urls) - len(failed), len(urls), title)
    return failed


def unreached(delivery: Delivery) -> str:
    """Who does not have the message, and the message."""
    which = f"address {', '.join(delivery.failed)} of {URLS_VARIABLE}"
    return f"The message did not reach {which}; everything else is done.\n{delivery.title}\n{delivery.body}"


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
