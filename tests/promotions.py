"""A registry of bare versions, for tests of how the champion moves: no model files, no training."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from churn.io.models import promotion, registry
from churn.io.models.promotion_record import PromotionRecord

FORK = multiprocessing.get_context("fork")
"""Children inherit the imports, so that many of them start at once."""


def bare_registry(folder: Path, versions: int) -> str:
    """An embedded registry with so many versions and no alias; its tracking URI."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{folder}/mlflow.db"
    registry.connect(uri)
    client = MlflowClient()
    client.create_registered_model(registry.MODEL_NAME)
    for number in range(1, versions + 1):
        client.create_model_version(registry.MODEL_NAME, f"{folder}/model-{number}", tags={registry.MODEL_SHA256: f"{number:064d}"})
    return uri


def end_lease(url: str) -> None:
    """Let the time of whoever holds the lease be over."""
    from sqlalchemy import create_engine

    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE promotion_lease SET expires = 0")
    engine.dispose()


def decision(version: str, champion: str | None, outcome: str = "promoted") -> dict[str, Any]:
    """What the gate tells the registry."""
    reason = f"{version} is better than {champion}"
    return {"version": version, "expected_champion": champion, "outcome": outcome, "reason": reason, "metrics": {"roc_auc": 0.8}}


def gate(record: PromotionRecord, version: str) -> None:
    """Promote a version over whichever is the champion."""
    promotion.apply_decision(decision(version, registry.aliases().get(registry.CHAMPION)), record)


def in_child(work: Callable[[], Any]) -> int:
    """Run in a process of its own; its exit status."""
    child = start(work)
    child.join(60)
    return child.exitcode


def start(work: Callable[[], Any]) -> Any:
    """Begin to run in a process of its own, which ends without Python's clean-up: leases are not given back by accident."""

    def ended() -> None:
        work()
        os._exit(0)

    child = FORK.Process(target=ended)
    child.start()
    return child
