"""`churn simulate`: months of traffic through the real API, with later outcomes, judged by the real pipeline."""

import json
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from churn.config import Config, dataset_path
from churn.core.errors import ChurnError, find_mistake
from churn.core.population.scenarios import SCENARIOS, month_of

ONSET_SHARE = 3
"""The change begins after one third of the months."""


@dataclass(frozen=True)
class Story:
    """What to simulate: a scenario of `churn.core.population.scenarios` over months with so many new customers each."""

    scenario: str
    months: int = 12
    customers: int = 1000
    seed: int = 0

    @property
    def onset(self) -> int:
        """The first month in which something is different."""
        return self.months // ONSET_SHARE + 1


def simulate(config: Config, story: Story, api: str | None = None) -> Iterator[str]:
    """Play a story, one line for each month as it ends.

    Every month new customers come into the online store and are asked for; the outcomes of the month before arrive; the
    pipeline `monitoring` judges the month's customers. Nothing is faked, so that report, workspace, history and metrics move as
    they would; only alerts are printed, and sent to nobody. Times are those of the machine: a month is as long as it takes.

    Raises:
        ChurnError: if the declared table is not the sample's, or the API or a service does not answer.
    """
    from kedro.io import DatasetError

    from churn.io.predictions.simulated_traffic import running_api

    _require_sample_columns(config)
    scenario = SCENARIOS[story.scenario]
    change = "." if story.scenario == "none" else f", from month {story.onset} on."
    yield f"Scenario {story.scenario}: {scenario.text}{change} Alerts are printed here and sent to nobody."
    with nullcontext(api) if api is not None else running_api(config.root, config.environment) as address:
        try:
            yield from _months(config, story, address)
        except DatasetError as error:  # Kedro wraps what a dataset raises
            raise find_mistake(error) or error from error


def _months(config: Config, story: Story, api: str) -> Iterator[str]:
    from churn.io.predictions.outcomes import OutcomesDataset
    from churn.io.predictions.simulated_traffic import ask, put_online

    outcomes = OutcomesDataset(dataset_path(config, "outcomes"))
    known, before = None, None
    run = secrets.token_hex(3)
    with _monitoring(config, story) as judge:
        for month in range(1, story.months + 1):
            drawn, features = month_of(SCENARIOS[story.scenario], month, story.onset, story.customers, story.seed)
            ids = [f"sim-{run}-{month:02d}-{customer}" for customer in drawn.customer_id.astype(str)]
            put_online(config.path(config.settings["feast_file"]), config.declaration.features, ids, features, datetime.now(UTC))
            answered = ask(api, ids)
            asked_at = datetime.now(UTC)
            if known is not None:
                outcomes.save(known)
            judge(month, before)
            yield _line(config, month, answered)
            known, before = _outcomes(ids, drawn.churned, asked_at), asked_at


def _outcomes(ids: list[str], churned: Any, at: datetime) -> Any:
    """What became of a month's customers; it is told to nobody before the next month."""
    import pandas as pd

    return pd.DataFrame({"customer_id": ids, "churned": churned, "observed_at": at.isoformat()})


@contextmanager
def _monitoring(config: Config, story: Story) -> Iterator[Any]:
    """A function that runs the pipeline `monitoring` on the newest customers, as many as a month has.

    It takes the month and the time at which the month before was asked for: what is older has its outcomes, so that this is
    the horizon of the labels.
    """
    import mlflow
    from kedro.framework.session import KedroServiceSession
    from kedro.framework.startup import bootstrap_project

    from churn.io.monitoring.alerts import URLS_VARIABLE

    bootstrap_project(config.root)
    levels = {name: logging.getLogger(name).level for name in ("kedro", "kedro_mlflow", "churn", "mlflow")}
    session = KedroServiceSession.create(project_path=config.root, env=config.environment)
    window = {"by": "count", "rows": story.customers, "min_rows": min(200, story.customers)}
    outcomes = config.parameters["monitoring"]["performance"]["outcomes"]

    def judge(month: int, before: datetime | None) -> None:
        while mlflow.active_run():  # a session that runs several times would take an open run for its own
            mlflow.end_run()
        for name in levels:
            logging.getLogger(name).setLevel(logging.WARNING)
        performance: dict[str, Any] = {}
        if before is not None:
            days = (datetime.now(UTC) - before) / timedelta(days=1)
            performance = {"outcomes": min(outcomes, (month - 1) * story.customers), "label_horizon_days": days}
        session.run(pipeline_names=["monitoring"], runtime_params={"monitoring": {"window": window, "performance": performance}})

    addresses = os.environ.pop(URLS_VARIABLE, None)
    try:
        yield judge
    finally:
        if addresses is not None:
            os.environ[URLS_VARIABLE] = addresses
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _line(config: Config, month: int, answered: int) -> str:
    from churn.io.files import places

    verdict = json.loads(places.read_text(dataset_path(config, "monitoring_verdict")))
    measured = verdict["measured"]
    auc = f"{verdict['estimated']['roc_auc']:.3f}" if verdict["estimated"] else "-"
    seen = f"{measured['roc_auc']:.3f}" if measured else "-"
    what = "; ".join(finding["text"] for finding in verdict["findings"][:2])
    more = f" (+{len(verdict['findings']) - 2} more)" if len(verdict["findings"]) > 2 else ""  # noqa: PLR2004 - a line has room for two
    head = f"month {month:>2}  {answered:>6,} predictions  ROC-AUC expected {auc}, measured {seen:<5}"
    head += f"  {verdict['status']:<10} {verdict['action']:<9}"
    return f"{head} {what}{more}".rstrip()


def _require_sample_columns(config: Config) -> None:
    """The sample population has the columns of the telco table and no others."""
    from churn.core.population.customers import SampleParameters, draw

    drawn = set(draw(SampleParameters(rows=1)).features())
    declared = {feature.name for feature in config.declaration.features}
    if drawn != declared:
        names = ", ".join(sorted(drawn ^ declared))
        raise ChurnError(f"churn simulate draws customers of the sample table, and the declaration has other columns: {names}.")
