"""In place of `docker` in the workflow tests: the few commands that a deployment gives, and uvicorn in place of a container.

`docker compose up` starts the API of this checkout in the project; an image built while the file `broken` lies in the
project's folder never answers. State: $DOCKER_STANDIN/state.json. What is not known here is an error.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ.get("DOCKER_STANDIN", ""))
STATE = FOLDER / "state.json"


def main(line: list[str]) -> str:
    state = json.loads(STATE.read_text()) if STATE.exists() else {"images": {}, "tags": {}, "container": None}
    with (FOLDER / "calls.txt").open("a") as calls:
        calls.write(" ".join(line) + "\n")
    found = answer(line, state)
    STATE.write_text(json.dumps(state))
    return found


def answer(line: list[str], state: dict) -> str:  # noqa: PLR0911 - one for each command
    match line:
        case ["compose", "ps", "--quiet", "api"]:
            return "a-container" if state["container"] else ""
        case ["inspect", "--format", "{{.Image}}", "a-container"]:
            return state["container"]["image"]
        case ["image", "inspect", "--format", "{{.Id}}", name]:
            return identity(name, state)
        case ["image", "inspect", "--format", text, name] if "image.revision" in text:
            return state["images"][identity(name, state)]["revision"]
        case ["build", "--file", _, "--build-arg", base, "--build-arg", requirements, "--label", label, "--tag", tag, "."]:
            assert "@sha256:" in base
            assert requirements == "API_REQUIREMENTS=requirements-serving.txt"
            return build(label.split("=")[1], tag, state)
        case ["tag", name, other]:
            state["tags"][other] = identity(name, state)
            return ""
        case ["compose", "up", "--detach", "--no-deps", "api"]:
            return up(identity(os.environ["API_IMAGE"], state), state)
    raise SystemExit(f"docker stand-in: not known: {line}")


def identity(name: str, state: dict) -> str:
    return name if name in state["images"] else state["tags"][name]


def build(revision: str, tag: str, state: dict) -> str:
    number = "sha256:" + hashlib.sha256(revision.encode()).hexdigest()
    state["images"][number] = {"revision": revision, "broken": Path("broken").exists()}
    state["tags"][tag] = number
    return ""


def up(image: str, state: dict) -> str:
    if state["container"] and state["container"]["pid"]:
        stop(state["container"]["pid"])
    state["container"] = {"image": image, "pid": None if state["images"][image]["broken"] else start()}
    return ""


def start() -> int:
    line = [sys.executable, "-m", "uvicorn", "serving.app:app", "--port", os.environ["API_PORT"], "--no-access-log"]
    with (FOLDER / "api.log").open("ab") as log:
        environment = {**os.environ, "PYTHONPATH": os.environ["API_CODE"]}
        return subprocess.Popen(line, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True).pid


def stop(pid: int) -> None:
    """End the server and its children, and wait until it is gone."""
    try:
        os.killpg(pid, signal.SIGTERM)
        for _ in range(400):
            os.killpg(pid, 0)
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]) + "\n")
