"""What a run did and what the registry holds, as text for the terminal."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from churn.config import Config, dataset_path
from churn.core.errors import ChurnError
from churn.io.files.places import is_file, read_text
from churn.io.models.registry import CUSTOMERS_SHA256

SHOWN = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "log_loss": "log-loss",
    "top_decile_lift": "top-decile lift",
}
"""Metrics of the summary, with the name people use."""
STALE = (
    "Model            none of this table yet: the newest decision and its metrics are of an earlier one",
    "Next             kedro run --pipelines feature_store,training,evaluation",
)


def run_summary(config: Config) -> str:
    """Rows, metrics with intervals, the decision and why, the reports, and what to do next.

    Raises:
        ChurnError: if no run has finished yet, or a report is damaged.
    """
    data, decision, metrics = (_read(config, name) for name in ("data_summary", "decision", "test_metrics"))
    fresh = decision.get(CUSTOMERS_SHA256) == data.get(CUSTOMERS_SHA256)
    return "\n".join([*_table_lines(config, data), *(_model_lines(config, data, decision, metrics) if fresh else STALE)])


def _model_lines(config: Config, data: dict[str, Any], decision: dict[str, Any], metrics: dict[str, float]) -> list[str]:
    of_table = "" if decision["customers"] == data["test"] else f" of the {data['test']:,}"
    return [
        f"Test customers   {decision['customers']:,}{of_table}, whom no model was trained on; 95% intervals in brackets",
        *(f"  {text:<18} {_interval(metrics, f'challenger_{name}')}{_beside(metrics, name)}" for name, text in SHOWN.items()),
        f"Decision         version {decision['version']}: {decision['outcome']}. {decision['reason']}",
        f"Reports          {_shown_path(config, 'evaluation_report')}, {_shown_path(config, 'monitoring_report')}",
        "Next             churn status | kedro viz run | kedro mlflow ui  (in .venv/bin, or after: source .venv/bin/activate)",
    ]


def status_text(versions: Iterable[Any], moves: Sequence[Any] = ()) -> str:
    """The registry as a table, newest version first, with the reason below each version, and the last move of the champion."""
    lines = [f"{'version':<9}{'aliases':<22}{'ROC-AUC':<24}{'log-loss':<24}gate"]
    for entry in versions:
        auc, loss = (_interval(entry.metrics, name) if entry.metrics else "not evaluated" for name in ("roc_auc", "log_loss"))
        lines.append(f"{entry.version:<9}{', '.join(entry.aliases):<22}{auc:<24}{loss:<24}{entry.gate or 'not decided'}")
        lines.extend([f"         {entry.gate_reason}"] if entry.gate_reason else [])
    if moves:
        from churn.lineage import move_text

        lines.append(f"Last move: {move_text(moves[-1])}")
    return "\n".join(lines) if len(lines) > 1 else "The registry holds no model yet. Train one with: kedro run"


def _table_lines(config: Config, data: dict[str, Any]) -> list[str]:
    columns = config.declaration.columns
    blanks = ", ".join(
        f"{count} blank {name} {'left empty' if name in columns and columns[name].blank is None else 'set as declared'}"
        for name, count in data["blanks"].items()
    )
    lines = [
        f"Table            {data['source']['name']}: {data['rows_in']:,} rows in, {data['rows_out']:,} out"
        f" ({data['train']:,} to train, {data['test']:,} to test); churn rate {data['churn_rate']:.1%}"
    ]
    if blanks:
        lines.append(f"                 {blanks}")
    sample = _sample(config)
    if sample.get("sha256") == data["source"]["sha256"]:
        own = f"Your own table: {config.settings['raw_customers']} (docs/your-own-table.md)"
        lines += [
            f"                 A GENERATED SAMPLE, not real customers; its best reachable ROC-AUC is known: {sample['bayes_auc']:.3f}",
            f"                 {own}; IBM's real one: make data",
        ]
    return lines


def _sample(config: Config) -> dict[str, Any]:
    return _read(config, "sample_note") if is_file(dataset_path(config, "sample_note")) else {}


def _read(config: Config, name: str) -> dict[str, Any]:
    path = dataset_path(config, name)
    try:
        found: dict[str, Any] = json.loads(read_text(path))
    except FileNotFoundError:
        raise ChurnError(f"There is no {path} yet: run `kedro run` first.") from None
    except ValueError as error:
        raise ChurnError(f"{path} is damaged ({error}): run `kedro run` to write it again.") from None
    return found


def _shown_path(config: Config, name: str) -> str:
    """A dataset's place as a user in the project's folder types it."""
    return dataset_path(config, name).removeprefix(f"{config.root}/")


def _interval(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.3f} [{metrics[f'{name}_low']:.3f}, {metrics[f'{name}_high']:.3f}]"


def _beside(metrics: dict[str, float], name: str) -> str:
    others = [f"{model} {metrics[f'{model}_{name}']:.3f}" for model in ("champion", "baseline") if f"{model}_{name}" in metrics]
    return f"   ({', '.join(others)})" if others else ""
