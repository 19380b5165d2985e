"""The scripts around the stack: versions of the table and copies of buckets, on the tests' object store."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from churn.core.errors import ChurnError
from churn.io.files import object_copy, raw_sample
from tests.projects import BIN, ROOT, activated
from tests.services.processes import free_port
from tests.services.s3 import S3


def files(s3: S3):  # type: ignore[no-untyped-def]
    from s3fs import S3FileSystem

    return S3FileSystem(endpoint_url=s3.endpoint, key=s3.key, secret=s3.secret, skip_instance_cache=True)


def fill(s3: S3, bucket: str, objects: dict[str, bytes]) -> None:
    for key, content in objects.items():
        s3.client().put_object(Bucket=bucket, Key=key, Body=content)


def contents(s3: S3, bucket: str) -> dict[str, bytes]:
    return {key: s3.client().get_object(Bucket=bucket, Key=key)["Body"].read() for key in s3.objects(bucket)}


def test_buckets_come_back_as_they_were(s3: S3) -> None:
    one, two = s3.bucket("one"), s3.bucket("two")
    was = {"a/b.txt": b"text", "empty": b"", "name with ä": b"x", "large": os.urandom(6_000_000)}
    fill(s3, one, was)
    fill(s3, two, {"other": b"2"})
    archive = io.BytesIO()
    assert object_copy.dump(files(s3), [one, two], archive) == 5
    fill(s3, one, {"a/b.txt": b"changed", "added": b"later"})
    s3.client().delete_object(Bucket=two, Key="other")

    archive.seek(0)
    assert object_copy.load(files(s3), [one, two], archive) == 5
    assert contents(s3, one) == {**was, "added": b"later"}
    archive.seek(0)
    assert object_copy.prune(files(s3), [one, two], archive) == 1
    assert contents(s3, one) == was
    assert contents(s3, two) == {"other": b"2"}


def test_a_cut_archive_deletes_nothing(s3: S3) -> None:
    bucket = s3.bucket("cut")
    fill(s3, bucket, {"kept": b"1", "written": b"2" * 30_000})
    archive = io.BytesIO()
    object_copy.dump(files(s3), [bucket], archive)
    fill(s3, bucket, {"later": b"3"})
    for use in (object_copy.load, object_copy.prune):
        with pytest.raises(ChurnError, match="Nothing was deleted"):
            use(files(s3), [bucket], io.BytesIO(archive.getvalue()[:15_000]))
    assert set(s3.objects(bucket)) == {"kept", "written", "later"}


def test_an_archive_writes_into_no_other_bucket(s3: S3) -> None:
    mine, other = s3.bucket("mine"), s3.bucket("other")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(f"{other}/planted"))
    archive.seek(0)
    with pytest.raises(ChurnError, match=f"{other}/planted, which is no object of {mine}"):
        object_copy.load(files(s3), [mine], archive)
    assert s3.objects(other) == {}


def test_a_missing_bucket_is_named(s3: S3) -> None:
    with pytest.raises(ChurnError, match="no bucket 'nowhere'"):
        object_copy.dump(files(s3), ["nowhere"], io.BytesIO())


def test_a_store_that_does_not_answer_is_named_within_seconds(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_text("id\n1\n")
    kept = {key: value for key, value in activated().items() if not key.startswith("AWS_")}
    dead = f"http://127.0.0.1:{free_port()}"
    for command in (["dump", "churn"], ["put", str(tmp_path / "churn.csv"), "s3://churn/raw/churn.csv"]):
        line = [str(BIN / "python"), "-m", "churn.io.files.object_copy", *command]
        environment = {**kept, **s3.environment, "AWS_ENDPOINT_URL": dead}
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"The object store (S3) at {dead}, bucket churn does not answer" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_sample_keeps_bytes_order_and_most_of_its_rows(tmp_path: Path) -> None:
    header, rows = b"id,text\n", [f'{number},"line\nbreak {number}"\n'.encode() for number in range(500)]
    table, sample = tmp_path / "churn.csv", tmp_path / "sample.csv"
    table.write_bytes(header + b"".join(rows))
    assert raw_sample.write_sample(table, sample, 50) == 50
    first = sample.read_bytes()
    kept = [row for row in rows if row in first]
    assert first == header + b"".join(kept)
    table.write_bytes(header + b"".join(rows) + b'900,"new"')
    raw_sample.write_sample(table, sample, 50)
    assert sum(row in sample.read_bytes() for row in kept) >= 49
    assert raw_sample.write_sample(table, sample, 10_000) == 501
    table.write_bytes(b"id,text\r\n1,one\r\n2,two")
    raw_sample.write_sample(table, sample)
    assert sample.read_bytes() == b"id,text\r\n1,one\r\n2,two\r\n"


def test_sample_of_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChurnError, match="plain CSV"):
        raw_sample.write_sample(tmp_path / "churn.csv", tmp_path / "sample.csv")
    (tmp_path / "churn.csv").write_text("id,text\n")
    with pytest.raises(ChurnError, match="no rows"):
        raw_sample.write_sample(tmp_path / "churn.csv", tmp_path / "sample.csv")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What data.sh needs of the project, in a repository of its own."""
    folder = tmp_path / "checkout"
    (folder / "data" / "raw").mkdir(parents=True)
    for name in ("conf", "docker", ".dvc"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("tmp", "cache", "config.local", "local"))
    for name in (".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(BIN.parent)
    subprocess.run(["git", "init", "--quiet", "."], cwd=folder, check=True)
    return folder


def data(folder: Path, s3: S3, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in activated().items() if not key.startswith("AWS_")}
    line = [str(folder / "docker" / "data.sh"), command]
    done = subprocess.run(line, cwd=folder, env={**kept, **s3.environment}, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_version_of_the_table_is_pushed_and_pulled(checkout: Path, s3: S3) -> None:
    bucket = s3.bucket("dvc")
    config = checkout / ".dvc" / "config"
    config.write_text(config.read_text().replace("s3://dvc", f"s3://{bucket}"))
    table, sample = (checkout / "data" / "raw" / name for name in ("churn.csv", "churn_sample.csv"))
    content = b"id,Churn\n" + b"".join(f"{number},No\n".encode() for number in range(3000))
    table.write_bytes(content)
    data(checkout, s3, "push")
    assert f"md5: {hashlib.md5(content).hexdigest()}" in (checkout / "data/raw/churn.csv.dvc").read_text()
    status = subprocess.run(["git", "status", "--porcelain", "-uall"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert "data/raw/churn.csv.dvc" in status
    assert not [line for line in status.splitlines() if line.endswith(".csv")], "git takes the pointer, never the table"

    size = len(sample.read_bytes().splitlines())
    for path in (table, sample):
        path.unlink()
    shutil.rmtree(checkout / ".dvc" / "cache")
    data(checkout, s3, "pull-sample")
    assert table.read_bytes() == sample.read_bytes()
    assert size == len(table.read_bytes().splitlines()) == raw_sample.ROWS + 1
    table.unlink()
    data(checkout, s3, "pull")
    assert table.read_bytes() == content
    refused = data(checkout, s3, "pull-sample", check=False)
    assert refused.returncode != 0
    assert "takes the place of none" in refused.stderr
    assert table.read_bytes() == content
    for path in (checkout / ".dvc" / "config", *checkout.rglob("*.dvc")):
        assert path.is_dir() or s3.secret not in path.read_text()


def test_the_training_job_finds_a_table_that_lies_elsewhere(checkout: Path, s3: S3) -> None:
    for file, text in ((".dvc/config", f"s3://{s3.bucket('dvc')}"), ("conf/base/globals.yml", "data/tables/churn.csv")):
        path = checkout / file
        path.write_text(path.read_text().replace("s3://dvc", text).replace("${storage}/raw/churn.csv", text))
    table = checkout / "data" / "tables" / "churn.csv"
    table.parent.mkdir()
    table.write_bytes(b"id,Churn\n1,No\n2,Yes\n")
    data(checkout, s3, "push")
    table.unlink()

    def job(*options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        line = [str(BIN / "python"), "-m", "churn.automation", "table", *options]
        kept = {key: value for key, value in activated().items() if not key.startswith("AWS_")}
        return subprocess.run(line, cwd=checkout, env={**kept, **s3.environment, **settings}, capture_output=True, text=True, check=False)

    done = job()
    assert "The raw table is the version of data/tables/churn.csv.dvc." in done.stdout, done.stderr
    assert table.read_bytes() == b"id,Churn\n1,No\n2,Yes\n"
    (checkout / "conf" / "mine").mkdir()
    (checkout / "conf" / "mine" / "globals.yml").write_text("raw_customers: elsewhere/churn.csv\n")
    done = job(KEDRO_ENV="mine")
    assert (checkout / "elsewhere" / "churn.csv").read_bytes() == table.read_bytes(), done.stderr
    refused = job("--sample")
    assert refused.returncode != 0
    assert "mend `raw_customers` in conf/sample/globals.yml" in refused.stderr


def test_no_keys_is_said_before_anything_is_done(checkout: Path, s3: S3) -> None:
    without = {key: value for key, value in activated().items() if not key.startswith("AWS_")}
    done = subprocess.run([str(checkout / "docker/data.sh"), "push"], env=without, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "make stack" in done.stderr
