"""What is known of a resource of which only the id is told, as `pulumi import` does: the forms of
the ids are those of the real provider (the sections "Import" of its documentation).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import NAMES, Aws, ProviderError
from localcloud.deployment.provider.network import route_id

_OWNER: Final = re.compile(r"(?P<bucket>[^,]+)(?:,(?P<expectedBucketOwner>\d{12}))?")
_ARN_AS_ID: Final = (re.compile(r"(?P<id>arn:.+)"), "its ARN")
_ARN: Final = (re.compile(r"(?P<arn>arn:.+)"), "its ARN")
_FILE_SYSTEM: Final = (re.compile(r"(?P<fileSystemId>fs-\w+)"), "the file system's")
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "batch/jobDefinition:JobDefinition": _ARN,
    "batch/jobQueue:JobQueue": _ARN_AS_ID,
    "batch/schedulingPolicy:SchedulingPolicy": _ARN_AS_ID,
    "budgets/budget:Budget": (re.compile(r"(?P<accountId>\d{12}):(?P<name>.+)"), "account:name"),
    "budgets/budgetAction:BudgetAction": (
        re.compile(r"(?P<accountId>\d{12}):(?P<actionId>[^:]+):(?P<budgetName>.+)"),
        "account:action:budget",
    ),
    "cloudwatch/eventRule:EventRule": (
        re.compile(r"(?:(?P<eventBusName>[^/]+)/)?(?P<name>[^/]+)"),
        "bus/name, or the name of a rule of the default bus",
    ),
    "cloudwatch/eventTarget:EventTarget": (
        re.compile(r"(?:(?P<eventBusName>[^/]+)/)?(?P<rule>[^/]+)/(?P<targetId>[^/]+)"),
        "bus/rule/target, or rule/target",
    ),
    "cloudwatch/queryDefinition:QueryDefinition": (
        re.compile(r"(?:arn:.+:query-definition:)?(?P<id>[^:]+)"),
        "its ARN",
    ),
    "ec2/route:Route": (
        re.compile(r"(?P<routeTableId>rtb-\w+?)_(?P<destinationCidrBlock>[\d./]+)"),
        "table_destination",
    ),
    "ec2/routeTableAssociation:RouteTableAssociation": (
        re.compile(r"(?P<subnetId>subnet-\w+)/(?P<routeTableId>rtb-\w+)"),
        "subnet/table",
    ),
    "efs/backupPolicy:BackupPolicy": _FILE_SYSTEM,
    "efs/fileSystemPolicy:FileSystemPolicy": _FILE_SYSTEM,
    "iam/policy:Policy": _ARN_AS_ID,
    "iam/rolePolicy:RolePolicy": (re.compile(r"(?P<role>[^:]+):(?P<name>[^:]+)"), "role:name"),
    "iam/rolePolicyAttachment:RolePolicyAttachment": (
        re.compile(r"(?P<role>[^/]+)/(?P<policyArn>arn:.+)"),
        "role/ARN",
    ),
    "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        re.compile(r"(?P<functionName>[^:]+)(?::(?P<qualifier>[^:]+))?"),
        "the function's name, or function:qualifier",
    ),
    "lambda/permission:Permission": (
        re.compile(r"(?P<function>[^/]+)/(?P<statementId>[^/]+)"),
        "function/statement",
    ),
    "scheduler/schedule:Schedule": (
        re.compile(r"(?P<groupName>[^/]+)/(?P<name>[^/]+)"),
        "group/name",
    ),
    "secretsmanager/secret:Secret": _ARN_AS_ID,
    "secretsmanager/secretVersion:SecretVersion": (
        re.compile(r"(?P<secretId>arn:[^|]+)\|(?P<versionId>[^|]+)"),
        "ARN|version",
    ),
    "sfn/stateMachine:StateMachine": _ARN_AS_ID,
    "sns/topic:Topic": _ARN,
    "sns/topicPolicy:TopicPolicy": (re.compile(r"(?P<arn>arn:.+)"), "the topic's ARN"),
    "sns/topicSubscription:TopicSubscription": _ARN,
    "sqs/queue:Queue": (re.compile(r"(?P<url>https?://.+)"), "its URL"),
    "sqs/queuePolicy:QueuePolicy": (re.compile(r"(?P<queueUrl>https?://.+)"), "the queue's URL"),
}
"""By type: the form of an id at an import, and what it is in words. A group `id` is the id itself,
any other a property. Types that are not here are imported by the id that they have.
"""
_DEFAULT_BUS: Final = "default"


def told_by(token: str, given: str, aws: Aws) -> tuple[str, dict[str, str]]:
    """The id of a resource, and the properties that an id at an import says.

    Raises ProviderError where the id has not the form of the type.
    """
    kind = token.partition(":")[2]
    pattern, words = _FORMS.get(kind, (None, ""))
    if pattern is None and kind.startswith("s3/"):
        pattern, words = _OWNER, "the bucket's name"
    if pattern is None:
        naming = NAMES.get(token)
        return given, {naming.property if naming is not None else "id": given}
    match = pattern.fullmatch(given)
    if match is None:
        raise ProviderError(f"{given!r} is no id of {kind} at an import; it is {words}")
    said = {name: value for name, value in match.groupdict().items() if value is not None}
    found = said.pop("id", given)
    identity = _IDENTITIES.get(kind)
    return (found if identity is None else identity(aws, said)), said


def _rule(_aws: Aws, said: dict[str, str]) -> str:
    bus = said.setdefault("eventBusName", _DEFAULT_BUS)
    return said["name"] if bus == _DEFAULT_BUS else f"{bus}/{said['name']}"


def _target(_aws: Aws, said: dict[str, str]) -> str:
    bus = said.setdefault("eventBusName", _DEFAULT_BUS)
    return f"{bus}-{said['rule']}-{said['targetId']}"


def _route(_aws: Aws, said: dict[str, str]) -> str:
    return route_id(said["routeTableId"], [said["destinationCidrBlock"]])


def _statement(_aws: Aws, said: dict[str, str]) -> str:
    return said["statementId"]


def _association(aws: Aws, said: dict[str, str]) -> str:
    request = {"RouteTableIds": [said["routeTableId"]]}
    tables: list[dict[str, Any]] = aws.call("ec2", "DescribeRouteTables", request)["RouteTables"]
    for each in (association for table in tables for association in table["Associations"]):
        if each.get("SubnetId") == said["subnetId"]:
            return str(each["RouteTableAssociationId"])
    raise ProviderError(f"{said['routeTableId']} is not the route table of {said['subnetId']}")


_IDENTITIES: Final[Mapping[str, Callable[[Aws, dict[str, str]], str]]] = {
    "cloudwatch/eventRule:EventRule": _rule,
    "cloudwatch/eventTarget:EventTarget": _target,
    "ec2/route:Route": _route,
    "ec2/routeTableAssociation:RouteTableAssociation": _association,
    "lambda/permission:Permission": _statement,
}
"""Types whose id is another one than that of their import."""
