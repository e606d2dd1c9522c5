"""Takes what a killed `pulumi up` was making into the state of its stack, where AWS may have it.

    pulumi stack export | python scripts/take_in_pending.py > taken-in.json
    pulumi stack import --file taken-in.json
    pulumi refresh --yes --clear-pending-creates   # asks AWS; what is not there leaves the state

The CLI writes into the state what it begins to make, with the name that it gives, and, once AWS has
answered, the id. It never takes that in by itself: `pulumi refresh --import-pending-creates`
forgets the operation and imports nothing (pulumi 3.274.1). What has neither an id nor a name that
is one stays pending and is told: if it is in AWS, it is an orphan there.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

Inputs = Mapping[str, Any]
_DEFAULTS: Final = "__defaults"
_CREATING: Final = "creating"
_BUS: Final = "default"
_GROUP: Final = "default"


def _bus(inputs: Inputs) -> str:
    return str(inputs.get("eventBusName") or _BUS)


def _rule(inputs: Inputs) -> str:
    bus = _bus(inputs)
    return str(inputs["name"]) if bus == _BUS else f"{bus}/{inputs['name']}"


def _of_bucket(inputs: Inputs) -> str:
    owner = inputs.get("expectedBucketOwner")
    return f"{inputs['bucket']},{owner}" if owner else str(inputs["bucket"])


def _of_function(inputs: Inputs) -> str:
    qualifier = inputs.get("qualifier")
    return f"{inputs['functionName']}:{qualifier}" if qualifier else str(inputs["functionName"])


_IDS: Final[Mapping[str, str | Callable[[Inputs], str]]] = {
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "{alarmName}",
    "aws:cloudwatch/dashboard:Dashboard": "{dashboardName}",
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:cloudwatch/eventTarget:EventTarget": lambda inputs: (
        f"{_bus(inputs)}-{inputs['rule']}-{inputs['targetId']}"
    ),
    "aws:cloudwatch/logGroup:LogGroup": "{name}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "{name}",
    "aws:dynamodb/table:Table": "{name}",
    "aws:ec2/placementGroup:PlacementGroup": "{name}",
    "aws:ec2/route:Route": lambda inputs: (
        f"r-{inputs['routeTableId']}{zlib.crc32(inputs['destinationCidrBlock'].encode())}"
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "{repository}",
    "aws:ecr/repository:Repository": "{name}",
    "aws:efs/backupPolicy:BackupPolicy": "{fileSystemId}",
    "aws:efs/fileSystemPolicy:FileSystemPolicy": "{fileSystemId}",
    "aws:iam/instanceProfile:InstanceProfile": "{name}",
    "aws:iam/role:Role": "{name}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "{role}/{policyArn}",
    "aws:lambda/function:Function": "{name}",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": _of_function,
    "aws:lambda/permission:Permission": "{statementId}",
    "aws:s3/bucket:Bucket": "{bucket}",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket,
    "aws:s3/bucketNotification:BucketNotification": "{bucket}",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "{bucket}",
    "aws:s3/bucketPolicy:BucketPolicy": "{bucket}",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "{bucket}",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        _of_bucket
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _of_bucket,
    "aws:scheduler/schedule:Schedule": lambda inputs: (
        f"{inputs.get('groupName') or _GROUP}/{inputs['name']}"
    ),
    "aws:sns/topicPolicy:TopicPolicy": "{arn}",
    "aws:sqs/queuePolicy:QueuePolicy": "{queueUrl}",
    "aws:ssm/parameter:Parameter": "{name}",
}
"""Types whose id follows from the inputs -> how, as the provider makes it."""

_MADE_AGAIN: Final = (
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:sns/topicSubscription:TopicSubscription",
)
"""Types of which nothing is left over where they are made again: a secret forgets the version that
is no longer the current one, and SNS answers with the subscription that is there (Subscribe in its
API reference).
"""


def take_in(document: dict[str, Any]) -> list[str]:
    """Moves pending creates that have an id, or a name that is one, to the resources of an export.

    Args:
        document: Of `pulumi stack export`; changed in place.

    Returns:
        What stays behind, a line each: URN and physical name, where one was given. What was made
        again since then is among it, and no longer pending: its first id is that of an orphan.
    """
    deployment = document["deployment"]
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    known = {each["urn"]: each for each in resources}
    kept, told = [], []
    for operation in deployment.get("pending_operations") or []:
        state = operation["resource"]
        if operation["type"] != _CREATING or not state.get("custom"):
            kept.append(operation)
            continue
        identity = state.get("id") or _identity(state)
        standing = known.get(state["urn"])
        if standing is not None:
            if not identity or standing.get("id") != identity:
                told.append(_line(state, identity))
        elif identity:
            inputs = state.get("inputs") or {}
            given = {name: value for name, value in inputs.items() if name != _DEFAULTS}
            known[state["urn"]] = taken = {
                **state,
                "id": identity,
                "outputs": {**given, "id": identity, **(state.get("outputs") or {})},
            }
            resources.append(taken)
        else:
            kept.append(operation)
            if state["type"] not in _MADE_AGAIN:
                told.append(_line(state, identity))
    deployment["resources"], deployment["pending_operations"] = resources, kept
    return told


def _identity(state: Mapping[str, Any]) -> str:
    """What the id would be; empty where the type's is AWS's own."""
    rule = _IDS.get(state["type"])
    inputs: Inputs = state.get("inputs") or {}
    try:
        if rule is None:
            return ""
        return rule.format_map(inputs) if isinstance(rule, str) else rule(inputs)
    except KeyError:  # a name that AWS gives, another kind of destination
        return ""


def _line(state: Mapping[str, Any], identity: str) -> str:
    inputs = state.get("inputs") or {}
    names = [inputs[key] for key in ("name", "bucket", "targetId") if key in inputs]
    return " ".join(str(part) for part in (state["urn"], identity or "", *names) if part)


def main() -> int:
    """From stdin to stdout; what stays behind is told on stderr."""
    try:
        document = json.load(sys.stdin)
        told = take_in(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print(
            f"stdin is no export of a stack ({error!r}); pipe `pulumi stack export` into it",
            file=sys.stderr,
        )
        return 2
    json.dump(document, sys.stdout, indent=2)
    for line in told:
        print(f"perhaps in AWS, and not in the state: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
