"""Evaluation: the challenger, the champion and the baseline on customers that none of them has trained on."""

import logging
from typing import Any

from churn.core.declaration import CHURNED, CUSTOMER_ID, Declaration
from churn.core.evaluation import plots
from churn.core.evaluation.comparison import compare
from churn.core.evaluation.evaluate import EvaluationParameters, evaluate
from churn.core.evaluation.gate import decide
from churn.core.evaluation.gate_rules import Contender
from churn.core.evaluation.profit import Costs
from churn.core.evaluation.segments import segments
from churn.core.lazy_types import DataFrame, Figure
from churn.core.modelling.baseline import Baseline
from churn.core.monitoring.parameters import MonitoringParameters
from churn.core.monitoring.table import SCORE
from churn.io.models.registry import RegisteredModel
from churn.io.monitoring.reference import ReferenceTable, reference_table
from churn.pipelines.evaluation.report import render

MODELS = ("challenger", "champion", "baseline")

logger = logging.getLogger(__name__)


def score(frame: DataFrame, challenger: RegisteredModel, champion: RegisteredModel | None, baseline: Baseline) -> DataFrame:
    """The churn probabilities of the test customers by each model; no column `champion` where there is none."""
    found = frame[[CUSTOMER_ID, CHURNED]].assign(challenger=challenger.model.predict(frame))
    if champion is not None:
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
    return measured, {name: compare(churned, ours, other, costs).model_dump() for name, other in models.items()}


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
    """Apply the promotion rules; nothing is moved yet."""
    from churn.core.evaluation.comparison import Comparison

    entries = {"challenger": challenger, "champion": champion}
    contenders = {
        name: Contender(entry.version, entry.model.sha256, predictions[name].to_numpy(), of_model(metrics, name))
        for name, entry in entries.items()
        if entry is not None
    }
    compared = Comparison.model_validate(comparisons["champion"]) if "champion" in comparisons else None
    churned = predictions[CHURNED].to_numpy(bool)
    decision = decide(churned, contenders["challenger"], contenders.get("champion"), compared, parameters.gate)
    logger.info("Version %s: %s. %s", decision.version, decision.outcome, decision.reason)
    return decision.model_dump(mode="json")


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


def promotion(decision: dict[str, Any], metrics: dict[str, float], report: str) -> dict[str, Any]:  # noqa: ARG001 - read so that it is there first
    """What the registry is told once every report is written."""
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
