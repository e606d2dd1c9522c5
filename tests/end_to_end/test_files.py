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

from cli.rehearsal import rehearsal
from cli.why.account import Account
from cli.why.command import diagnose
from tests.config.stacks import sections
from tests.end_to_end.conftest import Stack
from tests.end_to_end.tables import table
from tests.localcloud.conftest import until
from workloads.contract import STAGES, Run

pytestmark = pytest.mark.timeout(600)

SMALL = {"queue": "main", "nodes": 1, "ranks_per_node": 1, "vcpus": 2, "memory_mib": 4096}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local stack with a small analysis, and disks for temporary files."""
    found = sections("local")
    jobs, environments = found["jobs"], found["environments"]
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


DIRTY = {
    "売上.Csv": b"\xef\xbb\xbf" + table(seed=1).replace(b",", b";"),
    "ünï ✓+100%.tsv": table(seed=3).replace(b",", b"\t"),
    "VENTES.CSV.GZ": gzip.compress(table(seed=4).replace(b"r1,", "é1,".encode("latin-1"), 1)),
    # of a row too many and a row too few cells, and compressed whatever its name says
    "!!!.csv": gzip.compress(table(seed=6) + b"r-extra,1,2,3,4\nr-short,1\n"),
    "no numbers.csv": (
        b"name,town\n"
        + b"".join(b"n%d,%s\n" % (row, (b"rome", b"oslo")[row % 2]) for row in range(3000))
    ),
}
"""Names in any script, and dirt of each kind."""


@pytest.fixture(scope="module")
def runs(stack: Stack) -> dict[str, Run]:
    """The runs of all files, which come at once."""
    return {
        name: Run(stack.put(f"data/20260102/{name}", content).run_id)
        for name, content in DIRTY.items()
    }


@pytest.mark.parametrize("name", DIRTY)
def test_a_dirty_file_ends_in_a_clean_table(stack: Stack, runs: dict[str, Run], name: str) -> None:
    run, title = runs[name], name.split(".", maxsplit=1)[0]

    assert stack.finish(run).state == "SUCCEEDED"

    summary = stack.summary(run)
    assert (summary["name"], summary["table"]["rows"]) == (title, 3000)
    assert stack.items(run)["LATEST"]["name"] == {"S": title}
    (told,) = stack.told(run)
    assert f"{title} 2026-01-02: 3,000 rows analysed" in json.loads(told)["text"]


def test_files_that_come_at_once_are_data_sets_of_their_own(
    stack: Stack, runs: dict[str, Run]
) -> None:
    assert [stack.finish(run).state for run in runs.values()] == ["SUCCEEDED"] * len(DIRTY)
    assert len({run.partition_key for run in runs.values()}) == len(DIRTY)
    assert len({stack.summary(run)["digest"] for run in runs.values()}) == len(DIRTY)
    assert stack.ready.cloud.denials == []


def test_a_table_without_numbers_is_described(stack: Stack, runs: dict[str, Run]) -> None:
    run = runs["no numbers.csv"]

    assert stack.finish(run).state == "SUCCEEDED"

    assert "numbers" in stack.summary(run)["nothing_to_compare"]
    assert [text.count("*Nothing to compare*") for text in stack.told(run)] == [1]
    assert b"Nothing to compare" in stack.result(run.report_key)
    assert pq.read_table(io.BytesIO(stack.result(run.findings_key))).num_rows == 0
    assert stack.ready.cloud.denials == []


def test_the_same_bytes_again_do_nothing_and_changed_bytes_are_a_new_run(
    stack: Stack, runs: dict[str, Run]
) -> None:
    name = "ünï ✓+100%.tsv"
    key, first = f"data/20260102/{name}", runs[name]
    assert [stack.finish(run).state for run in runs.values()] == ["SUCCEEDED"] * len(DIRTY)
    before = sorted(stack.jobs())

    again = Run(stack.put(key, DIRTY[name]).run_id)
    changed = Run(stack.put(key, table(seed=8)).run_id)
    assert stack.finish(changed).state == "SUCCEEDED"

    assert again == first != changed
    new = [name for name in stack.jobs() if name not in before]
    assert sorted(new) == sorted(changed.job_name(stage) for stage in STAGES)
    assert len(stack.told(first)) == 1


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
    (message,) = until(lambda: stack.told(run), what="a message")
    assert error["error"] in message
    assert error["error"] in stack.state_item(run)["failure"]["M"]["error"]["S"], "what show says"
    account = Account(
        client=stack.ready.client, outputs=stack.ready.outputs, now=stack.ready.cloud.now
    )
    (cause, *_) = diagnose(account, run.run_id, Run).causes
    assert cause.code == "DISK"
    assert error["error"] in cause.what
    assert "scratch.size_gib" in cause.fix
