"""The short ways to the online store against Feast's public call, on SQLite and on a real Redis."""

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from churn import config
from churn.core.errors import ChurnError
from serving import metrics
from serving.features import store_check
from serving.features.breaker import Breaker
from serving.features.feast_encoding import decode_timestamp, decode_value, entity_key, entity_key_prefix, entity_value
from serving.features.feast_reader import FeastReader
from serving.features.online_store import open_reader
from serving.features.reader import EXAMPLES, FeatureReader, MissingFeaturesError
from serving.features.redis_client import Address, RedisClient, RedisReplyError, pack
from serving.features.redis_reader import RedisReader, address
from serving.features.sqlite_reader import SqliteReader
from serving.features.store_check import StoreCheck
from tests.services.redis import Redis, redis_server
from tests.serving import build
from tests.serving.conftest import build as run_build
from tests.serving.conftest import copy_built, edit
from tests.serving.servers import serve

REDIS_FILE = "feature_repo/feature_store.redis.yaml"


def redis_file(project: Path, redis: Redis, name: str = "churn") -> str:
    """A feature_store.yaml like the project's, with the online store in Redis."""
    content = yaml.safe_load((project / "feature_repo" / "feature_store.yaml").read_text())
    content["project"] = name
    content["registry"]["path"] = "../data/features/registry_redis.db"
    content["online_store"] = {"type": "redis", "connection_string": redis.connection_string}
    path = project / REDIS_FILE
    path.write_text(yaml.safe_dump(content))
    return str(path)


def place(redis: Redis) -> Address:
    """Where a Redis is, for the reader."""
    return Address(redis.host, redis.port, redis.db, password=redis.password)


@pytest.fixture(scope="session")
def on_redis(built: Path, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its features in Redis."""
    project = copy_built(built, tmp_path_factory.mktemp("redis") / "project")
    run_build(project, redis_file(project, redis.database()))
    edit(project / "conf" / "base" / "globals.yml", feast_file=REDIS_FILE)
    return project


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, built: Path) -> Path:
    """A project on each of the two stores."""
    return built if request.param == "sqlite" else request.getfixturevalue("on_redis")


def feast_file(project: Path) -> str:
    settings = config.load(project)
    return settings.path(settings.settings["feast_file"])


def read(reader: FeatureReader, customers: list[str], names: list[str]) -> list:
    async def ask() -> list:
        try:
            return await reader.read(customers, names)
        finally:
            await reader.close()

    return asyncio.run(ask())


def test_the_short_way_answers_what_feasts_public_call_answers(store: Path):
    names = [feature.name for feature in config.load(store).declaration.features]
    customers = [*build.customer_ids(), "nobody", "c-0005", ""]
    short = open_reader(feast_file(store))
    assert isinstance(short, (SqliteReader, RedisReader))
    expected = read(FeastReader(feast_file(store)), customers, names)
    found = read(short, customers, names)
    assert found == expected
    assert [[type(value) for value in row.values] for row in found if row] == [
        [type(value) for value in row.values] for row in expected if row
    ]
    assert [place for place, row in enumerate(found) if row is None] == [len(customers) - 3, len(customers) - 1]
    assert read(open_reader(feast_file(store)), ["c-0005"], names[::-1])[0].values == found[5].values[::-1]


def test_a_feature_that_the_store_does_not_have_is_named_not_taken_as_missing(store: Path):
    for reader in (open_reader(feast_file(store)), FeastReader(feast_file(store))):
        (found,) = read(reader, ["c-0005"], ["tenure", "new_column"])
        assert isinstance(found, MissingFeaturesError)
        assert found.names == ("new_column",)


def test_the_store_gives_examples_that_it_knows(store: Path):
    async def ask() -> list[str]:
        reader = open_reader(feast_file(store))
        try:
            return await reader.examples()
        finally:
            await reader.close()

    found = asyncio.run(ask())
    assert len(set(found)) == EXAMPLES
    assert set(found) <= set(build.customer_ids())


def test_an_empty_store_says_so(tmp_path: Path, redis: Redis):
    async def ask() -> None:
        reader = RedisReader(place(redis.database()), "churn")
        try:
            with pytest.raises(MissingFeaturesError):
                await reader.examples()
        finally:
            await reader.close()

    asyncio.run(ask())


def test_a_replaced_sqlite_store_is_noticed(project: Path):
    async def story() -> None:
        reader = open_reader(feast_file(project))
        path = project / "data" / "features" / "online.db"
        assert (await reader.read(["c-0005"], ["tenure"]))[0] is not None
        shutil.copy(path, path.with_suffix(".new"))
        with sqlite3.connect(path.with_suffix(".new")) as store:
            store.execute("DELETE FROM churn_customer_features")
        path.with_suffix(".new").replace(path)
        assert (await reader.read(["c-0005"], ["tenure"]))[0] is None
        await reader.close()

    asyncio.run(story())


def test_other_stores_and_unknown_options_take_feasts_public_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def opened(**changes: object) -> FeatureReader:
        path = tmp_path / "feature_store.yaml"
        path.write_text(yaml.safe_dump({"project": "p", "online_store": {"type": "sqlite", "path": "x.db"}, **changes}))
        return open_reader(str(path))

    assert isinstance(opened(), SqliteReader)
    assert isinstance(opened(entity_key_serialization_version=2), FeastReader)
    assert isinstance(opened(registry={"enable_online_feature_view_versioning": True}), FeastReader)
    assert isinstance(opened(online_store={"type": "sqlite", "path": "x.db", "vector_enabled": True}), FeastReader)
    assert isinstance(opened(online_store={"type": "dynamodb", "region": "x"}), FeastReader)
    assert isinstance(opened(online_store={"type": "redis", "redis_type": "redis_cluster", "connection_string": "a:1"}), FeastReader)
    monkeypatch.setenv("REDIS", "cache:6380,db=2,password=007,ssl=true")
    assert isinstance(opened(online_store={"type": "redis", "connection_string": "${REDIS}"}), RedisReader)
    assert address({"connection_string": os.environ["REDIS"]}) == Address("cache", 6380, db=2, password="007", tls=True)
    assert address({"connection_string": "a:1,password="}) == Address("a", 1), "no password is none to send"
    assert isinstance(opened(online_store={"type": "redis", "connection_string": "a:1,ssl_ca_certs=/x"}), FeastReader)
    with pytest.raises(ChurnError, match="IPv6"):
        opened(online_store={"type": "redis", "connection_string": "::1:6379,db=2"})
    with pytest.raises(ChurnError, match="no Feast configuration"):
        open_reader(str(tmp_path / "none.yaml"))


@given(st.text(max_size=50))
def test_keys_are_feasts_and_lead_back_to_the_customer(customer: str):
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    prefix = entity_key_prefix("customer_id")
    key = entity_key(prefix, customer)
    assert key == serialize_entity_key(EntityKey(join_keys=["customer_id"], entity_values=[Value(string_val=customer)]), 3)
    assert entity_value(prefix, key + b"churn") == customer


@given(
    st.one_of(
        st.text().map(lambda value: {"string_val": value}),
        st.booleans().map(lambda value: {"bool_val": value}),
        st.integers(-(2**63), 2**63 - 1).map(lambda value: {"int64_val": value}),
        st.integers(-(2**31), 2**31 - 1).map(lambda value: {"int32_val": value}),
        st.floats(allow_nan=False).map(lambda value: {"double_val": value}),
        st.floats(width=32, allow_nan=False).map(lambda value: {"float_val": value}),
        st.just({}),
    )
)
def test_values_are_decoded_as_protobuf_does(field: dict):
    from feast.protos.feast.types.Value_pb2 import Value

    message = Value(**field)
    kind = message.WhichOneof("val")
    assert decode_value(message.SerializeToString()) == (None if kind is None else getattr(message, kind))
    assert decode_value(Value(double_val=float("nan")).SerializeToString()) is None


@given(st.integers(0, 253402300799), st.integers(0, 999_999_999))
def test_times_are_decoded_as_protobuf_does(seconds: int, nanos: int):
    from google.protobuf.timestamp_pb2 import Timestamp

    assert decode_timestamp(Timestamp(seconds=seconds, nanos=nanos).SerializeToString()) == seconds + nanos / 1e9


def test_a_refused_command_and_a_command_given_up_leave_the_others_their_replies(redis: Redis):
    async def story() -> None:
        client = RedisClient(place(redis.database()))
        with pytest.raises(RedisReplyError, match="unknown command"):
            await client.send(pack(b"NONSENSE"))
        link = await client._connect()
        replies = [link.send(pack(b"ECHO", b"%d" % number)) for number in range(50)]
        replies[20].cancel()
        assert await asyncio.gather(*replies[:20], *replies[21:]) == [b"%d" % number for number in range(50) if number != 20]
        stuck = asyncio.ensure_future(client.send(pack(b"ECHO", b"stuck")))
        await asyncio.sleep(0)
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
        assert link.lost  # no reply came while it was waited for: the next command tries another connection
        assert await client.send(pack(b"PING")) == b"PONG"
        client.close()
        assert await client.send(pack(b"PING")) == b"PONG"
        client.close()
        with pytest.raises(OSError, match="Connect"):
            await RedisClient(Address("127.0.0.1", 1)).send(pack(b"PING"))
        wrong = RedisClient(Address(redis.host, redis.port, password="wrong"))
        with pytest.raises(RedisReplyError):
            await wrong.send(pack(b"PING"))

    asyncio.run(story())


def test_on_redis_scores_are_the_same_and_an_unknown_customer_is_404(on_redis: Path, server):
    with serve(on_redis) as other:
        for customer in ["c-0007", build.UNSEEN, build.EMPTY, "ärger / 日本"]:
            assert other.predict(customer).json["churn_probability"] == server.predict(customer).json["churn_probability"]
        assert other.predict("nobody").status == 404
        assert other.health()["status"] == "ready"


def test_a_redis_that_hangs_or_dies_is_503_in_time_and_service_resumes_by_itself(built: Path, tmp_path: Path):
    project = copy_built(built, tmp_path / "project")
    with redis_server(tmp_path) as redis:
        run_build(project, redis_file(project, redis))
        edit(project / "conf" / "base" / "globals.yml", feast_file=REDIS_FILE)
        edit(project / "conf" / "base" / "parameters" / "serving.yml", feature_timeout=0.3, breaker_rest=0.3, breaker_failures=3)
        with serve(project) as server:
            assert server.predict("c-0007").status == 200
            redis.process.send_signal(signal.SIGSTOP)
            answers = []
            for _ in range(5):
                started = time.monotonic()
                answers.append((server.predict("c-0007"), time.monotonic() - started))
            assert {answer.status for answer, _ in answers} == {503}
            assert all("retry-after" in answer.headers for answer, _ in answers)
            assert 0.29 <= min(seconds for _, seconds in answers[:3]) < 0.4  # the time limit, and not much more
            assert min(seconds for _, seconds in answers[3:]) < 0.29  # the breaker answers at once
            assert server.health()["status"] == "degraded"
            assert server.get("/health/live").status == 200
            redis.process.send_signal(signal.SIGCONT)
            server.wait_for(lambda one: one.predict("c-0007").status == 200, "service resumes after the stop", 20)
            assert server.health()["status"] == "ready"
            assert "churn_feature_store_up 1.0" in server.get("/metrics").text
            redis.process.kill()
            redis.process.wait()
            assert server.predict("c-0007").status == 503
            with redis_server(tmp_path, redis.port) as again:
                run_build(project, redis_file(project, again))
                server.wait_for(lambda one: one.predict("c-0007").status == 200, "service resumes after the restart", 20)


def test_a_store_that_is_not_there_yet_keeps_it_unready_and_is_found_when_it_comes(project: Path):
    store = project / "data" / "features" / "online.db"
    store.rename(store.with_suffix(".away"))
    with serve(project, ready=False) as server:
        server.wait_for(lambda one: "features" in one.health()["problems"] and one.health()["model_version"], "says what is missing")
        assert server.get("/health/ready").status == 503
        assert server.predict("c-0007").status == 503
        store.with_suffix(".away").rename(store)
        server.wait_for(lambda one: one.get("/health/ready").status == 200, "ready", 30)
        server.wait_for(lambda one: one.predict("c-0007").status == 200, "answers", 30)


def forget(project: Path, *names: str, customer: str | None = None) -> None:
    """Take features out of the SQLite store: of every customer, or of one."""
    key = entity_key(entity_key_prefix("customer_id"), customer) if customer else None
    with contextlib.closing(sqlite3.connect(project / "data" / "features" / "online.db")) as store, store:
        for name in names:
            store.execute(
                "DELETE FROM churn_customer_features WHERE feature_name = ? AND entity_key = coalesce(?, entity_key)", (name, key)
            )


def test_an_incomplete_customer_is_told_apart_and_spoils_nobodys_batch(project: Path):
    forget(project, "tenure", customer="c-0008")
    with serve(project) as server:
        alone = server.predict("c-0008")
        assert (alone.status, alone.json["type"]) == (409, "urn:churn:problem:features-missing")
        assert "tenure" in alone.json["detail"]
        assert server.post("/what-if", {"customer_id": "c-0008", "changes": {}}).status == 409
        rows = server.post("/predict/batch", {"customer_ids": ["c-0007", "c-0008", "nobody"]}).json["rows"]
        assert [row.get("error", {}).get("status") for row in rows] == [None, 409, 404]
        text = server.get("/metrics").text
        assert 'churn_errors_total{kind="features-missing"} 3.0' in text
        assert 'churn_errors_total{kind="unknown-customer"} 1.0' in text
        assert server.health()["status"] == "ready"


def test_large_batches_at_once_do_not_look_like_a_dead_store(project: Path):
    """20 batches of 1,000 ids: each is answered, and the breaker stays closed."""
    edit(project / "conf" / "base" / "parameters" / "serving.yml", prediction_log={"timeout": 60, "queue": 100_000})
    customers = (build.customer_ids() * 4)[:1000]
    with serve(project) as server, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: server.post("/predict/batch", {"customer_ids": customers}), range(20)))
        assert [answer.text for answer in answers if answer.status != 200] == []
        assert 'kind="feature-store-down"' not in server.get("/metrics").text


def test_what_the_store_lacks_is_named_and_it_is_asked_again_by_itself(project: Path, monkeypatch: pytest.MonkeyPatch):
    """The gauge and readiness follow the store though nobody asks for a prediction."""
    monkeypatch.setattr(store_check, "_SECONDS", 0.02)
    monkeypatch.setattr(store_check, "_FIRST_SECONDS", 0.02)
    file = project / "data" / "features" / "online.db"
    breaker = Breaker(timeout=30, failures=3, rest=0.01)

    async def until(fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not fact():
                await asyncio.sleep(0.01)

    async def story() -> None:
        reader = open_reader(feast_file(project))
        check = StoreCheck(reader, breaker)
        watching = asyncio.create_task(check.watch(lambda: ["tenure", "Contract"]))
        await until(lambda: check.warm.is_set() and check.problem is None)
        assert up() == 1
        file.rename(file.with_suffix(".away"))
        await until(lambda: breaker.last_error is not None and up() == 0)
        file.with_suffix(".away").rename(file)
        await until(lambda: breaker.last_error is None and up() == 1)
        forget(project, "tenure", customer="c-0000")
        assert await check.missing(["tenure", "Contract"]) == ()  # one customer's affair
        forget(project, "tenure")
        await until(lambda: "tenure" in (check.problem or ""))
        assert await check.missing(["tenure", "Contract"]) == ("tenure",)
        watching.cancel()
        await reader.close()

    asyncio.run(story())


def up() -> float:
    return metrics.STORE_UP._value.get()
