"""The decision of a run as Markdown: for a job summary, a comment on a pull request, and the lead who approves."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.config import Config, dataset_path
from churn.core.errors import ChurnError
from churn.core.evaluation.gate_rules import number
from churn.io.files import places

MEASURES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "log_loss": "log-loss",
    "f1": "F1",
    "profit": "profit per customer",
}
"""Metrics of the table, with the name people use."""
DIFFERENCES = {"log_loss": "log-loss", "roc_auc": "ROC-AUC", "average_precision": "average precision", "profit": "profit per customer"}
OUTCOMES = {
    "promoted": "is the champion",
    "rejected": "is refused; the champion stays",
    "kept": "is the champion's equal; the champion stays",
    "awaiting-approval": "passed and waits for approval",
}


def read_report(config: Config, name: str) -> Any:
    """A JSON report of the catalog.

    Raises:
        ChurnError: if no run has written it.
    """
    location = dataset_path(config, name)
    try:
        return json.loads(places.read_text(location))
    except FileNotFoundError:
        raise ChurnError(f"There is no {location} yet: run `kedro run` first.") from None


def copy_reports(config: Config, folder: Path) -> int:
    """Copy the reports of the storage to a folder of this machine; not the Parquet files, which hold rows of customers.

    Returns:
        How many there are.

    Raises:
        ChurnError: if there is none.
    """
    system, source = places.filesystem(config.path(f"{config.settings['storage']}/reports"))
    system.invalidate_cache()
    found = {Path(name).relative_to(source): name for name in system.find(source)}
    chosen = {place: name for place, name in found.items() if place.suffix != ".parquet" and not place.name.startswith(".")}
    if not chosen:
        raise ChurnError(f"There are no reports in {source} yet: run `kedro run` first.")
    for place, name in chosen.items():
        (folder / place.parent).mkdir(parents=True, exist_ok=True)
        system.get_file(name, str(folder / place))
    return len(chosen)


def decision_markdown(config: Config, *, moved: bool = True) -> str:
    """Champion against challenger with 95% intervals, and every rule of the gate.

    Args:
        config: The environment whose last run is reported.
        moved: False says that the comparison was made in a registry of its own, such as for a pull request.
    """
    decision, metrics, comparisons = (read_report(config, name) for name in ("decision", "test_metrics", "comparisons"))
    outcome = OUTCOMES[decision["outcome"]] if moved else f"would be: {decision['outcome']}"
    return "\n\n".join(
        [
            f"## Model version {decision['version']} {outcome}" if moved else f"## This change's model {outcome}",
            decision["reason"],
            *([] if moved else ["Compared on the sample table, in a registry of its own; nothing was promoted."]),
            _metrics_table(metrics, decision),
            *([_differences_table(comparisons["champion"])] if "champion" in comparisons else []),
            _rules_table(decision["rules"]),
            *([approval_text(decision)] if decision["outcome"] == "awaiting-approval" else []),
        ]
    )


def approval_text(decision: Mapping[str, Any]) -> str:
    """What the lead can do; the job `approve` is there where CHURN_APPROVAL says `environment`."""
    command = f"To make it the champion: `churn promote {decision['version']}`"
    approvable = os.environ.get("CHURN_APPROVAL") == "environment"
    return f"{command}, or approve the job `approve` of the workflow run." if approvable else f"{command}."


def outcome_lines(config: Config) -> str:
    """`outcome`, `version` and `champion` as lines of a job's outputs."""
    decision = read_report(config, "decision")
    return "\n".join(f"{name}={decision[name] or ''}" for name in ("outcome", "version", "champion"))


def _metrics_table(metrics: Mapping[str, float], decision: Mapping[str, Any]) -> str:
    models = [name for name in ("challenger", "champion", "baseline") if f"{name}_roc_auc" in metrics]
    rows = [[title, *(_interval(metrics, f"{model}_{name}") for model in models)] for name, title in MEASURES.items()]
    return _table([f"{decision['customers']:,} test customers", *models], rows)


def _differences_table(found: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [
            title,
            number(found[name]["value"]),
            f"{number(found[name]['low'])} to {number(found[name]['high'])}",
            number(found[name]["detectable"]),
        ]
        for name, title in DIFFERENCES.items()
    ]
    return _table(["challenger better by", "", "95% interval", "detectable here"], rows)


def _rules_table(rules: list[dict[str, Any]]) -> str:
    if not rules:
        return "No rule was applied."
    rows = [
        ["passed" if rule["passed"] else "**failed**", rule["name"], number(rule["value"]), f"{rule['relation']} {number(rule['bound'])}"]
        for rule in rules
    ]
    return _table(["gate", "rule", "value", "must be"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _interval(metrics: Mapping[str, float], name: str) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return number(metrics[name]) if low is None or high is None else f"{number(metrics[name])} [{number(low)}, {number(high)}]"
