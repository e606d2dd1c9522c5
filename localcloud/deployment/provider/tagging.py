"""New tags of resources that exist: every service has calls of its own for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.lifecycle import Update


class _Tagging(NamedTuple):
    service: str
    tag: str
    untag: str
    owner: str
    """The member that names the resource."""
    by: Literal["ARN", "id"] = "ARN"
    tags: str = "tags"
    keys: str = "tagKeys"
    key: str = ""
    """The member of one pair that holds the name; empty where tags are a map."""
    kind: str = ""
    """What ResourceType says, of a service whose calls are for resources of several kinds."""


_BY_PACKAGE: Final[Mapping[str, _Tagging]] = {
    "batch": _Tagging("batch", "TagResource", "UntagResource", "resourceArn"),
    "budgets": _Tagging(
        "budgets",
        "TagResource",
        "UntagResource",
        "ResourceARN",
        "ARN",
        "ResourceTags",
        "ResourceTagKeys",
        "Key",
    ),
    "cloudwatch": _Tagging(
        "cloudwatch", "TagResource", "UntagResource", "ResourceARN", "ARN", "Tags", "TagKeys", "Key"
    ),
    "dynamodb": _Tagging(
        "dynamodb", "TagResource", "UntagResource", "ResourceArn", "ARN", "Tags", "TagKeys", "Key"
    ),
    "ecr": _Tagging(
        "ecr", "TagResource", "UntagResource", "resourceArn", "ARN", "tags", "tagKeys", "Key"
    ),
    "efs": _Tagging(
        "efs", "TagResource", "UntagResource", "ResourceId", "id", "Tags", "TagKeys", "Key"
    ),
    "fsx": _Tagging(
        "fsx", "TagResource", "UntagResource", "ResourceARN", "ARN", "Tags", "TagKeys", "Key"
    ),
    "imagebuilder": _Tagging(
        "imagebuilder", "TagResource", "UntagResource", "resourceArn", "ARN", "tags", "tagKeys"
    ),
    "iam": _Tagging("iam", "TagRole", "UntagRole", "RoleName", "id", "Tags", "TagKeys", "Key"),
    "kms": _Tagging(
        "kms", "TagResource", "UntagResource", "KeyId", "id", "Tags", "TagKeys", "TagKey"
    ),
    "lambda": _Tagging(
        "lambda", "TagResource", "UntagResource", "Resource", "ARN", "Tags", "TagKeys"
    ),
    "secretsmanager": _Tagging(
        "secretsmanager", "TagResource", "UntagResource", "SecretId", "id", "Tags", "TagKeys", "Key"
    ),
    "sfn": _Tagging(
        "stepfunctions",
        "TagResource",
        "UntagResource",
        "resourceArn",
        "ARN",
        "tags",
        "tagKeys",
        "key",
    ),
    "sns": _Tagging(
        "sns", "TagResource", "UntagResource", "ResourceArn", "id", "Tags", "TagKeys", "Key"
    ),
    "sqs": _Tagging("sqs", "TagQueue", "UntagQueue", "QueueUrl", "id", "Tags", "TagKeys"),
}
_BY_TYPE: Final[Mapping[str, _Tagging]] = {
    "aws:cloudwatch/eventRule:EventRule": _Tagging(
        "events", "TagResource", "UntagResource", "ResourceARN", "ARN", "Tags", "TagKeys", "Key"
    ),
    "aws:cloudwatch/logGroup:LogGroup": _Tagging(
        "logs", "TagResource", "UntagResource", "resourceArn"
    ),
    "aws:ssm/parameter:Parameter": _Tagging(
        "ssm",
        "AddTagsToResource",
        "RemoveTagsFromResource",
        "ResourceId",
        "id",
        "Tags",
        "TagKeys",
        "Key",
        "Parameter",
    ),
    "aws:iam/policy:Policy": _Tagging(
        "iam", "TagPolicy", "UntagPolicy", "PolicyArn", "id", "Tags", "TagKeys", "Key"
    ),
    "aws:iam/instanceProfile:InstanceProfile": _Tagging(
        "iam",
        "TagInstanceProfile",
        "UntagInstanceProfile",
        "InstanceProfileName",
        "id",
        "Tags",
        "TagKeys",
        "Key",
    ),
}


def retag(update: Update, before: Mapping[str, str]) -> None:
    """Brings the tags of a resource from `before` to those of the update.

    Raises ProviderError for a type whose tags are not modelled.
    """
    update.ignore("tags")
    gone = sorted(before.keys() - update.tags.keys())
    new = {
        name: str(value) for name, value in sorted(update.tags.items()) if before.get(name) != value
    }
    package = update.token.partition(":")[2].partition("/")[0]
    if package == "s3":
        pairs = [{"Key": name, "Value": str(value)} for name, value in sorted(update.tags.items())]
        update.send("s3", "PutBucketTagging", Bucket=update.id, Tagging={"TagSet": pairs})
        return
    if package in ("ec2", "vpc"):
        owner = str(update.outputs.get("placementGroupId") or update.id)
        if gone:
            update.send(
                "ec2", "DeleteTags", Resources=[owner], Tags=[{"Key": name} for name in gone]
            )
        if new:
            update.send(
                "ec2",
                "CreateTags",
                Resources=[owner],
                Tags=[{"Key": name, "Value": value} for name, value in new.items()],
            )
        return
    row = _BY_TYPE.get(update.token) or _BY_PACKAGE.get(package)
    if row is None:
        raise ProviderError(
            f"changes of the tags of {update.token} are not modelled by the local provider"
        )
    owner = str(update.outputs["arn"]) if row.by == "ARN" else update.id
    named = {row.owner: owner, **({"ResourceType": row.kind} if row.kind else {})}
    if gone:
        update.send(row.service, row.untag, **named, **{row.keys: gone})
    if new:
        value = "TagValue" if row.key == "TagKey" else "value" if row.key == "key" else "Value"
        pairs = [{row.key: name, value: text} for name, text in new.items()]
        update.send(row.service, row.tag, **named, **{row.tags: pairs if row.key else new})
