"""API keys by header. Keys are kept and compared as hashes."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal, Self, get_args

from starlette.requests import Request

from churn.core.errors import ChurnError
from serving.web.problems import ProblemError

HEADER = "X-API-Key"
Scope = Literal["predict", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_SHORTEST = 16
_HASH = "sha256="


@dataclass(frozen=True)
class Keys:
    """The hashes of the keys of each scope. Without any key everybody may do everything."""

    hashes: tuple[tuple[Scope, bytes], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is a key at all."""
        return bool(self.hashes)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `scope:key,scope:key`; a key may be given as `sha256=` and its hash in hexadecimal.

        Raises:
            ChurnError: if an entry has another form, or a key is short enough to be guessed. No key is repeated in the message.
        """
        return cls(tuple(_entry(entry.strip(), place) for place, entry in enumerate(text.split(","), 1) if entry.strip()))

    def allow(self, key: str | None, scope: Scope) -> bool:
        """Whether a key opens a scope. Takes as long for a wrong key as for a right one."""
        if not self:
            return True
        given = _digest((key or "").encode("utf-8", "surrogateescape"))
        matches = [hmac.compare_digest(given, known) and scope == granted for granted, known in self.hashes]
        return key is not None and any(matches)


def require(request: Request, scope: Scope) -> None:
    """Refuse a request whose key does not open the scope.

    Raises:
        ProblemError: 401 without a key, 403 with one that is unknown or of another scope.
    """
    keys: Keys = request.app.state.settings.keys
    if not keys:
        return
    given = request.headers.get(HEADER)
    if given is None:
        headers = {"WWW-Authenticate": f'ApiKey header="{HEADER}"'}
        raise ProblemError(401, "no-key", "API key needed", f"Send your API key in the header {HEADER}.", headers=headers)
    if not keys.allow(given, scope):
        raise ProblemError(403, "wrong-key", "API key refused", f"This API key does not open the scope `{scope}`.")


def _entry(entry: str, place: int) -> tuple[Scope, bytes]:
    scope, separator, key = entry.partition(":")
    if not separator or scope not in SCOPES:
        raise ChurnError(f"CHURN_API_KEYS: entry {place} is not predict:KEY or admin:KEY.")
    if key.startswith(_HASH):
        try:
            digest = bytes.fromhex(key.removeprefix(_HASH))
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise ChurnError(f"CHURN_API_KEYS: entry {place} has `{_HASH}` without 64 hexadecimal digits after it.")
        return scope, digest
    if not key.isascii():
        raise ChurnError(f"CHURN_API_KEYS: the key of entry {place} has other characters than ASCII, which a header does not carry.")
    if len(key) < _SHORTEST:
        raise ChurnError(f"CHURN_API_KEYS: the key of entry {place} has fewer than {_SHORTEST} characters. Make one: openssl rand -hex 24")
    return scope, _digest(key.encode())


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
