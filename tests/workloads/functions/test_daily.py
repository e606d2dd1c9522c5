"""Which day is looked at, what it lacks, and which runs the daily function begins itself."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workloads.functions.metrics_table import aws_with_table
from workloads import metrics, names
from workloads.contract import ContractError, Run, Upload
from workloads.functions import daily
from workloads.functions.states import RunStates
from workloads.variables import ENV_INGEST_BUCKET, ENV_STACK, ENV_SUBMIT_FUNCTION

BUCKET, DAY = "ingest", "20260331"
SETTINGS = {
    "file_by": "06:00",
    "finished_by": "09:00",
    "time_zone": "Europe/Berlin",
    "max_parallel": 2,
    "datasets": [],
    "begins": True,
}
SIX, NINE = "2026-03-31T04:00:00Z", "2026-03-31T07:00:00Z"  # summer time has begun two days before


def told(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> daily.Settings:
    monkeypatch.setenv(metrics.ENV_DAILY, json.dumps({**SETTINGS, **changes}))
    return daily.Settings.from_env()


@pytest.fixture
def world(monkeypatch, capsys):
    environ = {
        ENV_STACK: "dev",
        ENV_INGEST_BUCKET: BUCKET,
        ENV_SUBMIT_FUNCTION: "submit",
        metrics.ENV_DAILY: json.dumps(SETTINGS),
    }
    begun: list[str] = []

    def invoke(**request: Any) -> dict[str, Any]:
        assert (request["FunctionName"], request["InvocationType"]) == ("submit", "Event")
        begun.append(json.loads(request["Payload"])["detail"]["object"]["key"])
        return {"StatusCode": 202, "Payload": io.BytesIO()}

    with aws_with_table(monkeypatch, environ, region="eu-central-1"):
        real = boto3.client
        real("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        functions = SimpleNamespace(invoke=invoke)
        monkeypatch.setattr(
            boto3,
            "client",
            lambda service, **more: functions if service == "lambda" else real(service, **more),
        )

        def put(*files: str, state: str = "", day: str = DAY) -> list[Run]:
            runs = []
            for name in files:
                etag = real("s3").put_object(
                    Bucket=BUCKET, Key=f"data/{day}/{name}.csv", Body=name.encode()
                )["ETag"]
                runs.append(
                    Run(Upload(bucket=BUCKET, key=f"data/{day}/{name}.csv", etag=etag).run_id)
                )
                if state:
                    item: Any = {
                        **runs[-1].state_key,
                        "state": state,
                        "jobs": {},
                        "claim_expires_ms": 1,
                    }
                    boto3.resource("dynamodb").Table("metrics").put_item(Item=item)
            return runs

        def values() -> dict[str, float]:
            lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            line = next(line for line in lines if "_aws" in line)
            assert line["Stack"] == "dev"
            return {
                name: line[name]
                for name in (metrics.FILES, metrics.MISSING_FILES, metrics.UNFINISHED_RUNS)
            }

        yield SimpleNamespace(put=put, begun=begun, values=values)


@settings(deadline=None)
@given(
    st.integers(1_700_000_000, 1_900_000_000),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_the_day_is_the_last_one_whose_time_has_come(seconds: int, zone: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = told(patch, time_zone=zone)
    moment = datetime.fromtimestamp(seconds, UTC)
    day = found.day(moment)
    by_python = [
        datetime(d.year, d.month, d.day, 6, tzinfo=ZoneInfo(zone))
        for d in (day, day + timedelta(days=1))
    ]
    assert by_python[0] <= moment < by_python[1]
    assert found.deadline(day) - by_python[0].astimezone(UTC) == timedelta(hours=3)


def test_without_any_file_one_is_missing_and_with_expectations_each_is(world, monkeypatch):
    world.put("sales", day="20260330")
    found = daily.handler({"at": SIX, "begin": True}, None)
    assert (found["day"], found["deadline"], found["work"]) == (DAY, "2026-03-31T07:00:00Z", [])
    assert world.values() == {
        metrics.FILES: 0,
        metrics.MISSING_FILES: 1,
        metrics.UNFINISHED_RUNS: 0,
    }
    told(monkeypatch, datasets=["sales", "stocks", "towns"])
    world.put("Sales", "other", state="SUCCEEDED")
    missing = daily.handler({"at": SIX}, None)["missing"]
    assert missing == [
        f"there is no file of the data set {name} for 2026-03-31" for name in ("stocks", "towns")
    ]
    assert world.values() == {
        metrics.FILES: 2,
        metrics.MISSING_FILES: 2,
        metrics.UNFINISHED_RUNS: 0,
    }


def test_data_sets_are_expected_by_the_names_of_their_files_and_what_is_none_of_them_is_named(
    world, monkeypatch
):
    world.put("売上", "café", state="SUCCEEDED")
    told(monkeypatch, datasets=["売上", "cafe\u0301", names.dataset_of("café"), "在庫"])
    for key in (f"data/{DAY}/在庫.xlsx", f"data/{DAY}/", f"data/{DAY}/sub/a.csv"):
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
    (missing,) = daily.handler({"at": SIX}, None)["missing"]
    assert (
        missing
        == "there is no file of the data set 在庫 for 2026-03-31; the folder also holds what is no"
        " upload: sub/a.csv, 在庫.xlsx"
    )
    assert world.values()[metrics.FILES] == 2


def test_what_nobody_began_is_begun_a_few_at_a_time(world):
    world.put("d", "a", "b")
    world.put("c", state="CLAIMED")  # the claim has expired: its submission broke off
    world.put("e", state="SUBMITTED")
    world.put("f", state="SUCCEEDED")
    world.put("g", state="FAILED")
    found = daily.handler({"at": SIX, "begin": True}, None)
    assert world.begun == [f"data/{DAY}/{name}.csv" for name in "ab"]
    work = [each["detail"]["object"]["key"] for each in found["work"]]
    assert work == [f"data/{DAY}/{name}.csv" for name in "abcde"], (
        "those that wait first, none that has ended"
    )
    daily.handler({"at": SIX, "begin": False}, None)
    assert len(world.begun) == 2, "a state machine begins them itself"


def test_looks_between_say_what_a_new_stack_cannot_know_and_begin_where_they_may(
    world, monkeypatch
):
    rule = {"detail-type": "Scheduled Event", "time": "2026-03-31T05:00:00Z"}
    world.put("a")
    assert daily.handler(rule, None) == {"outcome": "too early"}
    daily.handler({"at": SIX, "begin": False}, None)
    told(monkeypatch, begins=False)
    assert daily.handler(rule, None)["begun"] == 0
    told(monkeypatch, begins=True)
    assert daily.handler(rule, None)["begun"] == 1
    early = daily.handler({"detail-type": "Scheduled Event", "time": "2026-03-31T03:59:00Z"}, None)
    assert early["day"] == "20260330", "the day before, until the files have to be there"


def test_at_the_end_of_the_day_runs_are_named_with_how_far_they_got(world, monkeypatch):
    good, failed, none = (
        world.put("good", state="SUCCEEDED"),
        world.put("failed"),
        world.put("none"),
    )
    states = RunStates(boto3.resource("dynamodb").Table("metrics"))
    states.fail(
        failed[0], {"job_id": "j", "stage": "analysis", "error": "too hot"}, created_ms=1, now_ms=2
    )
    assert daily.handler({"at": "2026-03-31T06:59:59Z"}, None)["unfinished"] == 0
    world.values()
    assert daily.handler({"at": NINE}, None)["unfinished"] == 2
    assert world.values()[metrics.UNFINISHED_RUNS] == 2
    item: Any = (
        boto3.resource("dynamodb")
        .Table("metrics")
        .get_item(Key={"pk": metrics.DAY_KEY, "sk": DAY})["Item"]
    )
    assert item["unfinished"] == [
        f"{failed[0].run_id}: failed in analysis: too hot",
        f"{none[0].run_id}: no run has begun",
    ]
    assert good[0].run_id not in str(item)
    world.put(*(f"many-{n}" for n in range(20)))
    daily.handler({"at": NINE}, None)
    item = (
        boto3.resource("dynamodb")
        .Table("metrics")
        .get_item(Key={"pk": metrics.DAY_KEY, "sk": DAY})["Item"]
    )
    assert len(item["unfinished"]) == 11
    assert item["unfinished"][-1] == "and 12 more"


def test_more_files_than_an_answer_holds_are_cut(world, monkeypatch):
    assert daily._MOST_BYTES < 256 * 1024
    monkeypatch.setattr(daily, "_MOST_BYTES", 2000)
    world.put(*(f"file-{n:02}" for n in range(30)))
    found = daily.handler({"at": SIX, "begin": False}, None)
    assert found["files"] == 30
    assert 5 < len(found["work"]) < 30
    assert len(json.dumps(found["work"])) <= 2000


@pytest.mark.parametrize(
    "broken", [{"time_zone": "Europe/Atlantis"}, {"file_by": "6"}, {"datasets": None}]
)
def test_settings_of_another_form_are_one_sentence(monkeypatch, broken):
    monkeypatch.setenv(metrics.ENV_DAILY, json.dumps(SETTINGS | broken))
    with pytest.raises(ContractError, match=metrics.ENV_DAILY):
        daily.Settings.from_env()
