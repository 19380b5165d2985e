"""Which version is the champion? A cheap question, asked often; MLflow itself is imported by the child process only.

An MLflow server is asked over its REST API, a SQLite tracking store by SQL; for any other store nothing is known
here, and the child asks MLflow.
"""

import json
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from churn.config import SQLITE
from churn.io.connections import credentials, without_secret
from churn.io.models.registry import CHAMPION, MODEL_NAME, MODEL_SHA256

_SECONDS = 3.0
_QUERY = """
SELECT aliases.version, tags.value FROM registered_model_aliases AS aliases LEFT JOIN model_version_tags AS tags
ON tags.name = aliases.name AND tags.version = aliases.version AND tags.key = ? WHERE aliases.name = ? AND aliases.alias = ?
"""


class UnreachableError(Exception):
    """The registry does not answer."""


class CannotTellError(Exception):
    """This kind of registry has to be asked through MLflow."""


class Registered(NamedTuple):
    """A version of the registry: its number and the hash in its tags, None where it has no such tag."""

    version: str
    sha256: str | None


def registered_champion(tracking_uri: str) -> Registered | None:
    """The version that has the alias `Champion`, or None if there is none yet. Blocks for seconds at most.

    Raises:
        UnreachableError: if the registry does not answer.
        CannotTellError: if only MLflow can ask it.
    """
    if tracking_uri.startswith(("http://", "https://")):
        return _ask_server(tracking_uri)
    if tracking_uri.startswith(SQLITE):
        return _ask_sqlite(Path(tracking_uri.removeprefix(SQLITE)))
    raise CannotTellError(tracking_uri.partition(":")[0])


def _ask_server(address: str) -> Registered | None:
    """Source: MLflow REST API, "Get Model Version by Alias"."""
    question = urllib.parse.urlencode({"name": MODEL_NAME, "alias": CHAMPION})
    place = f"{without_secret(address).rstrip('/')}/api/2.0/mlflow/registered-models/alias?{question}"
    request = urllib.request.Request(place, headers=credentials(address))  # noqa: S310 - http(s), checked above
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            found = json.load(answer)["model_version"]
            tags = {tag["key"]: tag["value"] for tag in found.get("tags", ())}
            return Registered(str(found["version"]), tags.get(MODEL_SHA256))
    except urllib.error.HTTPError as error:
        if _is_absent(error):
            return None
        raise UnreachableError(f"the registry answered {error.code}") from None
    except (OSError, HTTPException, ValueError, KeyError) as error:
        raise UnreachableError(f"the registry does not answer: {error}") from None


def _is_absent(error: urllib.error.HTTPError) -> bool:
    """No such model or alias: told by the code, because a proxy in between answers 404 as well."""
    try:
        code = json.load(error).get("error_code")
    except (ValueError, AttributeError, OSError):
        return False
    return code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def _ask_sqlite(path: Path) -> Registered | None:
    if not path.is_file():
        raise UnreachableError(f"there is no registry at {path}")
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_SECONDS)
        try:
            row = connection.execute(_QUERY, (MODEL_SHA256, MODEL_NAME, CHAMPION)).fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "no such" in str(error):  # another layout of MLflow's tables
            raise CannotTellError("sqlite") from None
        raise UnreachableError(f"the registry does not answer: {error}") from None
    except sqlite3.DatabaseError as error:
        raise UnreachableError(f"the registry cannot be read: {error}") from None
    return None if row is None else Registered(str(row[0]), row[1])
