"""Whether the services of an environment answer: asked before a run and when one breaks off, within seconds.

A problem is a sentence for people: which service, at which address (never its secret), and what to do.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from churn.core.errors import ChurnError

SECONDS = 15
"""How long a service may take to answer; a busy one takes a few."""
STARTED = "Is it running, and can it be reached from here? (docs/stack.md)"


class ServiceError(ChurnError):
    """Services that a command needs do not answer."""


@dataclass(frozen=True)
class Service:
    """A service that is needed.

    Attributes:
        name: what it is to people, such as "MLflow".
        address: with its secret, as the environment gives it.
        setting: the environment variable (or variables) to look at.
        problem: asks it; what is wrong, or None.
    """

    name: str
    address: str = field(repr=False)
    setting: str
    problem: Callable[["Service"], str | None]


def problems(services: Iterable[Service]) -> list[str]:
    """What is wrong with the services, in their order; all are asked at once."""
    from concurrent.futures import ThreadPoolExecutor

    asked = list(dict.fromkeys(services))
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        found = pool.map(lambda service: service.problem(service), asked)
        return list(dict.fromkeys(problem for problem in found if problem))


def require(services: Iterable[Service]) -> None:
    """Go on only if every service answers.

    Raises:
        ServiceError: one message that names each that does not.
    """
    if found := problems(services):
        raise ServiceError("\n".join([*found, "Nothing was written."]))


def unset(file: str, names: Iterable[str]) -> Service:
    """Stands for the services whose addresses are missing from the environment."""
    message = f"{file} needs environment variables that are not set: {', '.join(names)} (docs/stack.md)."
    return Service(file, "", "", lambda _service: message)


def without_secret(url: str) -> str:
    """A URL as it may be shown: no password, no user where MLflow would send one, no query."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username and not parts.scheme.startswith("http") else ""
    host = parts.hostname or ""
    place = f"{f'[{host}]' if ':' in host else host}{_port(parts)}"  # brackets: an IPv6 address
    return f"{parts.scheme.partition('+')[0]}://{user}{place}{parts.path}"


def credentials(address: str) -> dict[str, str]:
    """The headers that tell an MLflow server who asks: as MLflow's client takes them, from the address or the environment."""
    import base64
    import os
    from urllib.parse import unquote, urlsplit

    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    parts = urlsplit(address)
    name = os.environ.get("MLFLOW_TRACKING_USERNAME") or unquote(parts.username or "")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or unquote(parts.password or "")
    if not (name and password):
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def _port(parts: Any) -> str:
    try:
        return f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""


def said(service: Service, address: str, what: str, advice: str) -> str:
    """A problem in the words of all problems."""
    return f"{service.name} at {address} {what}. {advice}"
