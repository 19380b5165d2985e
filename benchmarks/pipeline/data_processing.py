"""What data processing costs beside the same SQL typed into DuckDB.

    python -m benchmarks.pipeline.data_processing [--rows 1000000] [--repeats 3]

Every side runs in a fresh process, on the sample table as CSV. `the same SQL` is what the pipeline
compiles to, run as a script: parse once, count breaches, measure leaks, write both Parquet files.
`typing and writing` leaves the checks out. The start-up of each side is measured on 1,000 rows and
taken off; the ratio is of what the rows cost. The least of the repeats counts.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import Cost, measure

ROOT = Path(__file__).parents[2]
FEW = 1_000
SIDES = ("pipeline", "sql", "bare")


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, few = (_costs(folder, rows, given.repeats) for rows in (given.rows, FEW))
    print(f"{given.rows:,} rows, least of {given.repeats}; in brackets the start-up, on {FEW:,} rows")
    for side, label in zip(SIDES, ("data_processing", "the same SQL", "typing and writing"), strict=True):
        print(f"{label:20s}{many[side]}   ({few[side].cpu:.1f} CPU s)")
    work = {side: many[side].cpu - few[side].cpu for side in SIDES}
    ratios = [work["pipeline"] / work[side] for side in ("sql", "bare")]
    print(f"CPU of the rows: {ratios[0]:.2f} times the same SQL, {ratios[1]:.2f} times typing and writing")


def _costs(folder: Path, rows: int, repeats: int) -> dict[str, Cost]:
    raw, out = folder / f"{rows}.csv", folder / f"out-{rows}"
    module = [sys.executable, "-m", "benchmarks.pipeline.data_processing"]
    measure([*module, "sample", str(raw), str(rows)], ROOT)
    measure([*module, "compile", str(raw), str(out)], ROOT)
    sql = "import duckdb, pathlib, sys; duckdb.connect().execute(\"set timezone = 'UTC'\").execute(pathlib.Path(sys.argv[1]).read_text())"
    commands = {
        "pipeline": [*module, "process", str(raw), str(out)],
        "sql": [sys.executable, "-c", sql, str(out / "same.sql")],
        "bare": [sys.executable, "-c", sql, str(out / "bare.sql")],
    }
    found: dict[str, list[Cost]] = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side, command in commands.items():
            found[side].append(measure(command, ROOT))
    return {side: min(costs, key=lambda cost: cost.cpu) for side, costs in found.items()}


def sample(raw: Path, rows: int) -> None:
    """Write the sample table."""
    from churn.core.population.customers import SampleParameters
    from churn.io.files.streams import SampleDataset
    from churn.pipelines.sample_data.nodes import draw_sample

    truth, note = raw.with_suffix(".truth.parquet"), raw.with_suffix(".json")
    parameters = SampleParameters.model_validate({"rows": rows})
    SampleDataset(str(raw), {"filepath": str(truth)}, {"filepath": str(note)}).save(draw_sample(parameters))


def process(raw: Path, out: Path) -> None:
    """Run the pipeline with its real catalog entries."""
    from kedro.io import DataCatalog
    from kedro.runner import SequentialRunner

    from churn.pipelines.data_processing import create_pipeline

    text = (ROOT / "conf/base/catalog/data_processing.yml").read_text(encoding="utf-8")
    for name, value in {"storage": out, "raw_customers": raw, "engine": "duckdb"}.items():
        text = text.replace(f"${{globals:{name}}}", str(value))
    catalog = DataCatalog.from_config({name: entry for name, entry in yaml.safe_load(text).items() if not name.startswith("_")})
    catalog["params:customers"], catalog["params:data_processing"] = _parameters()
    SequentialRunner().run(create_pipeline(), catalog)


def compile_sql(raw: Path, out: Path) -> None:
    """Write the SQL of the pipeline as scripts for DuckDB: with the checks, and without them."""
    import ibis

    from churn.core.raw_table.checks import class_counts, rule_counts, side_counts
    from churn.core.raw_table.expressions import customers
    from churn.core.raw_table.leaks import leak_sample, single_feature_auc
    from churn.io.files.delimited import dialect
    from churn.io.files.tables import CustomerTableDataset

    declaration, parameters = _parameters()
    table = CustomerTableDataset(str(raw)).load()
    rows = int(table.count().to_pyarrow().as_py())
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in dialect(str(raw)).columns)
    options = f"columns = {{{columns}}}, header = true, delim = ',', quote = '\"', escape = '\"', auto_detect = false"
    scan = f"select * from read_csv('{raw}', {options})"  # noqa: S608
    checks = [
        class_counts(table, declaration),
        rule_counts(table, declaration),
        side_counts(table, declaration, parameters),
        single_feature_auc(leak_sample(table, declaration, rows, parameters.leak_rows), declaration),
    ]
    writes = [
        f"copy ({ibis.to_sql(customers(table, declaration, parameters))}) to '{out}/customers.parquet' (format parquet)",
        f"copy (select * exclude (churned, split) from '{out}/customers.parquet') to '{out}/features.parquet' (format parquet)",  # noqa: S608
    ]
    name = table.get_name()
    out.mkdir(parents=True, exist_ok=True)
    same = [f"create temp table {name} as {scan}", *(str(ibis.to_sql(check)) for check in checks), *writes]
    bare = [f"create temp view {name} as {scan}", *writes]
    for file, statements in {"same.sql": same, "bare.sql": bare}.items():
        (out / file).write_text(";\n".join(statements), encoding="utf-8")


def _parameters() -> tuple[Any, Any]:
    from churn.core.declaration import Declaration
    from churn.core.raw_table.parameters import ProcessingParameters

    folder = ROOT / "conf/base/parameters"
    found = [yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))[name] for name in ("customers", "data_processing")]
    return Declaration.parse(found[0]), ProcessingParameters.model_validate(found[1])


STEPS = {
    "sample": lambda raw, rows: sample(Path(raw), int(rows)),
    "process": lambda raw, out: process(Path(raw), Path(out)),
    "compile": lambda raw, out: compile_sql(Path(raw), Path(out)),
}

if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in STEPS:
        STEPS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
