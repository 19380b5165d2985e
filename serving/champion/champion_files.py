"""Verified champions on this machine's disk: one folder each, and a note that says which is the last.

Files appear whole or not at all, so the app and the child process may work here at once.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

NOTE = "champion.json"
_KEPT = 3


@dataclass(frozen=True)
class Verified:
    """A champion whose files were loaded and checked."""

    version: str
    sha256: str


def model_folder(root: Path, sha256: str) -> Path:
    """Where the files of a model lie."""
    return root / "champions" / sha256


def last_verified(root: Path) -> Verified | None:
    """The last champion that was verified here, or None."""
    try:
        return Verified(**json.loads((root / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def remember(root: Path, champion: Verified) -> None:
    """Note a verified champion, and remove the oldest others."""
    part = root / f".{NOTE}.{os.getpid()}"
    part.write_text(json.dumps(asdict(champion)), encoding="utf-8")
    part.replace(root / NOTE)
    kept = model_folder(root, champion.sha256)
    os.utime(kept)
    whole = [folder for folder in (root / "champions").iterdir() if not folder.name.startswith(".")]  # not another worker's half
    folders = sorted(whole, key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders[_KEPT:]:
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
