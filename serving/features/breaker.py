"""A circuit breaker: a dependency that fails again and again is left alone for a while, and callers hear so at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class DownError(Exception):
    """The dependency did not answer; `retry_after` is in seconds."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class Breaker:
    """Passes calls on, each with a time limit; after `failures` in a row it opens for `rest` seconds.

    Then one call is let through: if it succeeds the breaker closes, if not it stays open for as long again.
    Source: Nygard, "Release It!", 2007 (Circuit Breaker).
    """

    def __init__(self, timeout: float, failures: int, rest: float) -> None:
        self._timeout, self._limit, self._rest = timeout, failures, rest
        self._failed, self._opened_at = 0, 0.0
        self.last_error: str | None = None

    @property
    def closed(self) -> bool:
        """Whether calls pass."""
        return self._failed < self._limit

    async def call(self, work: Callable[[], Awaitable[T]], mistakes: tuple[type[Exception], ...] = ()) -> T:
        """The result of the work.

        Args:
            work: makes the awaitable.
            mistakes: exceptions that are the caller's affair and say nothing about the dependency's health; passed on.

        Raises:
            DownError: if the breaker is open, or the work failed or took longer than the time limit.
        """
        if not self.closed:
            self._let_one_through()
        try:
            async with asyncio.timeout(self._timeout):
                result = await work()
        except mistakes:
            self._failed = 0
            raise
        except TimeoutError:
            raise self._failure(f"no answer within {self._timeout:g} s") from None
        except Exception as error:
            raise self._failure(f"{type(error).__name__}: {error}") from error
        self._failed, self.last_error = 0, None
        return result

    def _let_one_through(self) -> None:
        waited = time.monotonic() - self._opened_at
        if waited < self._rest:
            raise DownError(self.last_error or "not answering", self._rest - waited)
        self._opened_at = time.monotonic()  # the next ones wait for this one's result

    def _failure(self, reason: str) -> DownError:
        self._failed += 1
        self.last_error = reason
        if not self.closed:
            self._opened_at = time.monotonic()
        return DownError(reason, self._rest)
