"""A headless Chromium for the tests, and a record of what its pages ask for."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 300
"""A first visit starts a process that imports Gradio, on a machine that may be busy."""
_ADVICE = "no browser for the tests: install Chromium, name it in CHROMIUM_PATH, or `playwright install chromium`"


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """CHROMIUM_PATH, else one on the PATH, else playwright's own; none is a failure where REQUIRE_BROWSER is 1, else a skip."""
    from playwright.sync_api import Error, expect, sync_playwright

    found = os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        except Error as error:
            advice = f"{_ADVICE} ({str(error).splitlines()[0]})"
            pytest.fail(advice) if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip(advice)
        expect.set_options(timeout=SECONDS * 1000)
        yield browser
        browser.close()


@contextlib.contextmanager
def visit(browser: Any, address: str, downloads: Path | None = None) -> Iterator[Any]:
    """A new page, 1280 pixels wide, in light colours. Afterwards: everything it asked for came from `address`, and nothing failed in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light", accept_downloads=downloads is not None)
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    asked: list[str] = []
    failures: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: failures.append(message.text) if "Content Security Policy" in message.text else None)
    yield page
    outside = sorted({url for url in asked if url.startswith(("http", "ws")) and urlsplit(url).netloc != urlsplit(address).netloc})
    assert asked
    assert outside == []
    assert failures == []
    context.close()
