"""The server of `ui`: on the loopback interface, for requests that name it by its own name and know
its token.

Every program of the machine and every page in its browser can reach a loopback port. So Host and
Origin are looked at first, as at the endpoint of the rehearsal (localcloud/http/doors.py), and the
path begins with a token that is new with each start and stands nowhere but in the address that the
command prints. All is read-only: there is no method but GET and HEAD.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import CliError, ExitCode
from cli.ui.site import Answer, Event, Site, sentence
from localcloud.http.doors import refusal

_HOST: Final = "127.0.0.1"
_IDLE_SECONDS: Final = 30.0
_BEAT_SECONDS: Final = 10.0
"""So often a stream says something: a browser that has gone is noticed no sooner."""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_MONTH: Final = re.compile(r"months/(\d{4})-(\d{2})\.html")
_RUN: Final = re.compile(r"run/([^/]+)/(events)?")
_REPORT: Final = re.compile(r"runs/([^/]+)/report\.html")


class Server(ThreadingHTTPServer):
    """Serves a site; a thread for each connection."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, site: Site, port: int) -> None:
        """Listens. Raises OSError where the port is taken."""
        self.site = site
        self.token = secrets.token_urlsafe(24)
        self.ending = threading.Event()
        super().__init__((_HOST, port), _Handler)

    @property
    def url(self) -> str:
        """The address of the first page, with its token."""
        return f"http://{_HOST}:{self.server_port}/{self.token}/"

    def server_close(self) -> None:
        """Ends the streams as well."""
        self.ending.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says what went wrong, unless a browser went away in the middle."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answers."""
        refused = refusal(
            self.server.server_port,
            self.headers.get_all("Host") or (),
            self.headers.get_all("Origin") or (),
        )
        if refused is not None:
            self._send(Answer.text(refused, HTTPStatus.FORBIDDEN))
            return
        token, _, path = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not self.path.startswith("/") or not hmac.compare_digest(
            token.encode(errors="replace"), self.server.token.encode()
        ):
            said = "open the whole address that `batchref ui` printed; it is new with each start"
            self._send(Answer.text(said, HTTPStatus.FORBIDDEN))
            return
        try:
            found = _route(self.server.site, path)
        except (CliError, ClientError, BotoCoreError) as error:
            missing = isinstance(error, CliError) and error.code == ExitCode.NOT_FOUND
            status = HTTPStatus.NOT_FOUND if missing else HTTPStatus.BAD_GATEWAY
            self._send(Answer.text(sentence(error), status))
            return
        if isinstance(found, Answer):
            self._send(found)
        else:
            self._stream(found)

    def do_HEAD(self) -> None:
        """Answers without the body."""
        self.do_GET()

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**_HEADERS, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _stream(self, looks: Iterator[Event | None]) -> None:
        """Server-sent events (HTML standard, "Server-sent events"), until the browser goes or the
        server ends.
        """
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        for name, value in {**_HEADERS, "Content-Type": "text/event-stream"}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        said = time.monotonic()
        for event in looks:
            if event is not None:
                data = json.dumps(event.data, ensure_ascii=False)
                self.wfile.write(f"event: {event.name}\ndata: {data}\n\n".encode())
                said = time.monotonic()
            elif time.monotonic() - said > _BEAT_SECONDS:
                self.wfile.write(b":\n\n")
                said = time.monotonic()
            if event is None and self.server.ending.wait(self.server.site.pause_seconds):
                return

    def log_message(self, *_: Any) -> None:
        """Nothing: the address holds the token."""


def _route(site: Site, path: str) -> Answer | Iterator[Event | None]:
    """What a path below the token stands for; raises CliError where it is none."""
    if path in {"", "index.html"}:
        return site.newest()
    if path == "events":
        return site.newest_events()
    if match := _MONTH.fullmatch(path):
        return site.month(match[1] + match[2])
    if match := _REPORT.fullmatch(path):
        return site.report(match[1])
    if match := _RUN.fullmatch(path):
        return site.run_events(match[1]) if match[2] else site.run(match[1])
    raise CliError("there is no such page", ExitCode.NOT_FOUND)
