"""The composition and its images as texts: what must hold before anything is started. tests/containers/ starts it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.projects import BIN, ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = dict(re.findall(r"^([A-Z_0-9]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
SECRET = re.compile(r"\w*(PASSWORD|_KEY)$")
ONE_SHOT = {"buckets", "train", "runner"}
"""Services that do their work and end: nothing asks them for their health."""
WRITABLE = {"runner"}
UPSTREAM = {"PYTHON", "POSTGRES", "REDIS", "MINIO", "MC", "PROMETHEUS", "GRAFANA", "RUNNER"}


def tool(*line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN / line[0]), *line[1:]], cwd=ROOT, capture_output=True, text=True, check=False)


def test_compose_file_fits_its_schema() -> None:
    done = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert done.returncode == 0, done.stdout


def test_dockerfiles_pass_hadolint() -> None:
    done = tool("hadolint", *(str(path) for path in sorted((ROOT / "docker").glob("*.Dockerfile"))))
    assert done.returncode == 0, done.stdout


def test_scripts_pass_shellcheck() -> None:
    done = tool("shellcheck", *(str(path) for folder in ("docker", "tests/containers") for path in sorted((ROOT / folder).rglob("*.sh"))))
    assert done.returncode == 0, done.stdout


def test_every_secret_is_required_from_the_environment() -> None:
    used = re.findall(r"\$\{(\w+)(:?[-?][^}]*)?\}", TEXT.replace("$$", ""))
    secrets = {name for name, _ in used if SECRET.match(name)}
    assert {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "MINIO_ROOT_PASSWORD", "AWS_SECRET_ACCESS_KEY", "CHURN_PREDICT_KEY"} <= secrets
    lax = {name for name, otherwise in used if name in secrets and not otherwise.startswith(":?")}
    assert not lax, f"these secrets must be ${{NAME:?...}}: {lax}"


def test_example_holds_no_secret_and_names_everything() -> None:
    assert not {name: value for name, value in EXAMPLE.items() if SECRET.match(name) and value}
    used = set(re.findall(r"\$\{(\w+)", TEXT.replace("$$", "")))
    assert used - set(EXAMPLE) == {"GIT_SHA"}, "the commit is the one thing that docker/stack.sh knows by itself"


def test_every_image_is_a_variable_and_every_upstream_image_is_pinned_by_tag_and_digest() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"\$\{\w+_IMAGE(:\?.+|:-churn-\w+:local)\}", service["image"]), name
    for name in UPSTREAM:
        assert re.fullmatch(r"[a-z.]+/[a-z/-]+:[\w.-]+@sha256:[0-9a-f]{64}", EXAMPLE[f"{name}_IMAGE"]), name
    for path in (ROOT / "docker").glob("*.Dockerfile"):
        expected = ["${RUNNER_IMAGE}"] if path.stem == "runner" else ["${PYTHON_IMAGE}"] * 2
        assert re.findall(r"^FROM (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE) == expected, path.name


def test_ports_are_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 9
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{\w+_PORT:-(\d+)\}:\d+", port), port
        variable, default = re.findall(r"\{(\w+):-(\d+)", port)[0]
        assert EXAMPLE[variable] == default


@pytest.mark.parametrize("name", SERVICES)
def test_service_may_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name not in WRITABLE)
    assert "mem_limit" in service
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
    assert not [volume for volume in service.get("volumes", []) if "docker.sock" in volume]


def test_each_service_holds_the_secrets_that_it_uses_and_no_others() -> None:
    services = {**SERVICES, "page": yaml.safe_load((ROOT / "docker/page.yml").read_text(encoding="utf-8"))["services"]["api"]}
    texts = {name: json.dumps(one.get("environment", {})) for name, one in services.items()}
    held = {name: {word for word in re.findall(r"\$\{(\w+)", text) if SECRET.match(word)} for name, text in texts.items()}
    pipelines = {"AWS_SECRET_ACCESS_KEY", "REDIS_PASSWORD", "FEAST_DB_PASSWORD", "CHURN_DB_PASSWORD"}
    assert held["api"] == {"REDIS_PASSWORD", "CHURN_DB_PASSWORD", "CHURN_PREDICT_KEY", "CHURN_ADMIN_KEY"}
    assert {word for word in held["page"] if SECRET.match(word)} == {"AWS_SECRET_ACCESS_KEY"}
    assert held["train"] == held["runner"] == pipelines
    assert held["mlflow"] == {"MLFLOW_DB_PASSWORD", "MLFLOW_S3_PASSWORD"}
    assert held["evidently"] == held["prometheus"] == set()
    assert "CHURN_ALERT_URLS" in SERVICES["runner"]["environment"], "the lead hears of a model that waits"


def test_whoever_writes_to_the_volume_of_reports_has_one_number() -> None:
    """A volume belongs to the user who was in it first."""
    (user,) = re.findall(r"^USER (\d+)$", (ROOT / "docker/pipeline.Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"install -d -o {user} -g {user} /reports" in (ROOT / "docker/runner.Dockerfile").read_text(encoding="utf-8")
    assert {name for name, one in SERVICES.items() if any(v.startswith("reports:") for v in one.get("volumes", []))} == {
        "train",
        "evidently",
        "runner",
    }


def test_no_password_is_on_a_command_line_of_the_scripts() -> None:
    for path in (ROOT / "docker").rglob("*.sh"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.match(r"\s*(mc|psql)\b.*\$\{?\w*password", line, re.IGNORECASE), f"{path.name}: {line}"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_lasting_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_mlflow_is_asked_under_the_name_that_clients_use() -> None:
    """Its /health stays green while it refuses that name."""
    command = " ".join(SERVICES["mlflow"]["healthcheck"]["test"])
    assert "http://mlflow:5000/api/" in command
    assert "mlflow:5000" in SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]


def test_services_wait_for_what_they_need() -> None:
    needs = {name: {other: how["condition"] for other, how in one.get("depends_on", {}).items()} for name, one in SERVICES.items()}
    healthy = dict.fromkeys(("postgres", "redis", "mlflow"), "service_healthy")
    assert needs["api"] == needs["train"] == healthy
    assert needs["mlflow"] == {"postgres": "service_healthy", "buckets": "service_completed_successfully"}
    assert needs["buckets"] == {"minio": "service_healthy"}


def test_data_lives_in_named_volumes() -> None:
    used = {volume.split(":")[0] for one in SERVICES.values() for volume in one.get("volumes", []) if not volume.startswith("./")}
    assert used == set(COMPOSE["volumes"])
    for one in SERVICES.values():
        for volume in one.get("volumes", []):
            if volume.startswith("./"):
                source, _, mode = volume.split(":")
                assert mode == "ro"
                assert (ROOT / source).exists(), source


def test_images_take_no_data_and_no_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line for line in lines if line.startswith("!")]
    assert "*" in lines
    assert not [line for line in allowed if re.search(r"\.env|data|\.git|tests", line)]
    assert "conf/local/" in lines


def test_dashboard_asks_for_metrics_that_the_api_has() -> None:
    dashboard = json.loads((ROOT / "docker/grafana/dashboards/api.json").read_text(encoding="utf-8"))
    asked = set(re.findall(r"\b(churn_\w+)", " ".join(t["expr"] for panel in dashboard["panels"] for t in panel["targets"])))
    declared = set(re.findall(r'= (?:Counter|Gauge|Histogram)\(\s*"(\w+)"', (ROOT / "serving/metrics.py").read_text(encoding="utf-8")))
    verdict = set(re.findall(r'"(churn_monitoring_\w+)":', (ROOT / "src/churn/core/monitoring/gauges.py").read_text(encoding="utf-8")))
    assert {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in asked} <= declared | verdict
    assert asked & verdict
    assert asked


def test_the_stack_reads_what_the_composition_sets() -> None:
    """Every variable that conf/stack and the feature store's file read is set for the containers, and on the host by .env."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in (*sorted((ROOT / "conf/stack").rglob("*.yml")), Path(ROOT / "feature_repo/feature_store.stack.yaml"))
    ]
    read = {name for text in texts for name in re.findall(r"(?:oc\.env:|\$\{)([A-Z][A-Z_]+)", text)}
    given = set(SERVICES["train"]["environment"])
    assert {"MLFLOW_TRACKING_URI", "CHURN_PREDICTION_LOG", "REDIS_ADDRESS"} <= read
    optional = set(re.findall(r"oc\.env:([A-Z_]+),", " ".join(texts)))
    assert read - given <= optional
    assert read - set(EXAMPLE) <= optional
