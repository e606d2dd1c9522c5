"""What `show` tells of pulling and starting."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from cli import beginnings
from cli.documents import StageJob
from cli.target import Target
from workloads.contract import Run
from workloads.records import Beginning, StageRecord

RUN = Run("20260101-a-000000000000")
CREATED, PULLING = "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:01.500+00:00"


def record(job_id: str, began: Beginning | None) -> bytes:
    return StageRecord(
        stage="analysis",
        run_id=RUN.run_id,
        started_at="2026-01-01T00:01:20.000+00:00",
        seconds=1.0,
        attempt=1,
        job_id=job_id,
        details={},
        beginning=began,
    ).to_json()


def told(data: bytes | None, **job: Any) -> list[Any]:
    """Of a run with one job, whose record is these bytes."""

    class Client:
        def get_object(self, **asked: str) -> dict[str, Any]:
            assert asked == {"Bucket": "results", "Key": RUN.stage_record_key("analysis")}
            if data is None:
                raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
            return {"Body": io.BytesIO(data)}

    class Fake:
        def client(self, _: str) -> Client:
            return Client()

        def output(self, name: str) -> str:
            return {"results_bucket": "results"}[name]

    described = {
        "stage": "analysis",
        "job_id": "one",
        "status": "SUCCEEDED",
        "created_at": CREATED,
        **job,
    }
    return list(beginnings.of_run(cast("Target", Fake()), RUN, [cast("StageJob", described)]))


BEGAN = Beginning(pull_started_at=PULLING, pull_seconds=14.25, start_seconds=3.5)


@pytest.mark.parametrize("job_id", ["one", "one#0", "one:7"])
def test_of_one_container_of_nodes_and_of_shards(job_id: str) -> None:
    (found,) = told(record(job_id, BEGAN))
    assert found == {
        "stage": "analysis",
        "job_id": "one",
        "waited_seconds": 61.5,
        "pull_seconds": 14.25,
        "start_seconds": 3.5,
    }
    assert beginnings.note(found) == "before that 14.2 s of pulling and 3.5 s of starting"


def test_what_is_not_told_is_left_out() -> None:
    assert told(record("one", None)) == []
    assert told(record("of-an-earlier-attempt", BEGAN)) == []
    assert told(record("one", BEGAN), status="RUNNING") == []
    assert told(None) == []
    assert told(b"{") == []


def test_an_image_that_was_there_is_not_worth_a_word() -> None:
    (found,) = told(
        record("one", Beginning(pull_started_at=PULLING, pull_seconds=0.1, start_seconds=0.4))
    )
    assert beginnings.note(found) == ""
