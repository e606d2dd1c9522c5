"""For every rule: small changes of the prod stack that break it and nothing else, each with one
beside it that breaks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.config.stacks import REMOVED, Changes, sections


@dataclass(frozen=True)
class Case:
    breaks: Changes
    path: str
    says: tuple[str, ...]
    passes: Changes
    stacks: tuple[str, str] = ("test", "test")
    """Name of the stack where it breaks, and where it passes."""


SPOT_TYPES = sections()["environments"]["spot-cpu"]["instance_types"]
GPU_TYPES = [
    f"{family}.{size}xlarge" for family in ("g4dn", "g5", "g6", "g6e") for size in (4, 8, 16)
]
FARGATE = {"kind": "fargate", "max_vcpus": 16}
ON_DEMAND = {"kind": "on-demand", "instance_types": ["c6i.xlarge"], "max_vcpus": 16}
HPC = {
    "kind": "hpc",
    "instance_type": "p5.48xlarge",
    "image_type": "ECS_AL2023_NVIDIA",
    "max_vcpus": 768,
    "efa": True,
    "scratch": True,
}
GPU_SPOT = {
    "kind": "spot",
    "instance_types": GPU_TYPES,
    "image_type": "ECS_AL2023_NVIDIA",
    "max_vcpus": 64,
}
LIMITS = [{"reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "max_minutes": 30}]
DISABLED = {"enabled": False}
RESERVED = {"environments.gpu.capacity_reservation_id": "cr-0123456789abcdef0"}


FALLBACK = {
    "queue": "main",
    "nodes": 1,
    "vcpus": 4,
    "memory_mib": 6144,
    "ranks_per_node": 4,
    "array_backend": "numpy",
    "timeout_minutes": 360,
    "share_identifier": "pipeline",
    "scheduling_priority": 100,
}


def postprocess_on(environment: dict[str, object], **queue: object) -> Changes:
    """The last stage on an environment and a queue of its own, first come first served."""
    return {
        "environments.own": environment,
        "queues.own": {"environments": ["own"], **queue},
        "jobs.postprocess.queue": "own",
        "jobs.postprocess.share_identifier": REMOVED,
        "jobs.postprocess.scheduling_priority": REMOVED,
    }


def analysis_on(environment: dict[str, object], *, nodes: int, **queue: object) -> Changes:
    """The analysis on an environment and a queue of its own."""
    own = {"environments.own": environment, "queues.own": {"environments": ["own"], **queue}}
    return {**own, "jobs.analysis.queue": "own", "jobs.analysis.nodes": nodes}


ON_FARGATE = postprocess_on(FARGATE)
ON_CPUS: Changes = {
    "jobs.analysis.array_backend": "numpy",
    "jobs.analysis.gpus": 0,
    "jobs.analysis.ranks_per_node": 4,
}
ONE_GPU: Changes = {
    **analysis_on(GPU_SPOT, nodes=1),
    **{
        f"jobs.analysis.{k}": v
        for k, v in {
            "vcpus": 16,
            "memory_mib": 49_152,
            "gpus": 1,
            "ranks_per_node": 1,
            "shared_memory_mib": 8192,
        }.items()
    },
}
ANALYSIS_ON_FARGATE: Changes = {
    **analysis_on(FARGATE, nodes=1),
    **ON_CPUS,
    "jobs.analysis.vcpus": 16,
    "jobs.analysis.memory_mib": 65_536,
    "jobs.analysis.ranks_per_node": 1,
}


def many_environments(count: int) -> Changes:
    return {f"environments.e{i}": {**ON_DEMAND, **DISABLED} for i in range(count)}


def many_queues(count: int) -> Changes:
    return {f"queues.q{i}": {"environments": ["gpu"], "priority": i + 100} for i in range(count)}


def many_columns(count: int, letter: str = "c") -> Changes:
    columns = {f"{letter * 20}{i:04}": {"required": True} for i in range(count)}
    return {"jobs.preprocess.columns": {"sales": columns}}


def many_shares(count: int) -> Changes:
    shares = {f"s{i:03}": 1 for i in range(count)}
    return {"queues.main.fair_share.weights": {"pipeline": 1, **shares}}


def many_tags(count: int) -> Changes:
    return {"tags": {f"t{i}": "x" for i in range(count)}}


CASES: dict[str, list[Case]] = {
    # ---- names, secrets, quotas, tags ------------------------------------------------------------
    "STACK-NAME": [
        Case({}, "stack", ('"Prod_EU"', "name the stack prod-eu"), {}, ("Prod_EU", "prod-eu")),
        Case({}, "stack", ("name the stack a-b",), {}, ("a--b", "a-b")),
        Case({}, "stack", ("name the stack a-b-c",), {}, ("a_b.c", "a-b-c")),
        Case(
            {},
            "stack",
            ("at most 12", "name the stack research-in"),
            {},
            ("research-in-eu", "research-eu"),
        ),
    ],
    "REGION-CHINA": [
        Case(
            {"aws:region": "cn-north-1"},
            "aws:region",
            ("cn-north-1", "outside of China"),
            {"aws:region": "us-gov-west-1"},
        ),
        Case(
            {"aws:region": "cn-northwest-1"},
            "aws:region",
            ("another region",),
            {"aws:region": "eu-central-1"},
        ),
    ],
    "SECRET-PLAIN": [
        Case(
            {"slack-webhook-url": "https://x"},
            "slack-webhook-url",
            ("revoke it", "--secret slack-webhook-url"),
            {"slack-webhook-url": {"secure": "v1:x"}},
        )
    ],
    "QUOTA": [
        Case(many_environments(48), "environments", ("found 51", "50"), many_environments(47)),
        Case(many_queues(49), "queues", ("found 51",), many_queues(48)),
    ],
    "COLUMNS-SIZE": [
        Case(
            many_columns(394),
            "jobs.preprocess.columns",
            ('"20503 bytes"', "24 KiB", "20480"),
            many_columns(393),
        ),
        Case(many_columns(220, "ö"), "jobs.preprocess.columns", ("bytes",), many_columns(220)),
    ],
    "TAG-COUNT": [Case(many_tags(47), "tags", ("found 47", "46"), many_tags(46))],
    "TAG-OWN": [
        Case({"tags.Stack": "x"}, "tags.Stack", ("the tag stack itself",), {"tags.stacks": "x"}),
        Case({"tags.pipeline-stage": "x"}, "tags.pipeline-stage", ("itself",), {}),
    ],
    "TAG-CASE": [
        Case(
            {"tags.Cost-Center": "x"},
            "tags.Cost-Center",
            ("cost-center",),
            {"tags.Cost-Centers": "x"},
        )
    ],
    # ---- references ------------------------------------------------------------------------------
    "REF-ENVIRONMENT": [
        Case(
            {"queues.gpu.environments": ["gpu", "gpus"]},
            "queues.gpu.environments.1",
            ("gpu, on-demand-cpu, spot-cpu",),
            {"queues.gpu.environments": ["gpu"]},
        ),
        Case(
            {"queues.main.environments": ["spot-cpu", "on-demand-cpu", "spot-cpu"]},
            "queues.main.environments.2",
            ("twice",),
            {"queues.main.environments": ["spot-cpu", "on-demand-cpu"]},
        ),
    ],
    "REF-QUEUE": [
        Case({"jobs.preprocess.queue": "mian"}, "jobs.preprocess.queue", ("gpu, main",), {})
    ],
    "QUEUE-DISABLED": [
        Case(
            {"queues.gpu.enabled": False},
            "queues.gpu.enabled",
            ("analysis would be refused",),
            {"queues.gpu.enabled": False, "pipeline": DISABLED},
        ),
        Case(
            {"environments.gpu.enabled": False},
            "environments.gpu.enabled",
            ("queue gpu, where analysis run",),
            {"environments.spot-cpu.enabled": False},
        ),
    ],
    "ENVIRONMENT-UNUSED": [
        Case(
            {"environments.own": ON_DEMAND},
            "environments.own",
            ("no queue names",),
            {"environments.own": {**ON_DEMAND, **DISABLED}},
        ),
    ],
    # ---- queues ----------------------------------------------------------------------------------
    "QUEUE-MIX": [
        Case(
            {
                "environments.fargate": FARGATE,
                "queues.main.environments": ["spot-cpu", "on-demand-cpu", "fargate"],
            },
            "queues.main.environments",
            ("split the queue",),
            {"environments.fargate": FARGATE, "queues.cheap": {"environments": ["fargate"]}},
        )
    ],
    "QUEUE-ARCHITECTURE": [
        Case(
            {"environments.on-demand-cpu.instance_types": ["c6i.xlarge", "c7g.xlarge"]},
            "queues.main.environments",
            ("arm64: c7g.xlarge", "x86_64: c6i.xlarge, c6i.2xlarge, c7i.xlarge and 7 more"),
            {
                "environments.arm": {**ON_DEMAND, "instance_types": ["c7g.xlarge"]},
                "queues.arm": {"environments": ["arm"]},
            },
        ),
        Case(
            {
                "environments.own": {
                    **ON_DEMAND,
                    **DISABLED,
                    "instance_types": ["c6i.xlarge", "c7g.xlarge"],
                }
            },
            "environments.own.instance_types",
            ("arm64",),
            {"environments.own": {**ON_DEMAND, **DISABLED, "instance_types": ["c7g.xlarge"]}},
        ),
    ],
    "QUEUE-ORDER": [
        Case(
            {"queues.main.environments": ["on-demand-cpu", "spot-cpu"]},
            "queues.main.environments",
            ("write [spot-cpu, on-demand-cpu]",),
            {"queues.main.environments": ["spot-cpu"], "environments.on-demand-cpu.enabled": False},
        )
    ],
    "QUEUE-PRIORITY": [
        Case(
            {"queues.adhoc": {"environments": ["on-demand-cpu"], "priority": 10}},
            "queues.adhoc.priority",
            ("queue main", "on-demand-cpu"),
            {"queues.adhoc": {"environments": ["on-demand-cpu"], "priority": 9}},
        )
    ],
    "RUNNABLE-REASON": [
        Case(
            {"queues.main.runnable_limits": LIMITS * 2},
            "queues.main.runnable_limits.1.reason",
            ("already",),
            {"queues.main.runnable_limits": LIMITS},
        )
    ],
    "RUNNABLE-LIMIT": [
        Case(
            {"queues.gpu.runnable_limits.0.max_minutes": 19},
            "queues.gpu.runnable_limits.0.max_minutes",
            ("found 19", "20"),
            {"queues.gpu.runnable_limits.0.max_minutes": 20},
        )
    ],
    "RUNNABLE-NONE": [
        Case(
            {"queues.gpu.runnable_limits": []},
            "queues.gpu.runnable_limits",
            ("for ever",),
            {"queues.main.runnable_limits": []},
        ),
    ],
    # ---- fair share ------------------------------------------------------------------------------
    "FAIR-SHARE-IDENTIFIER": [
        Case(
            {"jobs.preprocess.share_identifier": REMOVED},
            "jobs.preprocess.share_identifier",
            ("adhoc, pipeline",),
            {},
        ),
        Case(
            {"jobs.analysis.share_identifier": "pipeline"},
            "jobs.analysis.share_identifier",
            ("queue gpu has no fair_share",),
            {},
        ),
        Case(
            {"jobs.preprocess.share_identifier": "nightly"},
            "jobs.preprocess.share_identifier",
            ("adhoc, pipeline",),
            {"queues.main.fair_share.weights": {"pipe*": 1}},
        ),
        Case(
            {"jobs.preprocess.share_identifier": "pipeline*"},
            "jobs.preprocess.share_identifier",
            ("one share",),
            {},
        ),
        Case(
            {"jobs.preprocess.scheduling_priority": REMOVED},
            "jobs.preprocess.scheduling_priority",
            ("queue main",),
            {"jobs.preprocess.scheduling_priority": 0},
        ),
    ],
    "FAIR-SHARE-COUNT": [
        Case(
            many_shares(500),
            "queues.main.fair_share.weights",
            ("found 501", "500 identifiers"),
            many_shares(499),
        )
    ],
    "FAIR-SHARE-OVERLAP": [
        Case(
            {"queues.main.fair_share.weights.pipe*": 3},
            "queues.main.fair_share.weights",
            ('["pipe*", "pipeline"]',),
            {"queues.main.fair_share.weights.pipes*": 3},
        ),
        Case(
            {"queues.main.fair_share.weights": {"p*": 1, "pipe*": 2}},
            "queues.main.fair_share.weights",
            ("covers",),
            {"queues.main.fair_share.weights": {"p*": 1, "q*": 2}},
        ),
    ],
    "FAIR-SHARE-MNP": [
        Case(
            {
                "queues.gpu.fair_share": {"weights": {"a": 1}},
                "jobs.analysis.share_identifier": "a",
                "jobs.analysis.scheduling_priority": 1,
            },
            "jobs.analysis.queue",
            ("4 nodes",),
            {},
        )
    ],
    "FAIR-SHARE-RESERVATION": [
        # 3 % of 64 is less than two vCPUs, 4 % more
        Case(
            {
                "queues.main.fair_share.compute_reservation_percent": 97,
                "environments.on-demand-cpu.max_vcpus": 64,
            },
            "queues.main.fair_share.compute_reservation_percent",
            ("leaves 1.92 of the 64", "jobs.preprocess needs 2"),
            {
                "queues.main.fair_share.compute_reservation_percent": 96,
                "environments.on-demand-cpu.max_vcpus": 64,
            },
        )
    ],
    "SCHEDULING-PRIORITY": [
        Case(
            {"jobs.analysis.scheduling_priority": 1},
            "jobs.analysis.scheduling_priority",
            ("no effect",),
            {},
        ),
    ],
    # ---- capacity --------------------------------------------------------------------------------
    "JOB-FITS": [
        # r6i.2xlarge: 65536 MiB less 6 % and 32 MiB
        Case(
            {"jobs.preprocess.memory_mib": 61_572},
            "jobs.preprocess",
            (
                "environment spot-cpu",
                "r6i.2xlarge 8 vCPUs, 61571 MiB",
                "environment on-demand-cpu",
                "30769",
                "and 7 smaller",
            ),
            {"jobs.preprocess.memory_mib": 7668},
        ),
        Case(
            {"jobs.analysis.gpus": 9, "jobs.analysis.ranks_per_node": 9},
            "jobs.analysis",
            ("8 GPUs",),
            {},
        ),
        Case(
            {"jobs.analysis.memory_mib": 1_971_291},
            "jobs.analysis",
            ("1971290 MiB",),
            {"jobs.analysis.memory_mib": 1_971_290},
        ),
    ],
    "JOB-MAX-VCPUS": [
        Case(
            postprocess_on({**ON_DEMAND, "max_vcpus": 1}) | {"jobs.postprocess.vcpus": 2},
            "environments.own.max_vcpus",
            ("found 1", "needs 2"),
            postprocess_on({**ON_DEMAND, "max_vcpus": 4}) | {"jobs.postprocess.vcpus": 2},
        ),
        Case(
            postprocess_on({**FARGATE, "max_vcpus": 1})
            | {"jobs.postprocess.vcpus": 2, "jobs.postprocess.memory_mib": 4096},
            "environments.own.max_vcpus",
            ("raise max_vcpus to 2",),
            postprocess_on({**FARGATE, "max_vcpus": 2})
            | {"jobs.postprocess.vcpus": 2, "jobs.postprocess.memory_mib": 4096},
        ),
    ],
    "JOB-MIN-VCPUS": [
        Case(
            postprocess_on(
                {**ON_DEMAND, "instance_types": ["c6i.large", "c6i.xlarge"], "min_vcpus": 15}
            )
            | {"jobs.postprocess.vcpus": 4},
            "environments.own.min_vcpus",
            ("16 vCPUs of types too small", "the 4 that it needs", "max_vcpus 16"),
            postprocess_on({**ON_DEMAND, "min_vcpus": 15}) | {"jobs.postprocess.vcpus": 4},
        )
    ],
    "JOB-ENVIRONMENT": [
        Case(
            {
                "jobs.preprocess.vcpus": 3,
                "environments.on-demand-cpu.instance_types": ["c6i.large"],
            },
            "queues.main.environments",
            ("environment on-demand-cpu never runs jobs.preprocess", "c6i.large 2 vCPUs"),
            {"jobs.preprocess.vcpus": 3},
        )
    ],
    "JOB-TYPES": [
        # c6i.xlarge: 8192 MiB less 6 % and 32 MiB
        Case(
            {"environments.on-demand-cpu.instance_types": ["m6i.xlarge", "c6i.large"]},
            "environments.on-demand-cpu.instance_types",
            (
                "jobs.preprocess wants 2 vCPUs and 4096 MiB",
                "c6i.large (2 vCPUs, 3818 MiB usable, 0 GPUs)",
            ),
            {"environments.on-demand-cpu.instance_types": ["m6i.xlarge", "c6i.xlarge"]},
        )
    ],
    "MAX-VCPUS-INSTANCE": [
        Case(
            postprocess_on({**ON_DEMAND, "max_vcpus": 3}),
            "environments.own.max_vcpus",
            ("c6i.xlarge", "raise max_vcpus to 4"),
            postprocess_on({**ON_DEMAND, "max_vcpus": 4}),
        )
    ],
    "MIN-VCPUS": [
        Case(
            {"environments.on-demand-cpu.min_vcpus": 33},
            "environments.on-demand-cpu.min_vcpus",
            ("max_vcpus is 32",),
            {"environments.on-demand-cpu.min_vcpus": 32},
        )
    ],
    "JOB-VCPUS": [
        Case(
            {"jobs.preprocess.vcpus": 1.5},
            "jobs.preprocess.vcpus",
            ("1.5",),
            {"jobs.preprocess.vcpus": 1},
        )
    ],
    "JOB-SIZE": [
        Case(
            {**ON_FARGATE, "jobs.postprocess.memory_mib": 3000},
            "jobs.postprocess.memory_mib",
            ("2048 to 8192", "1024"),
            {**ON_FARGATE, "jobs.postprocess.memory_mib": 3072},
        ),
        Case(
            {**ON_FARGATE, "jobs.postprocess.vcpus": 3},
            "jobs.postprocess.vcpus",
            ("0.25",),
            {**ON_FARGATE, "jobs.postprocess.vcpus": 0.5},
        ),
    ],
    "FARGATE-GPU": [
        Case(
            {**ANALYSIS_ON_FARGATE, "jobs.analysis.array_backend": "cupy", "jobs.analysis.gpus": 1},
            "jobs.analysis.gpus",
            ("Fargate, which has no GPUs",),
            ANALYSIS_ON_FARGATE,
        )
    ],
    "FARGATE-RANKS": [
        Case(
            {**ANALYSIS_ON_FARGATE, "jobs.analysis.ranks_per_node": 2},
            "jobs.analysis.ranks_per_node",
            ("64 MiB",),
            ANALYSIS_ON_FARGATE,
        )
    ],
}
