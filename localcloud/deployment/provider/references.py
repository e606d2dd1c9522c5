"""Whether what the inputs name exists: AWS refuses a wrong ARN or id, an in-memory AWS often takes
it.

The check runs when all resources of a deployment exist, so that the order of creation does not
matter. Only whole values are looked at, not texts inside of policies, where patterns and foreign
names are usual.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from localcloud.deployment.provider.calls import Aws, ProviderError
from localcloud.deployment.provider.values import walk

_EC2_IDS: Final = {
    "vpc": ("DescribeVpcs", "VpcIds"),
    "subnet": ("DescribeSubnets", "SubnetIds"),
    "sg": ("DescribeSecurityGroups", "GroupIds"),
    "rtb": ("DescribeRouteTables", "RouteTableIds"),
    "igw": ("DescribeInternetGateways", "InternetGatewayIds"),
    "nat": ("DescribeNatGateways", "NatGatewayIds"),
    "eipalloc": ("DescribeAddresses", "AllocationIds"),
    "lt": ("DescribeLaunchTemplates", "LaunchTemplateIds"),
    "vpce": ("DescribeVpcEndpoints", "VpcEndpointIds"),
}
_EC2_ID: Final = re.compile(rf"({'|'.join(_EC2_IDS)})-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})")
_ARN: Final = re.compile(
    r"arn:(?P<partition>[\w-]+):(?P<service>[\w-]+):(?P<region>[\w-]*):(?P<account>\d*):(?P<resource>.+)"
)
# inputs that name something by its plain name, by the end of their path, and the kind of ARN that
# the name stands for
_NAMES: Final = {
    "options.awslogs-group": "arn:{partition}:logs:{region}:{account}:log-group:{text}",
    "logGroupNames": "arn:{partition}:logs:{region}:{account}:log-group:{text}",
    "logGroupName": "arn:{partition}:logs:{region}:{account}:log-group:{text}",
    "computeResources.placementGroup": (
        "arn:{partition}:ec2:{region}:{account}:placement-group/{text}"
    ),
    "placement.groupName": "arn:{partition}:ec2:{region}:{account}:placement-group/{text}",
}
_LAST_NAMES: Final = frozenset(end.rpartition(".")[2] for end in _NAMES)
_JSON_TEXTS: Final = ("containerProperties", "nodeProperties", "ecsProperties")


@dataclass(frozen=True)
class _Lookup:
    """How a kind of ARN is looked up: a call that fails, or answers an empty list under `found`,
    where there is no such thing.
    """

    service: str
    resource: str
    client: str
    operation: str
    request: Mapping[str, Any]
    found: str = ""


_LOOKUPS: Final = (
    _Lookup(
        "ec2",
        r"placement-group/(?P<name>.+)",
        "ec2",
        "DescribePlacementGroups",
        {"GroupNames": ["{name}"]},
    ),
    _Lookup("iam", r"role/(?:.*/)?(?P<name>[^/]+)", "iam", "GetRole", {"RoleName": "{name}"}),
    _Lookup(
        "iam",
        r"instance-profile/(?:.*/)?(?P<name>[^/]+)",
        "iam",
        "GetInstanceProfile",
        {"InstanceProfileName": "{name}"},
    ),
    _Lookup("iam", r"policy/.+", "iam", "GetPolicy", {"PolicyArn": "{arn}"}),
    _Lookup(
        "batch",
        r"job-queue/.+",
        "batch",
        "DescribeJobQueues",
        {"jobQueues": ["{arn}"]},
        "jobQueues",
    ),
    _Lookup(
        "batch",
        r"compute-environment/.+",
        "batch",
        "DescribeComputeEnvironments",
        {"computeEnvironments": ["{arn}"]},
        "computeEnvironments",
    ),
    _Lookup(
        "batch",
        r"scheduling-policy/.+",
        "batch",
        "DescribeSchedulingPolicies",
        {"arns": ["{arn}"]},
        "schedulingPolicies",
    ),
    _Lookup(
        "batch",
        r"job-definition/(?P<name>[^:]+)(:\d+)?",
        "batch",
        "DescribeJobDefinitions",
        {"jobDefinitionName": "{name}"},
        "jobDefinitions",
    ),
    _Lookup("sqs", r"(?P<name>[^:]+)", "sqs", "GetQueueUrl", {"QueueName": "{name}"}),
    _Lookup("sns", r"[^:]+", "sns", "GetTopicAttributes", {"TopicArn": "{arn}"}),
    _Lookup(
        "lambda",
        r"function:(?P<name>[^:]+)(:.+)?",
        "lambda",
        "GetFunctionConfiguration",
        {"FunctionName": "{name}"},
    ),
    _Lookup(
        "logs",
        r"log-group:(?P<name>[^:*]+)(:\*)?",
        "logs",
        "DescribeLogStreams",
        {"logGroupName": "{name}"},
    ),
    _Lookup("kms", r"(?:key|alias)/.+", "kms", "DescribeKey", {"KeyId": "{arn}"}),
    _Lookup(
        "secretsmanager",
        r"secret:(?P<name>[^:]+)(:.*)?",
        "secretsmanager",
        "DescribeSecret",
        {"SecretId": "{head}:secret:{name}"},
    ),
    _Lookup(
        "states",
        r"stateMachine:[^:]+",
        "stepfunctions",
        "DescribeStateMachine",
        {"stateMachineArn": "{arn}"},
    ),
    _Lookup(
        "dynamodb",
        r"table/(?P<name>[^/]+)(/.*)?",
        "dynamodb",
        "DescribeTable",
        {"TableName": "{name}"},
    ),
    _Lookup("s3", r"(?P<name>[^/]+)(/.*)?", "s3", "HeadBucket", {"Bucket": "{name}"}),
    _Lookup(
        "ecr",
        r"repository/(?P<name>.+)",
        "ecr",
        "DescribeRepositories",
        {"repositoryNames": ["{name}"]},
    ),
    _Lookup(
        "elasticfilesystem",
        r"file-system/(?P<name>.+)",
        "efs",
        "DescribeFileSystems",
        {"FileSystemId": "{name}"},
    ),
    _Lookup(
        "elasticfilesystem",
        r"access-point/(?P<name>.+)",
        "efs",
        "DescribeAccessPoints",
        {"AccessPointId": "{name}"},
    ),
    _Lookup("events", r"rule/(?P<name>[^/]+)", "events", "DescribeRule", {"Name": "{name}"}),
    _Lookup(
        "ssm",
        r"parameter/(?P<name>.+)",
        "ssm",
        "GetParameters",
        {"Names": ["{name}", "/{name}"]},
        "Parameters",
    ),
)


def missing_references(
    aws: Aws, inputs: Iterable[Mapping[str, Any]], known: frozenset[str]
) -> list[list[str]]:
    """For each of the inputs, one sentence for each that names something of this account which does
    not exist. What several name is asked for once.
    """
    facts = {"partition": aws.partition, "region": aws.region, "account": aws.account}
    exists = cache(partial(_exists, aws))
    return [
        [
            f"{path} is {text}, which does not exist"
            for path, text, form in _references(each)
            if text not in known and not exists(form.format_map({**facts, "text": text}))
        ]
        for each in inputs
    ]


def _references(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Path, text and the ARN or id that the text means, as a template, of each input that names
    something.
    """
    for path, leaf in walk(inputs):
        if not isinstance(leaf, str) or not leaf:
            continue
        if path in _JSON_TEXTS:
            yield from (
                (f"{path}.{inner}", text, form)
                for inner, text, form in _references(json.loads(leaf))
            )
        elif _EC2_ID.fullmatch(leaf) or ((arn := _ARN.fullmatch(leaf)) and not _is_pattern(arn)):
            yield path, leaf, "{text}"
        elif path.rpartition(".")[2].partition("[")[0] in _LAST_NAMES:
            bare = re.sub(r"\[\d+\]", "", path)
            yield from (
                (path, leaf, form)
                for end, form in _NAMES.items()
                if bare == end or bare.endswith(f".{end}")
            )


def _is_pattern(arn: re.Match[str]) -> bool:
    resource = arn["resource"].removesuffix(":*") if arn["service"] == "logs" else arn["resource"]
    return "*" in resource or "?" in resource or "${" in resource or "{" in resource


def _exists(aws: Aws, text: str) -> bool:
    if _EC2_ID.fullmatch(text):
        operation, member = _EC2_IDS[text.partition("-")[0]]
        return _answers(aws, "ec2", operation, {member: [text]}, "")
    arn = _ARN.fullmatch(text)
    if (
        arn is None
        or arn["account"] not in ("", aws.account)
        or arn["region"] not in ("", aws.region)
    ):
        return True  # of another account or region, which is not here to be asked
    for lookup in _LOOKUPS:
        if lookup.service == arn["service"] and (
            match := re.fullmatch(lookup.resource, arn["resource"])
        ):
            facts = {
                "arn": text,
                "head": text.rsplit(f":{arn['resource']}", 1)[0],
                **match.groupdict(),
            }
            return _answers(
                aws, lookup.client, lookup.operation, _filled(lookup.request, facts), lookup.found
            )
    return True  # a kind that is not modelled


def _filled(template: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(template, Mapping):
        return {name: _filled(value, facts) for name, value in template.items()}
    return (
        [_filled(item, facts) for item in template]
        if isinstance(template, list)
        else str(template).format_map(facts)
    )


def _answers(
    aws: Aws, service: str, operation: str, request: Mapping[str, Any], found: str
) -> bool:
    try:
        answer = aws.call(service, operation, request)
    except ProviderError:
        return False
    return bool(answer[found]) if found else True
