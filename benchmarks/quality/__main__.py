"""Print one row per model: mean over five parts, and the paired difference of each peer to ours."""

import argparse
import time

import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from benchmarks.quality.peers import PEERS, Model, installed, ours
from benchmarks.quality.tables import NAMES, ROOT, Part, parts
from churn.config import load
from churn.core.evaluation.calibration import ece, noise_floor
from churn.core.evaluation.profit import Costs, profit, profit_curve, profit_threshold
from churn.core.population.customers import bayes_auc, bayes_log_loss

MEASURES = ("ROC-AUC", "AP", "log-loss", "ECE")


def measure(part: Part, probability: np.ndarray) -> tuple[float, ...]:
    """The measures on the test customers of one part."""
    y = part.test_churned
    return roc_auc_score(y, probability), average_precision_score(y, probability), log_loss(y, probability), ece(y, probability)


def run(model: Model, table: list[Part]) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """The measures, one row per part, the CPU seconds per part, and the probabilities."""
    start = time.process_time()
    scores = [model(part) for part in table]
    cpu = (time.process_time() - start) / len(table)
    return np.array([measure(part, probability) for part, probability in zip(table, scores, strict=True)]), cpu, scores


def usefulness(table: list[Part], scores: list[np.ndarray]) -> str:
    """Calibration beside its noise floor, mean over the parts; profit at the threshold of the costs, all parts together."""
    floor = np.mean([noise_floor(probability) for probability in scores])
    error = np.mean([ece(part.test_churned, probability) for part, probability in zip(table, scores, strict=True)])
    costs = Costs.model_validate(load(ROOT, "base").parameters["costs"])
    churned, probability = np.concatenate([part.test_churned for part in table]), np.concatenate(scores)
    earned, (_, best) = profit(churned, probability, profit_threshold(costs), costs), profit_curve(churned, probability, costs).best
    money = f"profit per customer {earned:.2f}, {earned / best:.1%} of the best in hindsight"
    return f"ours: ECE {error:.4f}, its noise floor {floor:.4f}; {money}"


def difference(peer: np.ndarray, own: np.ndarray, table: list[Part]) -> str:
    """Peer minus ours with a 95% interval: Student's t with the corrected variance of Nadeau and Bengio 2003.

    Folds share training rows, so that the variance of the mean is (1/k + test/training rows) times the
    folds' variance; independent draws share none, and there it is 1/k.
    """
    gaps, count = peer - own, len(table)
    shared = 0.0 if table[0].truth is not None else len(table[0].test_churned) / len(table[0].churned)
    width = stats.t.ppf(0.975, count - 1) * np.sqrt((1 / count + shared) * gaps.var(ddof=1))
    return f"{gaps.mean():+.4f} ± {width:.4f}"


def show(name: str, found: np.ndarray, cpu: float, own: np.ndarray, table: list[Part]) -> None:
    """Print one row of the table."""
    values = " | ".join(f"{value:.4f}" for value in found.mean(axis=0))
    gaps = ("", "") if found is own else (difference(found[:, 0], own[:, 0], table), difference(found[:, 2], own[:, 2], table))
    print(f"| {name} | {values} | {gaps[0]} | {gaps[1]} | {cpu:.0f} |", flush=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--table", choices=NAMES, required=True)
    parser.add_argument("--budget", default="default", help="which of training.budgets, or a comma-separated list of them")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated, empty for none")
    parser.add_argument("--seed", type=int, default=1000, help="of the folds, or of the first draw")
    chosen = parser.parse_args()
    table = list(parts(chosen.table, chosen.seed))
    print(f"{chosen.table}: {len(table)} parts of {len(table[0].churned):,} training and {len(table[0].test_churned):,} test customers")
    print(f"| model | {' | '.join(MEASURES)} | ROC-AUC - ours | log-loss - ours | CPU s |\n|{'---|' * (len(MEASURES) + 4)}")
    own, remarks = None, []
    for budget in chosen.budget.split(","):
        found, cpu, scores = run(ours(budget), table)
        own = found if own is None else own
        show(f"ours, {budget}", found, cpu, own, table)
        remarks.append(usefulness(table, scores))
    for name in filter(None, chosen.peers.split(",")):
        library, model = PEERS[name]
        if installed(library):
            found, cpu, _ = run(model, table)
            show(name, found, cpu, own, table)
        else:
            print(f"| {name} | not installed: `pip install {library}` |")
    print("\n".join(remarks))
    if table[0].truth is not None:
        best = [(bayes_auc(part.truth), bayes_log_loss(part.truth)) for part in table]
        print("the best possible: ROC-AUC {:.4f}, log-loss {:.4f}".format(*np.mean(best, axis=0)))


if __name__ == "__main__":
    main()
