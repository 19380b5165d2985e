"""The page at /demo, clicked through in Chromium on a real server, and /docs."""

import contextlib
import csv
import html
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from playwright.sync_api import Browser, Locator, Page, expect
from pyarrow import parquet

from churn import config
from churn.core.decisions.reasons import effect_in_words, fact
from churn.core.declaration import Declaration
from serving.page import reports, words
from tests.projects import ROOT, run_command
from tests.serving import build
from tests.serving.browsers import SECONDS, chromium, visit
from tests.serving.conftest import copy_built
from tests.serving.servers import Server, serve

READ, ADMIN = "a-key-for-predictions", "another-key-for-admins"
LOG = "data/serving/predictions.db"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def demo(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app whose customers have been scored."""
    project = copy_built(built, tmp_path_factory.mktemp("page") / "project")
    done = run_command(project, "kedro", "run", "--pipelines", "scoring")
    assert done.returncode == 0, done.stderr[-3000:]
    with serve(project) as running:
        yield running


def project_of(server: Server) -> Path:
    return server.log.parent


def opened(page: Page, server: Server) -> None:
    page.goto(server.address + "/demo/")
    expect(page.get_by_role("heading", name="Customer retention")).to_be_visible()


def look_up(page: Page, customer: str) -> None:
    page.get_by_label("Customer number").fill(customer)
    page.get_by_role("button", name="Look up").click()


def logged(server: Server, customer: str) -> Counter[str]:
    """How often each kind of prediction of a customer is on record."""
    with contextlib.closing(sqlite3.connect(project_of(server) / LOG)) as found:
        return Counter(row[0] for row in found.execute("SELECT kind FROM prediction_log WHERE customer_id = ?", [customer]))


def declared(server: Server) -> Declaration:
    return config.load(project_of(server)).declaration


def test_a_customer_is_looked_up_and_changes_are_tried(demo: Server, browser: Browser):
    customer = "c-0007"
    features = {feature.name: feature for feature in declared(demo).features}
    with visit(browser, demo.address) as page:
        opened(page, demo)
        expect(page.locator("#risk")).to_be_hidden()
        before = logged(demo, customer)
        look_up(page, customer)
        expect(page.locator("#risk")).to_contain_text(f"Customer {customer}")
        assert logged(demo, customer) - before == Counter({"predict": 1})
        answer = demo.predict(customer, reasons=100).json

        chance, line = words.percents(answer["churn_probability"], answer["threshold"])
        risk = page.locator("#risk")
        expect(risk).to_contain_text(f"{chance} chance of leaving")
        expect(risk).to_contain_text(f"calling line of {line}")
        expect(risk).to_contain_text(f"Customer data of {words.day(answer['features_as_of'])}")
        expect(risk.locator(".churn-chip")).to_have_text("Call" if answer["churn"] else "No need to call")
        width, track = (risk.locator(f".churn-bar{part}").bounding_box()["width"] for part in (" i", ""))
        assert width / track == pytest.approx(answer["churn_probability"], abs=0.01)

        expected = [f"{fact(features[r['feature']], r['value'])}{effect_in_words(r['effect'])}" for r in answer["reasons"][:5]]
        assert [text.replace("\n", "") for text in page.locator("#reasons li").all_inner_texts()] == expected
        assert page.locator("#facts dt").all_inner_texts() == [feature.label for feature in features.values()]

        page.get_by_role("button", name="See the effect").click()
        expect(page.locator("#effect")).to_contain_text("Nothing is changed yet")
        values = {reason["feature"]: reason["value"] for reason in answer["reasons"]}
        other = next(value for value in ("Two year", "Month-to-month") if value != values["Contract"])
        page.get_by_label("Contract").click()
        page.get_by_role("option", name=other).click()
        page.get_by_label("Monthly charges (USD)").fill("20.5")
        page.get_by_role("button", name="See the effect").click()
        expect(page.locator("#effect h3")).to_contain_text("The risk")
        assert logged(demo, customer) - before == Counter({"predict": 2, "what-if": 2})  # one of the predictions is this test's own

        what_if = demo.post("/what-if", {"customer_id": customer, "changes": {"Contract": other, "MonthlyCharges": 20.5}}).json
        sides = [what_if[side]["churn_probability"] for side in ("before", "after")]
        assert sides[0] != sides[1]
        old, new, _ = words.percents(*sides, what_if["threshold"])
        expect(page.locator("#effect h3")).to_have_text(f"The risk {'falls' if sides[1] < sides[0] else 'rises'} from {old} to {new}")
        expect(page.locator("#effect")).to_contain_text(f"Contract: {values['Contract']} → {other}")
        expect(page.locator("#effect")).to_contain_text("→ 20.50 USD")

        page.get_by_role("button", name="Back to how it is").click()
        expect(page.get_by_label("Contract")).to_have_value(values["Contract"])


def test_the_list_is_shown_downloaded_and_leads_to_a_customer(demo: Server, browser: Browser, tmp_path: Path):
    table = parquet.read_table(project_of(demo) / "data/reports/retention_list.parquet")
    rows = table.to_pylist()
    with visit(browser, demo.address, downloads=tmp_path) as page:
        opened(page, demo)
        page.get_by_role("tab", name="Most at risk").click()
        expect(page.locator("#summary")).to_contain_text(f"{len(rows):,} customers worth a call")
        for text in (rows[0]["customer_id"], words.percents(rows[0]["churn_probability"])[0], rows[0]["reason_1"], rows[0]["reason_2"]):
            expect(cell(page, text)).to_be_visible()

        with page.expect_download() as started:
            page.get_by_role("button", name="Download the list").click()
        started.value.save_as(tmp_path / "list.csv")
        assert started.value.suggested_filename == "customers-to-call.csv"
        assert_same_list(tmp_path / "list.csv", rows)

        cell(page, rows[2]["customer_id"]).click()
        expect(page.locator("#risk")).to_contain_text(f"Customer {rows[2]['customer_id']}")
        expect(page.get_by_label("Customer number")).to_have_value(rows[2]["customer_id"])


def cell(page: Page, text: str) -> Locator:
    """The first visible cell of the list with a text."""
    return page.locator("#most-at-risk").get_by_role("gridcell", name=text, exact=True).first


def assert_same_list(path: Path, rows: list[dict[str, Any]]) -> None:
    """The CSV has every row and column, numbers to the last bit."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(rows) > 0
    assert list(found[0]) == list(rows[0])
    for line, row in zip(found, rows, strict=True):
        assert (line["customer_id"], line["reason_3"], int(line["rank"])) == (row["customer_id"], row["reason_3"], row["rank"])
        assert float(line["churn_probability"]) == row["churn_probability"]
        assert float(line["expected_value"]) == row["expected_value"]
        assert datetime.fromisoformat(line["scored_at"]) == row["scored_at"]


def test_odd_customers_get_an_answer_or_a_friendly_word(demo: Server, browser: Browser):
    with visit(browser, demo.address) as page:
        opened(page, demo)
        message = page.locator("#message")
        look_up(page, "  ")
        expect(message).to_contain_text("Type a customer number first")
        look_up(page, "<img src=x onerror=alert(1)>")
        expect(message).to_contain_text("There is no customer with this number")
        expect(page.locator("#risk")).to_be_hidden()
        look_up(page, build.STALE)
        expect(page.locator("#risk .warning")).to_contain_text("too old to rely on")
        look_up(page, f" {build.EMPTY} ")
        expect(page.locator("#facts")).to_contain_text("Total chargesnot known")
        expect(page.get_by_label("Contract")).to_have_value("Not known")
        look_up(page, build.UNSEEN)
        expect(page.locator("#facts")).to_contain_text("Weekly, new to the model")
        expect(page.get_by_label("Contract")).to_have_value("Weekly")
        page.get_by_label("Monthly charges (USD)").fill("")
        page.get_by_role("button", name="See the effect").click()
        expect(page.locator("#effect")).to_contain_text("Monthly charges may not be empty.")
        look_up(page, "nobody")
        expect(message).to_contain_text("There is no customer with this number")
        expect(page.locator("#risk")).to_be_hidden()


def test_health_shows_the_last_verdict(demo: Server, browser: Browser):
    path = Path(config.dataset_path(config.load(project_of(demo)), reports.VERDICT))
    path.parent.mkdir(parents=True, exist_ok=True)
    with visit(browser, demo.address) as page:
        opened(page, demo)
        page.get_by_role("tab", name="Data and model health").click()
        expect(page.locator("#verdict")).to_contain_text("No check of data and model has been recorded yet")
        path.write_text(json.dumps({"status": "alert", "summary": "Contract has changed <b>.", "checked_at": "2026-11-01T12:30:00Z"}))
        page.get_by_role("tab", name="One customer").click()
        page.get_by_role("tab", name="Data and model health").click()
        expect(page.locator("#verdict")).to_contain_text("Something has changed")
        expect(page.locator("#verdict")).to_contain_text("Contract has changed <b>.")
        expect(page.locator("#verdict")).to_contain_text("Last checked on 1 November 2026 at 12:30 UTC.")
        assert_the_report_opens(page, demo, path.with_name("report.html"))


def assert_the_report_opens(page: Page, server: Server, path: Path) -> None:
    """In a tab of its own, with its scripts and frames, and with nothing from another host; by its own address alone."""
    inner = "<p id='plot'>no script</p><script>document.querySelector('#plot').textContent = 'a plot'</script>"
    outside = "<img src='https://example.org/x.png' onerror=\"this.outerHTML = '<i>refused</i>'\">"
    path.write_text(f'<!doctype html><title>Report</title><h1>The report</h1>{outside}<iframe srcdoc="{html.escape(inner)}"></iframe>')
    with page.expect_popup() as opening:
        page.get_by_role("link", name="Open the full report").click()
    report = opening.value
    expect(report.get_by_role("heading", name="The report")).to_be_visible()
    expect(report.frame_locator("iframe").locator("#plot")).to_have_text("a plot")
    expect(report.locator("i")).to_have_text("refused")
    address = report.url
    report.close()
    policy = server.get(address.removeprefix(server.address)).headers["content-security-policy"]
    assert "sandbox allow-scripts; default-src 'none'" in policy
    assert server.get(address.removeprefix(server.address)[:-1] + "~").status == 404
    path.unlink()
    assert server.get(address.removeprefix(server.address)).status == 404


def test_nobody_is_answered_without_a_key_and_another_declaration_makes_another_page(project: Path, browser: Browser):
    declare(project)
    with serve(project, CHURN_API_KEYS=f"predict:{READ},admin:{ADMIN}") as server, visit(browser, server.address) as page:
        opened(page, server)
        assert_config_gives_no_answer(server)
        assert "Open the full report" not in page.content()
        assert server.get("/demo/report/guess").status == 404
        expect(page.get_by_label("Customer number")).to_be_hidden()
        for key in ("", "wrong", ADMIN):
            page.get_by_label("Access key").fill(key)
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator("#refused")).to_contain_text("This key is not known here.")
        page.get_by_label("Access key").fill(READ)
        page.get_by_label("Access key").press("Enter")
        look_up(page, "c-0007")
        expect(page.locator("#facts")).to_contain_text("Length of the contract")
        shown = page.locator(".churn-controls [id^=try-]")
        expect(shown).to_have_count(2)
        assert [one.get_attribute("id") for one in shown.all()] == ["try-tenure", "try-Contract"]
        expect(page.get_by_label("Months with us")).to_have_attribute("max", "100")
        page.get_by_role("tab", name="Most at risk").click()
        expect(page.locator("#summary")).to_contain_text("kedro run --pipelines scoring")
        expect(page.locator("#download")).to_be_hidden()

        store = project / "data" / "features" / "online.db"
        store.rename(store.with_suffix(".away"))
        page.get_by_role("tab", name="One customer").click()
        look_up(page, "c-0008")
        expect(page.locator("#message")).to_contain_text("The customer data cannot be reached at the moment.")
        assert READ not in server.log.read_text()


def declare(project: Path) -> None:
    """Two columns that can be changed, with other names and limits."""
    path = project / "conf" / "base" / "parameters" / "customers.yml"
    content = yaml.safe_load(path.read_text())
    for name, column in content["customers"]["columns"].items():
        column["actionable"] = name in ("tenure", "Contract")
    content["customers"]["columns"]["Contract"]["label"] = "Length of the contract"
    content["customers"]["columns"]["tenure"] |= {"label": "Months with us", "max": 100}
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def assert_config_gives_no_answer(server: Server) -> None:
    """What a program without a key gets from the addresses behind the page: no prediction, no list."""
    page = server.get("/demo/config").json
    for place, event in enumerate(page["dependencies"]):
        inputs = ["c-0007"] * len(event["inputs"])
        body = {"data": inputs, "fn_index": event.get("id", place), "session_hash": f"guess{place}", "trigger_id": None}
        joined = server.post("/demo/gradio_api/queue/join", body)
        if joined.status != 200:
            continue
        text = server.get(f"/demo/gradio_api/queue/data?session_hash=guess{place}").text
        assert "process_completed" in text
        assert "chance of leaving" not in text
        assert "worth a call" not in text
        assert_fetches_nothing(server, {**body, "session_hash": f"fetch{place}"})
    assert len(page["dependencies"]) >= 6
    for call in ("file=http://example.org/", "upload", "proxy=http://example.org/", "file=" + str(project_of(server) / LOG)):
        assert server.get(f"/demo/gradio_api/{call}").status in (403, 404)


def assert_fetches_nothing(server: Server, event: dict[str, Any]) -> None:
    """An event that hands a file's address over makes nobody ask for it."""
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(0.2)
        file = {"path": f"http://127.0.0.1:{trap.getsockname()[1]}/", "meta": {"_type": "gradio.FileData"}}
        assert server.post("/demo/gradio_api/queue/join", {**event, "data": [file] * len(event["data"])}).status == 422
        with pytest.raises(TimeoutError):
            trap.accept()


def test_workers_of_one_api_share_a_page(demo: Server):
    demo.wait_for(lambda one: one.get("/demo/").status == 200, "the page", SECONDS)
    (folder,) = (project_of(demo) / "data" / "serving").glob(f"page-*-{demo.address.rpartition(':')[2]}")
    line = [sys.executable, "-m", "serving.page", "--api", demo.address, "--folder", str(folder)]
    other = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=project_of(demo), env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    said = json.loads(other.stdout.readline())
    other.stdin.close()  # it ends when its stdin does
    other.wait(SECONDS)
    (page,) = pages(demo)
    (port,) = [one.laddr.port for one in page.net_connections("tcp") if one.status == "LISTEN"]
    assert said == {"port": port}


def pages(server: Server) -> list[psutil.Process]:
    return [child for child in psutil.Process(server.process.pid).children() if "serving.page" in child.cmdline()]


def test_a_page_that_has_died_starts_again_and_ends_with_the_server(demo: Server, browser: Browser):
    """Last of this module's tests on `demo`: it stops it."""
    demo.wait_for(lambda one: one.get("/demo/").status == 200, "the page", SECONDS)
    assert "/demo" not in demo.get("/metrics").text
    (first,) = pages(demo)
    first.kill()
    first.wait(SECONDS)
    again = demo.get("/demo/", {"Accept": "text/html"})
    assert again.status == 202
    assert "The page is starting" in again.text
    page = browser.new_page()  # not `visit`: what it asks for while the server stops may fail
    opened(page, demo)
    (second,) = pages(demo)
    demo.process.send_signal(signal.SIGTERM)  # with a page open, which holds a stream
    assert demo.process.wait(SECONDS) in (0, -signal.SIGTERM)
    second.wait(SECONDS)
    assert demo.log.read_text().count("The page at /demo is served by process") == 2
    assert "Traceback" not in demo.log.read_text()
    page.close()
