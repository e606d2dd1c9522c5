"""Clients of AWS services that outlive an invocation: making one takes longer than most calls do,
and keeps no connection open.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from workloads import contract
from workloads.runtime import s3
from workloads.variables import ENV_TABLE

if TYPE_CHECKING:
    from mypy_boto3_batch.client import BatchClient
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_lambda.client import LambdaClient


def metrics_table() -> Table:
    """The metrics table. Raises ContractError where the environment does not name it."""
    return _table(contract.require_env(ENV_TABLE))


@functools.cache
def _table(name: str) -> Table:
    return boto3.resource("dynamodb").Table(name)


@functools.cache
def batch() -> BatchClient:
    """AWS Batch, every call made once only: SubmitJob is not idempotent, and only its caller knows
    which errors may be tried again.
    """
    return boto3.client("batch", config=Config(retries={"total_max_attempts": 1}))


@functools.cache
def dynamodb() -> Any:
    """DynamoDB with values typed as its API has them; others take `metrics_table`."""
    return boto3.client("dynamodb")


@functools.cache
def step_functions() -> Any:
    """Step Functions."""
    return boto3.client("stepfunctions")


@functools.cache
def functions() -> LambdaClient:
    """AWS Lambda."""
    return boto3.client("lambda")


def forget() -> None:
    """Makes all of them anew at the next use; for whoever changes credentials or endpoints within a
    process.
    """
    for each in (_table, batch, dynamodb, step_functions, functions, s3.client):
        each.cache_clear()
