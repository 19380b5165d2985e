"""The real telco table is fetched over HTTP, checked, and never put over somebody's file."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from churn.core.errors import ChurnError
from churn.io.files.fetch import TELCO_SHA256, TELCO_URL, fetch_telco

TABLE = b"customerID,Churn\n" + b"".join(b"%04d-ABCDE,No\n" % i for i in range(20_000))
SHA256 = hashlib.sha256(TABLE).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing.csv":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(TABLE)))
        self.end_headers()
        self.wfile.write(TABLE[: len(TABLE) // 2] if self.path == "/truncated.csv" else TABLE)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "raw" / "churn.csv", tmp_path / "raw" / "sample.json"


def left(places: tuple[Path, Path]) -> list[str]:
    return sorted(path.name for path in places[0].parent.glob("*"))


def write_sample(places: tuple[Path, Path]) -> None:
    table, note = places
    table.parent.mkdir()
    table.write_bytes(b"a sample")
    note.write_text(json.dumps({"sample": True, "sha256": hashlib.sha256(b"a sample").hexdigest()}))


def test_a_good_download_takes_the_place(server: str, places: tuple[Path, Path]) -> None:
    assert fetch_telco(*places, url=f"{server}/table.csv", sha256=SHA256)
    assert places[0].read_bytes() == TABLE
    assert left(places) == ["churn.csv"]


def test_nothing_is_fetched_twice(server: str, places: tuple[Path, Path]) -> None:
    fetch_telco(*places, url=f"{server}/table.csv", sha256=SHA256)
    assert not fetch_telco(*places, url=f"{server}/missing.csv", sha256=SHA256)


def test_a_sample_gives_way_and_its_note_goes(server: str, places: tuple[Path, Path]) -> None:
    write_sample(places)
    fetch_telco(*places, url=f"{server}/table.csv", sha256=SHA256)
    assert places[0].read_bytes() == TABLE
    assert left(places) == ["churn.csv"]


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("/table.csv", TELCO_SHA256, f"is not the telco table: its sha256 is {SHA256}, expected {TELCO_SHA256}"),
        ("/missing.csv", SHA256, "answered 404"),
        ("/truncated.csv", SHA256, f"broke off after {len(TABLE) // 2:,} of {len(TABLE):,} bytes"),
    ],
)
def test_a_bad_download_leaves_the_sample_as_it_was(server: str, places: tuple[Path, Path], path: str, sha256: str, message: str) -> None:
    write_sample(places)
    with pytest.raises(ChurnError, match=r"churn\.csv|Nothing was written") as error:
        fetch_telco(*places, url=server + path, sha256=sha256)
    assert message in str(error.value)
    assert places[0].read_bytes() == b"a sample"
    assert left(places) == ["churn.csv", "sample.json"]


def test_a_users_file_is_never_replaced(server: str, places: tuple[Path, Path]) -> None:
    write_sample(places)
    places[0].write_bytes(b"a sample, edited by its owner")
    with pytest.raises(ChurnError, match="left alone"):
        fetch_telco(*places, url=f"{server}/table.csv", sha256=SHA256)
    assert places[0].read_bytes() == b"a sample, edited by its owner"


def test_a_file_put_there_during_the_download_is_never_replaced(places: tuple[Path, Path]) -> None:
    class Late(Handler):
        def do_GET(self) -> None:
            places[0].write_bytes(b"just exported")
            super().do_GET()

    with ThreadingHTTPServer(("127.0.0.1", 0), Late) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        with pytest.raises(ChurnError, match="left alone"):
            fetch_telco(*places, url=f"http://127.0.0.1:{http.server_port}/table.csv", sha256=SHA256)
        http.shutdown()
    assert places[0].read_bytes() == b"just exported"
    assert left(places) == ["churn.csv"]


def test_no_server_is_one_message(places: tuple[Path, Path]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        closed = http.server_port
    with pytest.raises(ChurnError, match=r"could not be fetched: .*refused.* proxy settings .*sample_data"):
        fetch_telco(*places, url=f"http://127.0.0.1:{closed}/table.csv", sha256=SHA256)
    assert left(places) == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/table.csv"])
def test_other_schemes_are_refused(places: tuple[Path, Path], url: str) -> None:
    with pytest.raises(ChurnError, match="http or https"):
        fetch_telco(*places, url=url, sha256=SHA256)


def test_a_parquet_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChurnError, match=r"end in \.csv"):
        fetch_telco(tmp_path / "churn.parquet", tmp_path / "sample.json", sha256=SHA256)


def test_the_address_is_pinned_to_a_commit() -> None:
    assert "/d5371f5d83a446ad5673cbcca3b814b926491f8a/" in TELCO_URL


@pytest.mark.real_data
def test_the_pinned_hash_is_the_real_tables(real_data: Path) -> None:
    assert hashlib.sha256((real_data / "telco" / "Telco-Customer-Churn.csv").read_bytes()).hexdigest() == TELCO_SHA256


def test_the_note_may_lie_elsewhere(server: str, tmp_path: Path) -> None:
    table, note = tmp_path / "churn.csv", tmp_path / "notes" / "sample.json"
    note.parent.mkdir()
    table.write_bytes(b"a sample")
    note.write_text(json.dumps({"sample": True, "sha256": hashlib.sha256(b"a sample").hexdigest()}))
    fetch_telco(table, note, url=f"{server}/table.csv", sha256=SHA256)
    assert table.read_bytes() == TABLE
    assert not note.exists()
