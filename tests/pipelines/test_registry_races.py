"""Twenty processes promote at once: the best by the gate is champion at the end, and every move is on record.

CHURN_RACE_ROUNDS sets the number of rounds (fewer by default, so that the test run stays short).
"""

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from churn.core.evaluation.comparison import compare
from churn.core.evaluation.evaluate import evaluate
from churn.core.evaluation.gate import decide
from churn.core.evaluation.gate_rules import Contender
from churn.core.evaluation.profit import profit_threshold
from churn.io.models import promotion, registry
from churn.io.models.promotion import ChampionChangedError
from churn.io.models.promotion_record import PromotionRecord
from tests.parameters import COSTS, EVALUATION
from tests.promotions import FORK, bare_registry, decision

PROCESSES = 20
CUSTOMERS = 2000
LEVELS = 6
ROUNDS = {"sqlite": int(os.environ.get("CHURN_RACE_ROUNDS", "5")), "postgresql": int(os.environ.get("CHURN_RACE_ROUNDS", "3"))}


def verdicts() -> np.ndarray:
    """Whether the gate promotes level i over level j (column LEVELS: over none), levels being calibrated models that know ever more.

    The model of level i knows the true probabilities of a share of the customers, and of the rest their mean.
    """
    draw, gate = np.random.default_rng(5), EVALUATION.gate.model_copy(update={"calibration_tolerance": 0.1})
    truth = draw.beta(0.8, 2.2, CUSTOMERS)
    churned, rank = draw.random(CUSTOMERS) < truth, draw.permutation(CUSTOMERS)
    scores = []
    for level in range(1, LEVELS + 1):
        known = rank < CUSTOMERS * level / LEVELS
        scores.append(np.where(known, truth, truth[~known].mean() if (~known).any() else 0.0))
    cut = profit_threshold(COSTS)
    contenders = [Contender(str(i), str(i), score, evaluate(churned, score, cut, COSTS)) for i, score in enumerate(scores)]
    better = np.zeros((LEVELS, LEVELS + 1), bool)
    for i, ours in enumerate(contenders):
        for j, other in enumerate([*contenders, None]):
            compared = None if other is None else compare(churned, (ours.probability, cut), (other.probability, cut), COSTS)
            better[i, j] = i != j and decide(churned, ours, other, compared, gate).outcome == "promoted"
    return better


@pytest.fixture(scope="module")
def better() -> np.ndarray:
    """The gate's verdicts: here each level beats all below it and none else, so that there is one best."""
    found = verdicts()
    assert (found[:, :LEVELS] == np.tri(LEVELS, k=-1, dtype=bool)).all()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def record_url(request, tmp_path: Path) -> str:
    """The record beside the registry, as in `base`, or in PostgreSQL, as in `stack`."""
    return f"sqlite:///{tmp_path}/mlflow.db" if request.param == "sqlite" else request.getfixturevalue("postgres").database("races")


def levels(number: int) -> dict[str, int]:
    """The level of each version in a round."""
    order = np.random.default_rng(number).permutation(PROCESSES)
    return {str(version): int(level) % LEVELS for version, level in enumerate(order, 1)}


def contend(version: str, rounds: int, better: np.ndarray, url: str, start, end) -> None:
    """In each round compare with the champion and promote if the gate says so, until it does not."""
    record = PromotionRecord(url, wait_seconds=600)
    for number in range(rounds):
        level = levels(number)
        start.wait()
        while True:
            champion = registry.aliases().get(registry.CHAMPION)
            if champion == version or not better[level[version], LEVELS if champion is None else level[champion]]:
                break
            with contextlib.suppress(ChampionChangedError):
                promotion.apply_decision(decision(version, champion), record)
        end.wait()
    os._exit(0)


def test_the_best_is_champion_and_no_move_is_lost(better: np.ndarray, record_url: str, tmp_path: Path) -> None:
    bare_registry(tmp_path, PROCESSES)
    rounds = ROUNDS[record_url.partition(":")[0].partition("+")[0]]
    start, end = FORK.Barrier(PROCESSES + 1), FORK.Barrier(PROCESSES + 1)
    line = [
        FORK.Process(target=contend, args=(str(version), rounds, better, record_url, start, end)) for version in range(1, PROCESSES + 1)
    ]
    for process in line:
        process.start()
    try:
        for number in range(rounds):
            start.wait(300)
            wait_for(end, line)
            check(PromotionRecord(record_url), levels(number), better)
        for process in line:
            process.join(60)
    finally:
        for process in line:
            process.kill()
    assert [process.exitcode for process in line] == [0] * PROCESSES
    moves = PromotionRecord(record_url).moves()
    assert moves[-1].token > len(moves)  # some came too late, and were told so


def wait_for(end, line) -> None:
    """Until all processes are through; one that has failed is a failure at once."""
    while end.n_waiting < PROCESSES:
        assert all(process.exitcode is None for process in line)
        time.sleep(0.02)
    end.wait(300)


def check(record: PromotionRecord, level: dict[str, int], better: np.ndarray) -> None:
    moves, found = record.moves(), registry.aliases()
    champion = found[registry.CHAMPION]
    assert [other for other in level if better[level[other], level[champion]]] == []
    assert [move.from_version for move in moves] == [None, *(move.to_version for move in moves[:-1])]  # one chain: none lost
    assert {(move.action, move.outcome) for move in moves} == {("promote", "done")}
    assert [move.token for move in moves] == sorted({move.token for move in moves})
    assert (moves[-1].to_version, moves[-1].from_version) == (champion, found.get(registry.PREVIOUS))
    tags = registry.version_entry(champion).tags
    assert (tags["gate"], tags["compared_with"]) == ("promoted", moves[-1].from_version or "")
