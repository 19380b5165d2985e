"""What people meet first: a service that is down, a wrong password, a wrong host, a missing bucket. One message, nothing written."""

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager

from churn import config, preflight
from churn.core.errors import ChurnError
from churn.hooks import ProjectHooks
from churn.io import connections, service_checks
from tests.projects import ROOT, copy_project, run_command
from tests.services.mlflow_server import MlflowServer
from tests.services.postgres import Postgres
from tests.services.processes import free_port
from tests.services.redis import Redis
from tests.services.s3 import S3
from tests.services.stack import secrets_of, stack_environment


@pytest.fixture(scope="module")
def environment(postgres: Postgres, redis: Redis, s3: S3, mlflow_server: MlflowServer) -> dict[str, str]:
    return stack_environment(postgres, redis, s3, mlflow_server)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers, as behind some firewalls."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def stack_config(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> config.Config:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config._load.cache_clear()
    return config.load(ROOT, "stack")


def said(services: list[connections.Service]) -> str:
    return "\n".join(connections.problems(services))


def test_services_that_answer_are_no_problem(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = preflight.of_environment(stack_config(monkeypatch, environment))
    assert {service.name.partition(" ")[0] for service in found} == {"MLflow", "The", "PostgreSQL", "Redis"}
    assert said(found) == ""


def changed(environment: dict[str, str], **changes: str) -> dict[str, str]:
    return {**environment, **changes}


def wrong_password(url: str) -> str:
    start, _, place = url.partition("@")
    return f"{start.rpartition(':')[0]}:a-wrong-password@{place}"


def at_port(url: str, port: int) -> str:
    start, _, rest = url.rpartition(":")
    return f"{start}:{port}/{rest.partition('/')[2]}".rstrip("/")


def test_wrong_passwords(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = changed(
        environment,
        AWS_SECRET_ACCESS_KEY="a-wrong-password",
        REDIS_PASSWORD="a-wrong-password",
        FEAST_REGISTRY_URL=wrong_password(environment["FEAST_REGISTRY_URL"]),
        CHURN_PREDICTION_LOG=wrong_password(environment["CHURN_PREDICTION_LOG"]),
    )
    message = said(preflight.of_environment(stack_config(monkeypatch, wrong)))
    endpoint, redis = environment["AWS_ENDPOINT_URL"], environment["REDIS_ADDRESS"].partition(",")[0]
    assert f"The object store (S3) at {endpoint}, bucket {environment['CHURN_BUCKET']} refuses these keys" in message
    assert f"Redis (Feast's online store) at {redis} refuses this password. Check REDIS_PASSWORD." in message
    for variable, purpose in (("FEAST_REGISTRY_URL", "Feast's registry"), ("CHURN_PREDICTION_LOG", "prediction log and")):
        user, _, place = environment[variable].partition("://")[2].partition("@")
        line = next(line for line in message.splitlines() if line.startswith(f"PostgreSQL ({purpose}"))
        assert f"postgresql://{user.partition(':')[0]}@{place} refuses this user and password. Check {variable}." in line
    assert len(message.splitlines()) == 4
    assert not any(secret in message for secret in {*secrets_of(environment), "a-wrong-password"})


def test_services_that_are_down(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    down = changed(
        environment,
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        MLFLOW_TRACKING_URI=f"http://user:a-secret@127.0.0.1:{port}",
        REDIS_ADDRESS=f"127.0.0.1:{port}",
        FEAST_REGISTRY_URL=at_port(environment["FEAST_REGISTRY_URL"], port),
        CHURN_PREDICTION_LOG=at_port(environment["CHURN_PREDICTION_LOG"], port),
    )
    message = said(preflight.of_environment(stack_config(monkeypatch, down)))
    lines = message.splitlines()
    assert len(lines) == 5, message
    assert all(f"127.0.0.1:{port}" in line and "does not answer" in line and "Is it running" in line for line in lines), message
    assert not any(secret in message for secret in {*secrets_of(environment), "a-secret"})


def test_services_that_never_answer(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    """The test ends because the checks do."""
    monkeypatch.setattr(service_checks, "SECONDS", 1)
    mute = changed(
        environment,
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent}",
        MLFLOW_TRACKING_URI=f"http://127.0.0.1:{silent}",
        REDIS_ADDRESS=f"127.0.0.1:{silent}",
        FEAST_REGISTRY_URL=at_port(environment["FEAST_REGISTRY_URL"], silent),
        CHURN_PREDICTION_LOG=at_port(environment["CHURN_PREDICTION_LOG"], silent),
    )
    message = said(preflight.of_environment(stack_config(monkeypatch, mute)))
    assert len(message.splitlines()) == 5, message
    assert all("does not answer" in line for line in message.splitlines()), message


def test_a_wrong_host(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    lost = changed(
        environment,
        AWS_ENDPOINT_URL="http://no-such-host.invalid:9000",
        MLFLOW_TRACKING_URI="http://no-such-host.invalid:5000",
        REDIS_ADDRESS="no-such-host.invalid:6379",
        FEAST_REGISTRY_URL="postgresql+psycopg://feast:x@no-such-host.invalid:5432/feast",
    )
    lines = said(preflight.of_environment(stack_config(monkeypatch, lost))).splitlines()
    assert len(lines) == 4
    assert all("no-such-host.invalid" in line and "does not answer" in line for line in lines), lines


def test_a_missing_bucket_and_a_missing_database(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, postgres: Postgres) -> None:
    start = environment["FEAST_REGISTRY_URL"].rpartition("/")[0]
    gone = changed(environment, CHURN_BUCKET="no-such-bucket", FEAST_REGISTRY_URL=f"{start}/no_such_database")
    message = said(preflight.of_environment(stack_config(monkeypatch, gone)))
    assert "has no bucket no-such-bucket. Make it (`aws s3 mb s3://no-such-bucket`) or set CHURN_BUCKET." in message
    assert 'database "no_such_database" does not exist' in message
    assert len(message.splitlines()) == 2


def test_another_program_in_mlflows_place(s3: S3) -> None:
    (message,) = connections.problems([service_checks.mlflow_server(s3.endpoint)])
    assert message.startswith(f"MLflow at {s3.endpoint} ")
    assert "MLFLOW_TRACKING_URI" in message


def test_a_server_that_refuses_its_own_host_name(mlflow_server: MlflowServer) -> None:
    """MLflow's check against DNS rebinding: /health stays green, the API answers 403."""
    by_another_name = mlflow_server.uri.replace("127.0.0.1", "127.1")
    (message,) = connections.problems([service_checks.mlflow_server(by_another_name)])
    assert "MLFLOW_SERVER_ALLOWED_HOSTS" in message


def test_unset_variables_are_all_named_at_once(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHURN_PREDICTION_LOG", raising=False)
    config._load.cache_clear()
    with pytest.raises(ChurnError, match=r"globals.yml needs environment variables that are not set: CHURN_PREDICTION_LOG \(docs"):
        config.load(ROOT, "stack")
    loaded = stack_config(monkeypatch, environment)
    for name in ("REDIS_ADDRESS", "REDIS_PASSWORD", "FEAST_REGISTRY_URL"):
        monkeypatch.delenv(name)
    message = said(preflight.of_environment(loaded))
    assert (
        "feature_store.stack.yaml needs environment variables that are not set: FEAST_REGISTRY_URL, REDIS_ADDRESS, REDIS_PASSWORD"
        in message
    )
    assert len(message.splitlines()) == 1


def test_only_what_the_datasets_need_is_asked(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = stack_config(monkeypatch, environment)
    feast = loaded.settings["feast_file"]

    def kinds(*entries: dict[str, Any]) -> list[str]:
        return [service.name for service in preflight.of_datasets(loaded, entries)]

    assert kinds({"type": "json.JSONDataset", "filepath": f"{loaded.settings['storage']}/a.json"}) == ["The object store (S3)"]
    assert kinds({"type": "churn.io.files.rows.RowsDataset"}) == []
    history = {"type": "churn.io.features.feast_datasets.HistoricalFeaturesDataset", "filepath": feast}
    assert kinds(history) == ["PostgreSQL (Feast's registry)"]
    online = {"type": "churn.io.features.feast_datasets.OnlineFeaturesDataset", "filepath": feast}
    assert kinds(online, history) == ["PostgreSQL (Feast's registry)", "Redis (Feast's online store)"]
    config._load.cache_clear()
    assert preflight.of_environment(config.load(ROOT, "base")) == []


def test_a_run_that_breaks_off_names_the_service_that_went_away(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    gone = changed(environment, REDIS_ADDRESS=f"127.0.0.1:{free_port()}")
    loaded = stack_config(monkeypatch, gone)
    hooks = ProjectHooks()
    catalog = {"online": {"type": "OnlineFeaturesDataset", "filepath": loaded.settings["feast_file"]}}
    hooks._context = SimpleNamespace(project_path=ROOT, env="stack", config_loader={"catalog": catalog})
    manager = _create_hook_manager()
    manager.register(hooks)
    broke = {"error": ConnectionError("socket closed"), "run_params": {}, "catalog": None}
    with pytest.raises(connections.ServiceError, match=r"Redis .* does not answer") as raised:
        manager.hook.on_pipeline_error(pipeline=SimpleNamespace(datasets=lambda: {"online"}), **broke)
    assert "What it wrote before is whole" in str(raised.value)
    manager.hook.on_pipeline_error(pipeline=SimpleNamespace(datasets=lambda: {"parameters"}), **broke)


@pytest.fixture
def stack_project(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "project")


def runs(server: MlflowServer) -> int:
    from mlflow import MlflowClient

    client = MlflowClient(server.uri)
    return sum(len(client.search_runs([experiment.experiment_id])) for experiment in client.search_experiments())


def test_kedro_run_says_it_in_one_message_and_writes_nothing(
    stack_project: Path, environment: dict[str, str], s3: S3, mlflow_server: MlflowServer
) -> None:
    wrong = changed(environment, REDIS_PASSWORD="a-wrong-password", AWS_SECRET_ACCESS_KEY="a-wrong-password")
    before = runs(mlflow_server)
    done = run_command(stack_project, "kedro", "run", "--env", "stack", environment=wrong)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    message = done.stderr[done.stderr.index("The object store") :]
    assert "refuses these keys" in message
    assert "Redis (Feast's online store)" in message
    assert message.endswith("Nothing was written.\n")
    assert not any(secret in done.stdout + done.stderr for secret in {*secrets_of(environment), "a-wrong-password"})
    assert runs(mlflow_server) == before
    assert s3.objects(environment["CHURN_BUCKET"]) == {}


def test_commands_say_that_mlflow_is_down(stack_project: Path, environment: dict[str, str]) -> None:
    port = free_port()
    down = changed(environment, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}")
    for command in (("churn", "status", "--env", "stack"), ("kedro", "run", "--env", "stack", "--pipelines", "data_processing")):
        done = run_command(stack_project, *command, environment=down)
        assert done.returncode == 1
        assert f"MLflow at http://127.0.0.1:{port} does not answer" in done.stderr
        assert "Traceback" not in done.stderr + done.stdout
