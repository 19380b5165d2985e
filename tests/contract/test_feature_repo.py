"""feature_repo/ is an ordinary Feast repo, and what it registers is what the declaration says."""

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from churn.config import load
from churn.io.features import feature_store
from churn.io.features.reads import OnlineFeatures
from tests.feature_tables import COLUMNS, customers, declaration, feast_file, feature_project
from tests.projects import ROOT, run_command

TYPES = {"category": "String", "boolean": "Bool", "integer": "Int64", "number": "Float64"}


def declare_small_table(project: Path) -> None:
    """Put the small table's declaration in the place of the project's."""
    declared = {"customers": declaration().model_dump(mode="json")}
    (project / "conf/base/parameters/customers.yml").write_text(yaml.safe_dump(declared, sort_keys=False))


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in whose feature_repo `feast apply` and `feast materialize` have run."""
    project = feature_project(tmp_path_factory.mktemp("repo"))
    declare_small_table(project)
    done = run_command(project / "feature_repo", "feast", "apply")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    feast(project, "materialize", "2026-10-01T00:00:00", "2026-12-01T00:00:00")
    return project


def feast(project: Path, *command: str) -> str:
    """A `feast` command, started elsewhere."""
    from feast.cli.cli import cli

    done = CliRunner().invoke(cli, ["--chdir", str(project / "feature_repo"), *command], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_feast_lists_what_is_declared(applied: Path) -> None:
    assert "customer_features" in feast(applied, "feature-views", "list")
    assert re.search(r"customer\s+A customer\s+ValueType.STRING", feast(applied, "entities", "list"))
    assert "churn_v1" in feast(applied, "feature-services", "list")
    described = feast(applied, "feature-views", "describe", "customer_features")
    assert all(name in described for name in COLUMNS)


def test_what_feast_materialized_is_read_by_the_project(applied: Path) -> None:
    answer = OnlineFeatures(str(feast_file(applied))).read([row["customer_id"] for row in customers()])
    assert answer.columns == {name: [row[name] for row in customers()] for name in COLUMNS}


def test_the_pipeline_registers_the_same_objects(applied: Path) -> None:
    file = str(feast_file(applied))
    store = feature_store.open_store(file)
    before = feature_store.registered_view(store), store.get_feature_service("churn_v1"), store.get_entity("customer")
    feature_store.apply(file, load(applied).declaration.features, load(applied).path("data/features/customer_features.parquet"))
    store = feature_store.open_store(file)
    assert (feature_store.registered_view(store), store.get_feature_service("churn_v1"), store.get_entity("customer")) == before


def test_entity_view_and_service_come_from_the_projects_declaration() -> None:
    declared = load(ROOT).declaration
    defined = feature_store.define(declared.features, "x.parquet")
    assert (defined.entity.name, defined.entity.join_key) == ("customer", "customer_id")
    assert (defined.view.name, defined.service.name) == ("customer_features", "churn_v1")
    assert [(f.name, str(f.dtype)) for f in defined.view.features] == [(f.name, TYPES[f.type]) for f in declared.features]
    tenure = next(field for field in defined.view.features if field.name == "tenure")
    assert tenure.tags == {"label": "Months as a customer", "unit": "month", "actionable": "false"}
    assert tenure.description == "Months as a customer (month)"


def test_nothing_of_the_repo_names_a_machine() -> None:
    for path in (ROOT / "feature_repo").glob("*.*"):
        assert not re.search(r"(?<![.\w])/(home|work|tmp|root|Users)/", path.read_text())
