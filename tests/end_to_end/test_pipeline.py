"""An upload becomes findings, or a sentence that says why not; every policy is enforced on the
way.
"""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cli.paths import SAMPLE
from tests.end_to_end.conftest import SHARES_THE_STACK, Stack
from tests.localcloud.conftest import until
from workloads.contract import RUNS_PAGE_KEY, STAGES, Run, month_page_key
from workloads.page.writing import rows_in

pytestmark = [pytest.mark.timeout(600), SHARES_THE_STACK]


def _table(rows: int = 3000, seed: int = 7) -> bytes:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(rows)],
            "height": generator.normal(170, 9, rows),
            "weight": generator.gamma(9, 8, rows),
        }
    )
    text: str = frame.to_csv(index=False)
    return text.encode()


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
        assert json.loads(stack.result(run.stage_record_key(stage)))["seconds"] > 0
    for key in (RUNS_PAGE_KEY, month_page_key(run.date[:6])):
        told = rows_in(stack.result(key))[run.run_id]
        assert (told.state, told.rows) == ("SUCCEEDED", summary["table"]["rows"])
        assert told.usd == pytest.approx(summary["run"]["usd"])
    assert stack.ready.cloud.denials == []


def test_the_same_bytes_again_do_nothing_and_changed_bytes_are_a_new_run(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    key = new_key()
    first = Run(stack.put(key, _table()).run_id)
    assert stack.finish(first).state == "SUCCEEDED"
    before = sorted(stack.jobs())

    again = Run(stack.put(key, _table()).run_id)
    changed = Run(stack.put(key, _table(seed=8)).run_id)
    assert stack.finish(changed).state == "SUCCEEDED"

    assert again == first != changed
    new = [name for name in stack.jobs() if name not in before]
    assert sorted(new) == sorted(changed.job_name(stage) for stage in STAGES)
    assert len(stack.told(first)) == 1


def test_several_uploads_at_once_all_end_in_findings(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    runs = [Run(stack.put(new_key(), _table(rows=600, seed=seed)).run_id) for seed in range(3)]

    assert [stack.finish(run).state for run in runs] == ["SUCCEEDED"] * 3
    assert len({stack.summary(run)["digest"] for run in runs}) == 3


def test_names_in_any_script_are_data_sets_of_their_own(stack: Stack) -> None:
    names = ["売上.csv", "在庫.Csv", "ünï ✓+100%.tsv", "!!!.csv", "VENTES.CSV.GZ"]
    contents = [_table(rows=300, seed=seed) for seed in range(len(names))]
    contents[2], contents[4] = contents[2].replace(b",", b"\t"), gzip.compress(contents[4])
    runs = [
        Run(stack.put(f"data/20260102/{name}", content).run_id)
        for name, content in zip(names, contents, strict=True)
    ]

    assert [stack.finish(run).state for run in runs] == ["SUCCEEDED"] * len(names)

    assert len({run.partition_key for run in runs}) == len(names)
    for name, run in zip(names, runs, strict=True):
        title = name.split(".")[0]
        assert stack.summary(run)["name"] == title
        assert stack.items(run)["LATEST"]["name"] == {"S": title}
        assert len(stack.told(run)) == 1
        assert f"{title} 2026-01-02: 300 rows analysed" in json.loads(stack.told(run)[0])["text"]
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

    deadline = time.monotonic() + 30
    while len(told()) < len(keys) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)  # the second delivery of each must not tell it again
    assert told() == sorted(keys)
    assert sorted(stack.jobs()) == jobs
    assert stack.ready.cloud.denials == []


GOOD = {
    "gzip": gzip.compress(_table()),
    "byte order mark": b"\xef\xbb\xbf" + _table(),
    "semicolons": _table().replace(b",", b";"),
    "ragged": _table() + b"r-extra,1,2,3,4\nr-short,1\n",
    "no numbers": (
        b"name,town\n"
        + b"".join(b"n%d,%s\n" % (row, (b"rome", b"oslo")[row % 2]) for row in range(3000))
    ),
    "latin-1": _table().replace(b"r1,", "é1,".encode("latin-1"), 1),
}
BAD = {
    "empty": (b"", "empty"),
    "header only": (b"a,b,c\n", "header"),
    "binary": (bytes(range(256)) * 64, ""),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_dirty_file_ends_in_a_clean_table(
    stack: Stack, new_key: Callable[[], str], name: str
) -> None:
    run = Run(stack.put(new_key(), GOOD[name]).run_id)

    assert stack.finish(run).state == "SUCCEEDED"
    assert stack.summary(run)["table"]["rows"] == 3000


def test_a_table_without_numbers_is_described(stack: Stack, new_key: Callable[[], str]) -> None:
    run = Run(stack.put(new_key(), b"name,town\nann,rome\nbob,oslo\n").run_id)

    assert stack.finish(run).state == "SUCCEEDED"

    assert stack.summary(run)["table"]["rows"] == 2
    assert "numbers" in stack.summary(run)["nothing_to_compare"]
    assert [text.count("*Nothing to compare*") for text in stack.told(run)] == [1]
    assert b"Nothing to compare" in stack.result(run.report_key)
    assert pq.read_table(io.BytesIO(stack.result(run.findings_key))).num_rows == 0
    assert stack.ready.cloud.denials == []


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
    time.sleep(0.5)  # the failures of the dependent jobs must not tell it again
    assert len(stack.told(run)) == 1
    assert status.failure[:40] in stack.told(run)[0]
    assert stack.ready.cloud.denials == []
