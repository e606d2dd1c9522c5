"""What the code of each stage may do, by the key layout of the data contract
(`workloads/contract.py`).
"""

from __future__ import annotations

from typing import Any, Final

import pulumi

from components.context import StackContext
from components.policies import leading_keys, statement
from components.run_pages import page_statements
from components.storage import Storage
from workloads import contract
from workloads.contract import Stage

_WRITE_STREAM: Final = ("s3:PutObject", "s3:AbortMultipartUpload")
"""Large objects are sent in parts, which are given up when the stage fails (Writer in
workloads/runtime/s3_streams.py).
"""


def job_statements(
    context: StackContext, storage: Storage, *, counts_reclaims: bool
) -> dict[Stage, list[dict[str, Any]]]:
    """Policy statements of each stage's job role."""
    ingest, intermediate, results = (
        storage.ingest_arn,
        storage.intermediate_arn,
        storage.results_arn,
    )
    return {
        "preprocess": [
            statement(
                "ReadUploads",
                actions=["s3:GetObject", "s3:GetObjectVersion"],
                resources=_objects(ingest, "data/*"),
            ),
            _tell_missing(ingest),
            statement(
                "WriteCleanedTable",
                actions=_WRITE_STREAM,
                resources=_objects(intermediate, "data/*"),
            ),
            _write_records(results, "preprocess"),
        ],
        "analysis": [
            statement(
                "ReadCleanedTable",
                actions=["s3:GetObject"],
                resources=_objects(
                    intermediate,
                    "data/*/manifest.json",
                    "data/*/lines.parquet",
                    "data/*/table/table.parquet",
                ),
            ),
            _tell_missing(intermediate, results),
            statement(
                "WritePartialResults",
                actions=["s3:PutObject"],
                resources=_objects(
                    results, "runs/*/partials/*", "runs/*/scores/*", "runs/*/_SUCCESS.json"
                ),
            ),
            # reading belongs to writing on a condition (S3 user guide, "Conditional writes"), and
            # to going on from a checkpoint
            statement(
                "KeepCheckpoints",
                actions=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                resources=_objects(results, "runs/*/checkpoints/*"),
            ),
            # the main node reads back what the ranks wrote, for its stage record; who finds that
            # another attempt was first compares
            statement(
                "ReadSuccess",
                actions=["s3:GetObject"],
                resources=_objects(results, "runs/*/_SUCCESS.json", "runs/*/scores/*"),
            ),
            _write_records(results, "analysis"),
        ],
        "postprocess": [
            statement(
                "ReadCleanedTable",
                actions=["s3:GetObject"],
                resources=_objects(
                    intermediate,
                    "data/*/manifest.json",
                    "data/*/lines.parquet",
                    "data/*/table/table.parquet",
                ),
            ),
            statement(
                "ReadRuns",  # of this run, and the profile of the one that it is compared with
                actions=["s3:GetObject"],
                resources=_objects(
                    results,
                    "runs/*/_SUCCESS.json",
                    "runs/*/partials/*",
                    "runs/*/scores/*",
                    "runs/*/stages/*.json",
                    "runs/*/profile.npz",
                ),
            ),
            _tell_missing(intermediate, results),
            statement(
                "WriteFindings",
                actions=["s3:PutObject"],
                resources=_objects(
                    results,
                    "runs/*/profile.npz",
                    "runs/*/report.html",
                    "runs/*/summary.json",
                    "runs/*/athena.sql",
                    "findings/*/findings.parquet",
                ),
            ),
            _write_records(results, "postprocess"),
            *page_statements(storage),
            statement(
                "WriteMetrics",
                actions=[
                    "dynamodb:BatchWriteItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                ],
                resources=[storage.table_arn],
                conditions=leading_keys(contract.DATA_SET_KEY_PREFIX),
            ),
            *(_what_attempts_became(storage) if counts_reclaims else ()),
            statement(
                "HandOnMessages",  # that Slack does not take
                actions=["events:PutEvents"],
                resources=[
                    f"arn:{context.partition}:events:{context.region}:{context.account_id}:event-bus/default"
                ],
                conditions={
                    "StringEquals": {
                        "events:source": contract.event_source(context.stack),
                        "events:detail-type": contract.RUN_SUCCEEDED_EVENT,
                    }
                },
            ),
        ],
    }


def _what_attempts_became(storage: Storage) -> list[dict[str, Any]]:
    """Which jobs the run has, and how their attempts ended; the two calls of AWS Batch know no
    resources (service authorization reference).
    """
    return [
        statement(
            "WhichJobs",
            actions=["dynamodb:GetItem"],
            resources=[storage.table_arn],
            conditions=leading_keys(contract.DATA_SET_KEY_PREFIX),
        ),
        statement(
            "WhatAttemptsBecame", actions=["batch:DescribeJobs", "batch:ListJobs"], resources=["*"]
        ),
    ]


def _objects(bucket_arn: pulumi.Output[str], *keys: str) -> list[pulumi.Input[str]]:
    return [pulumi.Output.concat(bucket_arn, "/", key) for key in keys]


def _write_records(results: pulumi.Output[str], stage: Stage) -> dict[str, Any]:
    """What a stage says of itself at its end; see run_stage."""
    return statement(
        "WriteRecords",
        actions=["s3:PutObject"],
        resources=_objects(results, f"runs/*/stages/{stage}.json", f"runs/*/errors/{stage}.json"),
    )


def _tell_missing(*bucket_arns: pulumi.Output[str]) -> dict[str, Any]:
    """S3 answers 404 for a missing object only to those who may list the bucket, and 403 to all
    others (API reference, GetObject).

    Without a condition on the prefix: GetObject has no such parameter, so that a condition on it
    would never hold.
    """
    return statement("TellMissingFromDenied", actions=["s3:ListBucket"], resources=bucket_arns)
