"""Buckets and metrics table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.policies import document, tls_only
from config.storage import StorageSection
from workloads import operating

_ABORT_MULTIPART_DAYS: Final = 3
_CONSOLES: Final = {"aws": "console.aws.amazon.com", "aws-us-gov": "console.amazonaws-us-gov.com"}

LifecycleRule = aws.s3.BucketLifecycleConfigurationRuleArgs


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """What Storage needs."""

    context: StackContext
    section: StorageSection


class Storage(Component):
    """The three buckets of the pipeline and its DynamoDB table.

    Objects are encrypted with keys of S3 itself (SSE-S3), not of KMS, because then the ETag of an
    object that was sent in one piece is the digest of its content, which run ids are made from.
    """

    ingest: aws.s3.Bucket
    """Uploads; its events go to EventBridge."""
    intermediate: aws.s3.Bucket
    """Cleaned tables."""
    results: aws.s3.Bucket
    """Partial results, findings, reports."""
    results_url: pulumi.Output[str]
    """Where the console opens an object of the results: the URL to which a key is appended."""
    table: aws.dynamodb.Table
    """Metrics and run states: `pk`, `sk`."""
    ingest_arn: pulumi.Output[str]
    intermediate_arn: pulumi.Output[str]
    results_arn: pulumi.Output[str]
    table_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        section = args.section
        self.ingest = self._bucket(f"{name}-ingest", args, [_delete_markers_go()])
        self.intermediate = self._bucket(
            f"{name}-intermediate", args, [_expires(section.intermediate_days)]
        )
        self.results = self._bucket(
            f"{name}-results",
            args,
            [_moves_to_archive(section.results_archive_days), _delete_markers_go()],
        )
        aws.s3.BucketNotification(
            f"{name}-ingest", bucket=self.ingest.bucket, eventbridge=True, opts=self.child()
        )
        region, host = args.context.region, _CONSOLES[args.context.partition]
        self.results_url = pulumi.Output.concat(
            f"https://{region}.{host}/s3/object/",
            self.results.bucket,
            f"?region={region}&prefix=",
        )
        self.table = aws.dynamodb.Table(
            f"{name}-metrics",
            billing_mode="PAY_PER_REQUEST",
            hash_key="pk",
            range_key="sk",
            attributes=[
                aws.dynamodb.TableAttributeArgs(name=key, type=kind)
                for key, kind in {"pk": "S", "sk": "S", **operating.KEYS}.items()
            ],
            global_secondary_indexes=[_index(name) for name in operating.SORT_KEYS],
            point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            deletion_protection_enabled=section.protect,
            tags=args.context.tags,
            opts=self.child(protect=section.protect),
        )
        self.ingest_arn, self.intermediate_arn, self.results_arn, self.table_arn = (
            arn_of(each, args.context)
            for each in (self.ingest, self.intermediate, self.results, self.table)
        )
        self.register_outputs(
            {
                "ingest_bucket": self.ingest.bucket,
                "intermediate_bucket": self.intermediate.bucket,
                "results_bucket": self.results.bucket,
                "table_name": self.table.name,
            }
        )

    def _bucket(self, name: str, args: StorageArgs, rules: list[LifecycleRule]) -> aws.s3.Bucket:
        section = args.section
        bucket = aws.s3.Bucket(
            name,
            force_destroy=section.delete_with_content,
            tags=args.context.tags,
            opts=self.child(protect=section.protect),
        )
        access = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.child(),
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self.child(),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    )
                )
            ],
            opts=self.child(),
        )
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=self.child(),
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[*rules, _leftovers_go(section.noncurrent_days)],
            # rules about noncurrent versions mean nothing before there are versions
            opts=self.child(depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=_tls_only(arn_of(bucket, args.context)),
            # S3 takes one change of a bucket's access settings at a time and refuses the other
            # (OperationAborted)
            opts=self.child(depends_on=[access]),
        )
        return bucket


def _index(name: str) -> aws.dynamodb.TableGlobalSecondaryIndexArgs:
    """An index over runs; it comes to a table that holds data without replacing it."""
    return aws.dynamodb.TableGlobalSecondaryIndexArgs(
        name=name,
        key_schemas=[
            aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgs(attribute_name=key, key_type=kind)
            for key, kind in (("state", "HASH"), (operating.SORT_KEYS[name], "RANGE"))
        ],
        projection_type="INCLUDE",
        non_key_attributes=operating.projected(name),
    )


def _tls_only(bucket_arn: pulumi.Output[str]) -> pulumi.Output[str]:
    return document(
        tls_only("s3:*", [bucket_arn, pulumi.Output.concat(bucket_arn, "/*")]),
    )


def _expires(days: int) -> LifecycleRule:
    """Objects go after some days; S3 then removes delete markers without versions by itself."""
    return LifecycleRule(
        id="expire",
        status="Enabled",
        filter=_every_object(),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
    )


def _delete_markers_go() -> LifecycleRule:
    return LifecycleRule(
        id="delete-markers",
        status="Enabled",
        filter=_every_object(),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
            expired_object_delete_marker=True
        ),
    )


def _moves_to_archive(days: int) -> LifecycleRule:
    return LifecycleRule(
        id="archive",
        status="Enabled",
        filter=_every_object(),
        transitions=[
            aws.s3.BucketLifecycleConfigurationRuleTransitionArgs(
                days=days, storage_class="STANDARD_IA"
            )
        ],
    )


def _leftovers_go(noncurrent_days: int) -> LifecycleRule:
    """Parts of uploads that were given up, and versions that were overwritten or deleted."""
    return LifecycleRule(
        id="leftovers",
        status="Enabled",
        filter=_every_object(),
        abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=_ABORT_MULTIPART_DAYS
        ),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=noncurrent_days
        ),
    )


def _every_object() -> aws.s3.BucketLifecycleConfigurationRuleFilterArgs:
    return aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
