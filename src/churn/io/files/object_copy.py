"""Buckets as a tar stream, for backups, and a file into a bucket (s3fs; the address and keys are the environment's).

    python -m churn.io.files.object_copy dump churn dvc mlflow > objects.tar
    python -m churn.io.files.object_copy load churn dvc mlflow < objects.tar
    python -m churn.io.files.object_copy put data/raw/churn.csv s3://churn/raw/churn.csv

A name in the stream is BUCKET/KEY. Objects travel in pieces: the memory does not grow with them.
"""

import shutil
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from churn.core.errors import ChurnError

if TYPE_CHECKING:
    from s3fs import S3FileSystem  # type: ignore[import-untyped]

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


def load(system: "S3FileSystem", buckets: Sequence[str], source: IO[bytes]) -> tuple[int, int]:
    """Make the buckets hold exactly the objects of the stream: write these first, then delete all others.

    Returns:
        How many objects were written and deleted.

    Raises:
        ChurnError: if the stream is no whole archive or names another bucket; nothing is deleted then.
    """
    written: set[str] = set()
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for entry in archive:
                written.add(_write(system, buckets, archive, entry))
    except tarfile.TarError as error:
        raise ChurnError(f"The archive of objects is damaged after {len(written)} objects ({error}). Nothing was deleted.") from error
    gone = [name for bucket in buckets for name in _objects(system, bucket) if name not in written]
    if gone:
        system.rm(gone)
    return len(written), len(gone)


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


def _write(system: "S3FileSystem", buckets: Sequence[str], archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    if entry.name.split("/", 1)[0] not in buckets:
        raise ChurnError(f"The archive holds {entry.name}, and only {', '.join(buckets)} may be written. Nothing was deleted.")
    content = archive.extractfile(entry)
    if content is None:
        raise ChurnError(f"{entry.name} in the archive is no file. Nothing was deleted.")
    with content, system.open(entry.name, "wb") as file:
        shutil.copyfileobj(content, file, _PIECE)
    return entry.name


def main(arguments: Sequence[str]) -> str:
    """Run one command of the module's description; what happened, in words."""
    from s3fs import S3FileSystem

    system = S3FileSystem()
    match arguments:
        case ["dump", *buckets] if buckets:
            return f"{dump(system, buckets, sys.stdout.buffer):,} objects of {', '.join(buckets)} written"
        case ["load", *buckets] if buckets:
            written, gone = load(system, buckets, sys.stdin.buffer)
            return f"{written:,} objects of {', '.join(buckets)} restored, {gone:,} others deleted"
        case ["put", path, target]:
            return f"{path} is at {target} ({put(system, Path(path), target):,} bytes)"
        case _:
            raise ChurnError("Usage: python -m churn.io.files.object_copy dump BUCKET... | load BUCKET... | put FILE s3://BUCKET/KEY")


if __name__ == "__main__":
    try:
        sys.stderr.write(main(sys.argv[1:]) + "\n")
    except ChurnError as mistake:
        sys.exit(str(mistake))
