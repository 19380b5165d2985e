"""Feast's own encoding of keys and values, without importing Feast (seconds and 100 MB).

Sources: Feast's "Online store format" specification, `feast.infra.key_encoding_utils.serialize_entity_key` (version 3)
and the protobuf wire format of `feast.types.Value`. A contract test holds this module to Feast's public call.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_STRING = 2
"""`ValueType.STRING` of feast.types.Value."""
_INT = struct.Struct("<I")
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_SIGN_BIT = 1 << 63


class UnknownEncodingError(ValueError):
    """A value of a type that this project never writes."""


def entity_key_prefix(join_key: str) -> bytes:
    """What every entity key of one text join key starts with."""
    name = join_key.encode()
    return _INT.pack(1) + _INT.pack(_STRING) + _INT.pack(len(name)) + name + _INT.pack(_STRING)


def entity_key(prefix: bytes, value: str) -> bytes:
    """The key of one entity: the prefix, then the value with its length."""
    encoded = value.encode()
    return prefix + _INT.pack(len(encoded)) + encoded


def entity_value(prefix: bytes, key: bytes) -> str:
    """The join key's value back from an entity key; what follows it (Redis: the project) is ignored."""
    (length,) = _INT.unpack_from(key, len(prefix))
    start = len(prefix) + _INT.size
    return key[start : start + length].decode()


@lru_cache(maxsize=10_000)  # categories repeat
def decode_value(raw: bytes) -> Any:
    """A serialized `feast.types.Value` as str, int, float, bool or None (empty, or not a number).

    Raises:
        UnknownEncodingError: if it is none of these.
    """
    if not raw:
        return None
    reader = _READERS.get(raw[:1])
    if reader is None:
        raise UnknownEncodingError(f"field {raw[0] >> 3} of feast.types.Value")
    value = reader(raw)
    return None if value != value else value  # noqa: PLR0124 - NaN is what differs from itself


def decode_timestamp(raw: bytes) -> float:
    """A serialized `google.protobuf.Timestamp` as seconds since 1970."""
    seconds, nanos, place = 0, 0, 0
    while place < len(raw):
        field = raw[place] >> 3
        number, place = _varint(raw, place + 1)
        if field == 1:
            seconds = number
        else:
            nanos = number
    return _signed(seconds) + nanos / 1e9


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint
            return value, place
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value & _SIGN_BIT else value


def _text(raw: bytes) -> str:
    _, start = _varint(raw, 1)
    return raw[start:].decode()


_READERS: dict[bytes, Callable[[bytes], Any]] = {
    b"\x12": _text,
    b"\x18": lambda raw: _signed(_varint(raw, 1)[0]),
    b"\x20": lambda raw: _signed(_varint(raw, 1)[0]),
    b"\x29": lambda raw: _DOUBLE.unpack_from(raw, 1)[0],
    b"\x35": lambda raw: _FLOAT.unpack_from(raw, 1)[0],
    b"\x38": lambda raw: raw[1] == 1,
}
"""Reader by tag byte (field number times eight plus wire type): string, int32, int64, double, float, bool."""
