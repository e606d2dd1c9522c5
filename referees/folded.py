"""Resources of Pulumi that are properties of another one in CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Callable

from referees.shapes import Plain, Values


def _lifecycle_rules(rules: list[Values]) -> list[Values]:
    found = []
    for rule in rules:
        told = {"Id": rule["id"], "Status": rule["status"], "Prefix": rule["filter"]["prefix"]}
        ends = rule.get("expiration", {})
        if "days" in ends:
            told["ExpirationInDays"] = ends["days"]
        if "expiredObjectDeleteMarker" in ends:
            told["ExpiredObjectDeleteMarker"] = ends["expiredObjectDeleteMarker"]
        if "noncurrentVersionExpiration" in rule:
            days = rule["noncurrentVersionExpiration"]["noncurrentDays"]
            told["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
        if "abortIncompleteMultipartUpload" in rule:
            days = rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
            told["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
        found.append(told)
    return found


def _encryption(made: Plain) -> Values:
    rules = [each["applyServerSideEncryptionByDefault"] for each in made["rules"]]
    told = [
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": each["sseAlgorithm"]}} for each in rules
    ]
    return {"BucketEncryption": {"ServerSideEncryptionConfiguration": told}}


def _public_access(made: Plain) -> Values:
    told = {key[:1].upper() + key[1:]: value for key, value in made.items() if key != "bucket"}
    return {"PublicAccessBlockConfiguration": told}


def _target(made: Plain) -> Values:
    told: Values = {"Id": made.get("targetId", "target"), "Arn": made["arn"]}
    if "roleArn" in made:
        told["RoleArn"] = made["roleArn"]
    if "inputPath" in made:
        told["InputPath"] = made["inputPath"]
    if "input" in made:
        told["Input"] = made["input"]
    if "deadLetterConfig" in made:
        told["DeadLetterConfig"] = {"Arn": made["deadLetterConfig"]["arn"]}
    if "retryPolicy" in made:
        told["RetryPolicy"] = {
            key[:1].upper() + key[1:]: value for key, value in made["retryPolicy"].items()
        }
    return {"Targets": [told]}


def _inline(made: Plain) -> Values:
    return {
        "Policies": [
            {"PolicyName": made.get("name", "inline"), "PolicyDocument": json.loads(made["policy"])}
        ]
    }


FOLDED: dict[str, tuple[str, Callable[[Plain], Values]]] = {
    "aws:cloudwatch/eventTarget:EventTarget": ("rule", _target),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (
        "repository",
        lambda made: {"LifecyclePolicy": {"LifecyclePolicyText": made["policy"]}},
    ),
    "aws:efs/backupPolicy:BackupPolicy": (
        "fileSystemId",
        lambda made: {"BackupPolicy": {"Status": made["backupPolicy"]["status"]}},
    ),
    "aws:efs/fileSystemPolicy:FileSystemPolicy": (
        "fileSystemId",
        lambda made: {"FileSystemPolicy": json.loads(made["policy"])},
    ),
    "aws:iam/rolePolicy:RolePolicy": ("role", _inline),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        "role",
        lambda made: {"ManagedPolicyArns": [made["policyArn"]]},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        "bucket",
        lambda made: {"LifecycleConfiguration": {"Rules": _lifecycle_rules(made["rules"])}},
    ),
    "aws:s3/bucketNotification:BucketNotification": (
        "bucket",
        lambda made: {
            "NotificationConfiguration": {
                "EventBridgeConfiguration": {"EventBridgeEnabled": made["eventbridge"]}
            }
        },
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        "bucket",
        lambda made: {
            "OwnershipControls": {"Rules": [{"ObjectOwnership": made["rule"]["objectOwnership"]}]}
        },
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("bucket", _public_access),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "bucket",
        _encryption,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (
        "bucket",
        lambda made: {
            "VersioningConfiguration": {"Status": made["versioningConfiguration"]["status"]}
        },
    ),
}
"""A resource of its own in Pulumi, properties of another in CloudFormation: which input names that
other, and what it gets.
"""
