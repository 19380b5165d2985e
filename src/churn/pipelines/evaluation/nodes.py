"""Evaluation: the challenger, the champion and the baseline on customers that none of them has trained on."""

import logging
from typing import Any

import numpy as np

from churn.core.decisions.retention import misfits
from churn.core.declaration import CHURNED, CUSTOMER_ID, EVENT_TIMESTAMP, Declaration
from churn.core.errors import ChurnError
from churn.core.evaluation import plots
from churn.core.evaluation.comparison import Comparison, compare
from churn.core.evaluation.evaluate import EvaluationParameters, evaluate
from churn.core.evaluation.gate import decide
from churn.core.evaluation.gate_rules import Contender
from churn.core.evaluation.profit import Costs
from churn.core.evaluation.segments import segments
from churn.core.lazy_types import DataFrame, Figure
from churn.core.modelling.baseline import Baseline
from churn.core.monitoring.parameters import MonitoringParameters
from churn.core.monitoring.table import SCORE
from churn.core.raw_table.parameters import SplitParameters
from churn.core.split import held_out
from churn.io.models.registry import CUSTOMERS_SHA256, SPLIT_PARAMETERS, RegisteredModel
from churn.io.monitoring.reference import ReferenceTable, reference_table
from churn.pipelines.evaluation.report import render

MODELS = ("challenger", "champion", "baseline")

logger = logging.getLogger(__name__)


def unseen_rows(frame: DataFrame, challenger: RegisteredModel, champion: RegisteredModel | None) -> DataFrame:
    """The test rows that the champion has not trained on either: its training may have held out other customers than this one's.

    Raises:
        ChurnError: if there is none.
    """
    if champion is None or SPLIT_PARAMETERS not in champion.tags or _unfit(champion, challenger):
        return frame
    split = SplitParameters.model_validate_json(champion.tags[SPLIT_PARAMETERS])
    unseen = held_out(frame[CUSTOMER_ID], split.test_share)
    if split.test_from is not None:
        unseen &= (frame[EVENT_TIMESTAMP] >= split.test_from).to_numpy()
    if not unseen.any():
        raise ChurnError(
            f"No test row can be used: the champion, version {champion.version}, held out other ones (test_share {split.test_share:g}, "
            f"test_from {split.test_from}), and no row is on the test side of both. Set data_processing.split accordingly and run "
            "`kedro run` again."
        )
    if not unseen.all():
        logger.info("%d of %d test rows: the champion was trained on the others", unseen.sum(), len(frame))
    return frame[unseen].reset_index(drop=True)


def score(frame: DataFrame, challenger: RegisteredModel, champion: RegisteredModel | None, baseline: Baseline) -> DataFrame:
    """The churn probabilities of the test customers by each model; no column `champion` where none can score this table."""
    found = frame[[CUSTOMER_ID, CHURNED]].assign(challenger=challenger.model.predict(frame))
    if champion is not None and not _unfit(champion, challenger):
        found["champion"] = champion.model.predict(frame)
    return found.assign(baseline=baseline.predict(frame))


def measure(
    predictions: DataFrame, challenger: RegisteredModel, champion: RegisteredModel | None, costs: Costs
) -> tuple[dict[str, float], dict[str, Any]]:
    """Test metrics of each model as `<model>_<metric>`, and the challenger's differences from the others.

    The baseline is judged at the challenger's threshold.
    """
    churned = predictions[CHURNED].to_numpy(bool)
    cuts = {"challenger": challenger.model.spec.threshold, "baseline": challenger.model.spec.threshold}
    if champion is not None:
        cuts["champion"] = champion.model.spec.threshold
    models = {name: (predictions[name].to_numpy(), cuts[name]) for name in MODELS if name in predictions}
    measured = {
        f"{model}_{metric}": value for model, scored in models.items() for metric, value in evaluate(churned, *scored, costs).items()
    }
    ours = models.pop("challenger")
    ids = predictions[CUSTOMER_ID].to_numpy()
    return measured, {name: compare(churned, ours, other, costs, ids).model_dump() for name, other in models.items()}


def judge_segments(
    frame: DataFrame, predictions: DataFrame, customers: Declaration, parameters: EvaluationParameters
) -> list[dict[str, Any]]:
    """How the challenger does for each value of the declared categories and booleans."""
    names = [feature.name for feature in customers.features if feature.type in ("category", "boolean")]
    columns = {name: frame[name].tolist() for name in names}
    churned, scores = predictions[CHURNED].to_numpy(bool), predictions["challenger"].to_numpy()
    return [segment.model_dump() for segment in segments(columns, customers.features, churned, scores, parameters.segments)]


def decide_promotion(
    predictions: DataFrame,
    metrics: dict[str, float],
    comparisons: dict[str, Any],
    challenger: RegisteredModel,
    champion: RegisteredModel | None,
    parameters: EvaluationParameters,
) -> dict[str, Any]:
    """Apply the promotion rules; nothing is moved yet. `customers_sha256` is the hash of the table that the challenger was trained on."""
    entries = {"challenger": challenger, "champion": champion}
    contenders = {
        name: Contender(
            entry.version,
            entry.model.sha256,
            predictions[name].to_numpy() if name in predictions else np.empty(0),
            of_model(metrics, name),
            tuple(_unfit(entry, challenger)),
        )
        for name, entry in entries.items()
        if entry is not None
    }
    compared = Comparison.model_validate(comparisons["champion"]) if "champion" in comparisons else None
    churned, ours, other = predictions[CHURNED].to_numpy(bool), contenders["challenger"], contenders.get("champion")
    decision = decide(churned, ours, other, compared, parameters.gate, rolled_back=challenger.rolled_back)
    logger.info("Version %s: %s. %s", decision.version, decision.outcome, decision.reason)
    return {**decision.model_dump(mode="json"), CUSTOMERS_SHA256: challenger.tags.get(CUSTOMERS_SHA256)}


def plot_scores(predictions: DataFrame, challenger: RegisteredModel, costs: Costs) -> dict[str, Figure]:
    """Confusion matrix and calibration of the challenger; gain and profit of all models."""
    churned, threshold = predictions[CHURNED].to_numpy(bool), challenger.model.spec.threshold
    scores = {name: predictions[name].to_numpy() for name in MODELS if name in predictions}
    return {
        "confusion_matrix": plots.confusion_matrix(churned, scores["challenger"], threshold),
        "calibration_curve": plots.calibration_curve(churned, scores["challenger"]),
        "gain_curve": plots.gain_curve(churned, scores),
        "profit_curve": plots.profit_curve(churned, scores, threshold, costs),
    }


def plot_explanations(frame: DataFrame, challenger: RegisteredModel, parameters: EvaluationParameters) -> Figure:
    """What moves the challenger's predictions, on a seeded sample of the test customers."""
    model = challenger.model
    shown = frame.sample(min(len(frame), parameters.explained_customers), random_state=0)
    contributions, _ = model.explain(shown)
    return plots.shap_summary(contributions, model.encode(shown), [feature.label for feature in model.spec.features])


def collect_plots(scores: dict[str, Figure], explanations: Figure) -> tuple[Any, ...]:
    """Each plot by itself, and all of them for the report."""
    figures = {**scores, "shap_summary": explanations}
    return (*figures.values(), figures)


def write_report(
    decision: dict[str, Any],
    metrics: dict[str, float],
    comparisons: dict[str, Any],
    segment_rows: list[dict[str, Any]],
    figures: dict[str, Figure],
    costs: Costs,
) -> str:
    """The page a team lead reads: decision, comparison, plots and segments in one HTML file."""
    models = {name: of_model(metrics, name) for name in MODELS if f"{name}_roc_auc" in metrics}
    return render(decision, models, comparisons, segment_rows, figures, costs)


def promotion(decision: dict[str, Any], metrics: dict[str, float], report: str, reference: str | None) -> dict[str, Any]:  # noqa: ARG001
    """What the registry is told once the report and the reference are stored, which are read so that they are there first.

    A champion without its reference is one that monitoring could never judge.
    """
    return {
        "version": decision["version"],
        "expected_champion": decision["champion"],
        "outcome": decision["outcome"],
        "reason": decision["reason"],
        "metrics": of_model(metrics, "challenger"),
    }


def make_reference(
    training: DataFrame, test: DataFrame, predictions: DataFrame, challenger: RegisteredModel, parameters: MonitoringParameters
) -> ReferenceTable:
    """What monitoring will compare the challenger's predictions with."""
    scored = test.assign(**{SCORE: predictions["challenger"].to_numpy()})
    return reference_table(challenger.version, challenger.model, training, scored, parameters.reference_rows)


def of_model(metrics: dict[str, float], name: str) -> dict[str, float]:
    """The metrics of one model, by their plain names."""
    return {key.removeprefix(f"{name}_"): value for key, value in metrics.items() if key.startswith(f"{name}_")}


def _unfit(entry: RegisteredModel, challenger: RegisteredModel) -> list[str]:
    """What keeps a model from scoring the table that the challenger was trained on; nothing if it can."""
    return misfits(entry.model.spec.features, {feature.name: feature.type for feature in challenger.model.spec.features})
