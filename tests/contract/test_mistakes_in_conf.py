"""A slip in `conf` ends in one message that says where and what is allowed; nothing is written."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from churn import config
from churn.core.errors import ChurnError
from tests.projects import ROOT, run_command

CUSTOMERS, GLOBALS = "parameters/customers.yml", "globals.yml"


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(text: bytes) -> bytes:
        assert old.encode() in text
        return text.replace(old.encode(), new.encode("latin-1"), 1)

    return change


UNREADABLE = {
    "no YAML": (CUSTOMERS, replaced("{type: integer, min: 0", "{type: integer: min: 0"), ["customers.yml, line 12", "':'"]),
    "a tab": (CUSTOMERS, replaced("  key:", "\tkey:"), ["customers.yml, line 4", "\\t"]),
    "a name twice": (CUSTOMERS, lambda text: text + b"customers: {}\n", ["customers.yml, line 32", "duplicate key customers"]),
    "no entries": (CUSTOMERS, lambda _: b"- a\n- b\n", ["customers.yml", "`name: value`"]),
    "Latin-1": (CUSTOMERS, replaced("USD", "£"), ["customers.yml", "UTF-8"]),
    "two declarations": ("parameters/draft.yml", lambda _: b"customers: {}\n", ["customers.yml and", "draft.yml", "'customers'"]),
    "a broken catalog": ("catalog/training.yml", lambda text: text + b"x: [\n", ["catalog/training.yml, line"]),
    "an unknown global": ("catalog/training.yml", replaced("globals:storage", "globals:store"), ["catalog/training.yml", "store"]),
    "a global of nothing": (GLOBALS, replaced("${storage}", "${store}"), ["globals", "'store'"]),
    "broken globals": (GLOBALS, replaced("engine: duckdb", "engine: [duckdb"), ["globals.yml, line"]),
}


def change(project: Path, name: str, how: Callable[[bytes], bytes]) -> None:
    file = project / "conf/base" / name
    file.write_bytes(how(file.read_bytes() if file.exists() else b""))


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_named_by_file_and_line(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    file, how, parts = UNREADABLE[name]
    change(tmp_path, file, how)
    with pytest.raises(ChurnError) as refused:
        config.require_readable(config.load(tmp_path, "base"))
    assert [part for part in parts if part not in str(refused.value)] == [], refused.value


def test_a_missing_declaration_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    change(tmp_path, CUSTOMERS, replaced("customers:", "costumers:"))
    with pytest.raises(ChurnError, match="customers"):
        _ = config.load(tmp_path, "base").declaration


def assert_one_message(done: subprocess.CompletedProcess[str], project: Path, parts: list[str]) -> None:
    assert done.returncode == 1
    shown = done.stdout + done.stderr
    assert [part for part in parts if shown.count(part) != 1] == [], shown
    assert "Traceback" not in shown
    assert [path for path in (project / "data").rglob("*") if path.is_file() and "mlflow" not in path.parts] == []


def test_mistakes_in_parameters_are_lines_of_one_message(project: Path) -> None:
    change(project, CUSTOMERS, replaced("{type: integer, min: 0", "{type: integr, min: 0"))
    done = run_command(project, "kedro", "run", "--params", "training.budget=thorugh")
    parts = [
        "customers.columns.tenure.type: Input should be 'category', 'boolean', 'integer' or 'number' (found: 'integr')",
        "[conf/base/parameters/customers.yml]",
        "training: `budget` is 'thorugh', but `budgets` has default, thorough  [--params]",
    ]
    assert_one_message(done, project, parts)


def test_missing_parameters_stop_the_run(project: Path) -> None:
    change(project, CUSTOMERS, replaced("customers:", "costumers:"))
    done = run_command(project, "kedro", "run", "--pipelines", "data_processing")
    assert_one_message(done, project, ["misspelled: customers."])


@pytest.mark.parametrize("name", ["no YAML", "broken globals"])
def test_broken_files_stop_every_command(name: str, project: Path) -> None:
    file, how, parts = UNREADABLE[name]
    change(project, file, how)
    for command in (("kedro", "run"), ("churn", "status")):
        assert_one_message(run_command(project, *command), project, parts[:1])


def test_a_pipeline_that_does_not_exist_is_answered_with_those_that_do(project: Path) -> None:
    done = run_command(project, "kedro", "run", "--pipelines", "trainning")
    assert_one_message(done, project, ["There is no pipeline of that name. There are: data_processing, evaluation,"])
