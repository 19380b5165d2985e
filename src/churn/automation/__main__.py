"""`python -m churn.automation COMMAND`: see the workflows in .github and docs/automation.md."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from churn import config, preflight
from churn.automation import deployment, report, watch
from churn.config import RAW, Config
from churn.core.errors import ChurnError
from churn.io.files import places

SAMPLE_ENVIRONMENT = "sample"
"""The environment in conf/ that reads the sample and writes to files of its own."""

_UNDO_SECONDS = 600.0
"""How long going back may take: there is nothing left to try after it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Each command prints its result, or NAME=VALUE lines that fit a job's outputs."""


@cli.command()
@click.option("--sample", is_flag=True, help="Only fetch the sample of DVC's pointer and check its contract, apart from all else.")
def table(sample: bool) -> None:
    """Have the raw table in place: the version of DVC's pointer, else what is there, else the sample table."""
    if sample:
        _check_sample(config.project_root())
        return
    settings = _answering()
    target, versioned = config.dataset_path(settings, RAW), _versioned_table(settings.root)
    if pointer := _pointer(versioned, settings.root):
        _run("dvc", "pull", pointer)
        if target != str(versioned):
            if not places.is_remote(target):
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            system, path = places.filesystem(target)
            system.put_file(str(versioned), path)
        click.echo(f"The raw table is the version of {pointer}.")
    elif places.exists(target):
        click.echo(f"The raw table is {target}, as it was.")
    else:
        _run("kedro", "run", "--pipelines", "sample_data")
        click.echo("There was no raw table: the sample table is in its place.")


def _check_sample(root: Path) -> None:
    """A broken version of the table is found out before the whole of it is downloaded."""
    table = _versioned_table(root)
    sample = table.with_name(f"{table.stem}_sample{table.suffix}")  # as docker/data.sh names it
    pointer = _pointer(sample, root)
    if pointer is None:
        click.echo(f"There is no version of {os.path.relpath(sample, root)}: the contract is checked on the table itself.")
        return
    checked = config.dataset_path(config.load(root, SAMPLE_ENVIRONMENT), RAW)
    if checked != str(sample):
        raise ChurnError(
            f"The sample is {sample}, and the environment {SAMPLE_ENVIRONMENT!r} reads {checked}: "
            f"mend `raw_customers` in conf/{SAMPLE_ENVIRONMENT}/globals.yml."
        )
    _run("dvc", "pull", pointer)
    _run("kedro", "run", "--env", SAMPLE_ENVIRONMENT, "--pipelines", "data_processing")
    click.echo(f"The sample of {pointer} keeps the contract.")


def _versioned_table(root: Path) -> Path:
    """Where DVC keeps the raw table: its place on this machine, whichever environment the pipelines run in."""
    return Path(config.dataset_path(config.load(root, config.LOCAL), RAW))


def _pointer(file: Path, root: Path) -> str | None:
    """DVC's pointer to the version of a file, from the project's folder; None where the file is not versioned."""
    pointer = file.with_name(f"{file.name}.dvc")
    return os.path.relpath(pointer, root) if pointer.exists() else None


@cli.command()
@click.option("--apart", is_flag=True, help="The comparison was made in a registry of its own: nothing was promoted.")
def summary(apart: bool) -> None:
    """The decision of the last run as Markdown."""
    click.echo(report.decision_markdown(_answering(), moved=not apart))


@cli.command()
def outcome() -> None:
    """The decision of the last run as outputs: outcome, version, champion."""
    click.echo(report.outcome_lines(_answering()))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def reports(folder: Path) -> None:
    """Copy the reports to FOLDER, from wherever the environment keeps them; rows of customers stay there."""
    click.echo(f"{report.copy_reports(_answering(), folder)} reports are in {folder}.")


@cli.command()
def ask() -> None:
    """Ask the lead to approve: the comparison and the command, to the addresses of CHURN_ALERT_URLS."""
    from churn.io.monitoring import alerts

    settings = _answering()
    title = f"Approve churn model version {report.read_report(settings, 'decision')['version']}?"
    text = report.decision_markdown(settings)
    click.echo(f"{title}\n\n{text}")
    if urls := alerts.addresses():
        alerts.deliver(title, text, urls)


@cli.command()
@click.option("--image", "name", default="churn-api", show_default=True, help="The image's name.")
@click.option("--force", is_flag=True, help="Build even if nothing in the image has changed.")
def image(name: str, force: bool) -> None:
    """Build the API's image if one is needed; outputs: previous, changed, image, digest."""
    root = config.project_root()
    previous = deployment.running_image(root)
    needed = force or deployment.image_needed(root, previous and deployment.revision(root, previous))
    built = deployment.build(root, name, _commit()) if needed else ("", "")
    kept = deployment.tag_by_digest(root, name, previous) if previous else ""
    for key, value in zip(("previous", "changed", "image", "digest"), (kept, str(needed).lower(), *built), strict=True):
        click.echo(f"{key}={value}")


@cli.command("preflight")
def preflight_command() -> None:
    """Whether `restart`, `verify` and `undo` have what they need; nothing is changed."""
    deployment.require(config.load())
    click.echo("A deployment has what it needs.")


@cli.command()
@click.argument("image")
def restart(image: str) -> None:
    """Restart the API's container with IMAGE, and keep IMAGE in the composition's settings."""
    deployment.restart(config.project_root(), image)


@cli.command()
@click.option("--url", required=True, help="The API's address.")
@click.option("--version", help="The model version that must serve; any where not given.")
def verify(url: str, version: str | None) -> None:
    """Wait until the API serves a version, and ask it for a prediction."""
    settings = _answering()
    customer = deployment.some_customer(settings)
    served = deployment.wait_until_ready(url, version or None, _parameters(settings).ready_seconds)
    found = deployment.smoke_test(url, customer, served)
    click.echo(f"Version {served} serves: churn probability {found['churn_probability']:.3f} for customer {found['customer_id']}.")


@cli.command()
@click.option("--previous", default="", help="The image to go back to.")
@click.option("--version", default="", help="The version that was promoted; if it is still champion, the one before comes back.")
@click.option("--url", required=True, help="The API's address.")
def undo(previous: str, version: str, url: str) -> None:
    """Go back to the previous image and champion after a deployment that failed."""
    from churn.cli import connect
    from churn.io.models import promotion, registry

    settings, record = config.load(), connect(None)
    if version and registry.aliases().get(registry.CHAMPION) == version and registry.PREVIOUS in registry.aliases():
        old, new = promotion.rollback("its deployment failed", record)
        click.echo(f"Version {new} is the champion again, instead of version {old}.")
    if previous:
        deployment.restart(settings.root, previous)
    champion = registry.aliases().get(registry.CHAMPION)
    served = deployment.wait_until_ready(url, champion, _UNDO_SECONDS)
    click.echo(f"The API serves version {served}{' with the previous image' if previous else ''}.")


@cli.command("watch")
@click.option("--runs", type=click.Path(path_type=Path, exists=True), required=True, help="Past training runs, as GitHub's API lists them.")
@click.option("--issue", type=click.Path(path_type=Path), required=True, help="Where the issue's text is written.")
@click.option("--since", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), required=True, help="UTC; a verdict made before is refused.")
def watch_command(runs: Path, issue: Path, since: datetime) -> None:
    """What the last verdict of monitoring leads to; outputs: status, retrain, title."""
    settings = _answering()
    verdict = report.read_report(settings, "monitoring_verdict")
    watch.require_new(verdict, since.replace(tzinfo=UTC))
    past = watch.dispatched(json.loads(runs.read_text(encoding="utf-8")))
    held_back = watch.hold_back(past, datetime.now(UTC), _parameters(settings))
    issue.write_text(watch.issue_markdown(verdict, watch.next_step(verdict, held_back)), encoding="utf-8")
    retrain = verdict["status"] == "alert" and verdict["action"] == "retrain" and held_back is None
    click.echo(f"status={verdict['status']}\nretrain={str(retrain).lower()}\ntitle={watch.ISSUE_TITLE}")


def _answering() -> Config:
    """The configuration of the environment, once its storage has answered."""
    settings = config.load()
    preflight.require(preflight.of_storage(settings), settings)
    return settings


def _parameters(settings: Config) -> watch.AutomationParameters:
    return settings.section("automation", watch.AutomationParameters)


def _commit() -> str:
    return os.environ.get("GITHUB_SHA") or _run("git", "rev-parse", "HEAD", shown=False).strip()


def _run(*command: str, shown: bool = True) -> str:
    """Run git, or a command of this environment, in the project's folder.

    Raises:
        ChurnError: if it fails; what it has said is on the terminal already.
    """
    program = command[0] if command[0] == "git" else str(Path(sys.executable).with_name(command[0]))
    kept = None if shown else subprocess.PIPE
    done = subprocess.run([program, *command[1:]], cwd=config.project_root(), stdout=kept, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ChurnError(f"`{' '.join(command)}` failed.")
    return done.stdout or ""


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a mistake is one message."""
    try:
        cli(arguments)
    except ChurnError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
