"""A container engine for the tests, and the composition in a folder of its own.

Podman with stand-ins for the upstream images, which no registry is needed for; or, with TEST_CONTAINER_ENGINE=docker, Docker with
the upstream images themselves.
"""

import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.projects import BIN, ROOT
from tests.services.processes import free_port

ENGINE = os.environ.get("TEST_CONTAINER_ENGINE", "podman")
UPSTREAM = pytest.mark.skipif(ENGINE != "docker", reason="the stand-ins are not the upstream images: TEST_CONTAINER_ENGINE=docker")
HERE = Path(__file__).parent
STANDINS = HERE / "standins"
PARTS = ("conf", "docker", "feature_repo", "serving", "src")
FILES = ("docker-compose.yml", ".env.example", ".dockerignore", ".telemetry", "LICENSE", "README.md", "pyproject.toml")
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def require_engine() -> None:
    """Without podman, debootstrap and root the tests are left out, with the reason; REQUIRE_PODMAN=1 makes that a failure."""
    if ENGINE == "docker":
        return  # it was asked for
    absent = [name for name in ("podman", "runc", "debootstrap") if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    reason = f"not installed: {', '.join(absent)}" if absent else "" if os.getuid() == 0 else "podman's tests run as root"
    if reason:
        advice = f"no composition is started: {reason} (tests/containers/install.sh installs what is needed)"
        pytest.fail(advice) if os.environ.get("REQUIRE_PODMAN") == "1" else pytest.skip(advice)


def kept_environment() -> dict[str, str]:
    """The caller's environment without settings of the caller's."""
    return {key: value for key, value in os.environ.items() if not re.match(r"KEDRO_|MLFLOW_|CHURN_|COV_|AWS_|PROMETHEUS_|COMPOSE_", key)}


def engine_environment(folder: Path) -> dict[str, str]:
    """The environment in which `docker` is the stand-in and builds reach the package index as this machine does."""
    configuration = folder / "containers.conf"
    configuration.write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:2048", "nproc=1024:2048"]\n[engine]\nruntime = "runc"\n'  # crun wants systemd
    )
    tools = folder / "tools"
    tools.mkdir()
    (tools / "uv.toml").write_text("native-tls = true\n")
    cache = subprocess.run([BIN / "uv", "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    Path(cache).mkdir(parents=True, exist_ok=True)
    mounts = [f"{tools}:/etc/uv:ro", f"{cache}:/root/.cache/uv"]
    mounts += [f"{path}:{path}:ro" for path in (BUNDLE, Path("/etc/pip.conf")) if path.exists()]
    kept = kept_environment()
    return {
        **kept,
        "PATH": f"{STANDINS}{os.pathsep}{BIN}{os.pathsep}{kept['PATH']}{os.pathsep}/usr/sbin",
        "CONTAINERS_CONF": str(configuration),
        "STANDIN_BUILD_ARGS": " ".join(f"-v {mount}" for mount in mounts),
    }


@dataclass
class Composition:
    """The project's composition in a folder, with its `.env`."""

    folder: Path
    environment: dict[str, str]

    @property
    def project(self) -> str:
        return self.environment["COMPOSE_PROJECT_NAME"]

    @property
    def settings(self) -> dict[str, str]:
        """What `.env` says."""
        return dict(re.findall(r"^(\w+)=(.*)$", (self.folder / ".env").read_text(), re.MULTILINE))

    def set(self, **settings: str) -> None:
        """Change lines of `.env`."""
        text = (self.folder / ".env").read_text()
        for name, value in settings.items():
            text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        (self.folder / ".env").write_text(text)

    def run(self, *line: str, check: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
        """A command in the folder; `changes` of its environment."""
        environment = {**self.environment, **changes}
        done = subprocess.run(line, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, (
            f"{' '.join(line)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
        return done

    def engine(self, *arguments: str, check: bool = True) -> str:
        return self.run(ENGINE, *arguments, check=check).stdout.strip()

    def container(self, service: str) -> str:
        between = "-" if ENGINE == "docker" else "_"
        return f"{self.project}{between}{service}{between}1"

    def volumes(self) -> list[str]:
        names = self.engine("volume", "ls", "--format", "{{.Name}}").splitlines()
        return [name for name in names if name.startswith(f"{self.project}_")]

    def remove(self) -> None:
        """End its containers and remove its volumes and networks; images stay as a cache for the next time."""
        containers = self.engine("ps", "--all", "--quiet", "--filter", f"name=^{self.project}[-_]", check=False).split()
        if containers:
            self.engine("rm", "--force", *containers, check=False)
        for volume in self.volumes():
            self.engine("volume", "rm", "--force", volume, check=False)
        self.engine("network", "rm", f"{self.project}_stack", check=False)


def make_composition(folder: Path) -> Composition:
    """A copy of the project's composition, whose upstream images are stand-ins unless Docker is the engine; with its `.env`."""
    folder.mkdir()
    environment = kept_environment() if ENGINE == "docker" else engine_environment(folder)
    project = folder / "project"
    project.mkdir()
    for name in PARTS:
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "local"))
    for name in (*FILES, *(path.name for path in ROOT.glob("requirements*.txt"))):
        shutil.copy2(ROOT / name, project / name)
    made = Composition(project, {**environment, "COMPOSE_PROJECT_NAME": f"churn-{secrets.token_hex(3)}"})
    made.run("docker/stack.sh", "env")
    made.set(**{name: str(free_port()) for name in made.settings if name.endswith("_PORT")})
    if ENGINE == "docker":
        made.engine("pull", "--quiet", made.settings["PYTHON_IMAGE"])  # a build would keep it to itself
    else:
        put_standins(made)
    return made


def put_standins(made: Composition) -> None:
    """Replace the upstream images, and make the accounts those that the stand-in for MinIO knows."""
    made.set(**dict(line.split("=", 1) for line in made.run(str(STANDINS / "prepare.sh")).stdout.splitlines()))
    user, password = "stack:churn", made.settings["MINIO_ROOT_PASSWORD"]  # the stand-in for MinIO knows one user
    made.set(MINIO_ROOT_USER=user, AWS_ACCESS_KEY_ID=user, MLFLOW_S3_USER=user)
    made.set(AWS_SECRET_ACCESS_KEY=password, MLFLOW_S3_PASSWORD=password)
