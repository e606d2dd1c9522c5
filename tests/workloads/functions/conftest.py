"""What the notify function sees."""

from __future__ import annotations

import boto3
import pytest

from tests.workloads.functions.failed_jobs import BUCKET
from tests.workloads.functions.metrics_table import aws_with_table, webhook_secret
from tests.workloads.functions.slack_server import slack_server
from workloads.functions import slack
from workloads.variables import ENV_RESULTS_BUCKET


@pytest.fixture
def world(monkeypatch):
    """The results bucket, the metrics table, and Slack, which answers as it is told."""
    monkeypatch.setattr(slack, "_FIRST_WAIT_SECONDS", 0.0)
    with (
        aws_with_table(monkeypatch, {ENV_RESULTS_BUCKET: BUCKET}),
        slack_server() as server,
    ):
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        webhook_secret(monkeypatch, server.url + "\n")
        yield server
