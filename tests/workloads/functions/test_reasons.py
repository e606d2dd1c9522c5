"""What AWS says in its own words when something is missing, and what people read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workloads.functions.failed_jobs import attempt
from workloads.functions.reasons import Cause, explain, for_run

WHO = (
    "User: arn:aws:sts::123456789012:assumed-role/roles-execution-1a2b3c4/0123456789abcdef is not"
    " authorized to perform: "
)
WHY = " because no identity-based policy allows the {action} action"


def denied(prefix: str, action: str, resource: str) -> str:
    return (
        f"{prefix}AccessDeniedException: {WHO}{action} on resource:"
        f" {resource}{WHY.format(action=action)}"
    )


DENIED = [
    ("CannotPullECRContainerError: ", "ecr:GetAuthorizationToken", "*"),
    (
        "CannotPullContainerError: ref pull has been retried 1 time(s): ",
        "ecr:BatchGetImage",
        "arn:aws:ecr:us-east-1:123456789012:repository/r",
    ),
    (
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: unable to"
            " retrieve secret from asm: "
        ),
        "secretsmanager:GetSecretValue",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:webhook-AbCdEf",
    ),
    (
        (
            "ResourceInitializationError: failed to validate logger args: create stream has been"
            " retried 1 times: "
        ),
        "logs:CreateLogStream",
        "arn:aws:logs:us-east-1:123456789012:log-group:/p/dev/preprocess:log-stream:x",
    ),
    (
        (
            "CannotStartContainerError: Error response from daemon: failed to initialize logging"
            " driver: api error "
        ),
        "logs:CreateLogStream",
        "arn:aws:logs:us-east-1:123456789012:log-group:/p/dev/preprocess:log-stream:x",
    ),
]


@pytest.mark.parametrize(("prefix", "action", "resource"), DENIED)
@pytest.mark.parametrize("place", ["container", "status"])
def test_a_refused_permission_is_named_with_role_and_resource(
    prefix: str, action: str, resource: str, place: str
) -> None:
    text = denied(prefix, action, resource)
    one = attempt(reason=text) if place == "container" else attempt(status_reason=text)
    cause = explain(
        {
            "attempts": [one],
            "statusReason": "Task failed to start" if place == "container" else text,
        }
    )
    assert (
        cause.error
        == f"the container could not be started, because roles-execution-1a2b3c4 may not {action}"
        f" on {resource}"
    )
    assert action in cause.hint


def test_a_registry_that_says_forbidden_names_the_actions() -> None:
    text = (
        "CannotPullContainerError: failed to resolve ref: pulling from host"
        " 1.dkr.ecr.us-east-1.amazonaws.com failed: 403 Forbidden"
    )
    cause = explain({"attempts": [attempt(reason=text)], "statusReason": "Task failed to start"})
    assert "the registry denied it" in cause.error
    assert "ecr:BatchGetImage" in cause.hint


UTILS = "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
PLUGIN = "CannotStartContainerError: Error response from daemon: error while mounting volume: "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mount.nfs4: access denied by server while mounting 127.0.0.1:/", "policy of the job's"),
        ("mount.nfs4: Connection reset by peer", "mount target of EFS did not answer"),
        ('Failed to resolve "fs-1.efs.us-east-1.amazonaws.com" - check', "no mount target in"),
        (
            "mount.nfs4: mounting fs-1:/a failed, reason given by server: No such file or directory",
            "no such directory",
        ),
    ],
)
def test_a_volume_that_is_not_mounted_is_no_fault_of_secrets_or_commands(
    text: str, said: str
) -> None:
    for one in (attempt(status_reason=UTILS + text), attempt(reason=PLUGIN + text)):
        cause = explain({"attempts": [one], "statusReason": one["statusReason"]})
        assert "its volume was not mounted" in cause.error
        assert said in cause.error
    lustre = attempt(reason="CannotStartContainerError: ... mkdir /lustre: not a directory")
    assert "FSx for Lustre" in explain({"attempts": [lustre]}).error


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ({"attempts": [attempt(72)]}, "no more memory"),
        ({"attempts": [attempt(74)]}, "disk full"),
        (
            {
                "attempts": [
                    attempt(
                        reason="CannotCreateContainerError: write /var/lib: no space left on device"
                    )
                ]
            },
            "the machine's disk is full",
        ),
        (
            {"attempts": [attempt(143)], "statusReason": "too dear", "isTerminated": True},
            "somebody ended the job: too dear",
        ),
        ({"statusReason": "wrong file", "isCancelled": True}, "somebody ended the job: wrong file"),
        (
            {
                "attempts": [attempt(143)],
                "statusReason": "Stopped by the running-cost guard: 9 USD",
            },
            "somebody ended the job: Stopped by",
        ),
    ],
)
def test_what_is_used_up_and_who_ended_it(detail: dict[str, Any], said: str) -> None:
    assert said in explain(detail).error


def test_hints_have_commands_ready_to_paste() -> None:
    lost = explain(
        {"statusReason": "Host EC2 (instance i-0ab) terminated.", "attempts": [attempt()]}
    )
    assert "batchref retry KEY" in lost.hint
    assert "aws batch submit-job" not in lost.hint
    key = "data/20260131/sales.csv"
    assert f"(batchref retry {key} --stack prod)" in for_run(lost, key=key, stack="prod").hint
    assert f"(batchref retry {key})" in for_run(lost, key=key, stack="").hint
    other = Cause(error="e", hint="raise memory_mib")
    assert for_run(other, key=key, stack="prod") == other


POST = 'RequestError: send request failed caused by: Post "https://logs.us-east-1.amazonaws.com/": '
UNREACHED = [
    (
        (
            "CannotStartContainerError: Error response from daemon: failed to initialize logging driver:"
            f" failed to create Cloudwatch log stream: {POST}dial tcp 10.0.3.17:443: i/o timeout"
        ),
        "logs.us-east-1.amazonaws.com",
    ),
    (
        (
            "ResourceInitializationError: failed to validate logger args: create stream has been retried"
            f" 1 times: failed to create Cloudwatch log stream: {POST}dial tcp: lookup"
            " logs.us-east-1.amazonaws.com: no such host : exit status 1"
        ),
        "logs.us-east-1.amazonaws.com",
    ),
    (
        (
            "CannotPullContainerError: Error response from daemon: Get"
            ' "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/v2/": net/http: request canceled'
            " while waiting for connection (Client.Timeout exceeded while awaiting headers)"
        ),
        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
    ),
    (
        (
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to do"
            ' request: Head "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/v2/r/manifests/a":'
            " dial tcp 10.0.3.17:443: i/o timeout"
        ),
        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
    ),
]


@pytest.mark.parametrize(("reason", "host"), UNREACHED)
def test_a_service_that_the_network_keeps_back_is_named(reason: str, host: str) -> None:
    cause = explain({"attempts": [attempt(reason=reason)], "statusReason": "Task failed to start"})
    assert cause.error.endswith(f"its network does not reach {host}")
    assert "VPC endpoint" in cause.hint


@pytest.mark.parametrize(
    ("why", "policy"),
    [
        (
            "because no VPC endpoint policy allows the logs:PutLogEvents action",
            "VPC endpoint policy",
        ),
        ("with an explicit deny in a service control policy", "service control policy"),
        (
            "because no permissions boundary allows the logs:PutLogEvents action",
            "permissions boundary",
        ),
        ("because no resource-based policy allows the action", "resource-based policy"),
    ],
)
def test_what_denies_beside_the_roles_own_policies_is_named(why: str, policy: str) -> None:
    reason = f"CannotStartContainerError: {WHO}logs:PutLogEvents on resource: arn:aws:logs:x {why}"
    cause = explain({"attempts": [attempt(reason=reason)], "statusReason": "Task failed to start"})
    assert f"because a {policy} keeps" in cause.error
    assert "logs:PutLogEvents on arn:aws:logs:x" in cause.error
    assert cause.hint == (
        f"let that {policy} allow logs:PutLogEvents; the role's own policy may stay as it is"
    )


def test_commands_get_key_and_stack() -> None:
    cause = Cause(error="e", hint="stop it (batchref cancel KEY); batchref doctor says more")
    known = for_run(cause, key="data/20260101/a.csv", stack="prod")
    assert known.hint == (
        "stop it (batchref cancel data/20260101/a.csv --stack prod); batchref doctor --stack prod"
        " says more"
    )
