"""A small sample of a raw CSV table, for checks that must be quick: `python -m churn.io.files.raw_sample TABLE SAMPLE [ROWS]`.

The rows with the smallest hashes are taken, in the table's order and byte for byte: when the table grows, most of the sample
stays, so that its versions differ little.
"""

import hashlib
import heapq
import sys
from collections.abc import Iterator
from pathlib import Path

from churn.core.errors import ChurnError

ROWS = 1000


def write_sample(table: Path, sample: Path, rows: int = ROWS) -> int:
    """Write the header and at most `rows` rows of a CSV file; the sample appears under its name when it is whole.

    Returns:
        How many rows it has.

    Raises:
        ChurnError: if the table is missing, empty or no plain CSV file.
    """
    if table.suffix != ".csv" or not table.is_file():
        raise ChurnError(f"A sample is made of a plain CSV file, and {table} is none.")
    records = list(_records(table))
    if len(records) < 2:  # noqa: PLR2004 - a header and a row
        raise ChurnError(f"{table} has no rows.")
    chosen = sorted(heapq.nsmallest(rows, range(1, len(records)), key=lambda place: hashlib.md5(records[place]).digest()))  # noqa: S324
    part = sample.with_name(f".{sample.name}.partial")
    part.write_bytes(b"".join(records[place] for place in (0, *chosen)))
    part.replace(sample)
    return len(chosen)


def _records(table: Path) -> Iterator[bytes]:
    """The file's records, each with its line end, the last with that of the others; a quoted field may hold line ends (RFC 4180)."""
    record, end = b"", b"\n"
    with table.open("rb") as file:
        for line in file:
            record += line
            if record.count(b'"') % 2 == 0:
                end = b"\r\n" if record.endswith(b"\r\n") else end
                yield record if record.endswith(b"\n") else record + end
                record = b""
    if record:
        raise ChurnError(f"{table} ends inside a quoted field.")


if __name__ == "__main__":
    try:
        count = write_sample(Path(sys.argv[1]), Path(sys.argv[2]), *(int(rows) for rows in sys.argv[3:4]))
    except ChurnError as mistake:
        sys.exit(str(mistake))
    sys.stderr.write(f"{sys.argv[2]}: {count:,} rows\n")
