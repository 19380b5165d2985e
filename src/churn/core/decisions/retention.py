"""Whom to contact: scores of all customers, and for those worth it the reasons in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from churn.core.decisions.reasons import in_words, strongest
from churn.core.declaration import ColumnType, Feature
from churn.core.evaluation.profit import Costs, expected_value
from churn.core.modelling.encoding import Rows
from churn.core.modelling.model import ChurnModel

CHURN_PROBABILITY, EXPECTED_VALUE, RANK = "churn_probability", "expected_value", "rank"
REASONS = ("reason_1", "reason_2", "reason_3")


class ScoringParameters(BaseModel):
    """`params:scoring`: `limit` is how many customers the team can contact; None lists all who are worth it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int | None = Field(default=None, ge=1)


def score_columns(model: ChurnModel, rows: Rows, costs: Costs) -> dict[str, Any]:
    """Churn probability (n,), expected value of contacting (n,), the call at the model's threshold (n,), and the threshold.

    Raises:
        ChurnError: if the rows lack a feature or hold something that is not a number where one belongs.
    """
    probability = model.predict(rows)
    threshold = model.spec.threshold
    return {
        CHURN_PROBABILITY: probability,
        EXPECTED_VALUE: expected_value(probability, costs),
        "churn": probability >= threshold,
        "threshold": threshold,
    }


def reason_columns(model: ChurnModel, rows: Rows, values: Mapping[str, Sequence[Any]], features: Sequence[Feature]) -> dict[str, list[Any]]:
    """The strongest reasons of each row in words, strongest first; None where the model has fewer features.

    Args:
        model: whose exact TreeSHAP contributions the reasons are.
        rows: n rows of features, as the model reads them.
        values: the same rows as plain values by feature, None where missing.
        features: the model's features with texts; see `churn.core.decisions.reasons.current_texts`.
    """
    effects, _ = model.explain(rows)
    places = strongest(effects, len(REASONS))
    columns = [values[feature.name] for feature in features]
    texts = [
        [in_words(features[place], columns[place][row], effects[row, place]) for row, place in enumerate(kth)] for kth in places.T.tolist()
    ]
    return {name: texts[k] if k < len(texts) else [None] * len(effects) for k, name in enumerate(REASONS)}


def misfits(features: Sequence[Feature], types: Mapping[str, ColumnType | None]) -> list[str]:
    """What keeps a model from scoring a table: absent features, text where numbers belong, and the reverse.

    Args:
        features: the model's.
        types: the table's columns with their declared kind; None for a type that no feature can have.

    Returns:
        One text per misfit; none if the model can score the table. Integer, number and boolean may stand for one another.
    """
    absent = [f"{feature.name} is missing" for feature in features if feature.name not in types]
    other = [
        f"{feature.name} is {_noun(types[feature.name])}, to the model {_noun(feature.type)}"
        for feature in features
        if feature.name in types and (types[feature.name] is None or (types[feature.name] == "category") != (feature.type == "category"))
    ]
    return absent + other


def _noun(kind: ColumnType | None) -> str:
    if kind is None:
        return "of an unknown type"
    return "text" if kind == "category" else "a number"
