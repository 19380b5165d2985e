"""Buckets as a tar stream, for backups, and a file into a bucket (s3fs; the address and keys are the environment's).

    python -m churn.io.files.object_copy dump churn dvc mlflow > objects.tar
    python -m churn.io.files.object_copy load churn dvc mlflow < objects.tar     # adds and replaces
    python -m churn.io.files.object_copy prune churn dvc mlflow < objects.tar    # deletes what the stream does not hold
    python -m churn.io.files.object_copy put data/raw/churn.csv s3://churn/raw/churn.csv

A name in the stream is BUCKET/KEY. Objects travel in pieces: the memory does not grow with them.
"""

import shutil
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from churn.core.errors import ChurnError
from churn.io import connections, service_checks
from churn.io.files import places

if TYPE_CHECKING:
    from s3fs import S3FileSystem  # type: ignore[import-untyped]

USAGE = "Usage: python -m churn.io.files.object_copy dump BUCKET... | load BUCKET... | prune BUCKET... | put FILE s3://BUCKET/KEY"
_PIECE = 1 << 20


def dump(system: "S3FileSystem", buckets: Iterable[str], out: IO[bytes]) -> int:
    """Write every object of the buckets, in order of their names.

    Returns:
        How many objects were written.

    Raises:
        ChurnError: if a bucket is missing, or an object changes while it is read.
    """
    count = 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for bucket in buckets:
            for name, size in _objects(system, bucket).items():
                entry = tarfile.TarInfo(name)
                entry.size = size
                try:
                    with system.open(name, "rb", cache_type="readahead") as file:
                        archive.addfile(entry, file)
                except OSError as error:
                    raise ChurnError(f"{name} changed while it was read, or could not be: {error}. Run the backup again.") from error
                count += 1
    return count


def load(system: "S3FileSystem", buckets: Sequence[str], source: IO[bytes]) -> int:
    """Write the objects of the stream into their buckets; others stay.

    Returns:
        How many objects were written.

    Raises:
        ChurnError: if the stream is no whole archive or names another bucket.
    """
    count = 0
    with _opened(source) as archive:
        for entry in archive:
            name, content = _checked(entry, buckets), cast("IO[bytes]", archive.extractfile(entry))
            with content, system.open(name, "wb") as file:
                shutil.copyfileobj(content, file, _PIECE)
            count += 1
    return count


def prune(system: "S3FileSystem", buckets: Sequence[str], source: IO[bytes]) -> int:
    """Delete the objects of the buckets that the stream does not hold.

    Returns:
        How many objects were deleted.

    Raises:
        ChurnError: if the stream is no whole archive or names another bucket; nothing is deleted then.
    """
    with _opened(source) as archive:
        kept = {_checked(entry, buckets) for entry in archive}
    gone = [name for bucket in buckets for name in _objects(system, bucket) if name not in kept]
    if gone:
        system.rm(gone)
    return len(gone)


def put(system: "S3FileSystem", path: Path, target: str) -> int:
    """Upload a file; the object is there whole or not at all.

    Returns:
        Its size in bytes.

    Raises:
        ChurnError: if there is no such file.
    """
    if not path.is_file():
        raise ChurnError(f"There is no file {path}.")
    system.put_file(str(path), target)
    return path.stat().st_size


def _objects(system: "S3FileSystem", bucket: str) -> dict[str, int]:
    """Name (BUCKET/KEY) and size of every object."""
    system.invalidate_cache()
    if not system.exists(bucket):
        raise ChurnError(f"There is no bucket {bucket!r} at {system.endpoint_url or 'AWS_ENDPOINT_URL'}.")
    found = system.find(bucket, detail=True)
    return {name: int(about["size"]) for name, about in sorted(found.items())}


@contextmanager
def _opened(source: IO[bytes]) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            yield archive
    except tarfile.TarError as error:
        raise ChurnError(f"The archive of objects is damaged ({error}). Nothing was deleted.") from error


def _checked(entry: tarfile.TarInfo, buckets: Sequence[str]) -> str:
    """The name of an entry, which is an object of one of the buckets."""
    if entry.name.split("/", 1)[0] not in buckets or not entry.isfile():
        raise ChurnError(f"The archive holds {entry.name}, which is no object of {', '.join(buckets)}. Nothing was deleted.")
    return entry.name


def main(arguments: Sequence[str]) -> str:
    """Run one command of the module's description; what happened, in words.

    Raises:
        ChurnError: if the store does not answer or breaks off, or a bucket is missing.
    """
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

    match arguments:
        case ["dump" | "load" | "prune", *buckets] if buckets:
            used = [f"s3://{bucket}" for bucket in buckets]
        case ["put", _, target]:
            used = [target]
        case _:
            raise ChurnError(USAGE)
    services = [service_checks.object_store(place) for place in used]
    places.limit_waiting()
    connections.require(services)
    try:
        return _done(*arguments)
    except (BotoCoreError, OSError) as error:
        raise ChurnError("\n".join([*connections.problems(services), f"It broke off ({error}). Run it again."])) from error


def _done(command: str, *names: str) -> str:
    from s3fs import S3FileSystem

    system, buckets = S3FileSystem(), ", ".join(names)
    match command:
        case "dump":
            return f"{dump(system, names, sys.stdout.buffer):,} objects of {buckets} written"
        case "load":
            return f"{load(system, names, sys.stdin.buffer):,} objects of {buckets} restored"
        case "prune":
            return f"{prune(system, names, sys.stdin.buffer):,} others deleted"
        case _:
            return f"{names[0]} is at {names[1]} ({put(system, Path(names[0]), names[1]):,} bytes)"


if __name__ == "__main__":
    try:
        sys.stderr.write(main(sys.argv[1:]) + "\n")
    except ChurnError as mistake:
        sys.exit(str(mistake))
