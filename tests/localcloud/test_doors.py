"""Nobody gets in: pages of a browser, names that point here from elsewhere, unsigned and forged
calls, from a socket and from Chromium.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from localcloud.http.doors import refusal
from tests.localcloud.conftest import Stage
from tests.support.browser import command

REGISTER = json.dumps(
    {
        "jobDefinitionName": "attack",
        "type": "container",
        "containerProperties": {
            "image": "repo/x:1",
            "command": ["touch", "/owned"],
            "vcpus": 1,
            "memory": 128,
        },
    }
)
_FORGED = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/batch/aws4_request, SignedHeaders=host,"
    " Signature=00"
)


def send(stage: Stage, head: str, body: str = "") -> tuple[int, str]:
    """Status and whole answer of a request written by hand."""
    with socket.create_connection(("127.0.0.1", stage.cloud.port), timeout=5) as line:
        line.sendall(
            f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        answer = b""
        while data := line.recv(1 << 16):
            answer += data
    return int(answer.split(b" ")[1]), answer.decode()


def attack(
    *headers: str, target: str = "/v1/registerjobdefinition", host: str = "127.0.0.1:{port}"
) -> str:
    lines = [
        f"POST {target} HTTP/1.1",
        *([f"Host: {host}"] if host else []),
        "Content-Type: text/plain",
        *headers,
    ]
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize(
    "head",
    [
        attack("Origin: https://evil.example"),
        attack("Origin: null"),
        attack("Origin: http://127.0.0.1:1"),
        attack("Origin: http://localhost:{port}", "Origin: https://evil.example"),
        attack("Origin: http://localhost:{port}.evil.example"),
        attack("Origin: http://user@localhost:{port}"),
        attack(host="evil.example:{port}"),
        attack(host="localhost.evil.example:{port}"),
        attack(host="127.0.0.1"),
        attack(host=""),
        attack("Host: evil.example"),
        attack(target="http://evil.example/v1/registerjobdefinition"),
        attack(target="http://127.0.0.1:{port}@evil.example/v1/registerjobdefinition"),
        attack(target="*"),
        attack("Content-Length: 4"),
        attack("Transfer-Encoding: chunked"),
    ],
)
def test_what_comes_from_elsewhere_is_refused_before_it_is_read(stage: Stage, head: str) -> None:
    status, answer = send(stage, head.replace("{port}", str(stage.cloud.port)), REGISTER)
    assert status == 403, answer
    assert "access-control" not in answer.lower()


@pytest.mark.parametrize(
    "headers", [(), (f"Authorization: {_FORGED}",), ("Origin: http://localhost:{port}",)]
)
@pytest.mark.parametrize(
    "target",
    [
        "/v1/registerjobdefinition",
        "/moto-api/reset",
        "/bucket/key",
        "/?Action=CreateUser&UserName=x",
    ],
)
def test_what_is_not_signed_is_refused(stage: Stage, target: str, headers: tuple[str, ...]) -> None:
    head = attack(*headers, target=target).replace("{port}", str(stage.cloud.port))
    status, answer = send(stage, head, REGISTER)
    assert status in (400, 403), answer
    assert "access-control" not in answer.lower()
    assert stage.batch.describe_job_definitions(jobDefinitionName="attack")["jobDefinitions"] == []


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("Transfer-Encoding: chunked", "zz\r\nActio\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "-5\r\nActio\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "5\r\nActionActionAction\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding : chunked", "0\r\n\r\n", 403),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 403),
        ("Content-Length: -1", "", 403),
        ("Content-Length: +5", "hello", 403),
        ("Content-Length: 5\r\nContent-Length: 6", "hello", 403),
        ("Upgrade: websocket\r\nSec-WebSocket-Version: 13", "", 403),
    ],
)
def test_odd_bodies_are_answered_once_and_the_line_is_closed(
    stage: Stage, headers: str, body: str, status: int
) -> None:
    """What follows such a body on the line must never be taken for a request."""
    second = f"GET /second HTTP/1.1\r\nHost: 127.0.0.1:{stage.cloud.port}\r\n\r\n"
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{stage.cloud.port}\r\n{headers}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
    )
    if "Upgrade" in headers:
        head, second = f"{head}Connection: close\r\n", ""
    with socket.create_connection(("127.0.0.1", stage.cloud.port), timeout=10) as line:
        line.sendall(f"{head}\r\n{body}{second}".encode())
        answer = b""
        while data := line.recv(1 << 16):
            answer += data
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert answer.count(b"HTTP/1.1 ") == 1, answer


def test_loopback_names_are_ours() -> None:
    for host in (
        "127.0.0.1:5055",
        "127.1.2.3:5055",
        "localhost:5055",
        "LocalHost:5055",
        "[::1]:5055",
        "a.s3.localhost:5055",
    ):
        assert refusal(5055, [host], []) is None, host
        assert refusal(5055, ["localhost:5055"], [f"http://{host}"]) is None, host
    assert refusal(80, ["localhost"], []) is None


PAGE = """<!doctype html><title>t</title><body><script>
const url = "http://HOST:PORT", body = REGISTER, headers = {"Content-Type": "application/json", "Authorization": "FORGED"};
const tries = [
  fetch(url + "/v1/registerjobdefinition", {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body}),
  fetch(url + "/v1/registerjobdefinition", {method: "POST", headers, body}),
  fetch(url + "/", {headers: {"X-Amz-Target": "x"}}),
  fetch("SLACK", {method: "POST", mode: "no-cors", body: JSON.stringify({text: "from a page"})}),
];
navigator.sendBeacon(url + "/v1/registerjobdefinition", body);
Promise.allSettled(tries).then((all) => {
  document.title = "done";
  fetch("/report", {method: "POST", body: JSON.stringify(all.map((each) => each.status + ":" + (each.value ? each.value.type : "")))});
});
</script>"""


class _Page(http.server.BaseHTTPRequestHandler):
    def __init__(self, page: str, reports: list[str], *args: object) -> None:
        self.page, self.reports = page, reports
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def do_POST(self) -> None:
        self.reports.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def browser(tmp_path: Path) -> list[str]:
    return command(tmp_path / "profile")


@pytest.mark.timeout(120)
def test_a_page_in_a_browser_can_do_nothing(stage: Stage, browser: list[str]) -> None:
    before = len(stage.cloud.slack.messages)
    page = (
        PAGE.replace("REGISTER", json.dumps(REGISTER))
        .replace("FORGED", _FORGED)
        .replace("SLACK", stage.cloud.slack.url)
    )
    page = page.replace("HOST", "127.0.0.1").replace("PORT", str(stage.cloud.port))
    reports: list[str] = []
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Page, page, reports)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process = subprocess.Popen(
        [*browser, f"http://localhost:{server.server_port}/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while not reports and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        server.shutdown()
        server.server_close()
    assert reports, "the page has not run"
    simple, with_key, preflighted, slack = json.loads(reports[0])
    assert (simple, slack) == (
        "fulfilled:opaque",
        "fulfilled:opaque",
    ), "a page may send these, and sees nothing of the answer"
    assert (with_key, preflighted) == (
        "rejected:",
        "rejected:",
    ), "no CORS header lets a page send more"
    assert stage.batch.describe_job_definitions(jobDefinitionName="attack")["jobDefinitions"] == []
    assert len(stage.cloud.slack.messages) == before
