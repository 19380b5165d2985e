"""Files by their location: a local path, or an address in an object store such as s3a://bucket/key."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Location = str | Path

REMOTE = "://"
_WAITING = {"connect_timeout": 5, "read_timeout": 30, "retries": {"mode": "standard", "total_max_attempts": 3}}
"""Of botocore: seconds, and attempts in all. Its defaults keep a user waiting for minutes."""


def is_remote(location: Location) -> bool:
    """Whether it is an address rather than a path of this machine."""
    return REMOTE in str(location)


def filesystem(location: str) -> tuple[Any, str]:
    """The fsspec filesystem of an address or path, and its path there.

    An S3 endpoint and the keys to it come from the environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
    """
    import fsspec  # type: ignore[import-untyped]

    return fsspec.core.url_to_fs(location)  # type: ignore[no-any-return]


def s3_endpoint() -> str | None:
    """The address of the object store that boto3 and s3fs use; None for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def limit_waiting() -> None:
    """Make every S3 filesystem of this process give up within seconds where the store does not answer."""
    from fsspec.config import conf  # type: ignore[import-untyped]

    conf.setdefault("s3", {}).setdefault("config_kwargs", _WAITING)


def exists(location: Location) -> bool:
    """Whether there is a file, or a link that leads nowhere."""
    if not is_remote(location):
        return os.path.lexists(location)
    system, path = filesystem(str(location))
    system.invalidate_cache()
    return bool(system.exists(path))


def is_file(location: Location) -> bool:
    """Whether there is a file."""
    system, path = filesystem(str(location))
    system.invalidate_cache()
    return bool(system.isfile(path))


def read_text(location: Location) -> str:
    """A small file's text.

    Raises:
        FileNotFoundError: if there is none.
    """
    system, path = filesystem(str(location))
    return str(system.read_text(path, encoding="utf-8"))


def sha256(location: Location) -> str:
    """Hash of a file's bytes, read as a stream."""
    system, path = filesystem(str(location))
    with system.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(location: Location) -> None:
    """Remove a file where there is one."""
    if not is_remote(location):
        Path(location).unlink(missing_ok=True)
    elif exists(location):
        system, path = filesystem(str(location))
        system.rm_file(path)


@contextmanager
def partial(target: Location) -> Iterator[Path]:
    """A local file to write before `put`: beside a local target, else in a temporary folder. Gone when the block ends."""
    if is_remote(target):
        with tempfile.TemporaryDirectory(prefix="churn-") as folder:
            yield Path(folder) / Path(target).name
        return
    place = Path(target)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put(finished: Path, target: Location) -> None:
    """Give a finished file its place in one step: readers see the old one or the new one."""
    if not is_remote(target):
        finished.replace(target)
        return
    system, path = filesystem(str(target))
    system.put_file(str(finished), path)


@contextmanager
def written_whole(target: Location) -> Iterator[Path]:
    """A local file to write, which takes its place if the block ends without an error."""
    with partial(target) as temporary:
        yield temporary
        put(temporary, target)
