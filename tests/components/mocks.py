"""Runs components against an AWS that exists only in this file: every test gets a fresh Pulumi SDK,
engine and record of what was made.

The engine is localcloud's, so that parents, dependencies, protection and registered outputs are
seen as Pulumi sees them, a name made twice is an error, and so is an input that the resource type
does not have. What is invented here are the outputs: ids, ARNs and names by type. An output that no
table below knows is a marker, and using it anywhere fails the deployment; nothing ever turns into
None in silence.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi.runtime import run_in_stack, set_all_config, settings

from localcloud.deployment import sdk_types, source_positions
from localcloud.deployment.deploy import DeploymentError
from localcloud.deployment.engine import Engine, Resource
from localcloud.deployment.provider import Provider, ProviderError
from localcloud.deployment.provider.calls import NAMES
from localcloud.deployment.provider.schema import resource_schema
from localcloud.deployment.provider.values import UNKNOWN, plain, poison

PROJECT = "batch-reference"
REGION = "us-east-1"
ACCOUNT = "123456789012"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
AMIS = ("ami-0newest0000000000", "ami-0older00000000000")
"""AMIs that fit any question, the newest first."""
IMPAIRED: set[str] = set()
"""Zones that AWS has trouble with just now."""
_ROOT = Path(__file__).parents[2]

# Where the default, arn:aws:<service>:<region>:<account>:<kind>/<name>, is not the form that AWS
# uses.
_ARNS = {
    "aws:s3/bucket:Bucket": "arn:aws:s3:::{name}",
    "aws:iam/role:Role": "arn:aws:iam::{account}:role/{name}",
    "aws:iam/instanceProfile:InstanceProfile": "arn:aws:iam::{account}:instance-profile/{name}",
    "aws:iam/policy:Policy": "arn:aws:iam::{account}:policy/{name}",
    "aws:secretsmanager/secret:Secret": (
        "arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"
    ),
    "aws:sns/topic:Topic": "arn:aws:sns:{region}:{account}:{name}",
    "aws:sqs/queue:Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "aws:lambda/function:Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "aws:cloudwatch/eventRule:EventRule": "arn:aws:events:{region}:{account}:rule/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": (
        "arn:aws:cloudwatch:{region}:{account}:alarm:{name}"
    ),
    "aws:batch/computeEnvironment:ComputeEnvironment": (
        "arn:aws:batch:{region}:{account}:compute-environment/{name}"
    ),
    "aws:batch/jobQueue:JobQueue": "arn:aws:batch:{region}:{account}:job-queue/{name}",
    "aws:batch/schedulingPolicy:SchedulingPolicy": (
        "arn:aws:batch:{region}:{account}:scheduling-policy/{name}"
    ),
    "aws:batch/jobDefinition:JobDefinition": (
        "arn:aws:batch:{region}:{account}:job-definition/{name}:1"
    ),
    "aws:sfn/stateMachine:StateMachine": "arn:aws:states:{region}:{account}:stateMachine:{name}",
    "aws:budgets/budget:Budget": "arn:aws:budgets::{account}:budget/{name}",
}
# Types whose id is their physical name, or their ARN; all others have an id of their own.
_ID_IS_NAME = {
    "aws:s3/bucket:Bucket",
    "aws:iam/role:Role",
    "aws:iam/instanceProfile:InstanceProfile",
    "aws:dynamodb/table:Table",
    "aws:ecr/repository:Repository",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:ec2/placementGroup:PlacementGroup",
    "aws:lambda/function:Function",
}
_ID_IS_ARN = {
    "aws:secretsmanager/secret:Secret",
    "aws:sns/topic:Topic",
    "aws:iam/policy:Policy",
    "aws:batch/jobQueue:JobQueue",
    "aws:batch/schedulingPolicy:SchedulingPolicy",
}
# Outputs besides id, name and ARN that components use.
_OTHERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "aws:ec2/vpc:Vpc": lambda made: {"defaultSecurityGroupId": f"sg-default-of-{made['id']}"},
    "aws:fsx/lustreFileSystem:LustreFileSystem": lambda made: {
        "dnsName": f"{made['id']}.fsx.{REGION}.amazonaws.com",
        "mountName": "abcdefgh",
    },
    "aws:ecr/repository:Repository": lambda made: {
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{made['name']}"
    },
    "aws:secretsmanager/secretVersion:SecretVersion": lambda made: {"secretArn": made["secretId"]},
    "aws:batch/jobDefinition:JobDefinition": lambda made: {
        "arnPrefix": made["arn"].rpartition(":")[0],
        "revision": 1,
    },
    "aws:ec2/launchTemplate:LaunchTemplate": lambda _made: {
        "latestVersion": 1,
        "defaultVersion": 1,
    },
    "aws:sqs/queue:Queue": lambda made: {
        "url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{made['name']}"
    },
}
_INVOKES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "aws:index/getRegion:getRegion": lambda _: {
        "id": REGION,
        "region": REGION,
        "name": REGION,
        "description": "",
        "endpoint": "",
    },
    "aws:index/getCallerIdentity:getCallerIdentity": lambda _: {
        "id": ACCOUNT,
        "accountId": ACCOUNT,
        "arn": "",
        "userId": "",
    },
    "aws:index/getPartition:getPartition": lambda _: {
        "id": "aws",
        "partition": "aws",
        "dnsSuffix": "",
        "reverseDnsPrefix": "",
    },
    "aws:index/getAvailabilityZones:getAvailabilityZones": lambda arguments: {
        "id": REGION,
        "names": [
            zone
            for zone in ZONES
            if arguments.get("state") in (None, "impaired" if zone in IMPAIRED else "available")
        ],
        "zoneIds": [f"use1-az{n}" for n, _ in enumerate(ZONES, 1)],
        "groupNames": [REGION],
    },
    "aws:ec2/getAmiIds:getAmiIds": lambda arguments: {
        "id": "amis",
        "ids": list(AMIS),
        "owners": arguments["owners"],
        "filters": arguments["filters"],
        "region": REGION,
    },
    "aws:secretsmanager/getRandomPassword:getRandomPassword": lambda _: {
        "id": "random",
        "randomPassword": "correct-horse-battery-staple",
    },
}


class MockProvider(Provider):
    """Invents the outputs of every type of pulumi_aws.

    Inputs are checked against the type, JSON policies for being JSON.
    """

    def __init__(self, *, preview: bool) -> None:
        super().__init__(client=_no_aws, config={"aws:region": REGION}, preview=preview)
        self.invoked: set[str] = set()
        """Data sources that the program asked."""

    def check(
        self,
        token: str,
        logical: str,  # noqa: ARG002 - nothing is named here
        inputs: Mapping[str, Any],
        **_rest: Any,
    ) -> dict[str, Any]:
        schema = resource_schema(token)
        if schema is None:
            raise ProviderError(f"{token} is not a type of pulumi_aws")
        schema.check(inputs)
        return dict(inputs)

    def create(
        self, token: str, logical: str, inputs: Mapping[str, Any], *, preview: bool = False
    ) -> tuple[str, dict[str, Any]]:
        if preview:
            return super().create(token, logical, inputs, preview=preview)
        schema = resource_schema(token)
        assert schema is not None
        values = {name: plain(value) for name, value in inputs.items()}
        digest = hashlib.sha256(f"{token} {logical}".encode()).hexdigest()
        naming = NAMES.get(token)
        # no automatic name, and another word for it
        given = "alarmName" if "alarmName" in values else "name"
        name_property = naming.property if naming else given
        name = values.get(name_property) or f"{logical}-{digest[:7]}"
        service, _, kind = token.removeprefix("aws:").partition(":")[0].partition("/")
        arn = _ARNS.get(token, "arn:aws:{service}:{region}:{account}:{kind}/{name}").format(
            service=service, region=REGION, account=ACCOUNT, kind=kind.lower(), name=name
        )
        created_id = (
            name
            if token in _ID_IS_NAME
            else arn
            if token in _ID_IS_ARN
            else f"{kind.lower()}-{digest[:8]}"
        )
        made = {**values, "id": created_id, "arn": arn, "name": name, name_property: name}
        if token in _OTHERS:
            made |= _OTHERS[token](made)
        outputs = {
            **inputs,
            **{
                key: value
                for key, value in made.items()
                if key in schema.outputs and key not in inputs
            },
        }
        for key, hint in schema.always_present():
            if key not in outputs and key not in ("id", "urn"):
                outputs[key] = poison(logical, key) if hint is str else UNKNOWN
        return created_id, outputs

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        if token not in _INVOKES:
            raise ProviderError(
                f"the data source {token} has no answer in tests/components/mocks.py"
            )
        self.invoked.add(token)
        return _INVOKES[token](arguments)


def _no_aws(service: str) -> Any:
    raise AssertionError(f"a component test called AWS ({service})")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a program made.

    Every look-up asserts that it finds something, so that no test passes on an empty list.
    """

    resources: tuple[Resource, ...]
    returned: Any
    """What the program function returned, as it is: a component, for its plain attributes."""
    exports: Mapping[str, Any]
    """What the program gave to pulumi.export, as plain values."""
    doubts: tuple[str, ...] = ()
    """Warnings of the config's rules; the SDK's own fail the deployment."""
    invoked: frozenset[str] = frozenset()
    """Data sources that the program asked."""

    def all(self, token: str, count: int | None = None) -> list[Resource]:
        """All resources of a type by name; `count` is how many there have to be, at least one
        without it.
        """
        found = sorted((r for r in self.resources if r.type == token), key=lambda r: r.name)
        expected = f"{count} times" if count is not None else "at least once"
        assert len(found) == count if count is not None else found, (
            f"{token}: expected {expected}, made: {[r.name for r in found]}"
        )
        return found

    def none(self, token: str) -> None:
        """Asserts that a type of pulumi_aws was not made."""
        assert resource_schema(token) is not None, (
            f"{token} is not a type, so of course none was made"
        )
        assert [r.name for r in self.resources if r.type == token] == []

    def one(self, token: str, name: str | None = None) -> Resource:
        """The only resource of a type, or the one of this logical name."""
        found = [r for r in self.all(token) if name in (None, r.name)]
        assert len(found) == 1, f"{token} {name or ''}: found {[r.name for r in self.all(token)]}"
        return found[0]

    def component(self, class_name: str) -> Resource:
        """The one component of a class; its `outputs` are those that it registered."""
        return self.one(f"batch-reference:components:{class_name}")

    def depends_on(self, resource: Resource, other: Resource) -> bool:
        """Whether a resource is made after another because it, or one that it depends on, names the
        other.
        """
        by_urn = {r.urn: r for r in self.resources}
        todo, seen = [resource.urn], set[str]()
        while todo:
            urn = todo.pop()
            if urn in seen or urn not in by_urn:
                continue
            seen.add(urn)
            todo += by_urn[urn].dependencies
        return other.urn in seen - {resource.urn}

    def policy(self, resource: Resource, key: str = "policy") -> list[dict[str, Any]]:
        """The statements of a policy document."""
        statements = json.loads(resource.inputs[key])["Statement"]
        assert statements
        return list(statements)


def deploy(
    program: Callable[[], Any],
    *,
    stack: str = "test",
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    preview: bool = False,
) -> Recording:
    """Runs a program until everything that it started is done.

    Raises DeploymentError where a resource failed, or whatever the program itself raised. With
    `preview` nothing is created and what AWS would decide is unknown, as in `pulumi preview`.
    """
    source_positions.hasten()
    sdk_types.hasten()
    provider = MockProvider(preview=preview)
    engine = Engine(project=PROJECT, stack=stack, program=_ROOT, provider=provider, preview=preview)

    def run() -> Any:
        # made in here, for Settings sets context variables as soon as it exists
        settings.configure(
            settings.Settings(
                project=PROJECT,
                stack=stack,
                monitor=engine,
                engine=engine,
                dry_run=preview,
                organization="tests",
                root_directory=str(_ROOT),
            )
        )
        set_all_config({**(config or {}), **(secrets or {})}, list(secrets or {}))
        return _evaluate(program)

    # the SDK keeps all its state in context variables: an empty context is a fresh SDK; and it
    # sends the frames of the whole stack with each resource, of which pytest's are most
    with ThreadPoolExecutor(max_workers=1) as thread:
        returned = thread.submit(contextvars.Context().run, run).result()
    if engine.failures:
        raise DeploymentError(engine.failures)
    warnings = [text for severity, text in engine.log if severity == "warning"]
    doubts = tuple(text for text in warnings if text.startswith("warning "))
    assert len(doubts) == len(warnings), f"Pulumi warns: {warnings}"
    return Recording(
        resources=tuple(engine.resources.values()),
        returned=returned,
        exports=plain(engine.exports),
        doubts=doubts,
        invoked=frozenset(provider.invoked),
    )


def _evaluate(program: Callable[[], Any]) -> Any:
    returned: list[Any] = []

    async def body() -> None:
        returned.append(program())

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(
        lambda _loop, _context: None
    )  # the engine collects the failures of single resources
    with ThreadPoolExecutor(max_workers=4) as executor:
        loop.set_default_executor(executor)
        try:
            loop.run_until_complete(run_in_stack(body))
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
    return returned[0]
