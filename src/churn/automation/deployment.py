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

from churn.config import Config, dataset_path
from churn.core.errors import ChurnError

DOCKERFILE = Path("docker/api.Dockerfile")
SERVICE = "api"
REVISION = "org.opencontainers.image.revision"
"""The image's label that names its commit (OCI image specification, annotations)."""
IMAGE_VARIABLE = "API_IMAGE"
_NOT_IN_IMAGE = ":(exclude)src/churn/pipelines"


def image_needed(root: Path, commit: str | None) -> bool:
    """Whether anything that the image is made of has changed since a commit; so it is where the commit is unknown."""
    if not commit or _git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        return True
    return _git(root, "diff", "--quiet", commit, "HEAD", "--", *image_sources(root), _NOT_IN_IMAGE).returncode != 0


def image_sources(root: Path) -> list[str]:
    """What the Dockerfile copies from the project, and itself."""
    text = (root / DOCKERFILE).read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", text, flags=re.M))
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, flags=re.M) for name in line.split()]
    return [str(DOCKERFILE), *(re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], name) for name in copied)]


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
    _docker(root, "build", "--file", str(DOCKERFILE), *_arguments(root), "--label", f"{REVISION}={commit}", "--tag", tag, ".")
    digest = _docker(root, "image", "inspect", "--format", "{{.Id}}", tag)
    _docker(root, "tag", tag, f"{name}:{digest.replace(':', '-')}")
    return tag, digest


def restart(root: Path, image: str) -> None:
    """Let the API's container run an image; the other services stay as they are."""
    _docker(root, "compose", "up", "--detach", "--no-deps", SERVICE, image=image)


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
        found = _ask(f"{url}/predict", {"customer_id": customer_id})
    except (OSError, ValueError) as error:
        raise ChurnError(f"The API at {url} does not predict: {error}.") from None
    if not 0 <= found["churn_probability"] <= 1 or version not in (None, found["model"]["version"]):
        raise ChurnError(f"The API at {url} answers {found}, not a probability by version {version}.")
    return found


def some_customer(config: Config) -> str:
    """A customer whom the last evaluation scored, so that there are features."""
    import pandas as pd

    return str(pd.read_parquet(dataset_path(config, "predictions"), columns=["customer_id"])["customer_id"].iloc[0])


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
    """The key for predictions, out of CHURN_API_KEYS (role:key, separated by commas)."""
    keys = dict(entry.split(":", 1) for entry in os.environ.get("CHURN_API_KEYS", "").split(",") if ":" in entry)
    return {"X-API-Key": keys["predict"]} if "predict" in keys else {}


def _arguments(root: Path) -> list[str]:
    """The base image, as .env (else .env.example) pins it."""
    file = next(path for path in (root / ".env", root / ".env.example") if path.exists())
    (image,) = re.findall(r"^PYTHON_IMAGE=(\S+)", file.read_text(encoding="utf-8"), flags=re.M)
    return ["--build-arg", f"PYTHON_IMAGE={image}"]


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
