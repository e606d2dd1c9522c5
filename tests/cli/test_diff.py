"""What a change does: every field's own word, in the shapes that AWS and Pulumi give it, and its
price.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import diff as command
from cli.diff import compare
from cli.errors import CliError
from cli.stack_files import StackFile, read
from config.change import changes
from tests.config.stacks import REMOVED, Changes, changed, load

ROOT = Path(__file__).parents[2]
PROD = read("prod")


def edited(edits: Changes, **more: Any) -> StackFile:
    return replace(PROD, values=changed(edits), **more)


def of(edits: Changes) -> dict[str, tuple[str, str]]:
    """Path -> kind and effect."""
    return {
        change.path: (change.kind, change.effect)
        for change in changes(load(changed({}))[0], edited(edits).unchecked())
    }


@pytest.mark.parametrize(
    ("edits", "path", "kind", "says"),
    [
        (
            {"environments.gpu.max_vcpus": 960},
            "environments.gpu.max_vcpus",
            "in place",
            "what runs goes on",
        ),
        (
            {"environments.gpu.root_volume_gib": 300},
            "environments.gpu.root_volume_gib",
            "in place",
            "an infrastructure update: jobs that still run after 30 minutes are stopped",
        ),
        (
            {"environments.spot-cpu.instance_types": ["c6i.xlarge"]},
            "environments.spot-cpu.instance_types",
            "in place",
            "infrastructure update",
        ),
        (
            {"environments.gpu.placement_group": False},
            "environments.gpu.placement_group",
            "replaces",
            "waits 30 minutes",
        ),
        (
            {"environments.spot-cpu.kind": "on-demand"},
            "environments.spot-cpu.kind",
            "in place",
            "infrastructure update",
        ),
        (
            {"environments.spot-cpu": {"kind": "fargate-spot", "max_vcpus": 8}},
            "environments.spot-cpu.kind",
            "replaces",
            (
                "a new environment is made and the queues move to it; the old one is deleted when"
                " the jobs that run there have ended"
            ),
        ),
        (
            {"environments.on-demand-cpu": REMOVED},
            "environments.on-demand-cpu",
            "removed",
            "the next update deletes it",
        ),
        (
            {"environments.f": {"kind": "fargate", "max_vcpus": 4}},
            "environments.f",
            "created",
            "a new environment",
        ),
        (
            {"queues.main.fair_share": REMOVED},
            "queues.main.fair_share",
            "replaces",
            "AWS terminates the jobs that are left",
        ),
        (
            {"queues.main.fair_share.weights.adhoc": 3},
            "queues.main.fair_share.weights.adhoc",
            "in place",
            "what runs goes on",
        ),
        (
            {"jobs.analysis.nodes": 3},
            "jobs.analysis.nodes",
            "new revision",
            "submitted before keep the old one",
        ),
        (
            {"jobs.postprocess.queue": "gpu"},
            "jobs.postprocess.queue",
            "in place",
            "from the next run on",
        ),
        (
            {"network.cidr_block": "10.9.0.0/16"},
            "network.cidr_block",
            "replaces",
            "every environment",
        ),
        ({"network.nat": "single"}, "network.nat", "in place", "a gateway that goes are cut"),
        (
            {"images.cpu_digest": f"sha256:{'0' * 64}"},
            "images.cpu_digest",
            "new revision",
            "job definition",
        ),
        ({"tags.team": "x"}, "tags.team", "in place", "infrastructure update of each environment"),
        ({"budget.guard": {"limit_usd": 5000}}, "budget.guard", "in place", "what runs goes on"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_each_field_does_what_it_says(edits: Changes, path: str, kind: str, says: str) -> None:
    if "images.cpu_digest" in edits:
        edits = {"images": {"cpu_digest": edits["images.cpu_digest"]}}
    found = of(edits)
    assert found.keys() == {path}
    assert found[path][0] == kind
    assert says in found[path][1]


def test_with_the_state_machine_its_runs_go() -> None:
    chained = {"pipeline.orchestrator": "batch", "pipeline.daily": None}
    kind, effect = of(chained)["pipeline.orchestrator"]
    assert kind == "removed"
    assert "runs under way end at its next look at a job, after at most 60 s" in effect
    (found,) = (
        each
        for each in changes(edited(chained).unchecked(), load(changed({}))[0])
        if each.path == "pipeline.orchestrator"
    )
    assert (found.kind, "runs under way go on" in found.effect) == ("in place", True)


LUSTRE = {"kind": "created", "size_gib": 2400}
EFS = {"kind": "created"}


@pytest.mark.parametrize(
    ("before", "after", "path", "kind", "says"),
    [
        ({}, {"storage.efs": EFS}, "storage.efs", "in place", "a new file system"),
        ({}, {"storage.lustre": LUSTRE}, "storage.lustre", "in place", "infrastructure update"),
        ({"storage.efs": EFS}, {}, "storage.efs", "replaces", "deleted with its files"),
        (
            {"storage.efs": EFS},
            {"storage.efs": {"kind": "existing", "id": "fs-12345678"}},
            "storage.efs.kind",
            "replaces",
            "without the files of the old one",
        ),
        (
            {"storage.efs": EFS},
            {"storage.efs": {**EFS, "user_id": 1}},
            "storage.efs.user_id",
            "replaces",
            "new access points",
        ),
        (
            {"storage.lustre": LUSTRE},
            {"storage.lustre": {**LUSTRE, "size_gib": 4800}},
            "storage.lustre.size_gib",
            "in place",
            "what runs goes on",
        ),
        (
            {"storage.lustre": LUSTRE},
            {"storage.lustre": {**LUSTRE, "size_gib": 1200}},
            "storage.lustre.size_gib",
            "replaces",
            "without the files of the old one",
        ),
        (
            {"storage.efs": EFS},
            {"storage.efs": EFS, "network.cidr_block": "10.9.0.0/16"},
            "network.cidr_block",
            "replaces",
            "mount targets of EFS in one VPC at a time",
        ),
    ],
)
def test_what_becomes_of_shared_files_is_said(
    before: Changes, after: Changes, path: str, kind: str, says: str
) -> None:
    (change,) = changes(load(changed(before))[0], load(changed(after))[0])
    assert (change.path, change.kind) == (path, kind)
    assert says in change.effect


def test_jobs_that_an_update_stops_are_said_to_be() -> None:
    before = edited({"environments.gpu.terminate_jobs_on_update": True})
    (change,) = changes(
        before.unchecked(),
        edited(
            {"environments.gpu.terminate_jobs_on_update": True, "environments.gpu.efa": False}
        ).unchecked(),
    )
    assert "running jobs are stopped at once" in change.effect


def test_writing_a_default_out_is_no_change() -> None:
    assert (
        of(
            {
                "environments.gpu.enabled": True,
                "network.interface_endpoints": [],
                "pipeline.enabled": True,
            }
        )
        == {}
    )


def test_the_price_of_twice_the_nodes_is_twice_the_price() -> None:
    found = compare(
        PROD,
        edited({"jobs.analysis.nodes": 8, "environments.gpu.max_vcpus": 1536}),
        {"analysis": 180},
    )
    prices = {price.what: price for price in found.prices}
    one, rest = prices["a run"], prices["a month at rest"]
    assert one.before is not None
    assert one.difference == pytest.approx(4 * 3 * 55.04)
    assert rest.difference == 0
    assert prices["a month of 30 runs, and rest"].difference == pytest.approx(30 * 4 * 3 * 55.04)
    unknown = compare(PROD, edited({"environments.gpu.instance_type": "p5e.48xlarge"}), {})
    assert unknown.unknown == (
        "no price of p5e.48xlarge; nothing is guessed, and a sum with an unknown part is unknown",
    )
    assert {price.what for price in unknown.prices if price.difference is None} >= {
        "a run",
        "a run at worst",
    }


def test_region_and_secret_are_changes_too() -> None:
    values = {**changed({}), "slack-webhook-url": {"secure": "AAAB"}}
    found = compare(PROD, replace(PROD, region="eu-west-1", values=values), {})
    assert [(change.path, change.kind) for change in found.changes] == [
        ("aws:region", "replaces"),
        ("slack-webhook-url", "in place"),
    ]
    assert "AAAB" not in json.dumps(command._as_dict(found), default=str)


def shown(before: StackFile, after: StackFile, monkeypatch: pytest.MonkeyPatch, **how: Any) -> str:
    files = iter((before, after))
    monkeypatch.setattr(command, "read", lambda _source: next(files))
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    arguments: dict[str, Any] = {"minutes": "", "markdown": False, "as_json": False, **how}
    command.show(Console(file=out, width=80), "a", "b", **arguments)
    return out.getvalue()


def test_markdown_is_whole_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    after = edited(
        {
            "jobs.analysis.nodes": 5,
            "environments.spot-cpu.instance_types": ["c6i.xlarge", "c7i.xlarge", "t3.large"],
            "tags.a": "x",
        }
    )
    lines = shown(PROD, after, monkeypatch, markdown=True).splitlines()
    assert lines[0] == "### prod: 3 fields change"
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {5}
    assert len(tables) == 2 + 3 + 2 + 6
    assert any(
        "`10 entries` | `without c6i.2xlarge, c7i.2xlarge" in line and "with t3.large`" in line
        for line in tables
    )
    assert any("| `tags.a` | `nothing` | `x` |" in line for line in tables)
    assert command._cell("a|b`c") == "`a¦b'c`", "neither ends the cell nor the code"
    assert any(line.startswith("- the new file has") and "MNP-CAPACITY" in line for line in lines)


def test_no_change_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(PROD, PROD, monkeypatch)
    assert text.startswith("prod: no field changes\n")
    assert text.count(" none") == 6
    assert json.loads(shown(PROD, PROD, monkeypatch, as_json=True))["changes"] == []


def test_a_file_of_another_shape_is_refused() -> None:
    with pytest.raises(
        CliError,
        match=(
            r"section jobs of Pulumi\.prod\.yaml has the wrong shape; `check Pulumi\.prod\.yaml`"
            r" says how"
        ),
    ):
        compare(PROD, edited({"jobs.analysis.nodes": "four"}), {})


def test_a_commit_against_the_working_tree() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "diff", "git:HEAD:Pulumi.dev.yaml", "Pulumi.dev.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dev: ")
