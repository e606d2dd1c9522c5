"""The metrics table as the stack creates it, in an in-memory AWS."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws

from localcloud.moto.speed import hasten
from tests.support.metrics_table import table
from workloads.functions import clients
from workloads.variables import ENV_SLACK_WEBHOOK_SECRET_ARN, ENV_TABLE

TABLE = "metrics"


@contextmanager
def aws_with_table(
    monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str], *, region: str = "eu-west-1"
) -> Iterator[Any]:
    """An AWS in memory with an empty metrics table, and a function's environment in it."""
    credentials = {
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    for name, value in {**credentials, ENV_TABLE: TABLE, **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield fresh_table()


def webhook_secret(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Keeps a Slack webhook as the stack does, and tells the functions where."""
    arn = boto3.client("secretsmanager").create_secret(Name="webhook", SecretString=url)["ARN"]
    monkeypatch.setenv(ENV_SLACK_WEBHOOK_SECRET_ARN, arn)


def fresh_table() -> Any:
    """An empty metrics table, and functions that make their clients anew."""
    hasten()
    clients.forget()
    found = metrics_table()
    client = found.meta.client
    if TABLE in client.list_tables()["TableNames"]:
        client.delete_table(TableName=TABLE)
    client.create_table(**table(TABLE))
    return found


def metrics_table() -> Any:
    """The table as a test looks at it."""
    return _dynamodb(os.environ["AWS_DEFAULT_REGION"]).Table(TABLE)


@functools.cache
def _dynamodb(region: str) -> Any:
    """Made once: making it takes longer than a test does, and moto answers it as it does others."""
    return boto3.resource("dynamodb", region_name=region)
