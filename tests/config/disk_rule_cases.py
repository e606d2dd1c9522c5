"""Cases of the rules on disks for temporary files; see rule_cases.py."""

from __future__ import annotations

from typing import Any

from tests.config.machine_rule_cases import on_nodes
from tests.config.prod_changes import GPU_SPOT, ON_DEMAND, ONE_GPU, Case, postprocess_on
from tests.config.stacks import Changes

STORE = {"kind": "instance-store"}


def gp3(size_gib: int = 100, **more: Any) -> dict[str, Any]:
    return {"kind": "gp3", "size_gib": size_gib, **more}


def on_gpu(**disk: Any) -> Changes:
    return {"environments.gpu.scratch": gp3(**disk)}


def alone(**more: Any) -> Changes:
    """The last stage on an environment of its own."""
    return postprocess_on({**ON_DEMAND, **more})


def beside(scratch: dict[str, Any]) -> Changes:
    """A queue of two environments, of which the second has no scratch."""
    return {
        **ONE_GPU,
        "environments.other": {**GPU_SPOT, "scratch": scratch},
        "queues.other": {"environments": ["other", "own"], "priority": 5},
    }


CASES: dict[str, list[Case]] = {
    "SCRATCH-DISKS": [
        Case(
            on_nodes({"scratch": STORE}),
            "environments.own.scratch.kind",
            ("c5n.9xlarge", "take the kind gp3"),
            on_nodes({"scratch": gp3()}),
        ),
        Case(
            alone(scratch=STORE, instance_types=["c6id.xlarge", "m6i.xlarge"]),
            "environments.own.scratch.kind",
            ("no instance-store disk: m6i.xlarge", "or types with disks"),
            alone(scratch=STORE, instance_types=["c6id.xlarge", "m6id.xlarge"]),
        ),
    ],
    "SCRATCH-GP3": [
        Case(
            on_gpu(size_gib=7, iops=3501),
            "environments.gpu.scratch.iops",
            ("3501", "7 GiB has at most 3500 IOPS", "raise size_gib to 8 or more"),
            on_gpu(size_gib=7, iops=3500),
        ),
        Case(
            on_gpu(size_gib=159, iops=80_000),
            "environments.gpu.scratch.iops",
            ("at most 79500 IOPS", "raise size_gib to 160 or more"),
            on_gpu(size_gib=160, iops=80_000, throughput_mibps=2000),
        ),
        Case(
            on_gpu(throughput_mibps=751),
            "environments.gpu.scratch.throughput_mibps",
            ("3000 IOPS has at most 750 MiB/s", "raise iops to 3004 or more"),
            on_gpu(throughput_mibps=750),
        ),
        # what every size has is more than 500 IOPS for its one GiB
        Case(
            on_gpu(size_gib=1, iops=3001),
            "environments.gpu.scratch.iops",
            ("1 GiB has at most 3000 IOPS",),
            on_gpu(size_gib=1, iops=3000),
        ),
    ],
    "SCRATCH": [
        Case(
            beside(STORE),
            "queues.other.environments",
            ("environment own has no scratch",),
            {**beside(STORE), "environments.own.scratch": gp3()},
        ),
    ],
    "SCRATCH-UNUSED": [
        Case(
            alone(scratch=gp3()),
            "environments.own.scratch.kind",
            ("no analysis runs here",),
            alone(scratch=STORE, instance_types=["c6id.xlarge"]),
        ),
    ],
}
