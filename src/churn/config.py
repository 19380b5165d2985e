"""The configuration of `conf/`, read without a Kedro session (serving and feature_repo do not open one)."""

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from churn.core.declaration import Declaration
from churn.core.errors import ChurnError

BASE = "base"
LOCAL = "local"


@dataclass(frozen=True)
class Config:
    """Globals and parameters of one environment, and the folder that relative paths start from."""

    root: Path
    environment: str
    settings: dict[str, Any]
    parameters: dict[str, Any]

    @property
    def declaration(self) -> Declaration:
        """The declared customer table."""
        return Declaration.parse(self.parameters["customers"])

    def path(self, location: str) -> str:
        """A location of the configuration as an absolute path; URLs stay as they are."""
        return rooted(location, self.root)


SQLITE = "sqlite:///"


def rooted(location: str | None, root: Path | None = None) -> Any:
    """A path or SQLite URL made absolute from the project's folder; other URLs and None stay as they are."""
    if location is None:
        return None
    root = root or project_root()
    if location.startswith(SQLITE):
        return SQLITE + str(root / location.removeprefix(SQLITE))
    return location if "://" in location else str(root / location)


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (default: the working directory) that holds `conf/base`.

    Raises:
        ChurnError: if there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "conf" / BASE).is_dir():
            return folder
    raise ChurnError(f"{here} is not inside a churn project: no folder above it holds conf/{BASE}. Change to the project's folder.")


def load(root: Path | None = None, environment: str | None = None) -> Config:
    """Read globals and parameters as Kedro does: base, then the environment on top, top-level keys replaced.

    The environment is `environment`, else `KEDRO_ENV`, else `local`.

    Raises:
        ChurnError: if the project or the environment's folder does not exist.
    """
    return _load(project_root(root), environment or os.environ.get("KEDRO_ENV") or LOCAL)


@cache
def _load(root: Path, environment: str) -> Config:
    folders = [root / "conf" / BASE, root / "conf" / environment]
    if environment not in (BASE, LOCAL) and not folders[1].is_dir():
        raise ChurnError(f"There is no environment {environment!r}: {folders[1]} does not exist.")
    settings = _merge(folders, "globals*", {})
    return Config(root, environment, settings, _merge(folders, "parameters*", settings))


def dataset_path(config: Config, name: str) -> str:
    """Where the catalog keeps a dataset, for readers without a Kedro session; URLs stay as they are.

    Raises:
        ChurnError: if the catalog has no such dataset, or it is no file.
    """
    entry = _read([config.root / "conf" / BASE, config.root / "conf" / config.environment], "catalog*", config.settings).get(name, {})
    filepath = entry.get("filepath") or entry.get("dataset", {}).get("filepath")
    if not isinstance(filepath, str):
        raise ChurnError(f"The catalog of the environment {config.environment!r} has no file {name!r}: see conf/{BASE}/catalog.")
    return config.path(filepath)


def _merge(folders: list[Path], pattern: str, settings: dict[str, Any]) -> dict[str, Any]:
    merged = _read(folders, pattern, settings)
    resolved = OmegaConf.to_container(OmegaConf.create(merged), resolve=True)
    return {str(key): value for key, value in resolved.items()} if isinstance(resolved, dict) else {}


def _read(folders: list[Path], pattern: str, settings: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for folder in folders:
        for file in sorted({*folder.glob(f"{pattern}.yml"), *folder.glob(f"{pattern}/**/*.yml")}):
            text = file.read_text(encoding="utf-8")
            _require_variables(file, text)
            merged.update(yaml.safe_load(_with_globals(text, settings)) or {})
    return merged


def _require_variables(file: Path, text: str) -> None:
    """Name at once every environment variable that has no default and is not set."""
    unset = sorted({name for name in re.findall(r"\$\{oc\.env:\s*(\w+)\s*\}", text) if name not in os.environ})
    if unset:
        raise ChurnError(f"{file} needs environment variables that are not set: {', '.join(unset)} (docs/stack.md).")


def _with_globals(text: str, settings: dict[str, Any]) -> str:
    """Fill in `${globals:key}` here: OmegaConf's resolvers are one table per process, and Kedro's own must stay."""
    return re.sub(r"\$\{globals:(\w+)\}", lambda found: str(settings[found[1]]), text)
