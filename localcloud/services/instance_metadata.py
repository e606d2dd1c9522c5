"""EC2's instance metadata service as a job meets it: what it answers, and to whom it is closed.

A plain job on an instance shares the host's network, a node of a multi-node job has an interface of
its own (AWS Batch user guide, networking-modes-jobs), and both reach the service, with the
instance's role in it, unless the instance keeps them away: the container agent by
ECS_AWSVPC_BLOCK_IMDS for tasks with interfaces of their own, the firewall for processes of the
host's network. What the launch template's boot script sets up of that is read from its text.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from localcloud.batch.attempts import RunningAttempt
from localcloud.iam.access import Access, AssumeRoleError
from localcloud.moto.boot_script import script_of
from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import Reply

IMAGE_USER: Final = "10001"
"""Whom the project's images run as (`USER` in docker/); a container's own `user` goes before."""
_TOKEN_PATH: Final = "latest/api/token"  # noqa: S105 - a path
_ROLE_PATH: Final = "latest/meta-data/iam/security-credentials"
_LONGEST_TOKEN_SECONDS: Final = 21600
_SESSION: Final = timedelta(hours=12)
_AGENT_BLOCKS: Final = re.compile(r"ECS_AWSVPC_BLOCK_IMDS=true\b")
_FIREWALL: Final = re.compile(
    r"iptables\b[^\n]*\bOUTPUT\b[^\n]*-d 169\.254\.169\.254(?:/32)?\b[^\n]*?(?P<all>! )?--uid-owner"
    r" (?P<user>\d+)[^\n]*-j (?:DROP|REJECT)"
)


@dataclass(frozen=True, kw_only=True)
class _Options:
    """`MetadataOptions` of a launch template and what its boot script closes."""

    enabled: bool
    tokens_required: bool
    script: str

    def open_to(self, spec: Mapping[str, Any], *, own_interface: bool) -> bool:
        """Whether a container's packets reach the service."""
        if not self.enabled:
            return False
        if own_interface:
            return _AGENT_BLOCKS.search(self.script) is None
        user = str(spec.get("user") or IMAGE_USER).partition(":")[0].replace("root", "0")
        return not any(
            (rule["user"] != user) if rule["all"] else (rule["user"] == user)
            for rule in _FIREWALL.finditer(self.script)
        )


class InstanceMetadata:
    """Answers requests of running tasks to 169.254.169.254."""

    def __init__(self, state: AwsState, access: Access) -> None:
        self._state, self._access = state, access
        self._tokens: dict[str, float] = {}

    def answer(
        self, attempt: RunningAttempt, node: int, path: str, environ: Mapping[str, Any]
    ) -> Reply:
        """The answer to a task. Raises ConnectionError where its packets do not arrive."""
        environment, spec = attempt.environment, attempt.job.nodes[node]
        options = self._options(environment.resources)
        if environment.is_fargate or not options.open_to(spec, own_interface=attempt.job.multinode):
            raise ConnectionRefusedError(
                "the instance metadata service is closed to this container"
            )
        path = path.strip("/")
        if path == _TOKEN_PATH:
            return self._token(environ)
        token = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN")
        if (token is not None or options.tokens_required) and self._tokens.get(
            str(token), 0.0
        ) < time.monotonic():
            return Reply(status=401, body=b"")
        text = self._document(attempt, node, path)
        return (
            Reply(status=404, body=b"")
            if text is None
            else Reply(headers=(("Content-Type", "text/plain"),), body=text.encode())
        )

    def _options(self, resources: Mapping[str, Any]) -> _Options:
        data = self._state.launch_template_data(resources.get("launchTemplate") or {}) or {}
        given = data.get("MetadataOptions") or {}
        return _Options(
            enabled=given.get("HttpEndpoint", "enabled") == "enabled",
            tokens_required=given.get("HttpTokens", "required")
            == "required",  # as the AMI of Amazon Linux 2023 has it
            script=script_of(self._state, resources),
        )

    def _token(self, environ: Mapping[str, Any]) -> Reply:
        seconds = str(environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", ""))
        if environ.get("REQUEST_METHOD") != "PUT":
            return Reply(status=405, body=b"")
        if not seconds.isdigit() or not 1 <= int(seconds) <= _LONGEST_TOKEN_SECONDS:
            return Reply(status=400, body=b"")
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + int(seconds)
        return Reply(
            headers=(("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", seconds),), body=token.encode()
        )

    def _document(self, attempt: RunningAttempt, node: int, path: str) -> str | None:
        instance, resources = attempt.instances[node], attempt.environment.resources
        subnet = self._state.subnet(resources["subnets"][0])
        zone = "" if subnet is None else str(subnet.availability_zone)
        identity = {
            "accountId": ACCOUNT_ID,
            "availabilityZone": zone,
            "instanceId": instance.id,
            "instanceType": instance.type,
            "region": self._state.region,
        }
        role = self._state.instance_profile_role(resources["instanceRole"])
        name = "" if role is None else role.rpartition("/")[2]
        answers = {
            "latest/meta-data/instance-id": instance.id,
            "latest/meta-data/instance-type": instance.type,
            "latest/meta-data/placement/region": self._state.region,
            "latest/meta-data/placement/availability-zone": zone,
            "latest/dynamic/instance-identity/document": json.dumps(identity),
        }
        if instance.taken_at is not None:
            at = f"{datetime.fromtimestamp(instance.taken_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            answers["latest/meta-data/spot/instance-action"] = json.dumps(
                {"action": "terminate", "time": at}
            )
            answers["latest/meta-data/spot/termination-time"] = at
        if role is not None and path == _ROLE_PATH:
            return name
        if role is not None and path == f"{_ROLE_PATH}/{name}":
            return self._credentials(role, instance.id)
        return answers.get(path)

    def _credentials(self, role: str, instance: str) -> str | None:
        try:
            given = self._access.assume_role(role, service="ec2.amazonaws.com", session=instance)
        except AssumeRoleError:
            return None
        now = datetime.now(UTC)
        return json.dumps(
            {
                "Code": "Success",
                "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "Type": "AWS-HMAC",
                "AccessKeyId": given["AWS_ACCESS_KEY_ID"],
                "SecretAccessKey": given["AWS_SECRET_ACCESS_KEY"],
                "Token": given["AWS_SESSION_TOKEN"],
                "Expiration": f"{now + _SESSION:%Y-%m-%dT%H:%M:%SZ}",
            }
        )
