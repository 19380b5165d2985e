"""The reference at /docs in Chromium: complete, from this host alone, with an example that works."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.serving.browsers import chromium, visit
from tests.serving.servers import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_the_reference_renders_and_its_example_works_when_executed(server: Server, browser: Browser):
    with visit(browser, server.address) as page:
        page.goto(server.address + "/docs")
        for path in ("/predict", "/predict/batch", "/what-if", "/admin/reload"):
            expect(page.locator(".opblock-summary-path").get_by_text(re.compile(f"^{path}$"))).to_be_visible()
        operation = page.locator("#operations-predictions-predict_predict_post")
        operation.locator(".opblock-summary").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(operation.locator(".live-responses-table")).to_contain_text("churn_probability")
