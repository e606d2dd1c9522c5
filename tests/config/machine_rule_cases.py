"""Cases of the rules on machines: GPUs, instances, several nodes; see rule_cases.py."""

from __future__ import annotations

from tests.config.prod_changes import (
    DIGESTS,
    DISABLED,
    FARGATE,
    GPU_SPOT,
    HPC,
    LIMITS,
    ON_CPUS,
    ON_DEMAND,
    ONE_GPU,
    RESERVED,
    SPOT_TYPES,
    Case,
    analysis_on,
    postprocess_on,
)
from tests.config.stacks import Changes

SPOT = {"kind": "spot", "instance_types": SPOT_TYPES, "max_vcpus": 16}
C5N = {"kind": "hpc", "instance_type": "c5n.9xlarge", "max_vcpus": 144, "efa": True}


SMALLER_NODES: Changes = {
    "jobs.analysis.vcpus": 16,
    "jobs.analysis.memory_mib": 32_768,
    "jobs.analysis.shared_memory_mib": 8192,
}


def on_nodes(environment: dict[str, object]) -> Changes:
    """The analysis on CPUs of four c5n.9xlarge."""
    return {
        **analysis_on({**C5N, **environment}, nodes=4, runnable_limits=LIMITS),
        **ON_CPUS,
        "jobs.analysis.vcpus": 36,
        "jobs.analysis.memory_mib": 65_536,
    }


CASES: dict[str, list[Case]] = {
    # ---- GPUs ------------------------------------------------------------------------------------
    "GPU-IMAGE": [
        Case(
            {"environments.gpu.image_type": "ECS_AL2023"},
            "environments.gpu.image_type",
            ("8 GPUs", "ECS_AL2023_NVIDIA"),
            {
                "environments.gpu.image_type": "ECS_AL2023",
                "environments.gpu.image_id": "ami-0123456789abcdef0",
            },
        ),
        Case(
            {**on_nodes({}), "jobs.analysis.array_backend": "cupy"},
            "jobs.analysis.gpus",
            ("cupy",),
            on_nodes({}),
        ),
    ],
    "IMAGE-FAMILY": [
        Case(
            {"environments.own": {**HPC, "instance_type": "p3dn.24xlarge", **DISABLED}},
            "environments.own.image_type",
            ("p3dn.24xlarge", "newer family"),
            {"environments.own": {**HPC, "instance_type": "p4d.24xlarge", **DISABLED}},
        )
    ],
    "GPU-BACKEND": [
        Case(
            {"jobs.analysis.array_backend": "numpy"},
            "jobs.analysis.gpus",
            ("leaves GPUs idle",),
            {},
        )
    ],
    "GPU-UNREQUESTED": [
        Case(
            ON_CPUS,
            "jobs.analysis.queue",
            ("environment gpu has GPU instances only", "or ask for gpus"),
            on_nodes({}),
        ),
        Case(
            postprocess_on({**ON_DEMAND, "instance_types": ["g5.xlarge"]}),
            "jobs.postprocess.queue",
            ("another queue",),
            postprocess_on(ON_DEMAND),
        ),
    ],
    "RANKS-GPUS": [
        Case(
            {"jobs.analysis.ranks_per_node": 16},
            "jobs.analysis.ranks_per_node",
            ("some ranks share a GPU", "set ranks_per_node to 8"),
            {},
        ),
        Case(
            {"jobs.analysis.ranks_per_node": 7},
            "jobs.analysis.ranks_per_node",
            ("1 GPUs have no rank",),
            {"jobs.analysis.ranks_per_node": 8},
        ),
    ],
    "EXCHANGE": [
        Case(
            {**on_nodes({}), "jobs.analysis.exchange": "cuda-aware"},
            "jobs.analysis.exchange",
            ("array_backend is numpy", "use host"),
            {"jobs.analysis.exchange": "cuda-aware"},
        ),
        Case(
            {"jobs.analysis.exchange": "nccl", "jobs.analysis.ranks_per_node": 9},
            "jobs.analysis.exchange",
            ("9 ranks share 8 GPUs", "set ranks_per_node to 8"),
            {"jobs.analysis.exchange": "nccl"},
        ),
    ],
    "RANKS-VCPUS": [
        Case(
            {**on_nodes({}), "jobs.analysis.ranks_per_node": 37},
            "jobs.analysis.ranks_per_node",
            ("36 vCPUs",),
            {**on_nodes({}), "jobs.analysis.ranks_per_node": 36},
        )
    ],
    "MIN-VCPUS-GPU": [
        Case(
            {**ONE_GPU, "environments.own": {**GPU_SPOT, "min_vcpus": 1}},
            "environments.own.min_vcpus",
            ("g4dn.4xlarge", "set it to 0"),
            ONE_GPU,
        )
    ],
    # ---- instances -------------------------------------------------------------------------------
    "TYPE-UNKNOWN": [
        Case(
            {"environments.on-demand-cpu.instance_types": ["c6i.xlarge", "c99.xlarge"]},
            "environments.on-demand-cpu.instance_types",
            ('["c99.xlarge"]', "spelling"),
            {"environments.on-demand-cpu.instance_types": ["c6i.xlarge"]},
        ),
        # nothing is said about whether a job fits a type that nobody knows
        Case(
            {"environments.gpu.instance_type": "p99.48xlarge"},
            "environments.gpu.instance_type",
            ("p99.48xlarge",),
            {},
        ),
        Case(
            {
                "images": DIGESTS,
                "environments.gpu.prepared_image": {"builder_type": "g99.xlarge"},
            },
            "environments.gpu.prepared_image.builder_type",
            ("g99.xlarge", "spelling"),
            {
                "images": DIGESTS,
                "environments.gpu.prepared_image": {"builder_type": "g4dn.xlarge"},
            },
        ),
    ],
    "SPOT-TYPE": [
        Case(
            {"environments.spot-cpu.instance_types": [*SPOT_TYPES, "hpc6a.48xlarge"]},
            "environments.spot-cpu.instance_types",
            ('found ["hpc6a.48xlarge"]',),
            {"environments.spot-cpu.instance_types": [*SPOT_TYPES, "c6i.4xlarge"]},
        )
    ],
    "SPOT-DIVERSITY": [
        Case(
            {"environments.spot-cpu.instance_types": SPOT_TYPES[:9]},
            "environments.spot-cpu.instance_types",
            ("9 types", "10 or more"),
            {"environments.spot-cpu.instance_types": [*SPOT_TYPES[:9], "m5.xlarge"]},
        )
    ],
    "SPOT-BID": [
        Case(
            {"environments.spot-cpu.bid_percent": 49},
            "environments.spot-cpu.bid_percent",
            ("remove it",),
            {"environments.spot-cpu.bid_percent": 50},
        )
    ],
    "SPOT-ATTEMPTS": [
        Case(
            {"jobs.preprocess.attempts": 1},
            "jobs.preprocess.attempts",
            ("spot-cpu",),
            {"jobs.preprocess.attempts": 2},
        ),
        Case(
            postprocess_on({**FARGATE, "kind": "fargate-spot"}) | {"jobs.postprocess.attempts": 1},
            "jobs.postprocess.attempts",
            ("own",),
            postprocess_on(FARGATE) | {"jobs.postprocess.attempts": 1},
        ),
    ],
    "FARGATE-STORAGE": [
        Case(
            {"jobs.postprocess.ephemeral_storage_gib": 40},
            "jobs.postprocess.ephemeral_storage_gib",
            ("queue main has instances",),
            {**postprocess_on(FARGATE), "jobs.postprocess.ephemeral_storage_gib": 40},
        )
    ],
    "CAPACITY-BLOCK": [
        Case(
            {"environments.gpu.capacity_block": True},
            "environments.gpu.capacity_block",
            ("add capacity_reservation_id",),
            {
                "environments.gpu.capacity_block": True,
                "environments.gpu.placement_group": False,
                **RESERVED,
            },
        )
    ],
    "RESERVATION-PLACEMENT": [
        Case(
            RESERVED,
            "environments.gpu.placement_group",
            ("turn placement_group off",),
            {**RESERVED, "environments.gpu.placement_group": False},
        )
    ],
    # ---- several nodes ---------------------------------------------------------------------------
    "MNP-ENVIRONMENT": [
        Case(
            {"environments.gpu-2": HPC, "queues.gpu.environments": ["gpu", "gpu-2"]},
            "queues.gpu.environments",
            ("one environment",),
            {"environments.gpu-2": HPC, "queues.gpu-2": {"environments": ["gpu-2"]}},
        ),
        Case(
            {**ONE_GPU, "jobs.analysis.nodes": 4, "queues.own.runnable_limits": LIMITS},
            "environments.own.kind",
            ("4 nodes", "hpc"),
            ONE_GPU,
        ),
    ],
    "MNP-CAPACITY": [
        Case(
            {"environments.gpu.max_vcpus": 767},
            "environments.gpu.max_vcpus",
            ("767", "768", "4 x 192"),
            {"environments.gpu.max_vcpus": 768},
        )
    ],
    "EFA": [
        Case(
            {"environments.gpu.placement_group": False},
            "environments.gpu.placement_group",
            ("placement group",),
            {"environments.gpu.placement_group": False, **RESERVED},
        ),
        Case(
            {
                "environments.own": {
                    **HPC,
                    **DISABLED,
                    "instance_type": "c6i.xlarge",
                    "scratch": False,
                }
            },
            "environments.own.efa",
            ("c6i.xlarge has no EFA",),
            {
                "environments.own": {
                    **HPC,
                    **DISABLED,
                    "instance_type": "c5n.9xlarge",
                    "scratch": False,
                }
            },
        ),
    ],
    "MNP-EFA": [
        Case(
            {"environments.gpu.efa": False},
            "environments.gpu.efa",
            ("4 nodes", "p5.48xlarge has EFA"),
            {},
        )
    ],
    "MNP-PLACEMENT": [
        Case(
            on_nodes({"instance_type": "c5n.4xlarge", "efa": False, "placement_group": False})
            | SMALLER_NODES,
            "environments.own.placement_group",
            ("any part of the zone",),
            on_nodes({"instance_type": "c5n.4xlarge", "efa": False}) | SMALLER_NODES,
        )
    ],
    "MNP-WHOLE-NODE": [
        Case(
            {"jobs.analysis.vcpus": 191},
            "jobs.analysis.vcpus",
            ("192 vCPUs to itself",),
            {"jobs.analysis.vcpus": 192},
        ),
        Case(
            {"jobs.analysis.gpus": 7, "jobs.analysis.ranks_per_node": 7},
            "jobs.analysis.gpus",
            ("8 GPUs to itself",),
            {},
        ),
    ],
    "SHARED-MEMORY": [
        Case(
            {"jobs.analysis.shared_memory_mib": 1_048_576},
            "jobs.analysis.shared_memory_mib",
            ("1048576",),
            {"jobs.analysis.shared_memory_mib": 1_048_575},
        )
    ],
}
