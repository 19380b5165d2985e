"""The feature store answers what the table says, on a real Feast, DuckDB and SQLite."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn.core.errors import ChurnError
from churn.core.modelling.model import encode
from churn.io.features import feature_store
from churn.io.features.reads import OnlineFeatures, read_historical
from tests.feature_tables import COLUMNS, FIRST, LAST, customers, declaration, feast_file, feature_project, write_features


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return feature_project(tmp_path)


def fill(project: Path, rows: list[dict[str, Any]] | None = None, columns: dict[str, Any] = COLUMNS) -> str:
    """Write the table, register it and put it online."""
    declared = declaration(columns)
    source = write_features(project, customers() if rows is None else rows, declared)
    file = str(feast_file(project))
    feature_store.apply(file, declared.features, str(source))
    feature_store.materialize(file, FIRST, LAST)
    return file


def entity_rows(rows: list[dict[str, Any]], **more: Any) -> pd.DataFrame:
    return pd.DataFrame({name: [row[name] for row in rows] for name in ("customer_id", "event_timestamp")} | more)


def test_online_values_are_the_tables_whatever_the_working_directory(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    online = OnlineFeatures(fill(project))
    rows = customers()[::-1]
    answer = online.read([row["customer_id"] for row in rows])
    assert list(answer.columns) == list(COLUMNS)
    assert answer.columns == {name: [row[name] for row in rows] for name in COLUMNS}
    assert answer.as_of == [row["event_timestamp"].replace(microsecond=0) for row in rows]
    assert sorted(path.name for path in (project / "data" / "features").iterdir()) == [
        "customer_features.parquet",
        "online.db",
        "registry.db",
    ]


def test_an_unknown_customer_has_no_values_and_no_time(project: Path) -> None:
    answer = OnlineFeatures(fill(project)).read(["C0001", "nobody", "C0001", ""])
    assert answer.found == [True, False, True, False]
    assert {name: values[1] for name, values in answer.columns.items()} == dict.fromkeys(COLUMNS)
    assert all(values[0] == values[2] for values in answer.columns.values())


def test_a_customer_without_any_value_is_known(project: Path) -> None:
    rows = customers()
    rows[3] |= dict.fromkeys(COLUMNS)
    answer = OnlineFeatures(fill(project, rows)).read([rows[3]["customer_id"]])
    assert answer.found == [True]
    assert answer.columns == {name: [None] for name in COLUMNS}


def test_no_customers_get_no_rows(project: Path) -> None:
    answer = OnlineFeatures(fill(project)).read([])
    assert answer.columns == {name: [] for name in COLUMNS}
    assert answer.as_of == []


def test_the_newest_of_several_rows_is_online(project: Path) -> None:
    rows = customers()
    newer = dict(rows[0], event_timestamp=LAST, tenure=5, plan="newer", partner=None)
    answer = OnlineFeatures(fill(project, [newer, *rows])).read(["C0000"])
    assert {name: values[0] for name, values in answer.columns.items()} == {name: newer[name] for name in COLUMNS}


def test_an_open_store_sees_the_next_materialization(project: Path) -> None:
    online = OnlineFeatures(fill(project))
    before = online.read(["C0001"]).columns["tenure"]
    fill(project, customers(add=7))
    assert online.read(["C0001"]).columns["tenure"] == [before[0] + 7]


def test_a_deleted_customer_is_not_served(project: Path) -> None:
    online = OnlineFeatures(fill(project))
    fill(project, customers()[5:])
    assert online.read(["C0000", "C0004", "C0005"]).found == [False, False, True]


def test_a_changed_declaration_serves_no_stale_column(project: Path) -> None:
    online = OnlineFeatures(fill(project))
    changed = {"new": {"type": "number"}, **COLUMNS, "tenure": {"type": "category"}}
    del changed["partner"]
    rows = [dict(row, new=1.5, tenure=f"about {row['tenure']}") for row in customers()]
    for row in rows:
        del row["partner"]
    fill(project, rows, changed)
    answer = online.read(["C0001", "C0002"])
    assert list(answer.columns) == list(changed)
    assert answer.columns == {name: [row[name] for row in rows[1:3]] for name in changed}
    fill(project)
    assert online.read(["C0001"]).columns == {name: [customers()[1][name]] for name in COLUMNS}


@pytest.fixture
def engine(project: Path, request: pytest.FixtureRequest) -> str:
    """A filled store, read by this offline engine."""
    file = fill(project)
    yaml = feast_file(project)
    yaml.write_text(yaml.read_text().replace("type: duckdb", f"type: {request.param}"))
    return file


@pytest.mark.parametrize("engine", ["duckdb", "file"], indirect=True)
def test_historical_values_are_the_tables_on_every_engine(engine: str) -> None:
    rows = customers()
    asked = entity_rows(rows, churned=[i % 2 == 0 for i in range(60)], split=["train", "test"] * 30).sample(frac=1, random_state=1)
    answer = read_historical(engine, asked)
    assert list(answer.columns) == ["customer_id", "event_timestamp", "churned", "split", *COLUMNS]
    assert answer.dtypes.astype(str).to_dict() == {
        "customer_id": "object",
        "event_timestamp": "datetime64[us, UTC]",
        "churned": "bool",
        "split": "object",
        "plan": "object",
        "zone": "object",
        "partner": "boolean",
        "tenure": "Int64",
        "amount": "float64",
    }
    assert answer["customer_id"].tolist() == [row["customer_id"] for row in rows]
    assert answer["churned"].tolist() == [i % 2 == 0 for i in range(60)]
    values = {name: [None if pd.isna(value) else value for value in answer[name]] for name in COLUMNS}
    assert values == {name: [row[name] for row in rows] for name in COLUMNS}


@pytest.mark.parametrize("engine", ["duckdb", "file"], indirect=True)
def test_a_customer_without_features_at_the_time_stops_the_run(engine: str) -> None:
    asked = entity_rows(customers())
    asked.loc[4, "event_timestamp"] = FIRST - timedelta(days=1)
    with pytest.raises(ChurnError, match=r"C0004|59 rows for 60"):
        read_historical(engine, asked)


@pytest.mark.parametrize("engine", ["duckdb", "file"])
def test_a_customer_whose_features_are_all_missing_is_answered(project: Path, engine: str) -> None:
    rows = customers()
    rows[3] |= dict.fromkeys(COLUMNS)
    file = fill(project, rows)
    yaml = feast_file(project)
    yaml.write_text(yaml.read_text().replace("type: duckdb", f"type: {engine}"))
    answer = read_historical(file, entity_rows(rows))
    assert len(answer) == len(rows)
    assert answer.loc[3, list(COLUMNS)].isna().all()
    asked = entity_rows(rows)
    asked.loc[3, "event_timestamp"] = FIRST - timedelta(days=1)
    with pytest.raises(ChurnError, match=r"1 of 60 customers at their time \(such as C0003\)|59 rows for 60"):
        read_historical(file, asked)


def test_history_is_as_it_was_at_the_time(project: Path) -> None:
    rows = customers()
    newer = dict(rows[1], event_timestamp=LAST, amount=1234.5)
    file = fill(project, [*rows, newer])
    times = [LAST - timedelta(microseconds=1), LAST, LAST + timedelta(days=900)]
    answer = read_historical(file, pd.DataFrame({"customer_id": ["C0001"] * 3, "event_timestamp": times}))
    assert answer["amount"].tolist() == [rows[1]["amount"], 1234.5, 1234.5]


def test_the_encoder_reads_online_and_historical_values_alike(project: Path) -> None:
    file = fill(project)
    features = tuple(f.model_copy(update={"values": ("basic", "gold")}) if f.name == "plan" else f for f in declaration().features)
    rows = customers()
    online = encode(features, OnlineFeatures(file).read([row["customer_id"] for row in rows]).columns)
    historical = encode(features, read_historical(file, entity_rows(rows)))
    assert online.tobytes() == historical.tobytes()


def test_reading_before_anything_is_registered_says_what_to_run(project: Path) -> None:
    file = str(feast_file(project))
    with pytest.raises(ChurnError, match="kedro run --pipelines feature_store"):
        OnlineFeatures(file)
    assert not (project / "data" / "features" / "registry.db").exists()


def test_materializing_without_the_table_says_so_and_keeps_the_store(project: Path) -> None:
    file = fill(project)
    (project / "data" / "features" / "customer_features.parquet").unlink()
    with pytest.raises(ChurnError, match=r"customer_features\.parquet does not exist"):
        feature_store.materialize(file, FIRST, LAST)
    assert OnlineFeatures(file).read(["C0001"]).found == [True]


def test_a_failed_materialization_keeps_the_store_and_leaves_nothing_behind(project: Path) -> None:
    file = fill(project)
    source = project / "data" / "features" / "customer_features.parquet"
    source.write_bytes(source.read_bytes()[:200])
    with pytest.raises(Exception, match="customer_features"):
        feature_store.materialize(file, FIRST, LAST)
    assert OnlineFeatures(file).read(["C0001"]).found == [True]
    assert len(list((project / "data" / "features").iterdir())) == 3


def test_an_unset_variable_of_the_configuration_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml = feast_file(project)
    yaml.write_text(yaml.read_text().replace("../data/features/online.db", "${CHURN_TEST_ONLINE}/online.db"))
    with pytest.raises(ChurnError, match="CHURN_TEST_ONLINE"):
        feature_store.read_config(str(yaml))
    monkeypatch.setenv("CHURN_TEST_ONLINE", str(project / "data" / "features"))
    assert OnlineFeatures(fill(project)).read(["C0001"]).found == [True]


def test_a_missing_or_wrong_configuration_is_named(project: Path) -> None:
    yaml = feast_file(project)
    with pytest.raises(ChurnError, match=r"other\.yaml"):
        feature_store.read_config(str(yaml.with_name("other.yaml")))
    yaml.write_text(yaml.read_text().replace("type: sqlite", "type: sqlite\n  surprise: 1"))
    with pytest.raises(ChurnError, match="surprise"):
        feature_store.read_config(str(yaml))


def test_registering_the_same_again_changes_nothing(project: Path) -> None:
    file = fill(project)
    before = feature_store.registered_view(feature_store.open_store(file))
    source = str(project / "data" / "features" / "customer_features.parquet")
    feature_store.apply(file, declaration().features, source)
    after = feature_store.registered_view(feature_store.open_store(file))
    assert after == before
    assert after.materialization_intervals == [(FIRST, LAST)]


def test_object_store_addresses_are_feasts() -> None:
    assert feature_store.define(declaration().features, "s3a://churn/features/x.parquet").source.path == "s3://churn/features/x.parquet"


def test_a_time_far_in_the_past_is_a_time(project: Path) -> None:
    rows = [dict(row, event_timestamp=datetime(1971, 1, 1, tzinfo=UTC)) for row in customers()]
    file = fill(project, rows)
    feature_store.materialize(file, rows[0]["event_timestamp"], rows[0]["event_timestamp"])
    assert OnlineFeatures(file).read(["C0001"]).as_of == [rows[0]["event_timestamp"]]
