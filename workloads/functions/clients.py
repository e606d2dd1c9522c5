"""Clients of AWS services that outlive an invocation: making one takes longer than most calls do, and keeps no connection open."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_batch.client import BatchClient
    from mypy_boto3_dynamodb.service_resource import Table


@functools.cache
def table(name: str) -> Table:
    """The metrics table."""
    return boto3.resource("dynamodb").Table(name)


@functools.cache
def batch() -> BatchClient:
    """AWS Batch, every call made once only: SubmitJob is not idempotent, and only its caller knows which errors may be tried again."""
    return boto3.client("batch", config=Config(retries={"total_max_attempts": 1}))


@functools.cache
def step_functions() -> Any:
    """Step Functions."""
    return boto3.client("stepfunctions")


def forget() -> None:
    """Makes all of them anew at the next use; for whoever changes credentials or endpoints within a process."""
    for each in (table, batch, step_functions):
        each.cache_clear()
