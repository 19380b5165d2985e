"""A client that costs little: HTTP/1.1 over kept connections, and nothing parsed but the status and the length."""

import asyncio
import socket
import time
from collections.abc import Sequence


def request(port: int, path: str, body: bytes) -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def latencies(port: int, requests: Sequence[bytes], count: int) -> list[float]:
    """Seconds of each of `count` requests, one at a time on one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seconds = []
        for number in range(count):
            started = time.perf_counter()
            connection.sendall(requests[number % len(requests)])
            _answer(connection)
            seconds.append(time.perf_counter() - started)
    return seconds


def _answer(connection: socket.socket) -> None:
    content = b""
    while b"\r\n\r\n" not in content:
        content += connection.recv(65536)
    head, _, body = content.partition(b"\r\n\r\n")
    missing = _length(head) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    if not lines[0].startswith(b"http/1.1 200"):
        raise SystemExit(f"a server of the benchmark answered {lines[0].decode()}")
    return next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))


def throughput(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> tuple[int, float]:
    """How many requests were answered on so many connections, and in how many seconds."""
    return asyncio.run(_load(port, requests, connections, seconds))


async def _load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> tuple[int, float]:
    started = time.perf_counter()
    counts = await asyncio.gather(*(_one(port, requests, number, started + seconds) for number in range(connections)))
    return sum(counts), time.perf_counter() - started


async def _one(port: int, requests: Sequence[bytes], number: int, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < end:
        writer.write(requests[(number * 7919 + count) % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
        count += 1
    writer.close()
    return count
