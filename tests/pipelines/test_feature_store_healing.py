"""A run that is killed leaves the old feature store or the new one, and the next run heals the rest."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from churn.io.features import feature_store
from churn.io.features.reads import OnlineFeatures
from tests.feature_tables import COLUMNS, FIRST, LAST, customers, declaration, feast_file, feature_project, write_features
from tests.projects import ROOT

# Where the process dies, and whether the new values are served then (None: Feast alone, which writes in place).
POINTS = {
    "registry half written": False,
    "registered, registry not in place": False,
    "before the first row": False,
    "inside a batch": False,
    "between two batches": False,
    "materialized, store not in place": False,
    "store in place, registry not": True,
    "plain feast, registry half written": None,
    "plain feast, inside a batch": None,
}

VICTIM = '''
"""Fork one child per point, which registers and materializes until it kills itself. Prints how each ended."""
import json, os, signal, sys, traceback
from pathlib import Path
import feast  # once, before the forks, with what it imports later
import feast.infra.compute_engines.local.compute, feast.infra.offline_stores.duckdb, ibis.backends.duckdb
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.infra.registry.file import FileRegistryStore
from churn.io.features import feature_store
from churn.io.features import registry_files as feature_store_files
from tests.feature_tables import FIRST, LAST, declaration, feast_file

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(times, action=die):
    count = 0
    def call(*_):
        nonlocal count
        count += 1
        if count > times:
            action()
    return call

def half_registry(self, proto):
    whole = proto.SerializeToString()
    with open(self._filepath, "wb") as file:
        file.write(whole[: len(whole) // 2 + 1])
    die()

write = SqliteOnlineStore.online_write_batch

def at(point):
    if "registry half written" in point:
        FileRegistryStore._write_registry = half_registry
    elif point == "registered, registry not in place":
        FileRegistryStore._write_registry, inner = (lambda self, proto: (inner(self, proto), die())), FileRegistryStore._write_registry
    elif point == "before the first row":
        SqliteOnlineStore.online_write_batch = die
    elif "inside a batch" in point:
        row = after(10)
        SqliteOnlineStore.online_write_batch = lambda self, config, table, data, progress: write(self, config, table, data, row)
    elif point == "between two batches":
        batch = after(1)
        SqliteOnlineStore.online_write_batch = lambda *args, **named: (batch(), write(*args, **named))
    elif point == "materialized, store not in place":
        feature_store_files._put_store_in_place = die
    elif point == "store in place, registry not":
        feature_store_files._put_store_in_place, inner = (lambda *args: (inner(*args), die())), feature_store_files._put_store_in_place

def work(point, project):
    file, source = str(feast_file(project)), str(project / "data/features/customer_features.parquet")
    at(point)
    if "plain feast" in point:
        store = feast.FeatureStore(config=feature_store.read_config(file))
        defined = feature_store.define(declaration().features, source)
        if "registry" in point:
            store.apply([defined.entity, defined.view, defined.service])
        store.materialize(FIRST, LAST)
    else:
        feature_store.apply(file, declaration().features, source)
        feature_store.materialize(file, FIRST, LAST)

ended = {}
for point, project in json.loads(sys.argv[1]).items():
    child = os.fork()
    if child == 0:
        try:
            work(point, Path(project))
        except BaseException:
            traceback.print_exc()
        os._exit(1)  # no clean end of an interpreter whose threads stayed behind in the parent
    ended[point] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(ended))
'''


def register_and_materialize(project: Path) -> None:
    file = str(feast_file(project))
    feature_store.apply(file, declaration().features, str(project / "data/features/customer_features.parquet"))
    feature_store.materialize(file, FIRST, LAST)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each point a project with a filled store, whose next run was killed there."""
    projects = {point: feature_project(tmp_path_factory.mktemp("killed") / "project") for point in POINTS}
    for project in projects.values():
        register_and_materialize(project)
        write_features(project, customers(add=7)[5:])
    command = [sys.executable, "-c", VICTIM, json.dumps({point: str(path) for point, path in projects.items()})]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(POINTS, -signal.SIGKILL), done.stderr[-4000:]
    return projects


@pytest.mark.parametrize("point", [point for point, new in POINTS.items() if new is not None])
def test_a_killed_run_leaves_the_old_store_or_the_new_one(killed: dict[str, Path], point: str, tmp_path: Path) -> None:
    online = OnlineFeatures(str(feast_file(killed[point])))
    answer = online.read(["C0000", "C0006", "C0058"])
    expected = customers(add=7 if POINTS[point] else 0)
    assert answer.found == [not POINTS[point], True, True]
    assert [answer.columns[name][1:] for name in COLUMNS] == [[expected[6][name], expected[58][name]] for name in COLUMNS]


@pytest.mark.parametrize("point", POINTS)
def test_the_next_run_heals(killed: dict[str, Path], point: str) -> None:
    project = killed[point]
    register_and_materialize(project)
    expected = customers(add=7)[5:]
    answer = OnlineFeatures(str(feast_file(project))).read(["C0000", *(row["customer_id"] for row in expected)])
    assert answer.found == [False] + [True] * 55
    assert {name: values[1:] for name, values in answer.columns.items()} == {name: [row[name] for row in expected] for name in COLUMNS}
    kept = sorted(path.name for path in (project / "data" / "features").iterdir())
    assert kept == ["customer_features.parquet", "online.db", "registry.db"]


def test_the_files_of_a_running_process_are_left_alone(tmp_path: Path) -> None:
    project = feature_project(tmp_path)
    theirs = project / "data" / "features" / f".online.db.{os.getppid()}"
    theirs.write_text("being written")
    register_and_materialize(project)
    assert theirs.read_text() == "being written"


@pytest.mark.parametrize("rubbish", [b"", b"\x00" * 4096, b"SQLite format 3\x00 and then nothing", b"\xff\xfe not a file of Feast"])
def test_files_that_are_rubbish_are_replaced(tmp_path: Path, rubbish: bytes) -> None:
    project = feature_project(tmp_path)
    for name in ("registry.db", "online.db", "online.db-journal", "online.db-wal"):
        (project / "data" / "features" / name).write_bytes(rubbish)
    register_and_materialize(project)
    answer = OnlineFeatures(str(feast_file(project))).read([row["customer_id"] for row in customers()])
    assert answer.columns == {name: [row[name] for row in customers()] for name in COLUMNS}
