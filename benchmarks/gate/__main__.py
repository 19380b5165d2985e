"""How often the promotion gate errs, on IBM's telco table: equally good models promoted, better ones missed.

Every model is a booster with the same fixed settings; every test customer is one that its models have not seen.
"""

import argparse
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import xgboost
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.quality.tables import ROOT, Part, parts
from churn.config import load
from churn.core.evaluation.comparison import compare
from churn.core.evaluation.evaluate import EvaluationParameters, evaluate
from churn.core.evaluation.gate import Decision, decide
from churn.core.evaluation.gate_rules import Contender
from churn.core.evaluation.profit import Costs, profit_threshold
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.model import feature_types

SETTINGS = {"objective": "binary:logistic", "max_depth": 2, "eta": 0.1, "min_child_weight": 5, "subsample": 0.8, "nthread": 1}
ROUNDS = 150
TRUE_GAIN = 0.01
SIZES = "1409,2000,2800,4000"
CONF = load(ROOT, "base").parameters
COSTS = Costs.model_validate(CONF["costs"])
RULES = EvaluationParameters.model_validate(CONF["evaluation"]).gate


class Encoded:
    """One part with its rows as codes."""

    def __init__(self, part: Part) -> None:
        features = learn_categories(part.features, part.rows)
        self._options = {"feature_types": feature_types(features), "enable_categorical": True, "nthread": 1}
        self._codes, self.churned = encode(features, part.rows), part.churned
        self._test, self.test_churned = xgboost.DMatrix(encode(features, part.test_rows), **self._options), part.test_churned

    def refit(self, seed: int) -> np.ndarray:
        """The test customers' probabilities by a model of a bootstrap sample of the training rows."""
        rows = np.random.default_rng(seed).integers(0, len(self.churned), len(self.churned))
        data = xgboost.DMatrix(self._codes[rows], self.churned[rows], **self._options)
        return xgboost.train({**SETTINGS, "seed": seed}, data, ROUNDS).predict(self._test).astype(float)


def contest(churned: np.ndarray, challenger: np.ndarray, champion: np.ndarray) -> Decision:
    """The gate as `kedro run` applies it, with the parameters of `conf/base`."""
    cut = profit_threshold(COSTS)
    ours, other = (
        Contender(name, name, p, evaluate(churned, p, cut, COSTS)) for name, p in (("challenger", challenger), ("champion", champion))
    )
    return decide(churned, ours, other, compare(churned, (challenger, cut), (champion, cut), COSTS), RULES)


def share(count: int, trials: int) -> str:
    """A share with its 95% interval (Wilson 1927)."""
    low, high = stats.binomtest(count, trials).proportion_ci(method="wilson")
    return f"{count / trials:.1%} [{low:.1%}, {high:.1%}]"


def equal_models(table: list[Encoded], pairs: int) -> None:
    """Two refits on bootstrap samples: one asks to replace the other."""
    ours = naive = 0
    for number in range(pairs):
        part = table[number % len(table)]
        first, second = part.refit(2 * number), part.refit(2 * number + 1)
        ours += contest(part.test_churned, first, second).outcome == "promoted"
        naive += roc_auc_score(part.test_churned, first) > roc_auc_score(part.test_churned, second)
    print(f"{pairs} pairs of equally good models, {len(table[0].test_churned):,} test customers")
    print(f"  higher ROC-AUC wins   {share(naive, pairs)} promoted")
    print(f"  the gate              {share(ours, pairs)} promoted", flush=True)


def weaker(churned: np.ndarray, better: np.ndarray) -> np.ndarray:
    """A calibrated model whose ROC-AUC is lower by the true gain: it sees the better one's log-odds through noise."""
    noise = np.random.default_rng(0).normal(size=len(churned))

    def seen(spread: float) -> np.ndarray:
        return logit(better) + spread * noise

    goal = roc_auc_score(churned, better) - TRUE_GAIN
    found = seen(brentq(lambda spread: roc_auc_score(churned, seen(spread)) - goal, 0.01, 3.0, xtol=1e-3))[:, None]
    return LogisticRegression(C=1e6).fit(found, churned).predict_proba(found)[:, 1]


def better_models(table: list[Encoded], trials: int, sizes: list[int]) -> None:
    """How often the better of two is found in test sets of several sizes, drawn with replacement from all customers."""
    churned = np.concatenate([part.test_churned for part in table])
    better = np.concatenate([part.refit(10_000 + number) for number, part in enumerate(table)])
    better = LogisticRegression(C=1e6).fit(logit(better)[:, None], churned).predict_proba(logit(better)[:, None])[:, 1]
    worse = weaker(churned, better)
    gain = roc_auc_score(churned, better) - roc_auc_score(churned, worse)
    print(f"a challenger truly better by {gain:.4f} ROC-AUC, {trials} test sets each")
    for size in sizes:
        draw, promoted, refused = np.random.default_rng(size), 0, Counter()
        for _ in range(trials):
            rows = draw.integers(0, len(churned), size)
            found = contest(churned[rows], better[rows], worse[rows])
            promoted += found.outcome == "promoted"
            refused.update(rule.name for rule in found.rules if not rule.passed)
        reasons = ", ".join(f"{name} {count / trials:.0%}" for name, count in refused.most_common(3))
        print(f"  {size:>6,} test customers   {share(promoted, trials)} promoted; refused by {reasons}", flush=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with telco/Telco-Customer-Churn.csv (default: CHURN_TEST_DATA)")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--trials", type=int, default=300, help="test sets per size")
    parser.add_argument("--sizes", default=SIZES, help="of the test sets in which the better model is looked for")
    chosen = parser.parse_args()
    if chosen.data:
        os.environ["CHURN_TEST_DATA"] = str(chosen.data.resolve())
    start = time.process_time()
    table = [Encoded(part) for part in parts("telco", 1000)]
    equal_models(table, chosen.pairs)
    better_models(table, chosen.trials, [int(size) for size in chosen.sizes.split(",")])
    print(f"{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
