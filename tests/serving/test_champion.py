"""Finding, checking and swapping the champion: with a real registry, and damage that is really there."""

import asyncio
import base64
import collections
import contextlib
import http.client
import http.server
import itertools
import json
import math
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from churn import config
from churn.core.modelling.model import ChurnModel
from churn.io.connections import without_secret
from churn.io.models.registry import CHAMPION, MODEL_NAME
from serving import metrics
from serving.champion import champion_files, fetch_champion, registry_poll
from serving.champion import keeper as keeper_module
from serving.champion.keeper import ChampionKeeper
from serving.champion.scorer import Scorer
from serving.settings import read_settings
from tests.serving.conftest import edit
from tests.serving.servers import Server, serve

FAST = {"champion_interval": 0.1}


def parameters(project: Path, **changes: object) -> None:
    edit(project / "conf" / "base" / "parameters" / "serving.yml", **changes)


def registry_file(project: Path) -> Path:
    return project / "data" / "mlflow" / "mlflow.db"


def point(project: Path, version: str, model: str | None = None) -> None:
    """Move the alias as another process would; in the tests by SQL, because MLflow's import takes seconds."""
    with contextlib.closing(sqlite3.connect(registry_file(project), timeout=20)) as store, store:
        store.execute("UPDATE registered_model_aliases SET version = ? WHERE name = ? AND alias = ?", (version, MODEL_NAME, CHAMPION))


def artifacts(project: Path, version: str) -> Path:
    """The registered files of a version, copied so that damage stays in this project."""
    with contextlib.closing(sqlite3.connect(registry_file(project))) as store, store:
        query = "SELECT storage_location FROM model_versions WHERE name = ? AND version = ?"
        (location,) = store.execute(query, (MODEL_NAME, version)).fetchone()
        copy = project / "data" / "copied" / version
        shutil.copytree(location, copy)
        store.execute("UPDATE model_versions SET storage_location = ? WHERE name = ? AND version = ?", (str(copy), MODEL_NAME, version))
        store.execute("UPDATE model_versions SET source = ? WHERE name = ? AND version = ?", (str(copy), MODEL_NAME, version))
    return copy


def test_the_cheap_question_gets_the_answer_of_mlflows_public_call(project: Path):
    from mlflow import MlflowClient

    uri = config.load(project).path("sqlite:///data/mlflow/mlflow.db")
    client = MlflowClient(uri)
    for version in ("1", "2"):
        client.set_registered_model_alias(MODEL_NAME, CHAMPION, version)
        found = client.get_model_version_by_alias(MODEL_NAME, CHAMPION)
        assert str(found.version) == version
        assert registry_poll.registered_champion(uri) == (version, found.tags["model_sha256"])
    client.delete_registered_model_alias(MODEL_NAME, CHAMPION)
    assert registry_poll.registered_champion(uri) is None


def test_a_registry_that_is_not_there_and_one_that_only_mlflow_can_ask(tmp_path: Path):
    with pytest.raises(registry_poll.UnreachableError):
        registry_poll.registered_champion(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE other (a)")
    with pytest.raises(registry_poll.CannotTellError):
        registry_poll.registered_champion(f"sqlite:///{tmp_path}/other.db")
    (tmp_path / "broken.db").write_bytes(b"this is not a database, it only looks like a file of one" * 20)
    with pytest.raises(registry_poll.UnreachableError):
        registry_poll.registered_champion(f"sqlite:///{tmp_path}/broken.db")
    with pytest.raises(registry_poll.CannotTellError):
        registry_poll.registered_champion("postgresql://nobody@localhost/x")
    with pytest.raises(registry_poll.UnreachableError):
        registry_poll.registered_champion("http://127.0.0.1:1")


def test_a_name_and_password_in_the_registrys_address_are_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, str | None]] = []

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.headers["Host"], self.headers["Authorization"]))
            self.send_error(500)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    for name in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever).start()
        place = f"127.0.0.1:{server.server_port}"
        with pytest.raises(registry_poll.UnreachableError, match="answered 500"):
            registry_poll.registered_champion(f"http://me:secret@{place}")
        server.shutdown()
    assert asked == [(place, "Basic " + base64.b64encode(b"me:secret").decode())]
    with pytest.raises(registry_poll.UnreachableError) as told:
        registry_poll.registered_champion("http://me:secret@localhost:none")
    assert "secret" not in str(told.value)
    assert without_secret("http://me:secret@[::1]:5000") == "http://[::1]:5000", "the brackets of IPv6 belong to the address"


RATE, FLIPS, CLIENTS = 100, 20, 16


class HeldRate:
    """So many requests a second from a few kept connections, whether answers come or not: what is late is made up for."""

    def __init__(self, server: Server, body: dict) -> None:
        self._host, self._body = server.address.removeprefix("http://"), json.dumps(body)
        self._ticks, self.asked, self._started = itertools.count(), math.inf, time.monotonic()
        self.answers: list[tuple[int, dict]] = []
        self.threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]

    def __enter__(self) -> "HeldRate":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.asked = math.ceil((time.monotonic() - self._started) * RATE)
        for thread in self.threads:
            thread.join()

    def _client(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        while (tick := next(self._ticks)) < self.asked:
            time.sleep(max(0.0, self._started + tick / RATE - time.monotonic()))
            connection.request("POST", "/predict", self._body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            self.answers.append((answer.status, json.loads(answer.read())))
        connection.close()


def test_a_new_champion_is_fetched_and_swapped_in_and_back_at_a_held_rate(project: Path):
    """20 flips of the alias at 100 requests a second: none fails, and each names the version that made its score."""
    parameters(project, **FAST)
    with serve(project) as server:
        scores = {"1": server.predict("c-0007").json["churn_probability"]}
        point(project, "2")
        server.wait_for(lambda one: one.health()["model_version"] == "2", "version 2 serves")
        scores["2"] = server.predict("c-0007").json["churn_probability"]
        assert scores["1"] != scores["2"]
        with HeldRate(server, {"customer_id": "c-0007"}) as load:
            for flip in range(FLIPS):
                version = str(1 + flip % 2)
                point(project, version)
                server.wait_for(lambda one, version=version: one.health()["model_version"] == version, f"version {version} serves")
    assert {status for status, _ in load.answers} == {200}
    assert load.asked <= len(load.answers) <= load.asked + CLIENTS  # each client may have taken its next tick already
    made = collections.Counter((answer["model"]["version"], answer["churn_probability"]) for _, answer in load.answers)
    assert set(made) == set(scores.items())


def test_with_the_registry_down_the_last_verified_champion_serves(project: Path):
    parameters(project, **FAST)
    away = registry_file(project).with_suffix(".away")
    registry_file(project).rename(away)
    with serve(project) as server:
        health = server.health()
        assert (health["status"], health["model_version"]) == ("degraded", "1")
        assert "registry" in health["problems"]
        assert server.predict("c-0007").status == 200
        assert server.post("/admin/reload").status == 503
        away.rename(registry_file(project))
        server.wait_for(lambda one: one.health()["status"] == "ready", "ready again")


def test_without_registry_and_without_files_it_lives_but_is_not_ready(project: Path):
    registry_file(project).unlink()
    shutil.rmtree(project / "data" / "serving")
    with serve(project, ready=False) as server:
        server.wait_for(lambda one: "registry" in one.health()["problems"], "says what is missing")
        assert server.get("/health/live").status == 200
        assert server.get("/health/ready").status == 503
        answer = server.predict("c-0007")
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1


def test_a_damaged_cached_file_is_fetched_anew(project: Path):
    (model,) = (project / "data" / "serving" / "champions").glob("*/model.ubj")
    sound = model.read_bytes()
    model.write_bytes(sound[:-100])
    with serve(project) as server:
        assert server.predict("c-0007").status == 200
    assert model.read_bytes() == sound


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0x10
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], None]] = {
    **{f"bit at {place}": lambda folder, place=place: flip(folder / "model.ubj", place) for place in (0.0, 0.3, 0.6, 1.0)},
    "bit in spec": lambda folder: flip(next(folder.rglob("spec.json")), 0.5),
    "truncated": lambda folder: (folder / "model.ubj").write_bytes((folder / "model.ubj").read_bytes()[:-50]),
    "empty": lambda folder: (folder / "model.ubj").write_bytes(b""),
    "no model": lambda folder: (folder / "model.ubj").unlink(),
    "no spec": lambda folder: next(folder.rglob("spec.json")).unlink(),
}


def test_a_damaged_champion_is_refused_every_time_and_the_old_one_goes_on(project: Path):
    """One process for all kinds of damage: `fetch` is what the child runs, and `connect` is cheap once MLflow is imported."""
    settings = read_settings(config.load(project))
    folder = artifacts(project, "2")
    sound = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    point(project, "2")
    note = champion_files.last_verified(settings.champion_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(fetch_champion.TRACKING_VARIABLE, settings.tracking_uri)
        for name, damage in DAMAGE.items():
            damage(folder)
            found = fetch_champion.fetch(settings.champion_folder)
            assert found["outcome"] == fetch_champion.REFUSED, name
            assert champion_files.last_verified(settings.champion_folder) == note, name
            for path, content in sound.items():
                path.write_bytes(content)
        assert fetch_champion.fetch(settings.champion_folder)["outcome"] == fetch_champion.VERIFIED


def test_golden_rows_that_score_otherwise_are_refused(project: Path, built: Path):
    (folder,) = (built / "data" / "serving" / "champions").iterdir()
    model = ChurnModel.load(folder)
    golden = model.spec.golden.model_copy(update={"scores": tuple(score + 1e-9 for score in model.spec.golden.scores)})
    with pytest.raises(fetch_champion.ChurnError, match="golden"):
        fetch_champion.check(Scorer(ChurnModel(model.booster, model.spec.model_copy(update={"golden": golden}))))


def test_a_refused_champion_is_loud_and_a_mended_one_is_taken_at_once_by_reload(project: Path):
    parameters(project, **FAST)
    with serve(project) as server:
        folder = artifacts(project, "2")
        sound = (folder / "model.ubj").read_bytes()
        flip(folder / "model.ubj", 0.5)
        point(project, "2")
        health = server.wait_for(lambda one: (found := one.health())["status"] == "degraded" and found, "degraded")
        assert "version 2 was refused" in health["problems"]["champion"]
        assert "version 1 goes on serving" in health["problems"]["champion"]
        assert "churn_champions_refused_total 1.0" in server.get("/metrics").text
        assert server.predict("c-0007").json["model"]["version"] == "1"
        assert "was refused" in server.log.read_text()
        (folder / "model.ubj").write_bytes(sound)
        answer = server.post("/admin/reload")
        assert (answer.status, answer.json["version"], answer.json["changed"]) == (200, "2", True)
        assert server.predict("c-0007").json["model"]["version"] == "2"
        assert server.health()["status"] == "ready"
        again = server.post("/admin/reload")
        assert (again.status, again.json["version"], again.json["changed"]) == (200, "2", False)


async def nothing_missing(_names: Sequence[str]) -> Sequence[str]:
    """A feature store that has everything."""
    return ()


def test_a_child_that_crashes_is_a_refusal(project: Path, monkeypatch: pytest.MonkeyPatch):
    """The command that runs is real: a file that is no Python module ends with an error, as a crash in XGBoost would."""
    settings = read_settings(config.load(project))
    shutil.rmtree(settings.champion_folder)
    monkeypatch.setattr(fetch_champion, "__name__", "serving.no_such_module")
    keeper = ChampionKeeper(settings, nothing_missing)
    look = asyncio.run(keeper.look())
    assert not look.changed
    assert keeper.current is None
    assert "exit status 1" in keeper.problems["champion"]


def test_only_the_newest_champions_are_kept(tmp_path: Path):
    for number in range(6):
        sha = f"{number}" * 64
        champion_files.model_folder(tmp_path, sha).mkdir(parents=True)
        time.sleep(0.01)
        champion_files.remember(tmp_path, champion_files.Verified(str(number), sha))
    assert champion_files.last_verified(tmp_path) == champion_files.Verified("5", "5" * 64)
    assert sorted(path.name[0] for path in (tmp_path / "champions").iterdir()) == ["3", "4", "5"]
    for number in range(3):  # what other workers are about to put in place
        (tmp_path / "champions" / f".{'5' * 64}.{number}").mkdir()
    champion_files.remember(tmp_path, champion_files.Verified("5", "5" * 64))
    assert len(list((tmp_path / "champions").iterdir())) == 6
    assert json.loads((tmp_path / champion_files.NOTE).read_text())["version"] == "5"


def test_a_champion_whose_features_the_store_lacks_is_not_taken_for_one_that_works(project: Path):
    lacks: dict[int, tuple[str, ...]] = {}

    async def missing(names: Sequence[str]) -> Sequence[str]:
        return lacks.get(0, ())

    async def story() -> None:
        settings = read_settings(config.load(project))
        keeper = ChampionKeeper(settings, missing)
        lacks[0] = ("new_column",)
        assert (await keeper.look()).changed  # there is no other: the store's problem is named elsewhere
        point(project, "2")
        before = metrics.REFUSED._value.get()
        assert not (await keeper.look()).changed
        assert keeper.current.version == "1"
        assert "version 2 was refused: the feature store has no new_column" in keeper.problems["champion"]
        assert metrics.REFUSED._value.get() == before + 1
        another = ChampionKeeper(settings, missing)  # as after a restart
        await another.look()
        assert another.current.version == "1"
        lacks.clear()
        assert (await keeper.look(force=True)).changed
        assert (keeper.current.version, keeper.problems) == ("2", {})

    asyncio.run(story())


def test_a_champion_without_the_tag_of_its_hash_is_refused_by_name(project: Path, monkeypatch: pytest.MonkeyPatch):
    settings = read_settings(config.load(project))
    with contextlib.closing(sqlite3.connect(registry_file(project))) as store, store:
        store.execute("DELETE FROM model_version_tags WHERE version = '2' AND key = 'model_sha256'")
    point(project, "2")
    assert registry_poll.registered_champion(settings.tracking_uri) == ("2", None)
    keeper = ChampionKeeper(settings, nothing_missing)
    asyncio.run(keeper.look())
    assert "version 2 was refused: it has no tag model_sha256" in keeper.problems["champion"]
    assert keeper.current.version == "1"
    monkeypatch.setenv(fetch_champion.TRACKING_VARIABLE, settings.tracking_uri)
    found = fetch_champion.fetch(settings.champion_folder)
    assert found["outcome"] == fetch_champion.REFUSED
    assert "version 2 has no tag model_sha256" in found["detail"]


def test_a_registry_that_only_mlflow_can_ask_is_not_asked_again_right_after_a_refusal(project: Path, monkeypatch: pytest.MonkeyPatch):
    settings = read_settings(config.load(project))
    answers = [{"outcome": "refused", "version": "2", "detail": "damaged"}]

    def cannot_tell(_uri: str) -> None:
        raise registry_poll.CannotTellError("postgresql")

    async def child(_keeper: ChampionKeeper) -> dict[str, str]:
        return answers.pop()

    monkeypatch.setattr(registry_poll, "registered_champion", cannot_tell)
    monkeypatch.setattr(ChampionKeeper, "_child", child)
    keeper = ChampionKeeper(settings, nothing_missing)
    for _ in range(3):
        asyncio.run(keeper.look())
    assert answers == []
    assert "version 2 was refused: damaged" in keeper.problems["champion"]


def test_a_verified_champion_serves_though_it_cannot_be_noted(project: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(champion_files, "remember", full)
    keeper = ChampionKeeper(read_settings(config.load(project)), nothing_missing)
    assert asyncio.run(keeper.look()).changed
    assert keeper.current.version == "1"
    assert "No space left" in keeper.problems["cache"]


@pytest.mark.parametrize("said", [b"", b"all is well", b"[1]", b'{"outcome": "perhaps"}'])
def test_what_is_no_answer_of_the_child_is_a_refusal(said: bytes):
    assert keeper_module._outcome(0, said, b"")["outcome"] == fetch_champion.REFUSED


def test_two_workers_may_keep_the_same_champion_at_once(project: Path, monkeypatch: pytest.MonkeyPatch):
    root = project / "data" / "serving"
    verified = champion_files.last_verified(root)
    folder = champion_files.model_folder(root, verified.sha256)
    model, remove = ChurnModel.load(folder), shutil.rmtree

    def remove_and_lose_the_race(path: Path, **options: bool) -> None:
        remove(path, **options)
        if path == folder:
            model.save(folder)

    remove(folder)
    monkeypatch.setattr(shutil, "rmtree", remove_and_lose_the_race)
    fetch_champion.keep(root, model, verified)
    assert ChurnModel.load(folder, verified.sha256).sha256 == verified.sha256
    assert [path.name for path in folder.parent.iterdir()] == [verified.sha256]
