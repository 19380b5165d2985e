"""`churn`: the commands beside `kedro run`. Each imports what it needs when it runs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from churn import config, preflight
from churn.config import RAW
from churn.core.errors import ChurnError


class _Commands(click.Group):
    """Shows a user's mistake as one message with exit status 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ChurnError as error:
            click.echo(str(error), err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Declare a customer table, fetch or draw one, look at the registry, move the champion."""


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", help="The column that names the customer; guessed where not given.")
@click.option("--target", help="The column that says who left; guessed where not given.")
@click.option("--positive", help="The target's value that means left; guessed where not given.")
def declare(file: Path, key: str | None, target: str | None, positive: str | None) -> None:
    """Draft the declaration of FILE (CSV or Parquet) as YAML on standard output."""
    from churn.core.raw_table.parameters import ProcessingParameters
    from churn.io.files.tables import declare as draft

    parameters = config.load().section("data_processing", ProcessingParameters)
    click.echo(draft(str(file), parameters, key, target, positive), nl=False)


@cli.command()
@click.option("--url", help="Another place to fetch the same file from.")
def fetch(url: str | None) -> None:
    """Fetch IBM's real telco table to the place of the raw table; a wrong hash is refused."""
    from churn.io.files.fetch import fetch_telco

    settings = config.load()
    preflight.require(preflight.of_storage(settings), settings)
    destination, note = (config.dataset_path(settings, name) for name in (RAW, "sample_note"))
    fetch_telco(destination, note=note, **({"url": url} if url else {}))
    click.echo(f"IBM's telco table (Apache-2.0) is at {settings.settings['raw_customers']}. Next: make run")


@cli.command()
@click.option("--env", help="The environment in conf/.")
def sample(env: str | None) -> None:
    """Write the sample table where there is no raw table; a table that is there stays as it is."""
    from churn.io.files import places

    settings = config.load(environment=env)
    preflight.require(preflight.of_storage(settings), settings)
    table = config.dataset_path(settings, RAW)
    if places.exists(table):
        return
    if places.exists(f"{table}.dvc"):
        raise ChurnError(f"{table} is versioned and not here: make data-pull fetches it (or remove {table}.dvc).")
    command = [sys.executable, "-m", "kedro", "run", "--pipelines", "sample_data", *(["--env", env] if env else [])]
    sys.exit(subprocess.run(command, cwd=settings.root, check=False).returncode)  # noqa: S603  (as a user types it)


@cli.command()
@click.argument("dataset", default=RAW)
@click.option("--env", help="The environment in conf/.")
def where(dataset: str, env: str | None) -> None:
    """Print where the catalog keeps DATASET (the raw table where not given); below the project's folder as a relative path."""
    settings = config.load(environment=env)
    click.echo(config.dataset_path(settings, dataset).removeprefix(f"{settings.root}/"))


@cli.command()
@click.option("--env", help="The environment in conf/ (default: KEDRO_ENV, else base with local on top).")
@click.option("--json", "as_json", is_flag=True, help="For programs: every version with aliases, metrics, gate and reason.")
def status(env: str | None, as_json: bool) -> None:
    """Show the registry: versions, aliases, test metrics with intervals, and why each was promoted or not."""
    from dataclasses import asdict

    from churn.io.models import registry
    from churn.summary import status_text

    record = connect(env)
    found = registry.versions()
    click.echo(json.dumps([asdict(entry) for entry in found], indent=2) if as_json else status_text(found, record.moves() if found else []))


@cli.command()
@click.argument("version")
@click.option("--reason", default="promoted by hand", show_default=True, help="Kept on record and in the version's tags.")
@click.option("--force", is_flag=True, help="Also if VERSION awaits approval and met another champion than the present one.")
@click.option("--env", help="The environment in conf/.")
def promote(version: str, reason: str, force: bool, env: str | None) -> None:
    """Make VERSION the champion; the old one becomes Previous."""
    from churn.io.models import promotion

    promotion.promote(version, reason, connect(env), force=force)
    click.echo(f"Version {version} is the champion. Undo with: churn rollback")


@cli.command()
@click.option("--reason", default="rolled back by hand", show_default=True, help="Kept on record.")
@click.option("--env", help="The environment in conf/.")
def rollback(reason: str, env: str | None) -> None:
    """Make the Previous version the champion again."""
    from churn.io.models import promotion

    old, new = promotion.rollback(reason, connect(env))
    click.echo(f"Version {new} is the champion again, instead of version {old}.")


@cli.command()
@click.argument("version")
@click.option("--env", help="The environment in conf/.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def lineage(version: str, env: str | None, as_json: bool) -> None:
    """Show what VERSION was made from, who promoted it and why, and how to make it again."""
    from churn.lineage import lineage_text, read_lineage

    found = read_lineage(version, config.load(environment=env), connect(env))
    click.echo(json.dumps(found, indent=2) if as_json else lineage_text(found))


@cli.command()
@click.option("--env", help="The environment in conf/.")
def summary(env: str | None) -> None:
    """Say what the last `kedro run` did and what to do next."""
    from churn.summary import run_summary

    settings = config.load(environment=env)
    preflight.require(preflight.of_storage(settings), settings)
    click.echo(run_summary(settings))


@cli.command()
@click.option("--months", type=click.IntRange(1, 600), default=12, show_default=True)
@click.option("--scenario", default="none", show_default=True, help="none, price-rise, customer-mix, behaviour, nulls, ...")
@click.option("--customers", type=click.IntRange(50, 100_000), default=1000, show_default=True, help="New customers in each month.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--api", help="The address of a running API; left out, one is started for the time.")
@click.option("--env", help="The environment in conf/.")
def simulate(months: int, scenario: str, customers: int, seed: int, api: str | None, env: str | None) -> None:
    """Play months of traffic with a known change through the API, and judge each month."""
    from churn import simulate as simulation
    from churn.core.population.scenarios import SCENARIOS

    if scenario not in SCENARIOS:
        raise ChurnError(f"There is no scenario {scenario!r}. There are: {', '.join(SCENARIOS)}.")
    story = simulation.Story(scenario, months, customers, seed)
    for line in simulation.simulate(config.load(environment=env), story, api):
        click.echo(line)


def connect(env: str | None) -> Any:
    """Connect to the registry of an environment; its record of promotions."""
    from churn.io.models import registry
    from churn.io.models.promotion_record import PromotionRecord

    settings = config.load(environment=env)
    preflight.require(preflight.of_registry(settings), settings)
    registry.connect(config.rooted(settings.settings["tracking_uri"], settings.root))
    return PromotionRecord(settings.path(settings.settings["promotions"]))


def main() -> None:
    """The `churn` command."""
    cli()


if __name__ == "__main__":
    main()
