"""Where a model version comes from: code, data, parameters, who promoted it and why, and the commands that make it again."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from churn.config import Config
from churn.io.models import registry
from churn.io.models.promotion_record import Move, PromotionRecord

_UNCOMMITTED = "-dirty"
_REBUILT_BY = "data_processing,feature_store,training"


def read_lineage(version: str, config: Config, record: PromotionRecord) -> dict[str, Any]:
    """The lineage of a version, for programs.

    Raises:
        ChurnError: if there is no such version.
    """
    entry = registry.version_entry(version)
    tags = dict(entry.tags)
    recorded = registry.parameters(version)
    commit = tags.get("git_sha", "unknown")
    return {
        "version": version,
        "aliases": [name for name, number in registry.aliases().items() if number == version],
        "code": {"git_sha": commit.removesuffix(_UNCOMMITTED), "uncommitted_changes": commit.endswith(_UNCOMMITTED)},
        "data": {"sha256": tags.get("data_sha256"), "md5": tags.get("data_md5")},
        "schema_sha256": tags.get("schema_sha256"),
        "feature_service": tags.get("feature_service"),
        "model_sha256": tags.get(registry.MODEL_SHA256),
        "run_id": tags.get(registry.RUN_ID),
        "parameters": recorded,
        "parent_champion": tags.get(registry.COMPARED_WITH) or None,
        "gate": tags.get(registry.GATE),
        "gate_reason": tags.get(registry.GATE_REASON),
        "moves": [asdict(move) for move in record.moves() if version in (move.to_version, move.from_version)],
        "rebuild": rebuild_command(recorded, config),
    }


def rebuild_command(recorded: dict[str, str], config: Config) -> str:
    """The command that trains the same model again, on the same code and table."""
    values = {f"training.{name}": recorded[name] for name in ("budget", "seed") if name in recorded}
    values |= {f"training.budgets.{recorded['budget']}.{key}": value for key, value in _below("search.", recorded).items()}
    values |= {f"costs.{key}": value for key, value in _below("costs.", recorded).items() if key in config.parameters["costs"]}
    values |= {f"data_processing.split.{key}": value for key, value in _below("split.", recorded).items()}
    command = f"kedro run --pipelines {_REBUILT_BY}"
    return f"{command} --params {','.join(f'{name}={value}' for name, value in values.items())}" if values else command


def lineage_text(found: dict[str, Any]) -> str:
    """The lineage of a version, for people."""
    code, data = found["code"], found["data"]
    held = f" ({', '.join(found['aliases'])})" if found["aliases"] else ""
    settings = ", ".join(f"{name}={value}" for name, value in found["parameters"].items() if len(value) < 40)  # noqa: PLR2004 - not whole sections
    checkout = f"git checkout {code['git_sha']}" if code["git_sha"] != "unknown" else "# the code was not in git"
    return "\n".join(
        [
            f"Version {found['version']}{held}",
            f"  code         {code['git_sha']}{' with uncommitted changes' if code['uncommitted_changes'] else ''}",
            f"  data         sha256 {data['sha256']}{', md5 ' + data['md5'] if data['md5'] else ''}",
            f"  declaration  sha256 {found['schema_sha256']}",
            f"  features     {found['feature_service']}",
            f"  model        sha256 {found['model_sha256']}",
            f"  run          {found['run_id']}",
            f"  parameters   {settings}",
            f"  champion     it was compared with {'version ' + found['parent_champion'] if found['parent_champion'] else 'none'}",
            f"  gate         {found['gate'] or 'not decided'}. {found['gate_reason'] or ''}",
            *(f"  moved        {move_text(Move(**move))}" for move in found["moves"]),
            "Made again, with the same table in place, by",
            f"  {checkout}",
            f"  {found['rebuild']}",
        ]
    )


def move_text(move: Move) -> str:
    """One move of the champion in a line."""
    when = datetime.fromtimestamp(move.started_at, UTC).isoformat(timespec="seconds")
    change = f"{move.from_version or 'no champion'} -> {move.to_version or 'no champion'}"
    return f"{when} {move.action} {change} by {move.who}: {move.reason}{'' if move.outcome == 'done' else f' ({move.outcome})'}"


def _below(prefix: str, recorded: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in recorded.items() if name.startswith(prefix)}
