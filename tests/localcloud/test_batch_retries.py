"""Whether an attempt that ended is followed by another: retry strategies, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.batch.retries import AttemptEnd, retries

RETRIES = [
    # strategy, attempts, exit code, reason, status reason -> retried
    ({}, 1, 1, "", "x", False),
    ({"attempts": 2}, 1, 1, "", "x", True),
    ({"attempts": 2}, 2, 1, "", "x", False),
    (
        {"attempts": 3, "evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]},
        1,
        1,
        "",
        "x",
        False,
    ),
    (
        {"attempts": 3, "evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]},
        1,
        2,
        "",
        "x",
        True,
    ),  # nothing matches: retried
    (
        {"attempts": 3, "evaluateOnExit": [{"onReason": "*", "action": "exit"}]},
        1,
        2,
        "",
        "x",
        False,
    ),  # * matches an empty reason
    (
        {
            "attempts": 3,
            "evaluateOnExit": [
                {"onExitCode": "13*", "action": "RETRY"},
                {"onReason": "*", "action": "EXIT"},
            ],
        },
        1,
        137,
        "",
        "x",
        True,
    ),
    (
        {
            "attempts": 3,
            "evaluateOnExit": [
                {"onStatusReason": "Host EC2*", "action": "RETRY"},
                {"onReason": "*", "action": "EXIT"},
            ],
        },
        1,
        None,
        "",
        "Host EC2 (i)",
        True,
    ),
    (
        {
            "attempts": 3,
            "evaluateOnExit": [
                {"onStatusReason": "Host EC2*", "onExitCode": "1", "action": "EXIT"}
            ],
        },
        1,
        None,
        "",
        "Host EC2 (i)",
        True,
    ),
    (
        {
            "attempts": 3,
            "evaluateOnExit": [
                {"onReason": "Cannot*", "action": "RETRY"},
                {"onReason": "*", "action": "EXIT"},
            ],
        },
        1,
        1,
        "CannotPull",
        "x",
        True,
    ),
]


@pytest.mark.parametrize(
    ("strategy", "attempts", "code", "reason", "status_reason", "expected"), RETRIES
)
def test_retry_conditions(
    strategy: dict[str, Any],
    attempts: int,
    code: int | None,
    reason: str,
    status_reason: str,
    expected: bool,
) -> None:
    end = AttemptEnd(exit_code=code, reason=reason, status_reason=status_reason)
    assert retries(strategy, attempts=attempts, end=end) is expected
