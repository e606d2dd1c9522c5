"""An upload becomes findings, or a sentence that says why not; every policy is enforced on the
way.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pandas as pd
import pyarrow.parquet as pq
import pytest

from cli.paths import SAMPLE
from tests.end_to_end.conftest import SHARES_THE_STACK, Stack
from tests.localcloud.conftest import until
from workloads.contract import RUNS_PAGE_KEY, STAGES, Run, month_page_key
from workloads.page.writing import rows_in

pytestmark = [pytest.mark.timeout(600), SHARES_THE_STACK]


def test_the_sample_runs_from_upload_to_findings_and_the_findings_agree_with_pandas(
    stack: Stack,
) -> None:
    sample = next(SAMPLE.glob("*.csv"))
    run = Run(stack.put(f"data/20260101/{sample.name}", sample.read_bytes()).run_id)

    status = stack.finish(run)

    assert status.state == "SUCCEEDED", status
    assert [stage.status for stage in status.stages] == ["SUCCEEDED"] * 3
    summary = stack.summary(run)
    intermediate = stack.ready.outputs["intermediate_bucket"]
    cleaned = (
        stack.ready.client("s3")
        .get_object(Bucket=intermediate, Key=run.cleaned_csv_key)["Body"]
        .read()
    )
    frame = pd.read_csv(io.BytesIO(cleaned))
    columns = {column["name"]: column for column in summary["columns"]}
    numbers = [name for name in columns if columns[name]["kind"] == "number"]
    assert len(numbers) >= 3
    for name in numbers:
        values = frame[name].to_numpy("float64")
        assert columns[name]["mean"] == pytest.approx(values.mean(), rel=1e-6, abs=1e-9), name
        assert columns[name]["minimum"] == pytest.approx(values.min(), rel=1e-6), name
        assert columns[name]["maximum"] == pytest.approx(values.max(), rel=1e-6), name
    remote = summary["anomalies"]
    assert (remote["mode"], remote["certified_fraction"], len(remote["top"])) == ("top", 1.0, 100)
    # a wind speed of 1,048 miles an hour, a known error of this table
    fastest = int(frame["wind_speed"].argmax())
    found = pq.read_table(io.BytesIO(stack.result(run.findings_key))).to_pylist()
    lines = sample.read_text().splitlines()
    for entry, row in zip(remote["top"], found, strict=True):
        cells = dict(zip(lines[0].split(","), lines[entry["line"] - 1].split(","), strict=True))
        assert {name: float(cells[name]) for name in numbers} == {
            name: entry["values"][name] for name in numbers
        }
        assert (cells["origin"], row["origin"], row["line"]) == (
            entry["identifiers"]["origin"],
            cells["origin"],
            entry["line"],
        )
    assert (remote["top"][0]["row"], remote["top"][0]["columns"][0]["column"]) == (
        fastest,
        "wind_speed",
    )
    assert summary["provenance"]["analysis"]["ranks"] == 4
    items = stack.items(run)
    metrics = {sk for sk in items if sk.startswith(f"{run.sort_key_prefix}METRIC#")}
    assert len(metrics) >= len(numbers)
    assert items[f"{run.sort_key_prefix}STATE"]["state"] == {"S": "SUCCEEDED"}
    assert "LATEST" in items
    assert b"<html" in stack.result(run.report_key)[:200].lower()
    assert len(stack.told(run)) == 1
    for stage in STAGES:
        record = json.loads(stack.result(run.stage_record_key(stage)))
        assert record["seconds"] > 0
        assert record["beginning"]["pull_seconds"] == 0, "nothing is pulled here"
        assert 0 < record["beginning"]["start_seconds"] < 60
    for key in (RUNS_PAGE_KEY, month_page_key(run.date[:6])):
        told = rows_in(stack.result(key))[run.run_id]
        assert (told.state, told.rows) == ("SUCCEEDED", summary["table"]["rows"])
        assert told.usd == pytest.approx(summary["run"]["usd"])
    assert stack.ready.cloud.denials == []


def test_what_is_no_upload_is_told_once_and_nothing_runs(stack: Stack) -> None:
    jobs = sorted(stack.jobs())
    bucket, keys = (
        stack.ready.outputs["ingest_bucket"],
        ["data/20260103/売上 2026.xlsx", "data/sales.csv", "data/2026-01-03/a.csv"],
    )
    for key in (*keys, *keys, "data/20260103/", "elsewhere/20260103/a.csv"):
        stack.ready.client("s3").put_object(Bucket=bucket, Key=key, Body=b"a,b\n1,2\n")

    def told() -> list[str]:
        texts = [message["text"] for message in stack.ready.cloud.slack.messages]
        return sorted(
            text.split(f"{bucket}/")[1].split(" is not an upload")[0]
            for text in texts
            if "Upload refused" in text
        )

    until(lambda: len(told()) >= len(keys), what=told)
    stack.settle()  # the second delivery of each must not tell it again
    assert told() == sorted(keys)
    assert sorted(stack.jobs()) == jobs
    assert stack.ready.cloud.denials == []


BAD = {
    "empty": (b"", "empty"),
    "header only": (b"a,b,c\n", "header"),
    "binary": (bytes(range(256)) * 64, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_hopeless_file_ends_in_one_sentence_that_slack_and_the_table_show(
    stack: Stack, new_key: Callable[[], str], name: str
) -> None:
    content, word = BAD[name]
    run = Run(stack.put(new_key(), content).run_id)

    status = stack.finish(run)

    assert status.state == "FAILED"
    assert status.stages[0].status == "FAILED"
    assert word in status.failure
    assert "Traceback" not in status.failure
    assert "\n" not in status.failure
    until(lambda: stack.told(run), what="nobody is told", pause=0.1)
    stack.settle()  # the failures of the dependent jobs must not tell it again
    assert len(stack.told(run)) == 1
    assert status.failure[:40] in stack.told(run)[0]
    assert stack.ready.cloud.denials == []
