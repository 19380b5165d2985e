"""The app as it is, but for the prediction log: what durability costs."""

from collections.abc import Sequence
from typing import Any

from churn import config
from serving import lifespan
from serving.factory import create_app


class NoLog:
    """Takes every entry and keeps none."""

    last_error: str | None = None

    def __init__(self, *_parts: Any) -> None:
        """Nothing to open."""

    async def watch(self) -> None:
        """Nothing to open."""

    def expect(self) -> None:
        """Nobody waits."""

    def arrive(self) -> None:
        """Nobody waits."""

    async def record(self, entries: Sequence[Any]) -> None:
        """Forget the entries."""

    async def close(self) -> None:
        """Nothing to close."""


lifespan.GroupCommit = NoLog  # type: ignore[assignment,misc]
app = create_app(config.load())
