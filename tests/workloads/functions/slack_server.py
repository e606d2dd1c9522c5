"""A Slack incoming webhook on the loopback interface that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class SlackServer:
    """What has arrived, and what is answered next; 200 when nothing is planned."""

    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Bodies that were answered with 200."""
    attempts: int = 0
    planned: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers of the next answers; 0 closes the connection without an answer."""


@contextmanager
def slack_server() -> Iterator[SlackServer]:
    """Runs the server for the time of the block."""
    state = SlackServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.attempts += 1
            status, headers = state.planned.pop(0) if state.planned else (200, {})
            if not status:
                self.close_connection = True
                return
            if status == 200:
                state.messages.append(json.loads(body))
            answer = b"ok" if status == 200 else b"no_service"
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/services/T000/B000/secret-part"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
