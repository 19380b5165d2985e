"""Putting the API into production: does it need a new image, build it, restart with it, see that it serves, go back."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from churn import preflight
from churn.config import Config, dataset_path
from churn.core.errors import ChurnError

DOCKERFILE = Path("docker/api.Dockerfile")
EXAMPLE = Path(".env.example")
"""Pins the base image; each installation's own settings are a copy of it."""
SERVICE = "api"
REVISION = "org.opencontainers.image.revision"
"""The image's label that names its commit (OCI image specification, annotations)."""
IMAGE_VARIABLE, REQUIREMENTS_VARIABLE, BASE_VARIABLE = "API_IMAGE", "API_REQUIREMENTS", "PYTHON_IMAGE"
_NOT_IN_IMAGE = ":(exclude)src/churn/pipelines"


def image_needed(root: Path, commit: str | None) -> bool:
    """Whether anything that the image is made of has changed since a commit; so it is where the commit is unknown."""
    if not commit or _git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        return True
    return _git(root, "diff", "--quiet", commit, "HEAD", "--", *image_sources(root), _NOT_IN_IMAGE).returncode != 0


def image_sources(root: Path) -> list[str]:
    """What the Dockerfile copies from the project, itself, what keeps files out, and what pins the base image."""
    text, arguments = (root / DOCKERFILE).read_text(encoding="utf-8"), build_arguments(root)
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, flags=re.M) for name in line.split()]
    named = [re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], name) for name in copied]
    return [str(DOCKERFILE), ".dockerignore", str(EXAMPLE), *named]


def build_arguments(root: Path) -> dict[str, str]:
    """The base image as the commit pins it, and the requirements that this installation has chosen (with the page or without)."""
    example, file = _settings(root / EXAMPLE), settings_file(root)
    own = _settings(file) if file.is_file() else {}
    chosen = own.get(REQUIREMENTS_VARIABLE) or example[REQUIREMENTS_VARIABLE]
    return {BASE_VARIABLE: example[BASE_VARIABLE], REQUIREMENTS_VARIABLE: chosen}


def settings_file(root: Path) -> Path:
    """The composition's settings, as Compose finds them: the last of COMPOSE_ENV_FILES, else .env."""
    named = os.environ.get("COMPOSE_ENV_FILES", "").split(",")[-1].strip()
    return root / (named or ".env")


def running_image(root: Path) -> str | None:
    """The image that the API's container runs, None where there is no container."""
    container = _docker(root, "compose", "ps", "--quiet", SERVICE, check=False)
    return _docker(root, "inspect", "--format", "{{.Image}}", container) if container else None


def revision(root: Path, image: str) -> str:
    """The commit that an image was built from; empty where it does not say."""
    return _docker(root, "image", "inspect", "--format", f'{{{{index .Config.Labels "{REVISION}"}}}}', image, check=False)


def build(root: Path, name: str, commit: str) -> tuple[str, str]:
    """Build the image, and tag it by commit and by digest.

    Returns:
        The tag by commit, and the digest.
    """
    tag = f"{name}:{commit}"
    arguments = [part for pair in build_arguments(root).items() for part in ("--build-arg", "=".join(pair))]
    _docker(root, "build", "--file", str(DOCKERFILE), *arguments, "--label", f"{REVISION}={commit}", "--tag", tag, ".")
    digest = _docker(root, "image", "inspect", "--format", "{{.Id}}", tag)
    tag_by_digest(root, name, digest)
    return tag, digest


def tag_by_digest(root: Path, name: str, digest: str) -> str:
    """Name an image by its digest, so that it can be gone back to; the name."""
    tag = f"{name}:{digest.replace(':', '-')}"
    _docker(root, "tag", digest, tag)
    return tag


def restart(root: Path, image: str) -> None:
    """Let the API's container run an image, now and whenever the composition is started; the other services stay as they are.

    Raises:
        ChurnError: if it does not start, or the composition has no settings to keep the image in.
    """
    file = _require_settings(root)
    _docker(root, "compose", "up", "--detach", "--no-deps", SERVICE, image=image)
    _keep(file, image)


def _keep(file: Path, image: str) -> None:
    """Write the image into the composition's settings; these are there whole at any time, and private."""
    line, text = f"{IMAGE_VARIABLE}={image}", file.read_text(encoding="utf-8")
    changed, found = re.subn(rf"^{IMAGE_VARIABLE}=.*$", lambda _: line, text, flags=re.M)
    part = file.with_name(f"{file.name}.update")
    part.touch(mode=0o600)
    part.write_text(changed if found else f"{text.rstrip()}\n{line}\n", encoding="utf-8")
    part.replace(file)


def require(config: Config) -> None:
    """Find out before anything is restarted whether `verify` and `undo` will have what they need.

    Raises:
        ChurnError: naming what is missing.
    """
    _require_settings(config.root)
    preflight.require([*preflight.of_registry(config), *preflight.of_storage(config)], config)
    if config.settings["api_key"] == "required" and not _key():
        raise ChurnError("The API asks for a key, and CHURN_API_KEYS has none for predictions (predict:KEY): see docs/runner.md.")
    some_customer(config)


def wait_until_ready(url: str, version: str | None, seconds: float) -> str:
    """Wait until the API is ready with a version (None: any).

    Returns:
        The version that it serves.

    Raises:
        ChurnError: if it is not in time, with the last that was heard of it.
    """
    end, heard = time.monotonic() + seconds, "nothing was heard of it"
    while time.monotonic() < end:
        try:
            state = _ask(f"{url}/health/ready")
            if version in (None, state["model_version"]) and state["status"] != "unready":
                return str(state["model_version"])
            heard = f"it is {state['status']} with version {state['model_version']}: {state['problems']}"
        except (OSError, ValueError, KeyError) as error:
            heard = str(error)
        time.sleep(1)
    raise ChurnError(f"The API at {url} is not ready with version {version or 'any'} within {seconds:g} seconds; {heard}.")


def smoke_test(url: str, customer_id: str, version: str | None) -> dict[str, Any]:
    """Ask for one prediction.

    Raises:
        ChurnError: if there is no answer, no probability in it, or another version has made it.
    """
    try:
        found: dict[str, Any] = _ask(f"{url}/predict", {"customer_id": customer_id})
    except (OSError, ValueError) as error:
        raise ChurnError(f"The API at {url} does not predict: {error}.") from None
    if not 0 <= found["churn_probability"] <= 1 or version not in (None, found["model"]["version"]):
        raise ChurnError(f"The API at {url} answers {found}, not a probability by version {version}.")
    return found


def some_customer(config: Config) -> str:
    """A customer whom the last evaluation scored, so that there are features.

    Raises:
        ChurnError: if there was no evaluation.
    """
    import pandas as pd

    place = dataset_path(config, "predictions")
    try:
        return str(pd.read_parquet(place, columns=["customer_id"])["customer_id"].iloc[0])
    except FileNotFoundError:
        raise ChurnError(
            f"There is no {place}, so nobody to ask a prediction for: train first, or set KEDRO_ENV (it is {config.environment!r})."
        ) from None


def _ask(url: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Content-Type": "application/json", **_key()}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)  # noqa: S310 - the API's own address
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if url.endswith("/health/ready"):
            return json.load(error)
        raise OSError(f"it answered {error.code}") from None


def _key() -> dict[str, str]:
    """A key for predictions, out of CHURN_API_KEYS (docs/api.md); one of which only the hash is known is of no use here."""
    entries = (entry.strip().partition(":") for entry in os.environ.get("CHURN_API_KEYS", "").split(","))
    keys = [key for scope, _, key in entries if scope == "predict" and not key.startswith("sha256=")]
    return {"X-API-Key": keys[0]} if keys else {}


def _settings(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", file.read_text(encoding="utf-8"), flags=re.M))


def _require_settings(root: Path) -> Path:
    file = settings_file(root)
    if not file.is_file():
        raise ChurnError(f"There is no {file}, the composition's settings: name its .env in COMPOSE_ENV_FILES (docs/runner.md).")
    return file


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)  # noqa: S603, S607 - git from the PATH


def _docker(root: Path, *arguments: str, check: bool = True, image: str | None = None) -> str:
    environment = {**os.environ, **({IMAGE_VARIABLE: image} if image else {})}
    try:
        done = subprocess.run(["docker", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise ChurnError("There is no `docker` on the PATH: the API's container is restarted with Docker Compose.") from None
    if done.returncode and check:
        raise ChurnError(f"`docker {' '.join(arguments[:2])}` failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip() if done.returncode == 0 else ""
