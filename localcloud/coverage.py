"""Which operations the AWS in memory has: asked of itself, one by one, with the least that each of
them requires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from localcloud.cloud import LocalCloud

_NAMES: Final = """
    autoscaling batch budgets cloudwatch dynamodb ec2 ecr ecs efs events fsx iam imagebuilder kms lambda logs resourcegroupstaggingapi s3 scheduler
    secretsmanager service-quotas sns sqs ssm stepfunctions sts
"""
SERVICES: Final = tuple(_NAMES.split())
"""The services that the program and the tools around it use. moto has more, of which nothing is
said here.
"""
_NOT_ASKED: Final = {"s3": ("SelectObjectContent",), "logs": ("StartLiveTail",)}
"""Operations whose answer is a stream of events; both are refused."""

_ONE_OF_ALL: Final[Mapping[str, Mapping[str, Mapping[str, list[str]]]]] = {
    "ec2": {
        "DescribeImages": {"ImageIds": ["ami-1"]},
        "DescribeInstanceTypes": {"InstanceTypes": ["c6i.large"]},
        "DescribeSnapshots": {"SnapshotIds": ["snap-1"]},
        "DescribeSpotPriceHistory": {"InstanceTypes": ["c6i.large"]},
    },
    "iam": {"GetAccountAuthorizationDetails": {"Filter": ["Role"]}},
}
"""Of what AWS itself has by the thousand, one: the answers to these five were half of the time."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The operations of one service."""

    own: list[str]
    """Answered by this program."""
    moto: list[str]
    """Answered by moto, whose answers are as good as they are."""
    refused: list[str]
    """NotImplemented, status 501."""


def survey(cloud: LocalCloud, service: str) -> Coverage:
    """Asks for every operation of a service once; what is asked changes the cloud."""
    make: Any = boto3.client
    client = make(
        service,
        endpoint_url=cloud.endpoint_url,
        region_name=cloud.region,
        config=Config(
            parameter_validation=False,
            inject_host_prefix=False,
            retries={"total_max_attempts": 1},
            read_timeout=60,
            user_agent="localcloud",
        ),
        **cloud.deployer.credentials,
    )
    own = set(cloud.own_operations.get(service, []))
    found: dict[bool, list[str]] = {True: [], False: []}
    for name in client.meta.service_model.operation_names:
        if name not in own:
            found[name not in _NOT_ASKED.get(service, ()) and _has(client, name)].append(name)
    return Coverage(own=sorted(own), moto=found[True], refused=found[False])


def _has(client: Any, name: str) -> bool:
    model = client.meta.service_model
    shape = model.operation_model(name).input_shape
    least = _least(shape) if shape is not None else {}
    narrowed = _ONE_OF_ALL.get(model.service_name, {}).get(name, {})
    try:
        getattr(client, xform_name(name))(**{**least, **narrowed})
    except ClientError as error:
        return "the AWS in memory has no" not in str(error.response["Error"].get("Message"))
    except ReadTimeoutError as error:
        raise TimeoutError(f"{model.service_name} {name} gives no answer") from error
    return True


def _least(shape: Any, depth: int = 0) -> Any:
    """The smallest value with all required members."""
    kind = shape.type_name
    if kind == "structure":
        return (
            {}
            if depth > 6
            else {name: _least(shape.members[name], depth + 1) for name in shape.required_members}
        )
    if kind == "list":
        return [_least(shape.member, depth + 1)]
    if kind == "map":
        return {}
    if kind == "timestamp":
        return 1_700_000_000
    return {
        "integer": 1,
        "long": 1,
        "boolean": False,
        "double": 1.0,
        "float": 1.0,
        "blob": b"x",
    }.get(kind, (getattr(shape, "enum", None) or ["xxx"])[0])
