"""The files of the embedded feature store, written aside and put in place in one step.

Feast writes its registry and its SQLite store where they lie: a run that is killed halfway leaves half of them.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from churn.io.processes import runs

_log = logging.getLogger(__name__)
_SQLITE_SIDE_FILES = ("-journal", "-wal", "-shm")


def local_files(config: Any) -> dict[str, Path]:
    """The files of a Feast `RepoConfig`: `registry` and `online`, each only where it is a local file."""
    files = {}
    if config.registry.registry_type == "file" and "://" not in config.registry.path:
        files["registry"] = config.repo_path / config.registry.path
    if config.online_store is not None and config.online_store.type == "sqlite":
        files["online"] = config.repo_path / config.online_store.path
    return {role: Path(os.path.normpath(path)) for role, path in files.items()}


def point_at(config: Any, files: Mapping[str, Path]) -> None:
    """Make a `RepoConfig` use these local files; roles as in `local_files`."""
    if "registry" in files:
        config.registry.path = str(files["registry"])
    if "online" in files:
        config.online_store.path = str(files["online"])


@contextlib.contextmanager
def replaced_whole(config: Any, publish_online: bool) -> Iterator[None]:
    """Point `config` at files aside, and put them in place if the block ends without an error.

    The registry starts as a copy of the one in place, the online store empty. What a killed run left is removed.

    Args:
        config: Feast's `RepoConfig`; changed.
        publish_online: whether the online store takes its place too, or is thrown away.
    """
    live = local_files(config)
    aside = {role: path.with_name(f".{path.name}.{os.getpid()}") for role, path in live.items()}
    for path in live.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
    if "registry" in aside:
        _copy_readable_registry(live["registry"], aside["registry"])
    point_at(config, aside)
    try:
        yield
        if publish_online and "online" in aside:
            _put_store_in_place(aside["online"], live["online"])
        if "registry" in aside:
            aside["registry"].replace(live["registry"])
    finally:
        for path in live.values():
            _remove_leftovers(path)


def is_registry(path: Path) -> bool:
    """Whether the file parses as a Feast registry."""
    from feast.protos.feast.core.Registry_pb2 import Registry
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        Registry().ParseFromString(path.read_bytes())
    except DecodeError:
        return False
    return True


def _copy_readable_registry(live: Path, aside: Path) -> None:
    if not live.exists():
        return
    if is_registry(live):
        shutil.copyfile(live, aside)
    else:
        _log.warning("%s is damaged; the registry is built anew from the declaration.", live)


def _put_store_in_place(aside: Path, live: Path) -> None:
    for suffix in _SQLITE_SIDE_FILES:  # SQLite would replay the old store's journal into the new one
        live.with_name(live.name + suffix).unlink(missing_ok=True)
    aside.replace(live)


def _remove_leftovers(live: Path) -> None:
    """Remove the files aside of this process and of those that run no more."""
    for path in live.parent.glob(f".{live.name}.*"):
        owner = path.name.removeprefix(f".{live.name}.").partition("-")[0]
        if owner.isdigit() and (int(owner) == os.getpid() or not runs(int(owner))):
            path.unlink(missing_ok=True)
