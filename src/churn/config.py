"""The configuration of `conf/`, read without a Kedro session (serving and feature_repo do not open one)."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from churn.core.declaration import Declaration
from churn.core.errors import ChurnError, mistakes

BASE = "base"
LOCAL = "local"
RAW = "raw_customers"
"""The raw table in the catalog."""
Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class Config:
    """Globals and parameters of one environment, and the folder that relative paths start from."""

    root: Path
    environment: str
    settings: dict[str, Any]
    parameters: dict[str, Any]

    @property
    def folders(self) -> tuple[Path, Path]:
        """Where the configuration lies; the second overrides the first."""
        return self.root / "conf" / BASE, self.root / "conf" / self.environment

    @property
    def declaration(self) -> Declaration:
        """The declared customer table.

        Raises:
            ChurnError: if the parameters lack it.
            DeclarationError: if it has mistakes.
        """
        if "customers" not in self.parameters:
            raise ChurnError(f"No file below {self.root / 'conf'} has the parameters `customers`, the declaration of the table.")
        return Declaration.parse(self.parameters["customers"])

    def section(self, name: str, model: type[Section]) -> Section:
        """A section of the parameters as its model.

        Raises:
            ChurnError: with one line per mistake in it.
        """
        try:
            return model.model_validate(self.parameters.get(name))
        except ValidationError as error:
            raise ChurnError("\n".join([f"The parameters `{name}` have mistakes:", *mistakes(error, name)])) from None

    def path(self, location: str) -> str:
        """A location of the configuration as an absolute path; URLs stay as they are."""
        absolute: str = rooted(location, self.root)
        return absolute


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
        ChurnError: if the project or the environment's folder does not exist, or a file of them cannot be read.
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
    entry = _read(config.folders, "catalog*", config.settings).get(name, {})
    filepath = entry.get("filepath") or entry.get("dataset", {}).get("filepath")
    if not isinstance(filepath, str):
        raise ChurnError(f"The catalog of the environment {config.environment!r} has no file {name!r}: see conf/{BASE}/catalog.")
    return config.path(filepath)


def require_readable(config: Config) -> None:
    """Read what only Kedro reads, so that a slip in it is named before Kedro meets it.

    Raises:
        ChurnError: with file and line.
    """
    for pattern in ("catalog*", "mlflow*"):
        _read(config.folders, pattern, config.settings)


def declared_in(config: Config, section: str) -> Path | None:
    """The file whose parameters `section` is in force, from the project's folder."""
    holding = [file for folder in config.folders for file in _files(folder, "parameters*") if section in _content(file, config.settings)]
    return holding[-1].relative_to(config.root) if holding else None


def _merge(folders: Sequence[Path], pattern: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Every folder's references are resolved within it, as Kedro does: what `base` builds from a key stays with base's key."""
    merged: dict[str, Any] = {}
    for folder in folders:
        try:
            resolved = OmegaConf.to_container(OmegaConf.create(_read([folder], pattern, settings)), resolve=True)
        except OmegaConfBaseException as error:
            raise ChurnError(f"{folder}: {pattern.rstrip('*')} cannot be resolved: {_first_line(error)}.") from None
        merged |= {str(key): value for key, value in resolved.items()} if isinstance(resolved, dict) else {}
    return merged


def _read(folders: Sequence[Path], pattern: str, settings: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for folder in folders:
        owners: dict[str, Path] = {}
        for file in _files(folder, pattern):
            content = _content(file, settings)
            for key in content:
                if key in owners and not key.startswith("_"):
                    raise ChurnError(f"{owners[key]} and {file} both hold {key!r}. Remove one of them.")
                owners[key] = file
            merged.update(content)
    return merged


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted({*folder.glob(f"{pattern}.yml"), *folder.glob(f"{pattern}/**/*.yml")})


def _content(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """A file's entries, read as Kedro reads them: a key twice is a mistake, a date is text."""
    try:
        text = file.read_text(encoding="utf-8")
        _require_variables(file, text)
        content = OmegaConf.to_container(OmegaConf.create(_with_globals(file, text, settings)), resolve=False)
    except UnicodeDecodeError:
        raise ChurnError(f"{file} is not UTF-8 text. Save it as UTF-8.") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ChurnError(f"{file}{line}: this is no YAML: {error.problem}. Mind indentation, colons and quotes.") from None
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ChurnError(f"{file}: this is no YAML: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise ChurnError(f"{file} holds no entries of the form `name: value`.")
    return {str(key): value for key, value in content.items()}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _require_variables(file: Path, text: str) -> None:
    """Name at once every environment variable that has no default and is not set."""
    unset = sorted({name for name in re.findall(r"\$\{oc\.env:\s*(\w+)\s*\}", text) if name not in os.environ})
    if unset:
        raise ChurnError(f"{file} needs environment variables that are not set: {', '.join(unset)} (docs/stack.md).")


def _with_globals(file: Path, text: str, settings: dict[str, Any]) -> str:
    """Fill in `${globals:key}` here: OmegaConf's resolvers are one table per process, and Kedro's own must stay."""
    wanted = re.compile(r"\$\{globals:(\w+)\}")
    unknown = sorted(set(wanted.findall(text)) - set(settings))
    if unknown:
        raise ChurnError(f"{file} asks for globals that globals.yml does not have: {', '.join(unknown)}.")
    return wanted.sub(lambda found: str(settings[found[1]]), text)
