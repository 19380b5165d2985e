"""Schemathesis over the app's own OpenAPI document: whatever is sent, no 5xx, and every answer as documented."""

import json
import os
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.serving import build
from tests.serving.servers import START_SECONDS, Server

CASES = int(os.environ.get("CHURN_API_CASES", "750"))
"""For each of the three addresses that take a body: more than 2,000 in all, though some are generated twice and sent once."""
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
KNOWN = ["c-0007", build.STALE, build.UNSEEN, build.EMPTY]
BODIES = ("/predict", "/predict/batch", "/what-if")


@pytest.fixture(scope="module")
def schema(server: Server):
    document = json.loads(server.get("/openapi.json").text)
    for name in ("PredictRequest", "BatchRequest", "WhatIfRequest"):
        _know_some_customers(document["components"]["schemas"][name]["properties"])
    found = schemathesis.openapi.from_dict(document)
    found.config.base_url = server.address
    return found


def _know_some_customers(properties: dict) -> None:
    """Half of the ids are known ones: random text alone would meet nothing but 404."""
    if "customer_ids" in properties:
        properties["customer_ids"]["items"] = {"anyOf": [{"enum": KNOWN}, properties["customer_ids"]["items"]]}
    else:
        properties["customer_id"] = {"anyOf": [{"enum": KNOWN}, properties["customer_id"]]}
    if "changes" in properties:
        tried = {"Contract": {"type": "string"}, "tenure": {"type": "integer"}, "TotalCharges": {"type": "number"}}
        properties["changes"]["properties"] = tried


@pytest.mark.parametrize("path", BODIES)
def test_no_input_makes_the_api_fail_or_leave_its_description(schema, server: Server, path: str):
    seen: Counter[int] = Counter()
    operation = schema[path]["POST"]

    for mode in schemathesis.GenerationMode:

        @settings(
            max_examples=CASES // 2,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case) -> None:
            response = case.call(base_url=server.address)
            seen[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        ask()
    assert sum(seen.values()) >= CASES * 0.9, seen
    assert {200, 422} <= set(seen)
    assert server.process.poll() is None


def test_the_other_addresses_answer_as_documented(schema, server: Server):
    for path in ("/health/live", "/health/ready", "/metrics"):
        case = schema[path]["GET"].Case()
        case.call_and_validate(base_url=server.address, checks=CHECKS)
    schema["/admin/reload"]["POST"].Case().call_and_validate(base_url=server.address, checks=CHECKS, timeout=START_SECONDS)
