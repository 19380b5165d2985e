"""Keys, stale features, configuration: what the app refuses, and when it refuses to start."""

import asyncio
import hashlib
import json
import time
from pathlib import Path

import pytest

from churn import config
from churn.core.errors import ChurnError
from serving.features.breaker import Breaker, DownError
from serving.settings import read_settings
from serving.web.auth import Keys
from tests.serving import build
from tests.serving.conftest import edit
from tests.serving.servers import serve

READ, ADMIN = "a-key-for-predictions", "another-key-for-admins"


def test_keys_open_their_scope_and_no_other():
    hashed = hashlib.sha256(b"a-third-key-as-a-hash").hexdigest()
    keys = Keys.parse(f"predict:{READ}, admin:{ADMIN},predict:sha256={hashed}")
    assert keys.allow(READ, "predict")
    assert keys.allow("a-third-key-as-a-hash", "predict")
    assert keys.allow(ADMIN, "admin")
    for key in (ADMIN, READ + " ", READ[:-1], "", None, hashed, "\udcff"):
        assert not keys.allow(key, "predict")
    assert not keys.allow(READ, "admin")
    assert READ not in repr(keys)
    assert Keys.parse("").allow(None, "admin")


@pytest.mark.parametrize(
    "text",
    [
        "secretsecretsecret",
        "root:secretsecretsecret",
        "predict:short",
        "predict:sha256=secretsecret",
        "predict:",
        "predict:secret-für-jeden-der-fragt",
    ],
)
def test_a_key_that_cannot_be_meant_is_refused_without_repeating_it(text: str):
    with pytest.raises(ChurnError, match="entry 1") as raised:
        Keys.parse(text)
    assert "secret" not in str(raised.value)


def test_with_keys_each_address_asks_for_its_scope(project: Path):
    with serve(project, CHURN_API_KEYS=f"predict:{READ},admin:{ADMIN}") as server:
        body = {"customer_id": "c-0007"}
        assert server.post("/predict", body).status == 401
        assert server.post("/predict", b"nonsense").status == 401
        assert server.post("/predict", body, {"X-API-Key": "wrong"}).status == 403
        assert server.post("/predict", body, {"X-API-Key": ADMIN}).status == 403
        assert server.post("/predict", body, {"X-API-Key": READ}).status == 200
        assert server.post("/what-if", body).status == 401
        assert server.post("/predict/batch", body).status == 401
        assert server.post("/admin/reload").status == 401
        refused = server.post("/admin/reload", None, {"X-API-Key": READ})
        assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
        assert server.get("/health/ready").status == 200
        assert "ApiKey" in server.post("/predict", body).headers["www-authenticate"]


def test_with_keys_what_is_open_names_no_customer_and_no_address(project: Path):
    edit(project / "conf" / "base" / "parameters" / "serving.yml", champion_interval=0.1)
    with serve(project, CHURN_API_KEYS=f"predict:{READ},admin:{ADMIN}") as server:
        document = server.get("/openapi.json").text
        assert not [customer for customer in build.customer_ids() if f'"{customer}"' in document]
        (project / "data" / "mlflow" / "mlflow.db").unlink()
        server.wait_for(lambda one: one.health()["status"] == "degraded", "degraded")
        for headers in ({}, {"X-API-Key": READ}):
            assert set(server.get("/health/ready", headers).json["problems"]) == {"registry"}
            assert str(project) not in server.get("/health/ready", headers).text
        assert str(project) in server.get("/health/ready", {"X-API-Key": ADMIN}).text


def test_where_keys_are_required_it_does_not_start_without(project: Path, monkeypatch: pytest.MonkeyPatch):
    edit(project / "conf" / "base" / "globals.yml", api_key="required")
    monkeypatch.delenv("CHURN_API_KEYS", raising=False)
    with pytest.raises(ChurnError, match="CHURN_API_KEYS"):
        read_settings(config.load(project))
    monkeypatch.setenv("CHURN_API_KEYS", f"predict:{READ}")
    assert read_settings(config.load(project)).keys


def test_a_wrong_parameter_is_named(project: Path):
    edit(project / "conf" / "base" / "parameters" / "serving.yml", feature_timeout=-1, prediction_log={"requird": True})
    with pytest.raises(ChurnError) as raised:
        read_settings(config.load(project))
    assert "feature_timeout" in str(raised.value)
    assert "prediction_log.requird" in str(raised.value)


def test_stale_features_are_refused_where_the_parameter_says_so(project: Path):
    edit(project / "conf" / "base" / "parameters" / "serving.yml", refuse_stale=True)
    with serve(project) as server:
        answer = server.predict(build.STALE)
        assert (answer.status, json.loads(answer.text)["type"]) == (409, "urn:churn:problem:stale-features")
        rows = server.post("/predict/batch", {"customer_ids": [build.STALE, "c-0007"]}).json["rows"]
        assert rows[0]["error"]["status"] == 409
        assert "prediction" in rows[1]


class Dependency:
    def __init__(self) -> None:
        self.calls, self.works, self.hangs = 0, True, False

    async def __call__(self) -> str:
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(60)
        if not self.works:
            raise OSError("gone")
        return "fine"


def test_the_breaker_opens_after_failures_lets_one_through_and_closes():
    async def story() -> None:
        breaker, dependency = Breaker(timeout=30, failures=3, rest=2), Dependency()
        assert await breaker.call(dependency) == "fine"
        dependency.works = False
        for _ in range(3):
            with pytest.raises(DownError, match="gone"):
                await breaker.call(dependency)
        with pytest.raises(DownError) as raised:
            await breaker.call(dependency)
        assert dependency.calls == 4  # the last one was not passed on
        assert 0 < raised.value.retry_after <= 2
        await asyncio.sleep(2.1)
        answers = await asyncio.gather(*(breaker.call(dependency) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(answer, DownError) for answer in answers)
        assert dependency.calls == 5
        dependency.works = True
        await asyncio.sleep(2.1)
        assert await breaker.call(dependency) == "fine"
        assert breaker.closed
        assert breaker.last_error is None

    asyncio.run(story())


def test_a_dependency_that_hangs_is_given_up_in_time():
    async def story() -> None:
        breaker, dependency = Breaker(timeout=0.1, failures=3, rest=1), Dependency()
        dependency.hangs = True
        started = time.monotonic()
        with pytest.raises(DownError, match=r"no answer within 0\.1 s"):
            await breaker.call(dependency)
        assert time.monotonic() - started < 5

    asyncio.run(story())


def test_a_callers_mistake_says_nothing_about_the_dependency():
    async def story() -> None:
        breaker = Breaker(timeout=1, failures=1, rest=60)

        async def mistaken() -> None:
            raise KeyError("mine")

        for _ in range(3):
            with pytest.raises(KeyError):
                await breaker.call(mistaken, (KeyError,))
        assert breaker.closed

    asyncio.run(story())
