"""The day: files whose events were lost are begun at `file_by`, side by side, and what is not done
by `finished_by` is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cli.rehearsal import rehearsal
from tests.config.stacks import sections
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_files import SMALL
from tests.localcloud.conftest import forward, until
from workloads import metrics
from workloads.contract import Run

pytestmark = pytest.mark.timeout(600)

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = {
    "file_by": "06:00",
    "finished_by": "07:00",
    "time_zone": "Europe/Berlin",
    "max_parallel": 2,
    "datasets": ["sales", "stocks"],
}
PIPELINE = {
    "orchestrator": "step-functions",
    "poll_seconds": 2,
    "deadline_hours": 1,
    "daily": DAILY,
}
TABLE = b"id,height,weight\n" + b"".join(
    b"r%d,%d.5,%d\n" % (i, 150 + i % 50, 50 + i % 37) for i in range(600)
)
NO_ROWS = b"name,town\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    jobs = sections("local")["jobs"]
    jobs["analysis"] |= SMALL
    config = {
        "batch-reference:jobs": json.dumps(jobs),
        "batch-reference:pipeline": json.dumps(PIPELINE),
    }
    with rehearsal(
        "local", tmp_path_factory.mktemp("day"), config=config, say=lambda _: None
    ) as ready:
        yield Stack(ready)


def _forward(stack: Stack, hour: int) -> datetime:
    """Goes on to that hour, and lets a beat of the clock pass."""
    then = forward(stack.ready.cloud, hour, BERLIN)
    stack.ready.cloud.tick()
    return then


def _day(stack: Stack, day: str) -> dict[str, Any]:
    key = {"pk": {"S": metrics.DAY_KEY}, "sk": {"S": day}}
    return dict(
        stack.ready.client("dynamodb")
        .get_item(TableName=stack.ready.outputs["table"], Key=key)
        .get("Item", {})
    )


def test_a_day_whose_events_were_all_lost(stack: Stack) -> None:
    ready, logs = stack.ready, stack.ready.client("logs")
    events, machines = ready.client("events"), ready.client("stepfunctions")
    uploads = next(
        rule["Name"]
        for rule in events.list_rules()["Rules"]
        if rule["Name"].startswith("batch-reference-local-pipeline-uploads-")
    )
    events.disable_rule(Name=uploads)
    ready.cloud.tick()  # a look at a new stack, whose first day has not come

    # the clock goes on: what is the day then is known only with the time
    tomorrow = datetime.fromtimestamp(ready.cloud.now(), BERLIN)
    tomorrow += timedelta(days=1) if (tomorrow.hour, tomorrow.minute) >= (6, 0) else timedelta()
    day = f"{tomorrow:%Y%m%d}"
    good = Run(stack.put(f"data/{day}/sales.csv", TABLE).run_id)
    bad = [Run(stack.put(f"data/{day}/bad-{n}.csv", NO_ROWS).run_id) for n in range(2)]
    ready.client("s3").put_object(
        Bucket=ready.outputs["ingest_bucket"], Key=f"data/{day}/readme.txt", Body=b"no upload"
    )
    assert _forward(stack, 6).strftime("%Y%m%d") == day

    arn = ready.outputs["day_machine_arn"]
    execution = until(
        lambda: machines.list_executions(stateMachineArn=arn)["executions"], what="no execution"
    )[0]["executionArn"]
    until(
        lambda: machines.describe_execution(executionArn=execution)["status"] != "RUNNING",
        what="the day goes on",
        seconds=120,
    )
    ended = machines.describe_execution(executionArn=execution)
    assert ended["status"] == "SUCCEEDED", ended
    assert sorted(json.loads(ended["output"])) == ["failed"] * 2 + ["succeeded"]
    # the run has succeeded before its last job has ended, which an hour more would be too late for
    assert stack.finish(good).state == "SUCCEEDED"
    assert _states(stack, good, *bad) == ["SUCCEEDED", "FAILED", "FAILED"]
    found = _day(stack, day)
    assert [line["S"] for line in found["missing"]["L"]] == [
        (
            f"there is no file of the data set stocks for {tomorrow:%Y-%m-%d}; the folder also holds"
            " what is no upload: readme.txt"
        )
    ]
    assert found["unfinished"]["L"] == []

    # a file comes late, and its event is lost too: it is missing no more, named at the end of the
    # day, and begun
    late = Run(stack.put(f"data/{day}/stocks.csv", NO_ROWS).run_id)
    ready.cloud.tick()
    until(lambda: _day(stack, day)["missing"]["L"] == [], what="stocks is still missing")
    assert _states(stack, late) == [None], "between, the looks leave it to the machine"
    _forward(stack, 7)
    lines = until(
        lambda: [line["S"] for line in _day(stack, day)["unfinished"]["L"]],
        what="nothing is unfinished",
    )
    assert {line.partition(": ")[0] for line in lines} == {run.run_id for run in (*bad, late)}
    assert all(
        "failed in preprocess: " in line or line == f"{late.run_id}: no run has begun"
        for line in lines
    )
    assert stack.finish(late).state == "FAILED"

    # what a run took and cost is kept, whichever way it ended, and told
    for run, stages in (
        (good, {"preprocess", "analysis", "postprocess"}),
        (bad[0], {"preprocess"}),
    ):
        item = stack.state_item(run)
        assert item["spent"]["M"].keys() == stages
        assert float(item["usd"]["N"]) > 0
        assert float(item["seconds"]["N"]) > 0
    assert re.search(
        r"Cost so far\*\\npreprocess [0-9.]+ m?s, (?:&lt; )?\$0\.[0-9]+", stack.told(bad[0])[0]
    )

    # nothing was done twice
    assert all(
        ready.client("batch").list_jobs(jobQueue=queue)["jobSummaryList"] == []
        for queue in ready.outputs["queues"].values()
    )
    assert len([name for name in stack.jobs() if name.startswith(good.run_id)]) == 3
    assert len(stack.told(good)) == 1, stack.told(good)
    assert ready.cloud.denials == []
    assert ready.cloud.undelivered == []
    group = next(
        g["logGroupName"]
        for g in logs.describe_log_groups()["logGroups"]
        if g["logGroupName"].endswith("pipeline-day-look")
    )
    lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    assert not any("Traceback" in line for line in lines)


def _states(stack: Stack, *runs: Run) -> list[str | None]:
    items = [stack.state_item(run) for run in runs]
    return [item["state"]["S"] if item else None for item in items]
