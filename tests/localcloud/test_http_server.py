"""The HTTP server by itself: lines that clients keep open."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable
from typing import Any

import pytest

from localcloud.http import server as http_server
from localcloud.http.server import HOST, HttpServer


def _application(_: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well"]


def test_a_line_that_is_kept_and_not_used_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(http_server._Handler, "timeout", 0.1)
    server = HttpServer(_application, 0)
    server.start()
    try:
        line = http.client.HTTPConnection(HOST, server.port)
        line.request("GET", "/")
        assert line.getresponse().read() == b"well"
        time.sleep(0.5)
        assert line.sock is not None
        assert line.sock.recv(1) == b"", "the server has closed it"
        idle = http.client.HTTPConnection(HOST, server.port)
        idle.connect()  # and says nothing at all
        time.sleep(0.5)
        assert idle.sock.recv(1) == b""
    finally:
        server.stop()
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


def test_a_request_that_is_none_is_still_told(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server = HttpServer(_application, 0)
    server.start()
    try:
        line = http.client.HTTPConnection(HOST, server.port)
        line.connect()
        line.sock.sendall(b"no request\r\n\r\n")
        assert b"400" in line.sock.recv(1000)
    finally:
        server.stop()
    assert "400" in capfd.readouterr().err + caplog.text
