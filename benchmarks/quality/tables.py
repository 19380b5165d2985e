"""The tables of the benchmark: typed by the project's own data processing, cut into training and test parts."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from churn.config import load
from churn.core.declaration import CHURNED, CUSTOMER_ID, Declaration, Feature
from churn.core.population.customers import SampleParameters, draw
from churn.core.raw_table.parameters import ProcessingParameters

ROOT = Path(__file__).resolve().parents[2]
FOLDS = 5
SAMPLE_TRAIN, SAMPLE_TEST = 5_634, 100_000
FILES = {
    "telco": ("telco/Telco-Customer-Churn.csv", "conf/base/parameters/customers.yml"),
    "bank": ("bank/Churn_Modelling.csv", "tests/data/bank_customers.yml"),
}
NAMES = (*FILES, "sample")


@dataclass(frozen=True)
class Part:
    """One training and one test part; `truth` are the test customers' true churn probabilities where they are known."""

    features: tuple[Feature, ...]
    rows: pd.DataFrame
    churned: np.ndarray
    customer_ids: list[str]
    test_rows: pd.DataFrame
    test_churned: np.ndarray
    truth: np.ndarray | None = None


def parts(name: str, seed: int) -> Iterator[Part]:
    """Five folds of a real table, stratified and shuffled with the seed, or five draws of the sample population."""
    yield from (_draws(seed) if name == "sample" else _folds(name, seed))


def _folds(name: str, seed: int) -> Iterator[Part]:
    from sklearn.model_selection import StratifiedKFold

    declaration, table = _typed(name)
    names = [feature.name for feature in declaration.features]
    rows, churned, ids = table[names], table[CHURNED].to_numpy(bool), table[CUSTOMER_ID]
    for inside, outside in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(rows, churned):
        yield Part(
            declaration.features, rows.iloc[inside], churned[inside], ids.iloc[inside].tolist(), rows.iloc[outside], churned[outside]
        )


def _typed(name: str) -> tuple[Declaration, pd.DataFrame]:
    """The table in the order of its file, as data processing types it."""
    import ibis

    from churn.core.raw_table.expressions import customers

    file, declared = FILES[name]
    path = ROOT / os.environ.get("CHURN_TEST_DATA", "../shared/data") / file
    if not path.exists():
        raise SystemExit(f"{path} does not exist: set CHURN_TEST_DATA to a folder with telco/ and bank/.")
    declaration = Declaration.parse(yaml.safe_load((ROOT / declared).read_text(encoding="utf-8"))["customers"])
    parameters = ProcessingParameters.model_validate(load(ROOT, "base").parameters["data_processing"])
    connection = ibis.duckdb.connect()
    raw = connection.read_csv(path, all_varchar=True)
    table = customers(raw, declaration, parameters).to_pandas()
    order: Any = pd.Index(raw[declaration.key].to_pandas().str.strip())
    return declaration, table.set_index(CUSTOMER_ID, drop=False).loc[order].reset_index(drop=True)


def _draws(seed: int) -> Iterator[Part]:
    declaration = load(ROOT, "base").declaration
    for fold in range(FOLDS):
        drawn = draw(SampleParameters(rows=SAMPLE_TRAIN + SAMPLE_TEST, seed=seed + fold))
        rows = pd.DataFrame(drawn.features())
        ids = [key.decode() for key in drawn.customer_id[:SAMPLE_TRAIN]]
        new = slice(SAMPLE_TRAIN, None)
        yield Part(
            declaration.features,
            rows.iloc[:SAMPLE_TRAIN],
            drawn.churned[:SAMPLE_TRAIN],
            ids,
            rows.iloc[new],
            drawn.churned[new],
            drawn.probability[new],
        )
