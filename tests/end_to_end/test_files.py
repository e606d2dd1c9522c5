"""Files as people send them, each from upload to findings. One rank analyses them: what more of
them do is looked at elsewhere.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable, Iterator

import pyarrow.parquet as pq
import pytest

from cli.paths import ROOT
from cli.rehearsal import rehearsal
from cli.why.account import Account
from cli.why.command import diagnose
from localcloud.deployment.stack_file import read_stack
from tests.end_to_end.conftest import Stack
from tests.end_to_end.tables import table
from workloads.contract import Run

pytestmark = pytest.mark.timeout(600)

SMALL = {"queue": "main", "nodes": 1, "ranks_per_node": 1, "vcpus": 2, "memory_mib": 4096}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local stack with a small analysis, and disks for temporary files."""
    found = read_stack(ROOT, "local", {}, {}).config
    jobs, environments = (
        json.loads(found[f"batch-reference:{section}"]) for section in ("jobs", "environments")
    )
    jobs["analysis"] |= SMALL
    for name in ("spot-cpu", "on-demand-cpu"):
        environments[name]["scratch"] = {"kind": "gp3", "size_gib": 2}
    config = {
        "batch-reference:jobs": json.dumps(jobs),
        "batch-reference:environments": json.dumps(environments),
    }
    folder = tmp_path_factory.mktemp("files")
    with rehearsal("local", folder, config=config, say=lambda _: None) as ready:
        yield Stack(ready)


def test_several_uploads_at_once_all_end_in_findings(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    runs = [Run(stack.put(new_key(), table(rows=600, seed=seed)).run_id) for seed in range(3)]

    assert [stack.finish(run).state for run in runs] == ["SUCCEEDED"] * 3
    assert len({stack.summary(run)["digest"] for run in runs}) == 3


def test_names_in_any_script_are_data_sets_of_their_own(stack: Stack) -> None:
    names = ["売上.csv", "在庫.Csv", "ünï ✓+100%.tsv", "!!!.csv", "VENTES.CSV.GZ"]
    contents = [table(rows=300, seed=seed) for seed in range(len(names))]
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


def test_a_disk_that_is_too_small_is_told_before_the_work_and_mended_by_its_setting(
    stack: Stack, new_key: Callable[[], str]
) -> None:
    plane = stack.ready.cloud.batch
    plane.leave_on_disks(512 << 10)
    try:
        run = Run(stack.put(new_key(), table(rows=40_000)).run_id)
        assert stack.finish(run).state == "FAILED"
    finally:
        plane.leave_on_disks(None)
    error = json.loads(stack.result(run.error_key("analysis")))
    assert re.search(
        r"too small: the units of \S+ that this node reads again need 0\.\d MiB", error["error"]
    )
    assert re.search(r"and \S+ has 0\.\d MiB free", error["error"])
    assert "environments.on-demand-cpu.scratch.size_gib, which is 2" in error["hint"]
    (message,) = stack.told(run)
    assert error["error"] in message
    account = Account(
        client=stack.ready.client, outputs=stack.ready.outputs, now=stack.ready.cloud.now
    )
    (cause, *_) = diagnose(account, run.run_id, Run).causes
    assert cause.code == "DISK"
    assert error["error"] in cause.what
    assert "scratch.size_gib" in cause.fix


GOOD = {
    "gzip": gzip.compress(table()),
    "byte order mark": b"\xef\xbb\xbf" + table(),
    "semicolons": table().replace(b",", b";"),
    "ragged": table() + b"r-extra,1,2,3,4\nr-short,1\n",
    "no numbers": (
        b"name,town\n"
        + b"".join(b"n%d,%s\n" % (row, (b"rome", b"oslo")[row % 2]) for row in range(3000))
    ),
    "latin-1": table().replace(b"r1,", "é1,".encode("latin-1"), 1),
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
