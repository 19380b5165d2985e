"""What a run did and what the registry holds, as text for the terminal."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from churn.config import Config
from churn.core.errors import ChurnError
from churn.io.files.places import is_file, read_text

SHOWN = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "log_loss": "log-loss",
    "top_decile_lift": "top-decile lift",
}
"""Metrics of the summary, with the name people use."""


def run_summary(config: Config) -> str:
    """Rows, metrics with intervals, the decision and why, the reports, and what to do next.

    Raises:
        ChurnError: if no run has finished yet.
    """
    reports = f"{config.path(config.settings['storage'])}/reports"
    data, decision, metrics = (_read(f"{reports}/{name}.json") for name in ("data_summary", "decision", "test_metrics"))
    lines = [
        *_table_lines(config, data),
        f"Test customers   {data['test']:,}, whom no model was trained on; 95% intervals in brackets",
        *(f"  {text:<18} {_interval(metrics, f'challenger_{name}')}{_beside(metrics, name)}" for name, text in SHOWN.items()),
        f"Decision         version {decision['version']}: {decision['outcome']}. {decision['reason']}",
        f"Reports          {config.settings['storage']}/reports/evaluation.html, "
        f"{config.settings['storage']}/reports/monitoring/report.html",
        "Next             churn status | kedro viz run | kedro mlflow ui  (in .venv/bin, or after: source .venv/bin/activate)",
    ]
    return "\n".join(lines)


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
    blanks = ", ".join(f"{count} blank {column} set as declared" for column, count in data["blanks"].items() if count)
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
    path = f"{config.path(config.settings['storage'])}/raw/sample.json"
    return json.loads(read_text(path)) if is_file(path) else {}


def _read(path: str) -> dict[str, Any]:
    if not is_file(path):
        raise ChurnError(f"There is no {path} yet: run `kedro run` first.")
    found: dict[str, Any] = json.loads(read_text(path))
    return found


def _interval(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.3f} [{metrics[f'{name}_low']:.3f}, {metrics[f'{name}_high']:.3f}]"


def _beside(metrics: dict[str, float], name: str) -> str:
    others = [f"{model} {metrics[f'{model}_{name}']:.3f}" for model in ("champion", "baseline") if f"{model}_{name}" in metrics]
    return f"   ({', '.join(others)})" if others else ""
