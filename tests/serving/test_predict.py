"""The API on the embedded default, over HTTP."""

import contextlib
import http.client
import json
import socket
import uuid
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from churn import config
from churn.core.modelling.model import ChurnModel
from serving.web.schemas import BatchAnswer, Prediction, Problem, WhatIfAnswer
from tests.serving import build
from tests.serving.servers import Answer, Server

ODD_CUSTOMERS = [build.UNSEEN, build.EMPTY, "ärger / 日本", "*?[a]\\", "x" * 150]


def champion(built: Path) -> ChurnModel:
    (folder,) = (built / "data" / "serving" / "champions").iterdir()
    return ChurnModel.load(folder)


def expected_scores(built: Path) -> dict[str, float]:
    declaration = config.load(built).declaration
    return dict(zip(build.customer_ids(), champion(built).predict(build.table(declaration)).tolist(), strict=True))


def problem(answer: Answer, status: int, kind: str) -> dict:
    """The problem document, checked for form."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate(answer.json, extra="forbid")
    assert found.status == status
    assert found.type == f"urn:churn:problem:{kind}"
    assert answer.headers["x-request-id"] == found.request_id
    return answer.json


def test_the_score_is_the_models_to_the_last_bit_alone_in_batch_and_by_what_if(server: Server, built: Path):
    expected = expected_scores(built)
    customers = list(expected)
    rows = server.post("/predict/batch", {"customer_ids": customers}).json["rows"]
    assert {row["customer_id"]: row["prediction"]["churn_probability"] for row in rows} == expected
    for customer in [*customers[:40], *ODD_CUSTOMERS]:
        assert server.predict(customer).json["churn_probability"] == expected[customer]
        both = server.post("/what-if", {"customer_id": customer, "changes": {}}).json
        assert both["before"]["churn_probability"] == both["after"]["churn_probability"] == expected[customer]


def test_the_answer_says_who_what_when_and_by_which_model(server: Server):
    answer = server.predict("c-0007")
    found = Prediction.model_validate(answer.json, extra="forbid")
    assert answer.status == 200
    assert uuid.UUID(found.prediction_id).version == 7
    assert (found.customer_id, found.model.name, found.model.version) == ("c-0007", "churn-prediction-model", "1")
    assert found.threshold == 0.4
    assert found.churn == (found.churn_probability >= 0.4)
    assert not found.stale
    assert found.reasons is None
    assert found.features_as_of < datetime.now(found.features_as_of.tzinfo)


def test_reasons_are_the_exact_contributions_strongest_first_with_the_declared_label(server: Server, built: Path):
    declaration, model = config.load(built).declaration, champion(built)
    row = build.table(declaration).iloc[[7]]
    contributions = dict(zip(model.names, model.explain(row)[0][0].tolist(), strict=True))
    reasons = server.predict("c-0007", reasons=100).json["reasons"]
    assert {reason["feature"]: reason["effect"] for reason in reasons} == contributions
    sizes = [abs(reason["effect"]) for reason in reasons]
    assert sizes == sorted(sizes, reverse=True)
    by_name = {reason["feature"]: reason for reason in reasons}
    assert by_name["tenure"]["label"] == "Months as a customer"
    assert by_name["tenure"]["value"] == row["tenure"].iloc[0]
    assert server.predict("c-0007", reasons=2).json["reasons"] == reasons[:2]


def test_an_unknown_customer_is_404(server: Server):
    found = problem(server.predict("nobody"), 404, "unknown-customer")
    assert "nobody" in found["detail"]


def test_old_features_are_flagged(server: Server):
    assert server.predict(build.STALE).json["stale"] is True
    rows = server.post("/predict/batch", {"customer_ids": [build.STALE, "c-0007"]}).json["rows"]
    assert [row["prediction"]["stale"] for row in rows] == [True, False]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/predict", {}, "customer_id"),
        ("/predict", {"customer_id": ""}, "customer_id"),
        ("/predict", {"customer_id": 7}, "customer_id"),
        ("/predict", {"customer_id": None}, "customer_id"),
        ("/predict", {"customer_id": "x" * 201}, "customer_id"),
        ("/predict", {"customer_id": "c-0007", "reason": 3}, "reason"),
        ("/predict", {"customer_id": "c-0007", "reasons": -1}, "reasons"),
        ("/predict", {"customer_id": "c-0007", "reasons": "3"}, "reasons"),
        ("/predict", [], "body"),
        ("/predict", b"", "body"),
        ("/predict", b'{"customer_id": ', "body"),
        ("/predict", b'{"customer_id": "\xff"}', "body"),
        ("/predict", b'{"customer_id": "\\ud800"}', "body"),
        ("/predict/batch", {"customer_ids": []}, "customer_ids"),
        ("/predict/batch", {"customer_ids": ["c"] * 1001}, "customer_ids"),
        ("/predict/batch", {"customer_ids": ["c-0007", 3]}, "customer_ids.1"),
        ("/what-if", {"customer_id": "c-0007", "changes": {"Contract": "Daily"}}, "changes.Contract"),
        ("/what-if", {"customer_id": "c-0007", "changes": {"tenure": 10**400}}, "changes.tenure"),
        ("/what-if", b'{"customer_id": "c-0007", "changes": {"TotalCharges": NaN}}', "changes.TotalCharges"),
        ("/what-if", {"customer_id": "c-0007", "changes": {"charges_per_month": 3}}, "changes.charges_per_month"),
        ("/what-if", {"customer_id": "c-0007", "changes": {"Contract": ["One year"]}}, "changes.Contract"),
    ],
)
def test_an_invalid_body_is_422_and_names_the_field(server: Server, path: str, body: object, field: str):
    found = problem(server.post(path, body), 422, "invalid-request")
    assert any(error["field"].startswith(field) for error in found["errors"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"customer_id":"c","changes":{' + b",".join(b'"%x":[]' % number for number in range(80_000)) + b"}}",
        b"{" + b",".join(b'"%x":1' % number for number in range(80_000)) + b"}",
        b'{"customer_id":"c","' + b"x" * 900_000 + b'":1}',
    ],
)
def test_a_request_of_legal_size_full_of_mistakes_has_a_short_answer(server: Server, body: bytes):
    answer = server.post("/what-if", body)
    found = problem(answer, 422, "invalid-request")
    assert len(answer.text) < 10_000
    assert len(found["errors"]) <= 20
    assert max(len(error["field"]) for error in found["errors"]) <= 100


def test_the_number_of_mistakes_is_said(server: Server):
    found = problem(server.post("/predict", {"customer_id": "c-0007"} | {f"a{n}": 1 for n in range(1234)}), 422, "invalid-request")
    assert len(found["errors"]) == 20
    assert found["detail"].endswith("; and 1,214 more")


def test_what_a_client_sends_cannot_write_lines_of_its_own_into_the_log(server: Server):
    server.post("/predict", {"customer_id": "c-0007", "a\nforged 1": 1})
    server.post("/x%0aforged%202", b" " * 1_000_001)
    log = server.log.read_text()
    assert r"a\nforged 1" in log
    assert r"/x\nforged 2" in log
    assert not [line for line in log.splitlines() if line.startswith("forged")]


def test_an_upload_that_the_client_breaks_off_is_counted_and_no_mistake_of_the_service(server: Server):
    place = urlsplit(server.address)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    server.wait_for(lambda one: 'churn_requests_total{route="/predict",status="499"} 1.0' in one.get("/metrics").text, "the count", 60)
    assert "Traceback" not in server.log.read_text()


def test_every_row_of_a_batch_has_its_own_result_or_error(server: Server):
    customers = ["c-0007", "nobody", "c-0008", "c-0007"]
    answer = server.post("/predict/batch", {"customer_ids": customers, "reasons": 1})
    found = BatchAnswer.model_validate(answer.json, extra="forbid").rows
    assert [row.customer_id for row in found] == customers
    assert [row.prediction is None for row in found] == [False, True, False, False]
    assert found[1].error.status == 404
    assert found[0].prediction.prediction_id != found[3].prediction.prediction_id
    assert (
        found[0].prediction.churn_probability == found[3].prediction.churn_probability == server.predict("c-0007").json["churn_probability"]
    )


def test_what_if_answers_before_and_after_and_recomputes_derived_features(server: Server, built: Path):
    declaration, model = config.load(built).declaration, champion(built)
    row = build.table(declaration).iloc[[7]].copy()
    changes = {"Contract": "Two year", "tenure": 60, "PaperlessBilling": True}
    answer = server.post("/what-if", {"customer_id": "c-0007", "changes": changes})
    found = WhatIfAnswer.model_validate(answer.json, extra="forbid")
    assert found.before.churn_probability == model.predict(row)[0]
    row["Contract"], row["tenure"], row["PaperlessBilling"] = "Two year", 60, True
    row["charges_per_month"] = row["TotalCharges"] / 60
    assert found.after.churn_probability == model.predict(row)[0]
    assert found.after.churn_probability != found.before.churn_probability
    assert [(change.column, change.actionable) for change in found.changes] == [
        ("Contract", True),
        ("tenure", False),
        ("PaperlessBilling", True),
    ]
    assert found.changes[1].label == "Months as a customer"
    assert found.changes[1].after == 60


def test_a_request_id_is_kept_if_it_is_plain(server: Server):
    assert server.post("/predict", {"customer_id": "nobody"}, {"X-Request-ID": "my-id.7"}).json["request_id"] == "my-id.7"
    made = server.post("/predict", {"customer_id": "nobody"}, {"X-Request-ID": 'a"b\tc'}).json["request_id"]
    assert made != 'a"b\tc'
    assert "my-id.7" in server.log.read_text()
    assert made in server.log.read_text()


def test_errors_outside_the_routes_are_problem_documents_too(server: Server):
    problem(server.get("/nothing"), 404, "not-found")
    problem(server.post("/predict/", {"customer_id": "c-0007"}), 404, "not-found")
    problem(server.get("/predict"), 405, "method-not-allowed")
    problem(
        server.post("/predict", b"customer_id=c-0007", {"Content-Type": "application/x-www-form-urlencoded"}), 415, "unsupported-media-type"
    )
    problem(server.post("/predict", b" " * 1_000_001), 413, "too-large")


def test_who_sends_too_much_gets_the_answer_and_not_a_closed_connection(server: Server):
    for chunked in (False, True):
        for _ in range(20):
            status, text = sent_slowly(server, 3_000_000, chunked)
            assert (status, json.loads(text)["type"]) == (413, "urn:churn:problem:too-large")
    with contextlib.suppress(ConnectionError):  # far too much is not taken to its end
        assert sent_slowly(server, 100_000_000, chunked=False)[0] == 413
    assert server.health()["status"] == "ready"


def sent_slowly(server: Server, size: int, chunked: bool) -> tuple[int, str]:
    """The answer to a body that is still on its way when the server knows enough, on a connection that is to close after it."""
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=60)
    piece = b" " * 50_000
    headers = {"Content-Type": "application/json", "Connection": "close"}
    try:
        if chunked:
            connection.request("POST", "/predict", (piece for _ in range(size // len(piece))), headers, encode_chunked=True)
        else:
            connection.request("POST", "/predict", (piece for _ in range(size // len(piece))), {**headers, "Content-Length": str(size)})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_health_metrics_and_examples_that_work_when_pasted(server: Server):
    assert server.get("/health/live").status == 200
    assert server.health() == {"status": "ready", "model_version": "1", "problems": {}}
    paths = server.get("/openapi.json").json["paths"]
    for path in ("/predict", "/predict/batch", "/what-if"):
        example = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert server.post(path, example).status == 200
    server.predict("nobody")
    text = server.get("/metrics").text
    for sample in (
        'churn_requests_total{route="/predict",status="200"}',
        'churn_request_seconds_count{route="/predict"}',
        'churn_errors_total{kind="unknown-customer"}',
        'churn_model_version{version="1"} 1.0',
        'churn_probability_bucket{kind="what-if",le="0.5"}',
        "churn_feature_age_seconds_count",
        "churn_log_queue 0.0",
        "churn_feature_store_up 1.0",
    ):
        assert sample in text


def test_the_process_never_imports_what_it_does_not_need(server: Server):
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("needs /proc")
    loaded = maps.read_text()
    assert "libxgboost" in loaded
    for library in ("pandas", "sklearn", "pyarrow"):
        assert f"/{library}/" not in loaded
