"""The pipeline `scoring` with its real catalog, on a small table and model."""

import gc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import s3fs
import xgboost
import yaml
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.runner import SequentialRunner

from churn.core.decisions.reasons import current_texts, in_words
from churn.core.decisions.retention import ScoringParameters
from churn.core.declaration import Declaration
from churn.core.errors import ChurnError, find_mistake
from churn.core.evaluation.profit import Costs, expected_value
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.model import ChurnModel, build_model, feature_types
from churn.io.files.batches import ParquetBatchesDataset, QueryBatchesDataset
from churn.io.models.registry import RegisteredModel
from churn.pipelines.scoring import create_pipeline
from tests.projects import ROOT
from tests.services.s3 import S3

CUSTOMERS = 400
COSTS = Costs(clv=300, offer=20, contact=2, success_rate=0.25, success_evidence=20)
OLD, NEW = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
DECLARATION = Declaration.parse(
    {
        "key": "id",
        "target": {"column": "left", "positive": "yes"},
        "columns": {
            "plan": {"type": "category", "null": True, "label": "Plan"},
            "partner": {"type": "boolean", "null": True},
            "tenure": {"type": "integer", "null": True, "unit": "month"},
            # Names that the scores have too, and one that differs from them by case only.
            "threshold": {"type": "number", "null": True, "label": "Credit limit"},
            "Rank": {"type": "number"},
        },
    }
)


def features_table(seed: int = 0) -> pd.DataFrame:
    """Every type, missing values, a category that the model has not seen, and equal customers (ties) at both ends of the file."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{place:04d}" for place in draw.permutation(CUSTOMERS)],
            "event_timestamp": pd.Series([NEW] * CUSTOMERS).astype("datetime64[us, UTC]"),
            "plan": draw.choice(["basic", "gold", "pro"], CUSTOMERS).astype(object),
            "partner": pd.array(draw.random(CUSTOMERS) < 0.5, "boolean"),
            "tenure": pd.array(draw.integers(0, 72, CUSTOMERS), "Int64"),
            "threshold": draw.gamma(2.0, 30.0, CUSTOMERS),
            "Rank": draw.normal(size=CUSTOMERS),
        }
    )
    for place, name in enumerate(("plan", "partner", "tenure", "threshold")):
        rows.loc[place::9, name] = None
    rows.loc[7, "plan"] = "weekly"
    last, first = rows.iloc[-20:], rows.iloc[:20]
    twins = first.assign(customer_id=last["customer_id"].tolist())
    return pd.concat([rows.iloc[:-20], twins], ignore_index=True)


def fit(rows: pd.DataFrame) -> ChurnModel:
    """A booster that knows every plan but `weekly`."""
    draw = np.random.default_rng(1)
    known = rows[rows["plan"] != "weekly"]
    features = learn_categories(DECLARATION.features, known)
    churned = 1.5 * (known["plan"] == "basic") - 0.05 * known["tenure"].fillna(30).astype(float) + draw.normal(size=len(known)) > 0
    matrix = xgboost.DMatrix(
        encode(features, known), churned.to_numpy(bool), feature_types=feature_types(features), enable_categorical=True, nthread=1
    )
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "eta": 0.2, "nthread": 1}, matrix, 30)
    return build_model(booster, features, known, threshold=0.4, schema_sha256=DECLARATION.sha256)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return features_table()


@pytest.fixture(scope="module")
def model(rows: pd.DataFrame) -> ChurnModel:
    return fit(rows)


def catalog_of(storage: str, batch_rows: int | None = None) -> DataCatalog:
    """The entries of conf/, with other places and, on request, other batches."""
    entries: dict[str, Any] = {}
    for name in ("scoring", "data_processing"):
        text = (ROOT / "conf" / "base" / "catalog" / f"{name}.yml").read_text(encoding="utf-8")
        for key, value in {"storage": storage, "raw_customers": "none.csv", "engine": "duckdb"}.items():
            text = text.replace(f"${{globals:{key}}}", value)
        entries |= {name: entry for name, entry in yaml.safe_load(text).items() if not name.startswith("_")}
    names = ("newest_features", "scores@batches", "scores@ibis", "ranked_customers", "retention_list", "customer_features")
    chosen = {name: dict(entries[name]) for name in names}
    for name in ("newest_features", "ranked_customers") if batch_rows else ():
        chosen[name]["rows"] = batch_rows
    return DataCatalog.from_config(chosen)


def score(
    storage: Path | str,
    model: ChurnModel | None,
    costs: Costs = COSTS,
    parameters: ScoringParameters | None = None,
    batch_rows: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run the pipeline; its scores, sorted by customer, and its list."""
    catalog = catalog_of(str(storage), batch_rows)
    given = {
        "params:customers": DECLARATION,
        "params:costs": costs,
        "params:scoring": parameters or ScoringParameters(),
        "champion": None if model is None else RegisteredModel("7", model, {}),
    }
    for name, value in given.items():
        catalog[name] = MemoryDataset(value, copy_mode="assign")
    SequentialRunner().run(create_pipeline(), catalog)
    scores, listed = (catalog.load(name).read_all().to_pandas() for name in ("scores@batches", "retention_list"))
    return scores.sort_values("customer_id", ignore_index=True), listed


def store(folder: Path, rows: pd.DataFrame) -> Path:
    """Put the feature table where data processing leaves it."""
    (folder / "features").mkdir(parents=True)
    rows.to_parquet(folder / "features" / "customer_features.parquet", index=False, row_group_size=100)
    return folder


@pytest.fixture
def storage(tmp_path: Path, rows: pd.DataFrame) -> Path:
    return store(tmp_path / "data", rows)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, rows: pd.DataFrame, model: ChurnModel) -> tuple[pd.DataFrame, pd.DataFrame]:
    return score(store(tmp_path_factory.mktemp("scored") / "data", rows), model)


def bits(values: Any) -> list[int]:
    """Float64 as integers: equal only if every bit is."""
    return np.asarray(values, np.float64).view(np.int64).tolist()


def test_every_customer_is_scored_by_the_model_to_the_last_bit(found, rows, model):
    scores, _ = found
    rows = rows.sort_values("customer_id")
    assert scores["customer_id"].tolist() == rows["customer_id"].tolist()
    assert bits(scores["churn_probability"]) == bits(model.predict(rows))
    assert scores["churn"].tolist() == (model.predict(rows) >= 0.4).tolist()
    assert bits(scores["expected_value"]) == bits(expected_value(model.predict(rows), COSTS))
    assert set(scores["threshold"]) == {0.4}
    assert set(scores["model_version"]) == {"7"}
    assert set(scores["features_as_of"]) == {pd.Timestamp(NEW)}
    assert (scores["scored_at"].nunique(), str(scores["scored_at"].dt.tz)) == (1, "UTC")


@pytest.mark.parametrize("batch_rows", [1, 7])
def test_the_size_of_the_batches_changes_no_bit(storage, model, found, batch_rows):
    scores, listed = score(storage, model, batch_rows=batch_rows)
    pd.testing.assert_frame_equal(scores.drop(columns="scored_at"), found[0].drop(columns="scored_at"), check_exact=True)
    pd.testing.assert_frame_equal(listed.drop(columns="scored_at"), found[1].drop(columns="scored_at"), check_exact=True)


def test_the_list_holds_whom_contacting_pays_best_first_and_equal_ones_by_id(found):
    scores, listed = found
    worth = scores[scores["expected_value"] > 0].sort_values(["expected_value", "customer_id"], ascending=[False, True])
    assert 0 < len(worth) < len(scores)
    assert worth["expected_value"].duplicated().any()
    assert listed["rank"].tolist() == list(range(1, len(worth) + 1))
    for name in ("customer_id", "churn_probability", "expected_value", "model_version", "features_as_of", "scored_at"):
        assert listed[name].tolist() == worth[name].tolist()


def test_the_reasons_are_those_of_the_listed_customer(found, rows, model):
    _, listed = found
    by_id = rows.set_index("customer_id").loc[listed["customer_id"]]
    effects, _ = model.explain(by_id)
    features = current_texts(model.spec.features, DECLARATION)
    plain = [[None if pd.isna(value) else value for value in customer] for customer in by_id[list(model.names)].astype(object).to_numpy()]
    for place, values in enumerate(plain):
        strongest = np.argsort(-np.abs(effects[place]), kind="stable")[:3]
        expected = [in_words(features[one], values[one], effects[place, one]) for one in strongest]
        assert listed.loc[place, ["reason_1", "reason_2", "reason_3"]].tolist() == expected
    assert listed.filter(like="reason_").stack().str.startswith("Credit limit: ").any()
    assert listed.filter(like="reason_").stack().str.contains("not known").any()


def test_the_limit_keeps_the_most_valuable(storage, model, found):
    scores, listed = score(storage, model, parameters=ScoringParameters(limit=5))
    assert len(scores) == CUSTOMERS
    pd.testing.assert_frame_equal(listed.drop(columns="scored_at"), found[1].head(5).drop(columns="scored_at"))


def test_other_costs_change_the_list_and_not_the_probabilities(storage, model, found):
    scores, listed = score(storage, model, costs=Costs(clv=5000, offer=20, contact=2, success_rate=0.25, success_evidence=20))
    assert bits(scores["churn_probability"]) == bits(found[0]["churn_probability"])
    assert len(listed) > len(found[1])


def test_nobody_worth_a_call_is_an_empty_list_with_its_columns(storage, model, found):
    _, listed = score(storage, model, costs=Costs(clv=25.1, offer=20, contact=0.0001, success_rate=0.001, success_evidence=20))
    assert listed.empty
    assert list(listed.columns) == list(found[1].columns)


def test_only_the_newest_row_of_a_customer_counts(tmp_path, rows, model, found):
    older = rows.assign(
        event_timestamp=pd.Series([OLD] * CUSTOMERS).astype("datetime64[us, UTC]"), tenure=pd.array([1] * CUSTOMERS, "Int64")
    )
    gone = rows.loc[:0].assign(customer_id="gone", event_timestamp=pd.Series([OLD]).astype("datetime64[us, UTC]"))
    storage = store(tmp_path / "data", pd.concat([older, rows, gone], ignore_index=True))
    scores, listed = score(storage, model)
    now = scores[scores["customer_id"] != "gone"].reset_index(drop=True)
    pd.testing.assert_frame_equal(now.drop(columns="scored_at"), found[0].drop(columns="scored_at"), check_exact=True)
    assert scores.set_index("customer_id").loc["gone", "features_as_of"] == pd.Timestamp(OLD)
    assert listed["customer_id"].is_unique


def refused(storage: Path, model: ChurnModel | None) -> str:
    """The message of a run that must stop, with nothing written."""
    before = {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()}
    with pytest.raises((ChurnError, DatasetError)) as raised:
        score(storage, model)
    assert {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()} == before
    mistake = find_mistake(raised.value)
    assert mistake is not None
    return str(mistake)


def test_without_a_champion_the_run_says_what_to_do(storage):
    assert "no champion" in refused(storage, None)


def test_a_table_that_the_champion_does_not_know_is_refused_by_name(tmp_path, rows, model):
    changed = rows.drop(columns="partner").assign(plan=1.5)
    message = refused(store(tmp_path / "data", changed), model)
    assert "version 7" in message
    assert "partner is missing; plan is a number, to the model text" in message
    assert "kedro run" in message


def test_a_run_that_breaks_halfway_leaves_the_last_scores_and_nothing_else(storage, rows, model):
    score(storage, model)
    broken = rows.copy()
    broken.loc[CUSTOMERS - 1, "Rank"] = np.inf
    broken.to_parquet(storage / "features" / "customer_features.parquet", index=False)
    catalog = storage / "reports"
    written = {path.name: path.read_bytes() for path in catalog.iterdir()}
    assert set(written) == {"scores.parquet", "retention_list.parquet"}
    assert "'Rank' holds a value that is infinite" in refused(storage, model)


def test_in_an_object_store_too(s3: S3, monkeypatch, rows, model, found):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # one made earlier in this process has no keys
    bucket = s3.bucket("scoring")
    rows.to_parquet(f"s3://{bucket}/features/customer_features.parquet", index=False)
    scores, listed = score(f"s3a://{bucket}", model)
    pd.testing.assert_frame_equal(scores.drop(columns="scored_at"), found[0].drop(columns="scored_at"), check_exact=True)
    pd.testing.assert_frame_equal(listed.drop(columns="scored_at"), found[1].drop(columns="scored_at"), check_exact=True)
    assert set(s3.objects(bucket)) == {
        f"{place}.parquet" for place in ("features/customer_features", "reports/scores", "reports/retention_list")
    }


def test_a_stream_is_written_and_read_without_being_held(tmp_path):
    schema, rows, held = pa.schema({"x": pa.int64()}), 100_000, []
    before = pa.total_allocated_bytes()

    def batches():
        for start in range(40):
            held.append(pa.total_allocated_bytes() - before)
            yield pa.record_batch({"x": pc.add(np.arange(rows), start)}, schema=schema)  # memory of Arrow's own, which is counted

    dataset = ParquetBatchesDataset(str(tmp_path / "x.parquet"), rows=30_000)
    dataset.save(pa.RecordBatchReader.from_batches(schema, batches()))
    count = 0
    for batch in dataset.load():
        held.append(pa.total_allocated_bytes() - before)
        count += len(batch)
    assert count == 40 * rows
    assert len(held) > 160
    assert max(held) < 16 * rows * 8  # of 40 batches


def test_a_query_runs_within_its_memory_and_gives_it_back():
    import ibis

    engine = ibis.duckdb.connect()

    def limit() -> str:
        return duckdb_setting(engine.con)

    before, dataset = limit(), QueryBatchesDataset(rows=1000, memory="200MiB")
    dataset.save(engine.sql("select range as x, current_setting('memory_limit') as memory from range(5000)"))
    batches = list(dataset.load())
    assert {value for batch in batches for value in batch.column("memory").to_pylist()} == {"200.0 MiB"}
    assert sum(len(batch) for batch in batches) == 5000
    assert limit() == before


def duckdb_setting(connection: duckdb.DuckDBPyConnection) -> str:
    return str(connection.execute("select current_setting('memory_limit')").fetchall()[0][0])


def test_a_list_that_is_not_there_yet_says_how_to_write_it(tmp_path):
    with pytest.raises(DatasetError) as raised:
        ParquetBatchesDataset(str(tmp_path / "retention_list.parquet")).load()
    assert "kedro run --pipelines scoring" in str(raised.value)


def test_a_reader_that_is_left_behind_asks_the_engine_nothing_when_it_is_collected(monkeypatch):
    """That happens in any thread, also in one that a query waits for: its last words would be waited for, for ever."""
    import ibis

    engine = ibis.duckdb.connect()
    dataset = QueryBatchesDataset(rows=1000)
    dataset.save(engine.sql("select range as x from range(500000)"))
    reader = dataset.load()
    assert reader.read_next_batch().num_rows
    asked: list[str] = []
    monkeypatch.setattr(type(engine), "raw_sql", lambda _, statement, **__: asked.append(statement))
    del reader
    gc.collect()
    assert asked == []
