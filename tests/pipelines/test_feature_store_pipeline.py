"""The pipeline `feature_store`, with the catalog of conf/."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import ibis
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, DatasetError
from kedro.runner import SequentialRunner

from churn.core.errors import ChurnError
from churn.core.read_back import FeatureStoreParameters, ReadBackError, check, read_times
from churn.io.features.reads import OnlineFeatures
from churn.pipelines.feature_store import create_pipeline
from churn.pipelines.feature_store.nodes import sample
from churn.settings import CONFIG_LOADER_ARGS
from tests.feature_tables import COLUMNS, FIRST, LAST, customers, declaration, feast_file, feature_project, write_features


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # Kedro makes the catalog's paths absolute; here they start from the working directory
    return feature_project(tmp_path)


def run(project: Path, *nodes: str, columns: dict[str, Any] = COLUMNS, sample_size: int = 40) -> None:
    """Run the pipeline, or these nodes of it."""
    loader = OmegaConfigLoader(str(project / "conf"), **{**CONFIG_LOADER_ARGS, "default_run_env": "local"})
    pipeline = create_pipeline()
    configured = {name: entry for name, entry in loader["catalog"].items() if name in pipeline.datasets()}
    catalog = DataCatalog.from_config(configured)
    catalog["params:customers"] = declaration(columns)
    catalog["params:feature_store"] = FeatureStoreParameters(sample_size=sample_size)
    SequentialRunner().run(pipeline.only_nodes(*nodes) if nodes else pipeline, catalog)


def test_the_pipeline_fills_and_checks_the_store(project: Path) -> None:
    run(project)
    report = json.loads((project / "data" / "reports" / "feature_store.json").read_text())
    assert report["customers_compared"] == 40
    assert report["features_compared"] == list(COLUMNS)
    assert 0 < report["one_customer"]["p50_ms"] <= report["one_customer"]["p99_ms"]
    online = OnlineFeatures(str(feast_file(project)))
    answer = online.read([row["customer_id"] for row in customers()])
    assert answer.columns == {name: [row[name] for row in customers()] for name in COLUMNS}


def test_the_bounds_come_from_the_data(project: Path) -> None:
    from churn.io.features import feature_store

    run(project)
    view = feature_store.registered_view(feature_store.open_store(str(feast_file(project))))
    assert view.materialization_intervals == [(FIRST, LAST)]


def test_another_value_online_stops_the_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from churn.io.features import feature_store

    rightly = feature_store.materialize

    def wrongly(file: str, *bounds: Any) -> None:
        rightly(file, *bounds)
        with sqlite3.connect(project / "data" / "features" / "online.db") as store:  # C0001 answers what C0002 should
            values = dict(store.execute("SELECT entity_key, value FROM churn_customer_features WHERE feature_name = 'amount'").fetchall())
            first, second = (next(key for key in values if name in key) for name in (b"C0001", b"C0002"))
            update = "UPDATE churn_customer_features SET value = ? WHERE entity_key = ? AND feature_name = 'amount'"
            store.execute(update, (values[second], first))

    monkeypatch.setattr(feature_store, "materialize", wrongly)
    with pytest.raises(ReadBackError, match=r"customer C0001, feature amount: online 0\.2, table 0\.1"):
        run(project, sample_size=60)
    assert not (project / "data" / "reports" / "feature_store.json").exists()


def test_whole_numbers_that_feast_cannot_keep_are_noticed(project: Path) -> None:
    rows = [dict(row, tenure=2**53 + 1 if row["tenure"] else None) for row in customers()]
    write_features(project, rows)
    with pytest.raises(ReadBackError, match=f"feature tenure: online {2**53}, table {2**53 + 1}"):
        run(project, sample_size=60)


def test_a_table_of_another_declaration_is_refused_before_anything_is_registered(project: Path) -> None:
    with pytest.raises(ChurnError, match=r"surprise.*data_processing"):
        run(project, columns={**COLUMNS, "surprise": {"type": "number"}})
    assert not (project / "data" / "features" / "registry.db").exists()


def test_an_empty_table_is_refused(project: Path) -> None:
    write_features(project, [])
    with pytest.raises(DatasetError, match="no rows"):
        run(project)
    assert not (project / "data" / "features" / "online.db").exists()


def test_the_sample_does_not_depend_on_the_order_of_rows(project: Path) -> None:
    rows = [{"customer_id": row["customer_id"], "event_timestamp": row["event_timestamp"]} for row in customers()]
    older = [dict(row, event_timestamp=FIRST) for row in rows[:30]]
    chosen = [
        sample(ibis.memtable(table), FeatureStoreParameters(sample_size=25)).to_pyarrow().to_pylist()
        for table in (rows + older, older[::-1] + rows[::-1])
    ]
    assert chosen[0] == chosen[1]
    assert len({row["customer_id"] for row in chosen[0]}) == 25
    assert all(row in rows for row in chosen[0])


@pytest.mark.parametrize(
    ("table", "online"),
    [(1, None), (None, 1), (1, 1.0), (True, 1), ("", None), (0.1, 0.1 + 1e-16 * 2), ("a", "A"), (False, None)],
)
def test_values_are_compared_exactly(table: Any, online: Any) -> None:
    check(["a"], {"x": [table]}, {"x": [table]})
    with pytest.raises(ReadBackError, match="customer b, feature y"):
        check(["a", "b"], {"x": [1, 2], "y": [3, table]}, {"x": [1, 2], "y": [3, online]})


def test_a_feature_that_the_store_lacks_is_missing() -> None:
    with pytest.raises(ReadBackError, match="feature y: online None, table 3"):
        check(["a"], {"y": [3]}, {})


def test_read_times_are_percentiles_in_milliseconds() -> None:
    assert read_times([0.001] * 98 + [0.002, 0.003]) == {"p50_ms": 1.0, "p99_ms": 2.01}
