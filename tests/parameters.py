"""The parameters of `conf/base`, for tests of what they govern."""

from churn.config import load
from churn.core.evaluation.evaluate import EvaluationParameters
from churn.core.evaluation.profit import Costs
from tests.projects import ROOT

_BASE = load(ROOT, "base").parameters
COSTS = Costs.model_validate(_BASE["costs"])
EVALUATION = EvaluationParameters.model_validate(_BASE["evaluation"])
