"""What a container is told of its own pull and start."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from workloads.records import Beginning
from workloads.runtime.beginning import beginning

# as the agent writes it, with nanoseconds (Amazon ECS developer guide, task-metadata-endpoint-v4)
TASK = {
    "TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c",
    "DesiredStatus": "RUNNING",
    "KnownStatus": "RUNNING",
    "PullStartedAt": "2026-10-02T00:43:06.202617438Z",
    "PullStoppedAt": "2026-10-02T00:44:06.31288465Z",
}
AT = datetime(2026, 10, 2, 0, 44, 9, 500_000, tzinfo=UTC)


@contextmanager
def agent(answer: bytes, status: int = 200) -> Iterator[dict[str, str]]:
    """The variables of a container beside an agent that gives this answer to `/v4/x/task`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/v4/x/task"
            self.send_response(status if found else 404)
            self.end_headers()
            self.wfile.write(answer if found else b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield {"ECS_CONTAINER_METADATA_URI_V4": f"http://127.0.0.1:{server.server_port}/v4/x"}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_pull_and_start_are_told_apart() -> None:
    with agent(json.dumps(TASK).encode()) as environ:
        assert beginning(AT, environ) == Beginning(
            pull_started_at="2026-10-02T00:43:06.202+00:00",
            pull_seconds=60.11,
            start_seconds=3.187,
        )


def test_clocks_that_differ_give_no_negative_seconds() -> None:
    with agent(json.dumps({**TASK, "PullStoppedAt": "2026-10-02T00:44:10Z"}).encode()) as environ:
        found = beginning(AT, environ)
    assert found is not None
    assert found.start_seconds == 0.0


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"not JSON", 200),
        (b"[]", 200),
        (json.dumps({"PullStartedAt": TASK["PullStartedAt"]}).encode(), 200),
        (json.dumps({**TASK, "PullStoppedAt": "soon"}).encode(), 200),
        (json.dumps({**TASK, "PullStoppedAt": 7}).encode(), 200),
        (json.dumps({**TASK, "PullStoppedAt": "2026-10-02T00:44:06"}).encode(), 200),
        (b"", 500),
    ],
)
def test_an_agent_that_does_not_say_is_no_trouble(answer: bytes, status: int) -> None:
    with agent(answer, status) as environ:
        assert beginning(AT, environ) is None


def test_without_an_agent_nothing_is_asked() -> None:
    assert beginning(AT, {}) is None
    assert beginning(AT, {"ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:9/v4/x"}) is None
