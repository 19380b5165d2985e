"""Customer tables for the catalog: raw files in, Ibis expressions run, Parquet out."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kedro.io import AbstractDataset
from kedro_datasets.ibis import FileDataset

from churn.core.errors import ChurnError
from churn.io.files.delimited import TableError, dialect, explain, is_parquet, opened
from churn.io.files.places import written_whole
from churn.io.files.rows import failed, run, run_all

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from churn.core.declaration import Declaration
    from churn.core.raw_table.parameters import ProcessingParameters


class EngineDataset(FileDataset):  # type: ignore[misc]
    """Parquet read and written by the Ibis engine; a file appears under its name only when it is whole.

    All datasets with the same `connection` share it: what one of them loads, another can save.
    """

    def __init__(self, filepath: str, connection: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **options: Any):
        chosen = connection or self.DEFAULT_CONNECTION_CONFIG
        super().__init__(filepath, "parquet", connection={**_spill(chosen), **chosen}, metadata=metadata, **options)

    @property
    def path(self) -> str:
        """Where the file lies: a local path or the address in an object store."""
        return f"{self._fs_prefix}{self._filepath}"

    def save(self, data: "ir.Table") -> None:
        """Run the expression into the file, in the engine's order of rows."""
        try:
            with written_whole(self.path) as file:
                self.connection.to_parquet(data, file, **self._save_args)
        except Exception as error:
            raise failed(self.path, error) from error

    def load(self) -> "ir.Table":
        """The file as an Ibis table."""
        self._reach()
        return super().load()

    def _reach(self) -> None:
        """Let DuckDB read from the object store through fsspec; its own extension would be downloaded at run time."""
        if self._fs_prefix and self.connection.name == "duckdb":
            system = self._filesystem()
            name = system.protocol if isinstance(system.protocol, str) else system.protocol[0]  # DuckDB's name for all of them
            if not self.connection.con.filesystem_is_registered(name):
                self.connection.register_filesystem(system)


class CustomerTableDataset(EngineDataset):
    """The raw customer table as an Ibis table: CSV of any dialect (every column as text), or Parquet as stored.

    The file is parsed once into a temporary table of the engine, which later loads share until the
    file changes or the dataset is released.
    """

    def __init__(self, filepath: str, connection: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None):
        super().__init__(filepath, connection, metadata)
        self._parsed: tuple[Any, ir.Table] | None = None

    def load(self) -> "ir.Table":
        """Parse the file, or hand out what was parsed.

        Raises:
            TableError: if the file is missing, empty, no table, or broken at some line.
        """
        state = self._state()
        if self._parsed is None or self._parsed[0] != state:
            self._parsed = (state, self._read())
        return self._parsed[1]

    def save(self, _data: "ir.Table") -> None:
        """Refused: the raw table belongs to the user."""
        raise TableError(f"{self.path} is the raw table; the pipelines never write it.")

    def release(self) -> None:
        """Drop the parsed table."""
        self._parsed = None
        self._drop("table", self._name)
        super().release()

    def _state(self) -> Any:
        if self._fs_prefix:
            return self._remote_state()
        if not os.path.exists(self.path):  # noqa: PTH110
            return None
        status = Path(self.path).stat()
        return status.st_mtime_ns, status.st_size

    def _remote_state(self) -> Any:
        system = self._filesystem()
        system.invalidate_cache()
        if not system.exists(self.path):
            return None
        about = system.info(self.path)
        return about.get("ETag"), about["size"]

    def _read(self) -> "ir.Table":
        self._reach()
        try:
            if is_parquet(self.path):
                return self.connection.read_parquet(self.path)
            return self._read_text()
        except TableError:
            raise
        except Exception as error:
            raise explain(self.path, error) from error

    def _read_text(self) -> "ir.Table":
        form = dialect(self.path)
        scan = self.connection.read_csv(
            self.path,
            table_name=f"{self._name}_scan",
            columns=dict.fromkeys(form.columns, "VARCHAR"),
            delim=form.delimiter,
            quote='"',
            escape='"',
            compression=form.compression,
            header=True,
            skip=form.skipped,
            strict_mode=form.strict,
        )
        self._drop("table", self._name)
        table = self.connection.create_table(self._name, scan, temp=True)
        self._drop("view", scan.get_name())
        return table

    @property
    def _name(self) -> str:
        """The parsed table's name in the engine: one per file, so that a run cut short leaves no second copy."""
        return f"raw_{hashlib.sha256(self.path.encode()).hexdigest()[:16]}"

    def _drop(self, kind: str, name: str) -> None:
        """Drop a temporary table or view; ibis 12's own drop is broken by sqlglot 30."""
        self.connection.raw_sql(f'DROP {kind} IF EXISTS "{name}"')


class FingerprintDataset(AbstractDataset[None, dict[str, Any]]):
    """The hashes, size and name of a file, read as a stream. The MD5 is what DVC calls the version of the file."""

    CHUNK: ClassVar[int] = 1 << 20

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None):
        self._path = filepath
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """`sha256`, `md5`, `bytes` and `name`."""
        digest, version, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with opened(self._path) as file:
            while chunk := file.read(self.CHUNK):
                digest.update(chunk)
                version.update(chunk)
                size += len(chunk)
        return {"sha256": digest.hexdigest(), "md5": version.hexdigest(), "bytes": size, "name": Path(self._path).name}

    def save(self, _data: None) -> None:
        """Refused: a fingerprint is read off its file."""
        raise TableError(f"The fingerprint of {self._path} cannot be written.")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}


def _spill(connection: Mapping[str, Any]) -> dict[str, str]:
    """Where DuckDB puts what does not fit in memory: the system's temporary folder, not the working directory."""
    folder = Path(tempfile.gettempdir()) / f"churn-duckdb-{os.getpid()}"
    return {"temp_directory": str(folder)} if connection["backend"] == "duckdb" else {}


def declare(
    path: str, parameters: "ProcessingParameters", key: str | None = None, target: str | None = None, positive: str | None = None
) -> str:
    """Draft the declaration of the table at `path` as commented YAML.

    Args:
        path: a CSV of any dialect or Parquet.
        parameters: of data processing: what counts as a leak, and on how many rows it is measured.
        key: the column that names the customer; None: found by its values and its name.
        target: the column that says who left; None: found by its name.
        positive: the value of the target that means churned; None: found by its meaning.

    Raises:
        ChurnError: if the table cannot be read, or key or target cannot be told; it says which option to give.
    """
    from churn.core.raw_table import declare as drafts
    from churn.core.raw_table.checks import class_counts
    from churn.core.raw_table.declare_text import written
    from churn.core.raw_table.profile import ColumnProfile, distinct_values, profiles

    raw_dataset = CustomerTableDataset(str(path))
    try:
        raw = raw_dataset.load()
        repeated = [name for name in raw.columns if " (repeated " in name]
        if repeated:
            raise TableError(f"{path}: the header names a column more than once: {', '.join(repeated)}. Rename it in the file.")
        found = [ColumnProfile(**rows[0]) for rows in run_all(profiles(raw)).values()]
        values = run_all(distinct_values(raw, drafts.listed_values(found)))
        roles = drafts.roles(found, values, key, target, positive)
        columns = drafts.draft(found, values, roles)
        declaration = drafts.declaration(columns, roles)
        drafts.refuse_repeated_keys(run("the key", class_counts(raw, declaration))[0], roles)
        aucs = _leaks(raw, declaration, found[0].rows, parameters.leak_rows)
        columns = drafts.without_leaks(columns, aucs, parameters.leak_auc)
        text = written(columns, roles, Path(path).name)
        _require_same(text, drafts.declaration(columns, roles), path)
        return text
    finally:
        raw_dataset.release()


def _leaks(raw: "ir.Table", declaration: "Declaration", rows: int, wanted: int) -> dict[str, float]:
    from churn.core.raw_table.leaks import leak_sample, single_feature_auc

    measured = single_feature_auc(leak_sample(raw, declaration, rows, wanted), declaration)
    return {row["feature"]: row["auc"] for row in run("the single-feature AUC", measured)}


def _require_same(text: str, drafted: "Declaration", path: str) -> None:
    """Stop a draft that Kedro would not read as it is meant."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        read: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
        same = drafted.parse(read["customers"]) == drafted
    except (YAMLError, OmegaConfBaseException, ChurnError):
        same = False
    if not same:
        raise TableError(
            f"{path}: a column name or value cannot be written into a configuration file; Kedro gives ${{...}} a meaning, for one. "
            "Rename it in the file."
        )
