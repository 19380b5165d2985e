"""The images are built and the composition is started for real, on podman with stand-ins for the upstream images or, where
TEST_CONTAINER_ENGINE=docker, on Docker with the upstream images themselves (docs/containers.md).

One story, in order: start, train, predict, back up, lose everything, restore.
"""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.engine import ENGINE, UPSTREAM, Composition, make_composition, require_engine
from tests.projects import QUICK

ROWS = 1500
OFFICIAL_BASE_MB = 125
"""What python:3.11-slim-bookworm takes unpacked; the stand-in for it is larger."""
API_LIMIT_MB = 700
DURING = pytest.mark.usefixtures("trained")


@pytest.fixture(scope="module")
def composition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composition]:
    require_engine()
    made = make_composition(tmp_path_factory.mktemp("composition") / "here")
    try:
        made.run("docker/stack.sh", "up")
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def trained(composition: Composition) -> Composition:
    """The sample table written and a champion trained, each by the command that docs/containers.md names."""
    kedro = ("docker", "compose", "run", "--rm", "train", "kedro", "run", "--env", "stack")
    composition.run(*kedro, "--pipelines", "sample_data", "--params", f"sample_data.rows={ROWS}")
    composition.run(*kedro, "--params", QUICK)
    return composition


def ask(composition: Composition, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
    """Status and JSON of the API's answer."""
    headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{composition.settings['API_PORT']}{path}", content, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def wait_ready(composition: Composition) -> None:
    """The API has fetched the champion and finds features."""
    for _ in range(240):
        try:
            if ask(composition, "/health/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail(f"the API is not ready:\n{composition.engine('logs', '--tail', '40', composition.container('api'))}")


def sql(composition: Composition, database: str, query: str, user: str = "postgres", password: str = "") -> str:
    host = ("-h", "127.0.0.1") if password else ()
    line = ("psql", "-XtA", *host, "-U", user, "-d", database, "-c", query)
    return composition.engine("exec", "-e", f"PGPASSWORD={password}", composition.container("postgres"), *line, check=False)


def test_env_has_its_own_secrets_and_is_private(composition: Composition) -> None:
    file = composition.folder / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    secrets = {name: value for name, value in composition.settings.items() if re.search(r"_(PASSWORD|KEY)$", name)}
    if ENGINE != "docker":
        del secrets["AWS_SECRET_ACCESS_KEY"], secrets["MLFLOW_S3_PASSWORD"]  # the stand-in's
    assert all(len(value) == 48 for value in secrets.values()), secrets
    assert len(set(secrets.values())) == len(secrets)
    before = file.read_text()
    composition.run("docker/stack.sh", "env")
    assert file.read_text() == before


def test_api_without_a_champion_lives_and_says_what_is_missing(composition: Composition) -> None:
    assert ask(composition, "/health/live")[0] == 200
    status, health = ask(composition, "/health/ready")
    assert status == 503
    assert set(health["problems"]) == {"champion", "features"}


def test_containers_run_without_root_on_read_only_disks(composition: Composition) -> None:
    for service in ("postgres", "redis", "mlflow", "api"):
        container = composition.container(service)
        assert composition.engine("exec", container, "id", "-u") != "0", service
        assert composition.run(ENGINE, "exec", container, "touch", "/opt/x", check=False).returncode != 0, service
        about = json.loads(composition.engine("inspect", container))[0]
        assert about["HostConfig"]["ReadonlyRootfs"] is True, service
        assert about.get("EffectiveCaps") in (None, []), service
        assert about["HostConfig"]["CapDrop"], service


def test_database_users_enter_their_own_database_only(composition: Composition) -> None:
    settings = composition.settings
    for name in ("mlflow", "feast", "churn"):
        password = settings[f"{name.upper()}_DB_PASSWORD"]
        assert sql(composition, name, "select current_user", name, password) == name
        assert sql(composition, name, "select current_user", name, "wrong") == ""
        for other in {"mlflow", "feast", "churn", "postgres"} - {name}:
            assert sql(composition, other, "select current_user", name, password) == "", f"{name} in {other}"
    assert sql(composition, "postgres", "select string_agg(rolname, ',') from pg_roles where rolsuper") == "postgres"


def objects(composition: Composition, command: str, bucket: str, user: str) -> tuple[int, str]:
    """A command of object_copy under the keys of a user of MinIO."""
    name, password = {"churn": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "mlflow": ("MLFLOW_S3_USER", "MLFLOW_S3_PASSWORD")}[user]
    keys = {"AWS_ACCESS_KEY_ID": composition.settings[name], "AWS_SECRET_ACCESS_KEY": composition.settings[password]}
    flags = ("run", "--rm", "--no-deps", "-T", "-e", "AWS_ACCESS_KEY_ID", "-e", "AWS_SECRET_ACCESS_KEY")
    line = ("docker", "compose", *flags, "train", "python", "-m", "churn.io.files.object_copy", command, bucket)
    done = composition.run(*line, check=False, **keys)
    return done.returncode, done.stderr


@UPSTREAM
def test_users_of_the_object_store_enter_their_own_buckets_only(composition: Composition) -> None:
    assert objects(composition, "dump", "mlflow", "mlflow")[0] == 0
    for bucket, user in (("churn", "mlflow"), ("dvc", "mlflow"), ("mlflow", "churn")):
        status, said = objects(composition, "dump", bucket, user)
        assert status == 1, f"{user} reads {bucket}"
        assert "AccessDenied" in said


@UPSTREAM
def test_a_second_start_changes_nothing(composition: Composition) -> None:
    before = (composition.folder / ".env").read_text()
    composition.run("docker/stack.sh", "up")
    assert (composition.folder / ".env").read_text() == before
    assert ask(composition, "/health/live")[0] == 200


def test_redis_wants_its_password(composition: Composition) -> None:
    answer = composition.engine("exec", composition.container("redis"), "redis-cli", "ping", check=False)
    assert "NOAUTH" in answer


def test_api_image_carries_what_serving_imports(composition: Composition) -> None:
    absent = ["kedro", "evidently", "shap", "gradio", "nvidia", "matplotlib", "optuna", "dvc", "pip", "churn.pipelines"]
    script = f"import importlib.util as u; print([name for name in {absent} if u.find_spec(name)])"
    assert composition.engine("exec", composition.container("api"), "python", "-c", script) == "[]"
    sizes = {
        name: int(composition.engine("image", "inspect", "--format", "{{.Size}}", composition.settings[name]))
        for name in ("API_IMAGE", "PYTHON_IMAGE")
    }
    size = (sizes["API_IMAGE"] - sizes["PYTHON_IMAGE"]) / 1e6 + OFFICIAL_BASE_MB
    assert size < API_LIMIT_MB, f"the API's image would take {size:.0f} MB"


def test_images_hold_no_build_tools_and_no_secret(composition: Composition) -> None:
    for name in ("API_IMAGE", "PIPELINE_IMAGE", "MLFLOW_IMAGE"):
        image = composition.settings[name]
        look = "ls -d /root/.cache/uv/* /tmp/installer /app/.env /app/data/raw/*.csv /app/tests 2>/dev/null; command -v gcc make uv; true"
        assert composition.engine("run", "--rm", "--network", "none", image, "sh", "-c", look) == "", name
        history = composition.engine("history", "--no-trunc", image) + composition.engine("image", "inspect", image)
        for setting, value in composition.settings.items():
            if re.search(r"_(PASSWORD|KEY)$", setting):
                assert value not in history, f"{setting} in {image}"


@DURING
def test_a_customer_is_scored_by_the_champion_trained_in_the_stack(composition: Composition) -> None:
    wait_ready(composition)
    customer, key = example(composition), composition.settings["CHURN_PREDICT_KEY"]
    assert ask(composition, "/predict", {"customer_id": customer})[0] == 401
    status, answer = ask(composition, "/predict", {"customer_id": customer, "reasons": 2}, key)
    assert status == 200, answer
    assert 0 < answer["churn_probability"] < 1
    assert answer["model"]["version"] == "1"
    logged = sql(composition, "churn", f"select probability from prediction_log where prediction_id = '{answer['prediction_id']}'")
    assert float(logged) == answer["churn_probability"]


@UPSTREAM
@DURING
def test_the_profile_monitoring_shows_reports_and_metrics(composition: Composition) -> None:
    composition.run("docker", "compose", "--profile", "monitoring", "up", "--detach", "--wait", "--wait-timeout", "300")

    def shown(service: str, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{composition.settings[service]}{path}", timeout=30) as answer:
            return json.loads(answer.read())

    assert shown("EVIDENTLY_PORT", "/api/version")
    assert shown("GRAFANA_PORT", "/api/health")["database"] == "ok"
    for _ in range(120):  # until the first time that Prometheus asks
        (target,) = shown("PROMETHEUS_PORT", "/api/v1/targets")["data"]["activeTargets"]
        if target["health"] == "up":
            return
        time.sleep(0.5)
    pytest.fail(f"Prometheus does not reach the API: {target['lastError']}")


def example(composition: Composition) -> str:
    """A customer that the API itself names as the example."""
    return str(re.search(r'"customer_id": "([^"]+)"', json.dumps(ask(composition, "/openapi.json")[1]["paths"]["/predict"]))[1])  # type: ignore[index]


@DURING
def test_everything_lost_comes_back_from_the_backup(composition: Composition, tmp_path: Path) -> None:
    wait_ready(composition)
    customer, key = example(composition), composition.settings["CHURN_PREDICT_KEY"]
    before = ask(composition, "/predict", {"customer_id": customer}, key)[1]
    backup = tmp_path / "backup"
    composition.run("docker/backup.sh", "backup", str(backup))
    assert sorted(path.name for path in backup.iterdir()) == ["SHA256SUMS", "churn.dump", "feast.dump", "mlflow.dump", "objects.tar"]

    kept = composition.volumes()
    composition.run("docker/stack.sh", "down")
    assert composition.volumes() == kept, "the data outlives the containers"
    composition.engine("volume", "rm", *kept)
    composition.run("docker/stack.sh", "up")
    assert ask(composition, "/health/ready")[0] == 503
    damaged = tmp_path / "damaged"
    composition.run("cp", "-r", str(backup), str(damaged))
    (damaged / "churn.dump").write_bytes(b"something else")
    refused = composition.run("docker/backup.sh", "restore", str(damaged), check=False)
    assert refused.returncode != 0
    assert "Nothing was changed" in refused.stderr

    composition.run("docker/backup.sh", "restore", str(backup))
    wait_ready(composition)
    after = ask(composition, "/predict", {"customer_id": customer}, key)[1]
    assert after["churn_probability"] == before["churn_probability"]
    assert after["model"] == before["model"]
    assert sql(composition, "churn", f"select count(*) from prediction_log where prediction_id = '{before['prediction_id']}'") == "1"
