"""Feast's Redis online store, read directly: one HMGET per customer, all on one connection."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from churn.core.declaration import CUSTOMER_ID
from churn.core.errors import ChurnError
from serving.features.feast_encoding import decode_timestamp, decode_value, entity_key, entity_key_prefix, entity_value
from serving.features.reader import EXAMPLES, Found, MissingFeaturesError, Row
from serving.features.redis_client import Address, RedisClient, argument, pack

_VIEW = "customer_features"
_CONNECTION_OPTIONS = frozenset({"db", "username", "password", "ssl"})
_STORE_OPTIONS = frozenset({"type", "redis_type", "connection_string", "client", "key_ttl_seconds", "full_scan_for_deletion", "skip_dedup"})


def address(online: dict[str, Any]) -> Address | None:
    """Where the one Redis server is; None for a cluster, Sentinel or an option not known here.

    Source of the format (`host:port,name=value,...`, the values JSON where they can be): Feast's
    `RedisOnlineStoreConfig.connection_string`.

    Raises:
        ChurnError: if the port is no number.
    """
    parts = str(online.get("connection_string", "localhost:6379")).split(",")
    nodes = [part for part in parts if "=" not in part]
    simple = online.get("redis_type", "redis") == "redis" and online.get("client", "redis") == "redis"
    options = {name: _json(value) for name, value in (part.split("=", 1) for part in parts if "=" in part)}
    if not simple or len(nodes) != 1 or not set(online) <= _STORE_OPTIONS or not set(options) <= _CONNECTION_OPTIONS:
        return None
    host, _, port = nodes[0].partition(":")
    if port and not port.isdigit():
        raise ChurnError(f"The Redis address {nodes[0]!r} is not host:port. Feast takes no IPv6 address: name the host.")
    texts = {name: str(options[name]) for name in ("username", "password") if options.get(name) not in (None, "")}
    return Address(host, int(port or 6379), db=int(options.get("db", 0)), tls=bool(options.get("ssl", False)), **texts)


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


@lru_cache(maxsize=8)
def _fields(names: tuple[str, ...]) -> tuple[bytes, bytes]:
    """HMGET in RESP before and after the key; the fields are Feast's murmur3 of each feature, then the time."""
    import mmh3

    hashed = [mmh3.hash(f"{_VIEW}:{name}", signed=False).to_bytes(4, "little") for name in names]
    fields = [*hashed, f"_ts:{_VIEW}".encode()]
    return b"*%d\r\n" % (len(fields) + 2) + argument(b"HMGET"), b"".join(argument(field) for field in fields)


class RedisReader:
    """Reads over one connection; one that Redis has closed is replaced at once."""

    def __init__(self, server: Address, project: str) -> None:
        self._redis = RedisClient(server)
        self._project = project.encode()
        self._prefix = entity_key_prefix(CUSTOMER_ID)

    async def read(self, customer_ids: Sequence[str], names: Sequence[str]) -> list[Found]:
        """See `FeatureReader`."""
        before, after = _fields(tuple(names))
        commands = [before + argument(entity_key(self._prefix, customer) + self._project) + after for customer in customer_ids]
        if len(commands) == 1:
            return [_row(await self._redis.send(commands[0]), names)]
        found = await asyncio.gather(*(self._redis.send(command) for command in commands))
        return [_row(raw, names) for raw in found]

    async def examples(self) -> list[str]:
        """See `FeatureReader`."""
        pattern, cursor = _literal(self._prefix) + b"*" + _literal(self._project), b"0"
        while True:
            cursor, keys = await self._redis.send(pack(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"1000"))
            if keys:
                return [entity_value(self._prefix, key) for key in keys[:EXAMPLES]]
            if cursor == b"0":
                raise MissingFeaturesError(["customers"])

    async def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def _row(raw: list[bytes | None], names: Sequence[str]) -> Found:
    """Redis answers nil for a field it does not have; Feast writes a missing value as an empty one."""
    *values, at = raw
    if at is None:
        return None
    if None in values:
        return MissingFeaturesError([name for name, value in zip(names, values, strict=True) if value is None])
    return Row([decode_value(value) for value in values if value is not None], _time(at))


@lru_cache(maxsize=1000)  # a materialization writes few times
def _time(at: bytes) -> datetime:
    return datetime.fromtimestamp(decode_timestamp(at), UTC)


def _literal(text: bytes) -> bytes:
    """Text in which Redis's glob characters stand for themselves."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in text)
