"""Training: point-in-time rows, a challenger, a baseline, and what goes into the registry."""

import json
from typing import Any

from churn.core.declaration import CHURNED, CUSTOMER_ID, EVENT_TIMESTAMP, SPLIT, Declaration
from churn.core.errors import ChurnError
from churn.core.evaluation import plots
from churn.core.evaluation.metrics import metrics
from churn.core.evaluation.profit import Costs, profit_threshold
from churn.core.lazy_types import DataFrame, Figure
from churn.core.modelling.baseline import Baseline, fit_baseline
from churn.core.modelling.training import TrainedModel, TrainingParameters, train
from churn.io.features.feature_store import SERVICE
from churn.io.models.registration import Candidate
from churn.io.models.registry import CUSTOMERS_SHA256, SPLIT_PARAMETERS

EXPLAINED = 1000
"""Training rows that the feature importance is averaged over."""


def entity_rows(
    labels: DataFrame, written: dict[str, Any], data_summary: dict[str, Any], registered: list[str], customers: Declaration
) -> DataFrame:
    """Whom to ask the feature store about, and as of when; the outcome and the split ride along.

    Raises:
        ChurnError: if the processed customers are not those of the summary and of the present declaration, or the feature
            store holds other features than are declared: the lineage of the model would be false.
    """
    if (written["sha256"], customers.sha256) != (data_summary.get("customers_sha256"), data_summary.get("schema_sha256")):
        raise ChurnError(
            "The processed customers do not belong to the present declaration (conf/base/parameters/customers.yml), or data processing "
            "did not finish. Run `kedro run --pipelines data_processing,feature_store` first."
        )
    if registered != [feature.name for feature in customers.features]:
        raise ChurnError("The feature store holds other features than are declared. Run `kedro run --pipelines feature_store` first.")
    return labels[[CUSTOMER_ID, EVENT_TIMESTAMP, CHURNED, SPLIT]]


def divide(frame: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The training and the test rows, each sorted by customer."""
    ordered = frame.sort_values([CUSTOMER_ID, EVENT_TIMESTAMP], ignore_index=True)
    train_rows, test_rows = (ordered[ordered[SPLIT] == side].drop(columns=SPLIT).reset_index(drop=True) for side in ("train", "test"))
    return train_rows, test_rows


def train_challenger(frame: DataFrame, customers: Declaration, parameters: TrainingParameters, costs: Costs) -> TrainedModel:
    """Search and fit on the training rows; customers at the most profitable threshold count as churners."""
    return train(
        frame,
        frame[CHURNED].to_numpy(bool),
        frame[CUSTOMER_ID].tolist(),
        customers.features,
        parameters,
        threshold=profit_threshold(costs),
        schema_sha256=customers.sha256,
        progress=True,
    )


def train_baseline(frame: DataFrame, customers: Declaration) -> Baseline:
    """The logistic regression that shows what boosting buys."""
    return fit_baseline(frame, frame[CHURNED].to_numpy(bool), customers.features)


def describe_training(trained: TrainedModel, frame: DataFrame) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Out-of-fold metrics of the challenger, and every trial of the search, best first."""
    found = metrics(frame[CHURNED].to_numpy(bool), trained.oof, trained.model.spec.threshold)
    return {f"oof_{name}": value for name, value in found.items()}, sorted(trained.trials, key=lambda trial: trial["log_loss"])


def importance(trained: TrainedModel, frame: DataFrame) -> tuple[dict[str, float], Figure]:
    """Mean absolute TreeSHAP contribution (log-odds) of each feature over some training rows, largest first, and its plot."""
    contributions, _ = trained.model.explain(frame.head(EXPLAINED))
    means = dict(zip(trained.model.names, abs(contributions).mean(axis=0).tolist(), strict=True))
    found = dict(sorted(means.items(), key=lambda entry: -entry[1]))
    labels = {feature.name: feature.label for feature in trained.model.spec.features}
    return found, plots.importance([labels[name] for name in found], list(found.values()))


def candidate(
    trained: TrainedModel, parameters: TrainingParameters, costs: Costs, data_summary: dict[str, Any], git_commit: str
) -> Candidate:
    """The challenger with its lineage: the code, data, schema and feature service it was made from."""
    lineage = {
        "git_sha": git_commit,
        "data_sha256": data_summary["source"]["sha256"],
        "data_md5": data_summary["source"]["md5"],
        CUSTOMERS_SHA256: data_summary["customers_sha256"],
        SPLIT_PARAMETERS: json.dumps(data_summary["split"]),
        "schema_sha256": trained.model.spec.schema_sha256,
        "feature_service": SERVICE,
    }
    logged = {
        "budget": parameters.budget,
        "seed": parameters.seed,
        "threshold": trained.model.spec.threshold,
        "trees": trained.model.spec.trees,
        **{f"best.{name}": value for name, value in trained.parameters.items()},
        **{f"costs.{name}": value for name, value in costs.model_dump().items()},
        **{f"split.{name}": value for name, value in data_summary["split"].items() if value is not None},
        **{f"search.{name}": value for name, value in parameters.chosen.model_dump().items()},
    }
    return Candidate(trained.model, lineage, logged, trained.history)
