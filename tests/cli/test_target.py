"""The stack that a command works on."""

from __future__ import annotations

import time

import pytest

from cli.target import Target


@pytest.mark.parametrize(("endpoint", "expected"), [(None, 3.0), ("http://127.0.0.1:1", 0.6)])
def test_what_takes_seconds_on_aws_takes_less_on_the_rehearsal(
    endpoint: str | None, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    Target(outputs={}, endpoint_url=endpoint).pause(3.0)
    assert slept == pytest.approx([expected])


def test_targets_of_a_process_read_the_model_of_a_service_once() -> None:
    made = [
        Target(
            outputs={"region": "us-east-1"},
            endpoint_url="http://127.0.0.1:1",
            credentials={"aws_access_key_id": "a", "aws_secret_access_key": "b"},
        ).client("sts")
        for _ in range(2)
    ]
    first, second = (client.meta.service_model._service_description for client in made)
    assert first is second
