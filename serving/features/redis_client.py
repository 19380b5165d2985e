"""One pipelined connection to Redis: commands of concurrent requests share it, and nothing waits for a pool.

A third of the CPU of redis-py's asyncio client, whose pool, retries and per-read time limits are not needed here: time
limits are the breaker's, and a connection that is lost is made anew by the next command. RESP2, read by hiredis.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Any

import hiredis


@dataclass(frozen=True)
class Address:
    """Where Redis is and how to get in."""

    host: str
    port: int
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False


class RedisReplyError(Exception):
    """Redis answered with an error."""


def pack(*parts: bytes) -> bytes:
    """A command in RESP, the protocol of Redis."""
    return b"*%d\r\n" % len(parts) + b"".join(argument(part) for part in parts)


def argument(part: bytes) -> bytes:
    """One argument of a command in RESP."""
    return b"$%d\r\n%s\r\n" % (len(part), part)


class RedisClient:
    """Sends commands, and connects when there is no connection."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()

    async def send(self, packed: bytes) -> Any:
        """The reply to a command from `pack`.

        Raises:
            OSError: if there is no connection to be had, or it was lost before the reply.
            RedisReplyError: if Redis refuses the command.
        """
        link = self._link
        if link is None or link.lost:
            link = await self._connect()
        seen = link.replies
        try:
            return await link.send(packed)
        except asyncio.CancelledError:
            if link.replies == seen:  # silent all the time: perhaps the network forgot this connection, and another will do
                link.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._link is not None:
            self._link.close()

    async def _connect(self) -> "_Link":
        async with self._connecting:
            if self._link is None or self._link.lost:
                address = self._address
                context = ssl.create_default_context() if address.tls else None
                _, link = await asyncio.get_running_loop().create_connection(_Link, address.host, address.port, ssl=context)
                try:
                    await _enter(link, address)
                except BaseException:
                    link.close()
                    raise
                self._link = link
            return self._link


async def _enter(link: "_Link", address: Address) -> None:
    if address.password is not None:
        names = [] if address.username is None else [address.username.encode()]
        await link.send(pack(b"AUTH", *names, address.password.encode()))
    if address.db:
        await link.send(pack(b"SELECT", b"%d" % address.db))


class _Link(asyncio.Protocol):
    """A connection: replies come in the order of the commands."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._parser = hiredis.Reader(replyError=RedisReplyError)
        self._transport: Any = None
        self._outgoing: list[bytes] = []
        self.lost, self.replies = False, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = transport

    def send(self, packed: bytes) -> "asyncio.Future[Any]":
        """The reply, later. Whoever stops waiting leaves the order of the others as it is.

        Commands of the same turn of the event loop leave together: a write to a socket costs as much as a prediction's arithmetic.
        """
        loop = asyncio.get_running_loop()
        reply = loop.create_future()
        self._waiting.append(reply)
        if not self._outgoing:
            loop.call_soon(self._write)
        self._outgoing.append(packed)
        return reply

    def _write(self) -> None:
        self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def data_received(self, data: bytes) -> None:
        """Hand each whole reply to the command that waits longest."""
        self._parser.feed(data)
        while (found := self._parser.gets()) is not False:
            self.replies += 1
            waiting = self._waiting.popleft()
            if waiting.done():
                continue
            if isinstance(found, Exception):
                waiting.set_exception(found)
            else:
                waiting.set_result(found)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for a reply that cannot come."""
        self.lost = True
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"Redis closed the connection{f': {exc}' if exc else ''}"))

    def close(self) -> None:
        """Close it."""
        self.lost = True
        self._transport.close()
