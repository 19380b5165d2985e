"""Text tables: which delimiter, which column names, and what an engine's parser means by its error."""

import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from kedro.io import DatasetError

from churn.core.errors import ChurnError
from churn.core.raw_table.rules import repeated_name

DELIMITERS = (",", ";", "\t", "|")
HEAD = 1 << 20
"""Bytes at the start of a file in which the header must end."""
TOLD_BY = 20
"""Records below the header that a delimiter is judged by."""
_ABOVE = re.compile('"?sep=.?"?', re.IGNORECASE)
"""The line that Excel writes above a header."""
GZIP_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
_NOT_TEXT = {b"PK\x03\x04": "an Excel workbook or zip archive", b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text"}


class TableError(ChurnError, DatasetError):
    """A table that cannot be read or written; also a DatasetError, so that Kedro hands it on unchanged."""


@dataclass(frozen=True)
class Dialect:
    """How a text table is written: its columns (every name once), delimiter, compression, and the lines above its header.

    `strict`: nothing may stand between a closing quote and the delimiter. DuckDB's strict parser finds no rows below a
    header with a line break in a name, in a file whose lines end in CRLF.
    """

    columns: tuple[str, ...]
    delimiter: str
    compression: str
    skipped: int
    strict: bool


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """A file of the local disk or an object store, for reading bytes.

    Raises:
        TableError: if there is no such file, or it may not be read.
    """
    import fsspec  # type: ignore[import-untyped]

    try:
        with fsspec.open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        advice = "Put your table there (raw_customers in globals.yml), or write a sample: kedro run --pipelines sample_data"
        raise TableError(f"There is no table at {path}. {advice}") from None
    except IsADirectoryError:
        raise TableError(f"{path} is a folder; name the CSV or Parquet file in it (raw_customers in conf/base/globals.yml).") from None
    except PermissionError:
        raise TableError(f"{path} may not be read; change its permissions.") from None


def is_parquet(path: str) -> bool:
    """Whether a file is Parquet by its first bytes, whatever its name.

    Raises:
        TableError: if it is empty or missing.
    """
    with opened(path) as file:
        start = file.read(4)
    if not start:
        raise TableError(f"{path} is empty (0 bytes). Put a table with a header line there.")
    return start == PARQUET_MAGIC


def dialect(path: str) -> Dialect:
    """Read the header of a text table: gzip or not, with or without a byte order mark, blank lines or Excel's `sep=` above it.

    Raises:
        TableError: if the start of the file is no UTF-8 text, or holds no header.
    """
    with opened(path) as file:
        start = file.read(4)
        file.seek(0)
        zipped = start.startswith(GZIP_MAGIC)
        head = _read_head(path, gzip.GzipFile(fileobj=file) if zipped else file)
    lines = _decoded(path, head).splitlines(keepends=True)
    above = next((place for place, line in enumerate(lines) if line.strip() and not _ABOVE.fullmatch(line.strip())), len(lines))
    if above == len(lines):
        raise TableError(f"{path} holds no text. Put a table with a header line there.")
    records = {delimiter: _first_records(path, "".join(lines[above:]), delimiter) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda candidate: _fits(records[candidate]))
    header = records[delimiter][0]
    strict = not any(set("\r\n") & set(name) for name in header)
    return Dialect(_own_names(header), delimiter, "gzip" if zipped else "none", above, strict)


def explain(path: str, error: Exception) -> TableError:
    """What an engine's parser error means, in a sentence with the line where it is known."""
    message = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", message)
    where = f"{path}, line {line[1]}" if line else path
    fields = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    if fields:
        return TableError(
            f"{where}: {fields[2]} fields where the header has {fields[1]}. Quote values that hold the delimiter; mend the row."
        )
    if "state machine" in message.lower():
        return TableError(f"{where}: its lines end in different ways (LF, CRLF, CR). Save it with one kind, for example with dos2unix.")
    if "not utf-8" in message.lower():
        return TableError(f"{where}: not UTF-8 text. Save the table as UTF-8.")
    if "unterminated quote" in message.lower():
        return TableError(f'{where}: a quote is opened and not closed. Write a quote inside a value as "".')
    return TableError(f"{where}: the table cannot be read: {_first_line(message)}")


def _read_head(path: str, file: Any) -> bytes:
    try:
        head: bytes = file.read(HEAD)
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise TableError(f"{path}: the compressed file is damaged ({error}). Copy it again.") from None
    return head


def _decoded(path: str, head: bytes) -> str:
    for magic, kind in _NOT_TEXT.items():
        if head.startswith(magic):
            raise TableError(f"{path} is {kind}, not UTF-8 text. Save the table as CSV in UTF-8, or as Parquet.")
    whole = head if len(head) < HEAD else head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1]
    if head and not whole:
        raise TableError(f"{path}: there is no line end in its first {HEAD:,} bytes. Put a table with a header line there.")
    try:
        return whole.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = head[: error.start].count(b"\n") + 1
        raise TableError(f"{path}, line {line}: not UTF-8 text. Save the table as UTF-8.") from None


def _first_records(path: str, text: str, delimiter: str) -> list[list[str]]:
    """The header and the records below it that tell whether the delimiter is right; blank lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        records = [next(reader)]
    except csv.Error as error:
        raise TableError(f"{path}: the header cannot be read: {error}.") from None
    with suppress(csv.Error):  # of a record: a wrong delimiter's, or the engine says where
        records.extend(islice((record for record in reader if record), TOLD_BY))
    return records


def _fits(records: list[list[str]]) -> tuple[bool, float, int]:
    """How well a delimiter fits: it splits the header, as many records as can be have the header's fields, and it has many."""
    fields, below = len(records[0]), records[1:]
    agreeing = sum(len(record) == fields for record in below) / len(below) if below else 1.0
    return fields > 1, agreeing, fields


def _own_names(header: list[str]) -> tuple[str, ...]:
    """Give every column a name of its own: engines compare names without regard to case."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for place, raw in enumerate(header):
        name = raw.strip() or f"Unnamed: {place}"
        seen[name.lower()] = times = seen.get(name.lower(), 0) + 1
        names.append(name if times == 1 else repeated_name(name, times))
    return tuple(names)


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0] if lines else "unknown reason"
