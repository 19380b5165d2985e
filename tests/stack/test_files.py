"""The catalog's files in an object store: written whole, read without DuckDB's extension, the user's table left alone."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from kedro.io import DatasetError

from churn.core.errors import ChurnError
from churn.io.files import places
from churn.io.files.delimited import TableError
from churn.io.files.fetch import fetch_telco
from churn.io.files.streams import CHURN_PROBABILITY, OUTCOME, SampleDataset
from churn.io.files.tables import CustomerTableDataset, EngineDataset, FingerprintDataset
from churn.io.tracking.artifacts import ArtifactDataset
from tests.services.s3 import S3


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket as the catalog writes it."""
    import s3fs

    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield f"s3a://{s3.bucket('files')}"
    s3fs.S3FileSystem.clear_instance_cache()


def put(s3: S3, location: str, content: bytes) -> None:
    name, _, key = location.partition("://")[2].partition("/")
    s3.client().put_object(Bucket=name, Key=key, Body=content)


def keys(s3: S3, bucket: str) -> set[str]:
    return set(s3.objects(bucket.partition("://")[2]))


def test_duckdb_reads_what_it_wrote(s3: S3, bucket: str) -> None:
    rows = pd.DataFrame({"customer_id": [f"C{number}" for number in range(5000)], "tenure": range(5000)})
    dataset = EngineDataset(f"{bucket}/processed/customers.parquet")
    dataset.save(ibis.memtable(rows))
    assert keys(s3, bucket) == {"processed/customers.parquet"}
    table = EngineDataset(f"{bucket}/processed/customers.parquet").load()
    pd.testing.assert_frame_equal(table.order_by("tenure").to_pandas(), rows)
    assert dataset.connection.sql("SELECT * FROM duckdb_extensions() WHERE loaded AND extension_name = 'httpfs'").count().execute() == 0


def test_a_write_that_fails_leaves_the_old_file(s3: S3, bucket: str) -> None:
    dataset = EngineDataset(f"{bucket}/table.parquet")
    dataset.save(ibis.memtable({"number": ["1", "2"]}))
    with pytest.raises(TableError, match="the engine stopped"):
        dataset.save(ibis.memtable({"number": ["1", "two"]}).mutate(number=ibis._.number.cast("int64")))
    assert dataset.load().count().execute() == 2
    assert keys(s3, bucket) == {"table.parquet"}


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_raw_table_is_read_and_noticed_when_it_changes(s3: S3, bucket: str, compress: Any) -> None:
    location = f"{bucket}/raw/churn.csv"
    put(s3, location, compress(b"customerID;Churn\nA;Yes\nB;No\n"))
    raw = CustomerTableDataset(location)
    assert raw.load().to_pandas().to_dict("list") == {"customerID": ["A", "B"], "Churn": ["Yes", "No"]}
    first = FingerprintDataset(location).load()
    assert first["name"] == "churn.csv"
    put(s3, location, compress(b"customerID;Churn\nC;Yes\n"))
    assert raw.load().to_pandas()["customerID"].tolist() == ["C"]
    assert FingerprintDataset(location).load()["sha256"] != first["sha256"]
    raw.release()


def test_a_missing_table_says_where_to_put_it(bucket: str) -> None:
    with pytest.raises(TableError, match=rf"There is no table at {bucket}/raw/churn.csv\. .*sample_data"):
        CustomerTableDataset(f"{bucket}/raw/churn.csv").load()


def sample(rows: int) -> Any:
    numbers = pa.array(range(rows)).cast(pa.string())
    columns = {
        "customerID": numbers,
        "tenure": numbers,
        CHURN_PROBABILITY: pa.array([0.25] * rows),
        OUTCOME: pa.array([True] + [False] * (rows - 1)),
    }
    return pa.table(columns).to_reader()


def sample_dataset(bucket: str) -> SampleDataset:
    return SampleDataset(f"{bucket}/raw/churn.csv", {"filepath": f"{bucket}/raw/truth.parquet"}, {"filepath": f"{bucket}/raw/sample.json"})


def test_the_sample_replaces_itself_and_nothing_else(s3: S3, bucket: str) -> None:
    dataset = sample_dataset(bucket)
    dataset.save(sample(4))
    assert keys(s3, bucket) == {"raw/churn.csv", "raw/truth.parquet", "raw/sample.json"}
    assert dataset.exists()
    dataset.save(sample(6))
    assert dataset.load()["rows"] == 6
    put(s3, f"{bucket}/raw/churn.csv", b"customerID,Churn\nmine,Yes\n")
    with pytest.raises((ChurnError, DatasetError), match="left alone"):
        dataset.save(sample(8))
    assert places.read_text(f"{bucket}/raw/churn.csv") == "customerID,Churn\nmine,Yes\n"
    assert dataset.load()["rows"] == 6


def test_the_real_table_is_fetched_into_the_bucket(s3: S3, bucket: str, tmp_path: Path) -> None:
    import hashlib
    import http.server
    import threading

    content = b"customerID,Churn\nA,Yes\n"
    (tmp_path / "telco.csv").write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source, sha256 = f"http://127.0.0.1:{server.server_port}/telco.csv", hashlib.sha256(content).hexdigest()
    sample_dataset(bucket).save(sample(3))
    try:
        assert fetch_telco(f"{bucket}/raw/churn.csv", f"{bucket}/raw/sample.json", source, sha256)
        assert not fetch_telco(f"{bucket}/raw/churn.csv", f"{bucket}/raw/sample.json", source, sha256)
    finally:
        server.shutdown()
    assert places.sha256(f"{bucket}/raw/churn.csv") == sha256
    assert keys(s3, bucket) == {"raw/churn.csv", "raw/truth.parquet"}


def test_an_artifact_is_a_file_and_in_the_run(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    remote, local = (
        ArtifactDataset({"type": "json.JSONDataset", "filepath": f"{place}/reports/{name}.json"})
        for place, name in ((bucket, "decision"), (tmp_path, "segments"))
    )
    remote.save({"outcome": "rejected"})  # outside a run: the file alone
    with mlflow.start_run() as run:
        remote.save({"outcome": "promoted"})
        local.save({"segments": []})
    assert remote.load() == {"outcome": "promoted"}
    client = mlflow.MlflowClient()
    assert {entry.path for entry in client.list_artifacts(run.info.run_id)} == {"decision.json", "segments.json"}
    logged = client.download_artifacts(run.info.run_id, "decision.json", str(tmp_path))
    assert json.loads(Path(logged).read_text()) == {"outcome": "promoted"}
