"""Builds what serving needs in a copy of the project, in a process of its own: `python -m tests.serving.build FOLDER [feast file]`.

A feature table of made-up customers that fits the declaration, materialized by Feast, and two registered models.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost

from churn import config
from churn.core.decisions.whatif import derive
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.model import ChurnModel, build_model, feature_types
from churn.io.features import feature_store
from churn.io.models import promotion, registration, registry
from churn.io.models.promotion_record import PromotionRecord

CUSTOMERS = 300
AS_OF = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
OLD = AS_OF - timedelta(days=400)
STALE, UNSEEN, EMPTY = "c-0001", "c-0002", "c-0003"
"""A customer with old features, one with a category that no model has seen, one with missing values."""


def customer_ids() -> list[str]:
    """Plain ids, and three that try an encoding."""
    return [f"c-{number:04d}" for number in range(CUSTOMERS - 3)] + ["ärger / 日本", "*?[a]\\", "x" * 150]


def table(declaration: Any, seed: int = 0) -> pd.DataFrame:
    """One row per customer: the declared columns at random, the derived ones by their expressions."""
    draw = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for name, column in declaration.columns.items():
        if column.type == "category":
            columns[name] = draw.choice(column.values, CUSTOMERS)
        elif column.type == "boolean":
            columns[name] = draw.random(CUSTOMERS) < 0.5
        elif column.type == "integer":
            columns[name] = pd.array(draw.integers(0, 72, CUSTOMERS), "Int64")
        else:
            columns[name] = draw.gamma(2.0, 30.0, CUSTOMERS)
    rows = pd.DataFrame(columns)
    rows.loc[2, "Contract"] = "Weekly"
    rows.loc[3, ["TotalCharges", "Contract", "tenure"]] = None
    plain = rows.astype(object).where(rows.notna(), None).to_dict("records")
    derived = (
        pd.DataFrame([derive(declaration, row) for row in plain], dtype=float) if declaration.derived else pd.DataFrame(index=rows.index)
    )
    return pd.concat([rows, derived], axis=1)


def model(declaration: Any, rows: pd.DataFrame, seed: int) -> ChurnModel:
    """A small booster on made-up outcomes; the seed makes it another one."""
    draw = np.random.default_rng(seed)
    known = rows[rows["Contract"] != "Weekly"]
    features = learn_categories(declaration.features, known)
    score = 1.5 * (known["Contract"] == "Month-to-month") - 0.04 * known["tenure"].fillna(20).astype(float) + draw.normal(size=len(known))
    matrix = xgboost.DMatrix(
        encode(features, known), (score > 0).to_numpy(), feature_types=feature_types(features), enable_categorical=True, nthread=1
    )
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": seed}, matrix, 25)
    return build_model(booster, features, known, threshold=0.4, schema_sha256=declaration.sha256)


def write_features(project: Path, declaration: Any, rows: pd.DataFrame) -> Path:
    """The feature table, where data processing leaves it."""
    frame = rows.copy()
    frame.insert(0, "customer_id", customer_ids())
    times = [OLD if customer == STALE else AS_OF for customer in frame["customer_id"]]
    frame.insert(1, "event_timestamp", pd.Series(times).astype("datetime64[us, UTC]"))
    for feature in declaration.features:
        if feature.type == "boolean":
            frame[feature.name] = frame[feature.name].astype("boolean")
    path = Path(config.dataset_path(config.load(project), "customer_features"))
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)
    return path


def materialize(project: Path, declaration: Any, feast_file: str) -> None:
    """Register and fill the online store."""
    feature_store.apply(feast_file, declaration.features, config.dataset_path(config.load(project), "customer_features"))
    feature_store.materialize(feast_file, datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC))


def register(project: Path, tracking_uri: str, models: list[ChurnModel]) -> None:
    """Versions 1, 2, ...; the first is champion."""
    import mlflow

    (project / "data" / "mlflow").mkdir(parents=True, exist_ok=True)
    registry.connect(tracking_uri)
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("churn", artifact_location=str(project / "data" / "mlflow" / "artifacts")))
    for one in models:
        with mlflow.start_run():
            registration.register(registration.Candidate(one, {"git_sha": "test"}))
    promotion.promote("1", "for the tests", PromotionRecord(tracking_uri))


def main(project: Path, feast_file: str | None) -> None:
    """Everything, or only another feature store."""
    settings = config.load(project)
    declaration = settings.declaration
    rows = table(declaration)
    if feast_file is not None:
        materialize(project, declaration, feast_file)
        return
    write_features(project, declaration, rows)
    materialize(project, declaration, settings.path(settings.settings["feast_file"]))
    register(project, settings.path(settings.settings["tracking_uri"]), [model(declaration, rows, seed) for seed in (1, 2)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
