"""S3: the bucket, and the settings that pulumi-aws 7 keeps in resources of their own."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.archive import asset_bytes
from localcloud.deployment.provider.calls import (
    Aws,
    Call,
    Handler,
    Naming,
    ProviderError,
    handles,
    names,
    rows,
)

names(
    {
        "s3/bucket:Bucket": Naming(
            property="bucket",
            prefix_property="bucketPrefix",
            longest=63,
            lower=True,
            characters=r"[a-z0-9.-]",
        )
    }
)
_CLASSIC_REGION: Final = (
    "us-east-1"  # CreateBucket refuses this one region as a location constraint
)


@handles("s3/bucket:Bucket")
def bucket(call: Call) -> None:
    """Bucket. Its settings belong into the resources of their own; here only the name, tags and
    object lock are modelled.
    """
    call.ignore("forceDestroy", "bucketPrefix")
    name, lock = call.take("bucket"), call.take("objectLockEnabled")
    location = (
        None if call.aws.region == _CLASSIC_REGION else {"LocationConstraint": call.aws.region}
    )
    if location is None and _is_there(call, name):
        raise ProviderError(f"creating S3 Bucket ({name}): BucketAlreadyExists")
    call.send(
        "s3",
        "CreateBucket",
        Bucket=name,
        CreateBucketConfiguration=location,
        ObjectLockEnabledForBucket=lock or None,
    )
    call.id = name
    if call.tags:
        call.send(
            "s3",
            "PutBucketTagging",
            Bucket=name,
            Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in sorted(call.tags.items())]},
        )
    call.outputs |= {
        **bucket_outputs(call.aws, name),
        "forceDestroy": bool(call.values.get("forceDestroy")),
        "objectLockEnabled": bool(lock),
    }


def _is_there(call: Call, name: str) -> bool:
    """Whether this account has the bucket: S3 in us-east-1 takes the creation of one that is there
    as done, and the real provider therefore looks before.
    """
    try:
        call.aws.call("s3", "HeadBucket", {"Bucket": name})
    except ProviderError:
        return False
    return True


def bucket_outputs(aws: Aws, name: str) -> dict[str, str]:
    """What follows from the name of a bucket."""
    return {
        "arn": f"arn:{aws.partition}:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{aws.region}.amazonaws.com",
        "bucketRegion": aws.region,
    }


def _setting(
    operation: str,
    member: str,
    shape: str,
    rename: Mapping[str, str],
    *,
    ignore: tuple[str, ...] = (),
) -> Handler:
    """A resource that puts one configuration document on a bucket."""

    def create(call: Call) -> None:
        call.ignore(*ignore)
        name, owner = call.take("bucket"), call.take("expectedBucketOwner")
        document = call.aws.part("s3", shape, call.rest(), rename)
        call.send("s3", operation, Bucket=name, ExpectedBucketOwner=owner, **{member: document})
        call.id = f"{name},{owner}" if owner else name

    return create


rows(
    {
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
            _setting(
                "PutBucketEncryption",
                "ServerSideEncryptionConfiguration",
                "ServerSideEncryptionConfiguration",
                {"rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID"},
            )
        ),
        "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _setting(
            "PutPublicAccessBlock",
            "PublicAccessBlockConfiguration",
            "PublicAccessBlockConfiguration",
            {},
            ignore=("skipDestroy",),
        ),
        "s3/bucketCorsConfiguration:BucketCorsConfiguration": _setting(
            "PutBucketCors", "CORSConfiguration", "CORSConfiguration", {"corsRules.id": "ID"}
        ),
        "s3/bucketOwnershipControls:BucketOwnershipControls": _setting(
            "PutBucketOwnershipControls",
            "OwnershipControls",
            "OwnershipControls",
            {"rule": "Rules"},
        ),
    }
)


@handles("s3/bucketVersioning:BucketVersioning")
def versioning(call: Call) -> None:
    """Versioning.

    `Disabled` is Terraform's word for a bucket that never had it, for which AWS has no call.
    """
    name, configuration = call.take("bucket"), call.take("versioningConfiguration")
    call.ignore("expectedBucketOwner", "mfa")
    if configuration["status"] != "Disabled":
        document = call.aws.part("s3", "VersioningConfiguration", configuration)
        call.send(
            "s3",
            "PutBucketVersioning",
            Bucket=name,
            MFA=call.values.get("mfa"),
            VersioningConfiguration=document,
        )
    call.id = name


@handles("s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def lifecycle(call: Call) -> None:
    """Lifecycle rules.

    A rule without a filter applies to all objects, which AWS writes as an empty prefix.
    """
    call.ignore("timeouts", "expectedBucketOwner")
    name, minimum = call.take("bucket"), call.take("transitionDefaultMinimumObjectSize")
    rules = [
        {"filter": {"prefix": ""}, **rule} if not rule.get("prefix") else rule
        for rule in call.take("rules") or []
    ]
    for rule in rules:
        if not any(rule.get(action) for action in _LIFECYCLE_ACTIONS):
            raise ProviderError(
                f"lifecycle rule {rule.get('id')!r} does nothing; give it one of"
                f" {', '.join(_LIFECYCLE_ACTIONS)}"
            )
    document = call.aws.part(
        "s3", "BucketLifecycleConfiguration", {"rules": rules}, {"rules.id": "ID"}
    )
    call.send(
        "s3",
        "PutBucketLifecycleConfiguration",
        Bucket=name,
        LifecycleConfiguration=document,
        TransitionDefaultMinimumObjectSize=minimum,
    )
    call.id = name


_LIFECYCLE_ACTIONS: Final = (
    "abortIncompleteMultipartUpload",
    "expiration",
    "noncurrentVersionExpiration",
    "noncurrentVersionTransitions",
    "transitions",
)


@handles("s3/bucketPolicy:BucketPolicy")
def bucket_policy(call: Call) -> None:
    """Bucket policy."""
    call.id = call.take("bucket")
    call.send("s3", "PutBucketPolicy", Bucket=call.id, Policy=call.take("policy"))


@handles("s3/bucketNotification:BucketNotification")
def notification(call: Call) -> None:
    """Notifications to EventBridge, functions, queues and topics; without any, the bucket's
    notifications are switched off.
    """
    call.id = call.take("bucket")
    document: dict[str, Any] = {"EventBridgeConfiguration": {}} if call.take("eventbridge") else {}
    kinds = {
        "lambdaFunctions": (
            "LambdaFunctionConfigurations",
            "lambdaFunctionArn",
            "LambdaFunctionArn",
        ),
        "queues": ("QueueConfigurations", "queueArn", "QueueArn"),
        "topics": ("TopicConfigurations", "topicArn", "TopicArn"),
    }
    for source, (member, target, target_member) in kinds.items():
        given = call.take(source) or []
        if given:
            document[member] = [_notified(entry, target, target_member) for entry in given]
    call.send(
        "s3",
        "PutBucketNotificationConfiguration",
        Bucket=call.id,
        NotificationConfiguration=document,
    )


def _notified(entry: Mapping[str, Any], target: str, target_member: str) -> dict[str, Any]:
    rules = [
        {"Name": name, "Value": entry[key]}
        for name, key in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
        if entry.get(key)
    ]
    found: dict[str, Any] = {target_member: entry[target], "Events": list(entry["events"])}
    if entry.get("id"):
        found["Id"] = entry["id"]
    return {**found, "Filter": {"Key": {"FilterRules": rules}}} if rules else found


@handles("s3/bucketLogging:BucketLogging")
def logging(call: Call) -> None:
    """Server access logs into another bucket."""
    call.id = call.take("bucket")
    call.ignore("expectedBucketOwner")
    document = call.aws.part("s3", "LoggingEnabled", call.rest())
    call.send(
        "s3", "PutBucketLogging", Bucket=call.id, BucketLoggingStatus={"LoggingEnabled": document}
    )


@handles("s3/bucketObjectv2:BucketObjectv2")
def bucket_object(call: Call) -> None:
    """One object, from text, base64 or an asset."""
    call.ignore("forceDestroy", "sourceHash", "etag")
    name, key = call.take("bucket"), call.take("key") or call.logical
    content, encoded, source = call.take("content"), call.take("contentBase64"), call.take("source")
    body = (
        asset_bytes(source)
        if source is not None
        else base64.b64decode(encoded)
        if encoded is not None
        else (content or "").encode()
    )
    tagging = "&".join(f"{k}={v}" for k, v in sorted(call.tags.items())) or None
    rename = {"kmsKeyId": "SSEKMSKeyId", "websiteRedirect": "WebsiteRedirectLocation"}
    created = call.create(
        "s3",
        "PutObject",
        tagged=None,
        rename=rename,
        Bucket=name,
        Key=key,
        Body=body,
        Tagging=tagging,
    )
    call.id = key
    call.outputs |= {
        "arn": f"arn:{call.aws.partition}:s3:::{name}/{key}",
        "key": key,
        "etag": created["ETag"].strip('"'),
        "versionId": created.get("VersionId", ""),
    }
