"""An in-memory AWS with what the stage needs, and a small table whose analysis is finished."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
from moto import mock_aws

from tests.workloads.functions.metrics_table import fresh_table
from tests.workloads.functions.slack_server import slack_server
from tests.workloads.postprocess import finished_analysis as fa
from workloads.contract import Run
from workloads.functions import slack
from workloads.postprocess import stage
from workloads.runtime import s3
from workloads.variables import (
    ENV_CONSOLE_URL,
    ENV_INTERMEDIATE_BUCKET,
    ENV_RESULTS_BUCKET,
    ENV_RUN_ID,
    ENV_SLACK_WEBHOOK_URL,
    ENV_STAGE_PRICES,
    ENV_TABLE,
)

RUN = Run("20260131-sales-0123456789ab")
HOSTILE = "<script>alert('x')</script>"


def table(seed: int = 1, shift: float = 0.0, rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": rng.normal(100 + shift, 10, rows),
            "price": rng.lognormal(3, 1, rows),
            "flag": rng.integers(0, 2, rows).astype(float),
            "city": rng.choice(["Łódź", "Köln"], rows),
            HOSTILE: rng.normal(size=rows),
            "constant": np.full(rows, 7.0),
            "tiny": rng.normal(size=rows) * 1e-40,
        }
    )
    frame["amount_eur"] = frame["amount"] * 0.9
    frame.loc[::3, "price"] = np.nan
    return frame


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # run_stage puts its own there
    for name in [name for name in os.environ if name.startswith(("AWS_", "PIPELINE_"))]:
        monkeypatch.delenv(name)
    with slack_server() as server:
        for name, value in {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            ENV_RUN_ID: RUN.run_id,
            ENV_TABLE: fa.TABLE,
            ENV_INTERMEDIATE_BUCKET: fa.INTERMEDIATE,
            ENV_RESULTS_BUCKET: fa.RESULTS,
            ENV_STAGE_PRICES: json.dumps({"preprocess": 0.1, "analysis": 100, "postprocess": 0.1}),
            ENV_SLACK_WEBHOOK_URL: server.url,
            ENV_CONSOLE_URL: "https://console.example/results?prefix=",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(slack, "_FIRST_WAIT_SECONDS", 0.0)
        with mock_aws():
            s3.client.cache_clear()
            fresh_table()
            for bucket in (fa.INTERMEDIATE, fa.RESULTS):
                s3.client().create_bucket(
                    Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
                )
            yield server
        s3.client.cache_clear()


def stored(key: str) -> bytes:
    return s3.get_bytes(fa.RESULTS, key)


def result_keys() -> set[str]:
    return {
        found["Key"] for found in s3.client().list_objects_v2(Bucket=fa.RESULTS).get("Contents", [])
    }


def all_items() -> dict[str, dict[str, Any]]:
    found = boto3.resource("dynamodb").Table(fa.TABLE).scan()["Items"]
    return {str(item["sk"]): dict(item) for item in found}


def process(run: Run, frame: pd.DataFrame) -> dict[str, Any]:
    fa.store(s3.put_bytes, run, frame, rejected={"too few fields": 12, "too many <fields>": 3})
    return stage.main(run)


def strict(data: bytes) -> Any:
    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    return json.loads(data, parse_constant=refuse)
