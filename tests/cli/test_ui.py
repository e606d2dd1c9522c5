"""`batchref ui`: who gets in, what is served, and the page in a browser."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from cli import service
from cli.paths import ROOT
from cli.target import Target
from cli.ui.server import Server
from cli.ui.site import Site
from localcloud.cloud import LocalCloud
from tests.support.browser import Browser, chromium
from tests.support.metrics_table import put_run, table
from workloads.contract import Run
from workloads.page import gathering

LAST, FAILED = "20260103-sales-00000000000c", "20260102-sales-00000000000b"
HOSTILE = '<img src=x onerror="document.title=1">'


@dataclass(frozen=True)
class Served:
    """A server with a table behind it."""

    target: Target
    server: Server

    def get(self, path: str = "", *, method: str = "GET", **headers: str) -> tuple[int, str, Any]:
        """Status, body and headers."""
        line = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        host = headers.pop("Host", f"127.0.0.1:{self.server.server_port}")
        line.putrequest(method, path, skip_host=True)
        for name, value in {"Host": host, **headers}.items():
            line.putheader(name, value)
        line.endheaders()
        reply = line.getresponse()
        body = reply.read().decode()
        line.close()
        return reply.status, body, reply.headers

    def page(self, path: str = "") -> str:
        status, body, _ = self.get(f"/{self.server.token}/{path}")
        assert status == 200, body
        return body

    def events(self, path: str, *, wanted: int) -> list[tuple[str, Any]]:
        """The first events of a stream."""
        line = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        line.request("GET", f"/{self.server.token}/{path}")
        stream, name = line.getresponse(), ""
        found: list[tuple[str, Any]] = []
        while len(found) < wanted:
            kind, _, value = stream.readline().decode().rstrip("\n").partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                found.append((name, json.loads(value)))
        line.close()
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as cloud:
        cloud.client("dynamodb").create_table(**table("runs"))
        cloud.client("s3").create_bucket(Bucket="results")
        target = Target(
            outputs={
                "region": cloud.region,
                "table": "runs",
                "results_bucket": "results",
                "ingest_bucket": "ingest",
                "log_groups": {},
            },
            endpoint_url=cloud.endpoint_url,
            credentials=cloud.deployer.credentials,
        )
        for number in range(60):
            put(target, f"20251231-old-{number:012x}", "SUCCEEDED", 1000 + number, usd=number / 8)
        put(target, FAILED, "FAILED", 5000, error=f"no {HOSTILE} left")
        put(target, LAST, "SUCCEEDED", 6000, usd=2.5)
        cloud.client("s3").put_object(
            Bucket="results", Key=Run(LAST).report_key, Body=b"<h1>the report</h1>"
        )
        with Server(Site(target, pause_seconds=0.1), 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield Served(target, server)
            server.shutdown()


def put(target: Target, run_id: str, state: str, begun: int, **known: Any) -> None:
    more: dict[str, Any] = {"ended_ms": {"N": str(begun + 700)}}
    if "usd" in known:
        more["usd"] = {"N": str(known["usd"])}
    if "error" in known:
        more["failure"] = {"M": {"error": {"S": known["error"]}, "job_id": {"S": "j"}}}
    key = {"S": f"data/{run_id[:8]}/{Run(run_id).dataset}.csv"}
    put_run(
        target,
        run_id,
        state,
        first_claimed_ms={"N": str(begun)},
        attempt={"N": "1"},
        upload={"M": {"key": key}},
        **(more if state not in {"SUBMITTED", "WAITING"} else {}),
    )


def test_only_who_names_the_server_and_knows_the_token_gets_in(served: Served) -> None:
    port, token = served.server.server_port, served.server.token
    assert len(token) >= 32
    inside = f"/{token}/"
    refused: list[tuple[str, dict[str, str]]] = [
        ("/", {}),
        ("/index.html", {}),
        (f"/{token[:-1]}/", {}),
        (f"/{token}x/index.html", {}),
        (f"http://127.0.0.1:{port}/{token}/", {}),
        (inside, {"Host": f"evil.example:{port}"}),
        (inside, {"Host": f"127.0.0.1.evil.example:{port}"}),
        (inside, {"Host": "127.0.0.1"}),
        (inside, {"Origin": "https://evil.example"}),
        (inside, {"Origin": "null"}),
    ]
    for path, named in refused:
        status, body, headers = served.get(path, **named)
        assert status == 403, (path, named)
        assert LAST not in body
        assert token not in body
        assert not [name for name in headers if name.lower().startswith("access-control")]
    assert served.get(inside, Host=f"localhost:{port}")[0] == 200
    assert served.get(inside, Origin=f"http://127.0.0.1:{port}")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "CONNECT"):
        assert served.get(inside, method=method)[0] == 501, method
    status, body, headers = served.get(inside, method="HEAD")
    assert (status, body) == (200, "")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_pages_reports_and_what_is_none_of_them(served: Served) -> None:
    page = served.page()
    assert f'href="runs/{LAST}/report.html"' in page
    assert 'href="months/2025-12.html"' in page
    assert HOSTILE not in page
    assert served.page("index.html").count('<tr id="') == 62
    assert served.page("months/2025-12.html").count('<tr id="') == 60
    status, body, headers = served.get(f"/{served.server.token}/runs/{LAST}/report.html")
    assert (status, body) == (200, "<h1>the report</h1>")
    assert "sandbox" in headers["Content-Security-Policy"]
    run = served.page(f"run/{FAILED}/")
    assert HOSTILE not in run
    assert "Why" in run
    for path in (
        "nothing",
        "run/x/",
        "run/20260101-sales-0000000000ff/",
        f"runs/{FAILED}/report.html",
        f"runs/{LAST}/summary.json",
        f"runs/../runs/{LAST}/report.html",
        "months/2026-1.html",
        "../../etc/passwd",
    ):
        status, body, _ = served.get(f"/{served.server.token}/{path}")
        assert status == 404, path
        assert "Traceback" not in body


def test_streams_say_what_changes_and_end_with_the_server(served: Served) -> None:
    found: list[Any] = []
    stream = threading.Thread(target=lambda: found.extend(served.events("events", wanted=2)))
    stream.start()
    time.sleep(0.5)
    put(served.target, "20260104-new-00000000000d", "SUBMITTED", 7000)
    stream.join(20)
    (first, before), (second, after) = found
    assert (first, second) == ("main", "main")
    assert "20260104-new" in after
    assert "20260104-new" not in before
    (_, main), (name, looked) = served.events(f"run/{FAILED}/events", wanted=2)
    assert "FAILED" in main
    assert (name, looked) == ("looked", {"ended": True})


def test_ten_thousand_runs_are_a_page_of_the_newest(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "NEWEST", 10)
    monkeypatch.setattr("workloads.page.render.NEWEST", 10)
    page = Site(served.target).newest().body.decode()
    assert page.count('<tr id="') == 10
    assert "The 10 runs that were begun last; earlier ones by month" in page


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with chromium(tmp_path / "profile") as found:
        yield found


@pytest.mark.timeout(120)
def test_the_page_in_a_browser(served: Served, browser: Browser) -> None:
    """By keyboard alone, on a phone, while it changes: nothing shifts, nothing is wider than the
    window, and scripts and security policy complain of nothing.
    """
    shift = (
        "window.moved = 0; new PerformanceObserver(list => { for (const each of list.getEntries())"
        " if (!each.hadRecentInput) window.moved += each.value }).observe({type: 'layout-shift',"
        " buffered: true})"
    )
    for width, dark in ((1280, False), (390, True)):
        browser.screen(width, dark=dark)
        browser.open(served.server.url)
        browser.value(shift)
        browser.wait("document.getElementById('live').textContent === 'refreshes itself'")
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("window.moved") < 0.01

    names = "Array.from(document.querySelectorAll('a, button, input, select'), e =>"
    assert browser.value(f"{names} (e.labels?.[0] ?? e).innerText.trim()).every(Boolean)")
    _tab_to(browser, "document.activeElement.classList.contains('skip')")
    assert browser.value("document.activeElement.getBoundingClientRect().left") >= 0
    _tab_to(browser, "document.activeElement.id === 'find'")
    assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.write("no 2026-01-02 left")
    assert browser.wait("document.getElementById('shown').textContent.startsWith('1 of ')")
    browser.value("document.getElementById('find').value = ''")
    browser.write(" ")
    _tab_to(browser, "document.activeElement.textContent === 'Cost'")
    browser.press("Enter")
    first = "document.querySelector('#rows tr').cells[7].dataset.value"
    assert browser.value(first) == "7.375"
    assert browser.value("document.querySelector('[aria-sort]').textContent") == "Cost"
    browser.press("Enter")
    assert browser.value(first) == "0.0"

    put(served.target, "20260105-late-00000000000e", "FAILED", 8000, error="late", usd=99)
    row = "document.getElementById('20260105-late-00000000000e')"
    browser.wait(f"!!{row}")
    assert browser.value("document.activeElement.textContent") == "Cost", "the focus stays"
    assert browser.value(first) == "0.0", "the order stays"
    rows = browser.value("document.querySelectorAll('#rows tr').length")
    assert browser.value("document.getElementById('which').textContent") == f"{rows} runs so far"
    assert browser.value("document.title").startswith("Runs")
    browser.open(f"{served.server.url}run/{FAILED}/")
    browser.wait("document.getElementById('live').textContent.includes('has ended')")
    assert browser.value("document.documentElement.scrollWidth") <= 390
    assert browser.value("document.querySelectorAll('img').length") == 0
    assert browser.errors == []


def _tab_to(browser: Browser, reached: str) -> None:
    for _ in range(40):
        browser.press("Tab")
        if browser.value(reached):
            return
    pytest.fail(f"the Tab key never comes to: {reached}")


def test_the_command_says_where_and_ends_by_a_signal(served: Served, tmp_path: Path) -> None:
    endpoint = service.Endpoint(
        pid=os.getpid(),
        started=psutil.Process().create_time(),
        stack="local",
        url=str(served.target.endpoint_url),
        access_key=served.target.credentials["aws_access_key_id"],
        secret=served.target.credentials["aws_secret_access_key"],
        account_id="1",
        job_path="",
        images=[],
        containers="",
        limits_not_enforced=[],
        roles={},
        outputs=served.target.outputs,
        pulumi={},
    )
    file = tmp_path / "endpoint.json"
    file.write_text(json.dumps(asdict(endpoint)))
    program = (
        "import pathlib, sys; from cli import service;"
        " service.ENDPOINT = pathlib.Path(sys.argv.pop()); from cli.app import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "ui", "--no-browser", "--json", str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "}\n")) + "}"
        document = json.loads(said)
        schema = json.loads((ROOT / "cli" / "schemas" / "ui.schema.json").read_text())
        Draft202012Validator(schema).validate(document)
        assert document["url"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
