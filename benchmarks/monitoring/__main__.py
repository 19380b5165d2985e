"""False alarms, power and the estimate's error: `python -m benchmarks.monitoring` (some ten minutes of one core)."""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.monitoring import cases, large, peers
from benchmarks.monitoring.worlds import Case, World, build, judged, stream
from churn.core.monitoring.drift import compare
from churn.core.monitoring.estimated import estimate
from churn.core.monitoring.parameters import DriftParameters
from churn.core.monitoring.verdict import Verdict

WORLDS = 10
PARTS = ("quiet", "power", "after", "estimate", "large")
WHOLE = 100_000
"""Customers whose PSI is called the true one."""


def main() -> None:
    """Print the tables of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=500, help="quiet windows of each size")
    parser.add_argument("--power-windows", type=int, default=200)
    parser.add_argument("--evidently", type=int, default=10, help="windows of each case for Evidently; 0 leaves it out")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    options = parser.parse_args()
    worlds = [build(seed) for seed in range(WORLDS)]
    print(
        f"{WORLDS} models, references of 5,626 training and 1,417 test customers; {options.evidently} windows of each case for Evidently\n"
    )
    if {"quiet", "power"} & set(options.parts):
        print("| case | largest true PSI | rows | windows | alert | right | Evidently: dataset drift | any column |\n|" + "---|" * 8)
    if "quiet" in options.parts:
        quiet(worlds, options.windows, options.evidently)
    if "power" in options.parts:
        power(worlds, options.power_windows, options.evidently)
    if "after" in options.parts:
        after(worlds, options.power_windows)
    if "estimate" in options.parts:
        estimates(worlds)
    if "large" in options.parts:
        large.main()


def quiet(worlds: list[World], windows: int, evidently: int) -> None:
    """Windows without any change; silence is right."""
    for rows in (200, 1000, 5000):
        found = [verdict for verdicts in runs(worlds, cases.QUIET, rows, windows // WORLDS, 1) for verdict in verdicts]
        row(cases.QUIET, rows, found, [verdict.status != "alert" for verdict in found], worlds, evidently)


def runs(worlds: list[World], case: Case, rows: int, windows: int, stories: int) -> Iterator[list[Verdict]]:
    """Stories of windows in a row, each beginning without memory."""
    for place, world in enumerate(worlds):
        for story in range(stories):
            yield list(judged(world, stream(world, case, rows, windows, 1000 * place + story)))


def power(worlds: list[World], windows: int, evidently: int) -> None:
    """Each case's first windows (three for mild changes), and whether the verdict says the right thing."""
    stories = max(1, windows // WORLDS)
    for case in cases.BROKEN:
        first = [verdicts[0] for verdicts in runs(worlds, case, 1000, 1, stories)]
        right = [named(verdict, case) for verdict in first]
        row(case, 1000, first, right, worlds, evidently)
    for case in (cases.MODERATE, cases.BEHAVIOUR, cases.WEAKER):
        first = [verdicts[0] for verdicts in runs(worlds, case, 1000, 1, stories)]
        row(case, 1000, first, [verdict.status == "alert" for verdict in first], worlds, evidently)
    for case in (cases.MILD, cases.MILDER):
        three = list(runs(worlds, case, 1000, 3, stories))
        within = [any(verdict.status == "alert" for verdict in verdicts) for verdicts in three]
        row(case, 1000, [verdicts[0] for verdicts in three], within, worlds, evidently)


def after(worlds: list[World], stories: int) -> None:
    """One window that is broken or otherwise changed, then three without any change: what is said of those."""
    print("\n| one window, then quiet | stories | retraining recommended | alert in the three windows after it |\n|---|---|---|---|")
    for case in (*cases.BROKEN, cases.MODERATE):
        told = []
        for story in range(stories):
            world = worlds[story % len(worlds)]
            played = (cases.QUIET, case, cases.QUIET, cases.QUIET, cases.QUIET)
            windows = [next(iter(stream(world, one, 1000, 1, 20_000 + 10 * story + place))) for place, one in enumerate(played)]
            told.append(list(judged(world, iter(windows), outcomes=False)))
        retrain = np.mean([any(verdict.action == "retrain" for verdict in verdicts) for verdicts in told])
        alerts = np.mean([[verdict.status == "alert" for verdict in verdicts[2:]] for verdicts in told])
        print(f"| {case.name} | {stories} | {retrain:.1%} | {alerts:.1%} |", flush=True)


def named(verdict: Verdict, case: Case) -> bool:
    """Whether the fault is named by kind and column, and retraining is not recommended."""
    return verdict.action == "fix-data" and f"{case.kind}:{case.column}" in {finding.key for finding in verdict.alerts}


def row(case: Case, rows: int, found: list[Verdict], right: list[bool], worlds: list[World], evidently: int) -> None:
    """A line of the table."""
    alerts = np.mean([verdict.status == "alert" for verdict in found])
    beside = " | ".join(f"{share:.0%}" for share in peers.shares(worlds, case, rows, evidently)) if evidently else " | "
    size = "" if case.fault else f"{true_psi(worlds[0], case):.4f}"
    print(f"| {case.name} | {size} | {rows:,} | {len(found):,} | {alerts:.1%} | {np.mean(right):.1%} | {beside} |", flush=True)


def true_psi(world: World, case: Case) -> float:
    """The largest PSI of a feature or the score, between many customers and as many after the change."""
    (before, _), (now, _) = (next(iter(stream(world, one, WHOLE, 1, 60_000 + place))) for place, one in enumerate((cases.QUIET, case)))
    return max(column.psi for column in compare(before.compared(), now.compared(), 0.01, DriftParameters()))


def estimates(worlds: list[World]) -> None:
    """Estimated against true ROC-AUC, in windows of 1,000 customers."""
    print("\n| change | true ROC-AUC | mean absolute error of the estimate |\n|---|---|---|")
    for case in (*cases.COVARIATES, cases.BEHAVIOUR):
        truth, errors = [], []
        for place, world in enumerate(worlds):
            for sample, probability in stream(world, case, 1000, 5, 9000 + place):
                test = world.reference.test
                assert test.churned is not None  # noqa: S101 - a reference has outcomes
                truth.append(true_auc(sample.scores, probability))
                errors.append(abs(estimate(test.scores, test.churned, sample.scores).roc_auc - truth[-1]))
        print(f"| {case.name} | {np.mean(truth):.3f} | {np.mean(errors):.3f} |", flush=True)


def true_auc(scores: np.ndarray, probability: np.ndarray) -> float:
    """The ROC-AUC to expect of scores where the churn probabilities are known; scores that tie count half."""
    _, group = np.unique(scores, return_inverse=True)
    left, stayed = (np.bincount(group, weights=weight) for weight in (probability, 1 - probability))
    below = np.concatenate([[0.0], np.cumsum(stayed)[:-1]])
    return float((left * (below + stayed / 2)).sum() / (left.sum() * stayed.sum()))


if __name__ == "__main__":
    main()
