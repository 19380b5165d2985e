"""Runs the jobs of a workflow on this machine, in the order of their needs: every `run:` in bash, with real files for
GITHUB_OUTPUT, GITHUB_ENV and GITHUB_STEP_SUMMARY. What a step `uses:` is recorded, and done by a local equivalent that
has to be declared.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.workflows.expressions import Open, as_text, condition, filled

Equivalent = Callable[[dict[str, str]], None]
"""What is done in place of an action; it gets its inputs."""


@dataclass
class Job:
    """What came of a job."""

    result: str
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


@dataclass
class Runner:
    """A checkout of a repository with its workflows, and what surrounds them."""

    root: Path
    work: Path
    environment: dict[str, str]
    equivalents: Mapping[str, Equivalent]
    variables: dict[str, str] = field(default_factory=dict)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def run(self, workflow: str, event: dict[str, Any], inputs: dict[str, str] | None = None) -> dict[str, Job]:
        """Run a workflow for an event (`github` context: event_name, event, ref, sha); the jobs by name."""
        content = yaml.load((self.root / ".github" / "workflows" / workflow).read_text(encoding="utf-8"), yaml.BaseLoader)
        jobs: dict[str, Job] = {}
        waiting = dict(content["jobs"])
        while waiting:
            name = next(name for name, job in waiting.items() if not set(_list(job.get("needs"))) & set(waiting))
            jobs.update(self._job(name, waiting.pop(name), content, {"event": event, "inputs": inputs or {}, "jobs": jobs}))
        return jobs

    def _job(self, name: str, job: dict[str, Any], workflow: dict[str, Any], state: dict[str, Any]) -> dict[str, Job]:
        needed = {need: state["jobs"][need] for need in _list(job.get("needs"))}
        results = [found.result for found in needed.values()]
        context = self._context(state, {need: {"result": one.result, "outputs": Open(one.outputs)} for need, one in needed.items()})
        context["functions"] = _status(all(one == "success" for one in results), "failure" in results)
        if not condition(job.get("if"), context):
            return {name: Job("skipped")}
        if "uses" in job:
            inputs = {key: filled(value, context) for key, value in job.get("with", {}).items()}
            inner = self.run(Path(job["uses"]).name, state["event"], inputs)
            failed = any(one.result == "failure" for one in inner.values())
            return {name: Job("failure" if failed else "success"), **{f"{name}/{key}": one for key, one in inner.items()}}
        evaluate_all(job.get("concurrency", {}), context)
        return {name: self._steps(name, job, workflow, context)}

    def _steps(self, name: str, job: dict[str, Any], workflow: dict[str, Any], context: dict[str, Any]) -> Job:
        filled(job["runs-on"], context)
        folder = self.work / f"{len(list(self.work.iterdir()))}-{name}"
        folder.mkdir()
        found, steps = Job("success"), Open()
        context["steps"], context["runner"] = steps, {"temp": str(folder)}
        context["env"] = Open({**workflow.get("env", {}), **evaluate_all(job.get("env", {}), context)})
        for number, step in enumerate(job["steps"]):
            label = step.get("name") or step.get("uses", step.get("run", "").strip()).split("\n")[0]
            context["functions"] = _status(found.result == "success", found.result == "failure")
            if not condition(step.get("if"), context):
                found.steps[label] = "skipped"
                continue
            outcome, outputs, text = self._step(step, folder, number, context)
            found.log += f"## {label}\n{text}\n"
            found.steps[label] = outcome
            found.result = "failure" if outcome == "failure" else found.result
            if "id" in step:
                steps[step["id"]] = {"outputs": Open(outputs), "outcome": outcome}
        found.summary = (folder / "summary.md").read_text(encoding="utf-8") if (folder / "summary.md").exists() else ""
        found.outputs = {key: filled(value, context) for key, value in job.get("outputs", {}).items()}
        return found

    def _step(self, step: dict[str, Any], folder: Path, number: int, context: dict[str, Any]) -> tuple[str, dict[str, str], str]:
        if "uses" in step:
            action, given = step["uses"].split("@")[0], evaluate_all(step.get("with", {}), context)
            self.used.append((action, given))
            self.equivalents[action](given)  # an action without an equivalent is an error
            return "success", {}, str(given)
        return self._run(filled(step["run"], context), evaluate_all(step.get("env", {}), context), folder, number, context)

    def _run(self, text: str, given: dict[str, str], folder: Path, number: int, context: dict[str, Any]) -> tuple[str, dict[str, str], str]:
        files = {name: folder / f"{name.lower()}-{number}" for name in ("GITHUB_OUTPUT", "GITHUB_ENV")}
        files["GITHUB_STEP_SUMMARY"] = folder / "summary.md"
        for file in files.values():
            file.touch()
        script = folder / f"step-{number}.sh"
        script.write_text(text, encoding="utf-8")
        known = {"RUNNER_TEMP": str(folder), "GITHUB_SHA": context["github"]["sha"], "GITHUB_REF_NAME": context["github"]["ref_name"]}
        kept = {**self.environment, **known, **context["env"], **given, **{name: str(path) for name, path in files.items()}}
        line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(
            line, cwd=self.root, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800, check=False
        )
        context["env"].update(_read(files["GITHUB_ENV"]))
        return "success" if done.returncode == 0 else "failure", _read(files["GITHUB_OUTPUT"]), done.stdout

    def _context(self, state: dict[str, Any], needs: dict[str, Any]) -> dict[str, Any]:
        event = {"repository": "owner/churn", "token": "a-token", "ref_name": "main", "ref": "refs/heads/main", **state["event"]}
        event["event"] = Open(event["event"])  # each kind of event has properties of its own
        return {"github": event, "inputs": Open(state["inputs"]), "vars": Open(self.variables), "needs": needs, "env": Open()}


def evaluate_all(entries: Mapping[str, Any] | str, context: Mapping[str, Any]) -> dict[str, str]:
    """Every value of a mapping with its expressions filled in."""
    pairs = entries.items() if isinstance(entries, Mapping) else {"group": entries}.items()
    return {key: filled(as_text(value), context) for key, value in pairs}


def _status(success: bool, failure: bool) -> dict[str, Callable[[], bool]]:
    return {"always": lambda: True, "cancelled": lambda: False, "success": lambda: success, "failure": lambda: failure}


def _list(needs: str | list[str] | None) -> list[str]:
    return [needs] if isinstance(needs, str) else list(needs or [])


def _read(file: Path) -> dict[str, str]:
    """NAME=VALUE lines; any other line is an error, as on GitHub."""
    lines = file.read_text(encoding="utf-8").splitlines()
    assert all("=" in line for line in lines), lines
    return dict(line.split("=", 1) for line in lines)


FOREIGN = ("KEDRO_", "MLFLOW_", "CHURN_", "COV_", "PROMETHEUS_", "GITHUB_")


def own_environment(path_first: Path) -> dict[str, str]:
    """The environment of a runner: nothing of the caller's settings, and a folder of stand-ins first on the PATH."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    return {**kept, "PATH": f"{path_first}{os.pathsep}{kept['PATH']}", "COLUMNS": "200"}
