"""What the code of each stage may do, by the key layout of the data contract (`workloads/contract.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.policies import statement
from components.storage import Storage
from workloads.contract import Stage

_CLEANED: Final = "data/*"
_RUNS: Final = "runs/*"
# The Writer of workloads/runtime/s3.py sends large objects in parts, and gives them up when the stage fails.
_WRITE: Final = ("s3:PutObject", "s3:AbortMultipartUpload")


def job_statements(storage: Storage) -> dict[Stage, list[dict[str, Any]]]:
    """Policy statements of each stage's job role."""
    ingest, intermediate, results = storage.ingest, storage.intermediate, storage.results
    return {
        "preprocess": [
            statement("ReadUploads", actions=["s3:GetObject", "s3:GetObjectVersion"], resources=_objects(ingest, "data/*")),
            _tell_missing(ingest),
            statement("WriteCleanedTable", actions=_WRITE, resources=_objects(intermediate, _CLEANED)),
            _write_records(results, "preprocess"),
        ],
        "analysis": [
            statement("ReadCleanedTable", actions=["s3:GetObject"], resources=_objects(intermediate, _CLEANED)),
            statement(
                "KeepPartialResults",
                actions=["s3:GetObject", *_WRITE],
                resources=_objects(results, "runs/*/partials/*", "runs/*/checkpoints/*", "runs/*/_SUCCESS.json"),
            ),
            _tell_missing(intermediate, results),
            _write_records(results, "analysis"),
        ],
        "postprocess": [
            statement(
                "ReadCleanedTable",
                actions=["s3:GetObject"],
                resources=_objects(intermediate, "data/*/manifest.json", "data/*/rejected.csv"),
            ),
            statement("ReadRun", actions=["s3:GetObject"], resources=_objects(results, _RUNS)),
            _tell_missing(intermediate, results),
            statement(
                "WriteFindings", actions=_WRITE, resources=_objects(results, "runs/*/summary.json", "runs/*/report.html", "runs/*/scores*")
            ),
            _write_records(results, "postprocess"),
            statement(
                "WriteMetrics",
                actions=[f"dynamodb:{action}" for action in ("GetItem", "Query", "PutItem", "UpdateItem", "BatchWriteItem")],
                resources=[storage.table.arn],
            ),
        ],
    }


def _objects(bucket: aws.s3.Bucket, *keys: str) -> list[pulumi.Input[str]]:
    return [pulumi.Output.concat(bucket.arn, "/", key) for key in keys]


def _write_records(results: aws.s3.Bucket, stage: Stage) -> dict[str, Any]:
    """What a stage says of itself at its end; see run_stage."""
    return statement(
        "WriteRecords", actions=["s3:PutObject"], resources=_objects(results, f"runs/*/stages/{stage}.json", f"runs/*/errors/{stage}.json")
    )


def _tell_missing(*buckets: aws.s3.Bucket) -> dict[str, Any]:
    """S3 answers 404 for a missing object only to those who may list the bucket, and 403 to all others (API reference, GetObject).

    Without a condition on the prefix: GetObject has no such parameter, so that a condition on it would never hold.
    """
    return statement("TellMissingFromDenied", actions=["s3:ListBucket"], resources=_arns(buckets))


def _arns(buckets: Sequence[aws.s3.Bucket]) -> list[pulumi.Input[str]]:
    return [bucket.arn for bucket in buckets]
