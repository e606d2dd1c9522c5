"""The same for rules about machines, network, images and time."""

from __future__ import annotations

from tests.config.prod_changes import (
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
SECRET = {"slack-webhook-url": {"secure": "v1:x"}}
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


def _many(instance_type: str, nodes: int) -> Changes:
    """The analysis on so many GPU machines."""
    vcpus = {"p4d.24xlarge": 96, "p5.48xlarge": 192}[instance_type]
    return {
        "environments.gpu.instance_type": instance_type,
        "environments.gpu.max_vcpus": vcpus * nodes,
        "jobs.analysis.nodes": nodes,
        "jobs.analysis.vcpus": vcpus,
        "jobs.analysis.memory_mib": 524_288,
        "budget.monthly_usd": 1_000_000,
    }


CASES: dict[str, list[Case]] = {
    # ---- GPUs
    # ----------------------------------------------------------------------------------------------
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
    # ---- instances
    # ----------------------------------------------------------------------------------------------
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
    "SCRATCH": [
        Case(
            {**on_nodes({"scratch": True})},
            "environments.own.scratch",
            ("c5n.9xlarge", "take types with disks"),
            {},
        ),
        Case(
            {
                "environments.other": {**GPU_SPOT, "scratch": True},
                "queues.other": {"environments": ["other", "own"], "priority": 5},
            }
            | ONE_GPU,
            "queues.other.environments",
            ("environment own has no scratch",),
            {
                "environments.other": GPU_SPOT,
                "queues.other": {"environments": ["other", "own"], "priority": 5},
            }
            | ONE_GPU,
        ),
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
    # ---- several nodes
    # ----------------------------------------------------------------------------------------------
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
    # ---- network
    # ----------------------------------------------------------------------------------------------
    "HPC-ZONE": [
        Case(
            {"environments.gpu.zone_index": 3},
            "environments.gpu.zone_index",
            ("3", "0 to 2"),
            {"environments.gpu.zone_index": 2},
        )
    ],
    "NETWORK-ZONES": [
        Case(
            {"network.az_count": 1},
            "network.az_count",
            ("environment on-demand-cpu could",),
            {"network.az_count": 2},
        )
    ],
    "MNP-ADDRESSES": [
        # p4d.24xlarge: four interfaces and one for the container; a third of a /24 is a /26
        Case(
            {
                "network.cidr_block": "10.20.0.0/24",
                "network.room_for_zones": 3,
                **_many("p4d.24xlarge", 12),
            },
            "network.cidr_block",
            ("59 addresses", "5 each, 60"),
            {
                "network.cidr_block": "10.20.0.0/24",
                "network.room_for_zones": 3,
                **_many("p4d.24xlarge", 11),
            },
        ),
        # of the 32 cards of a p5.48xlarge one has an address; cut for six zones a private subnet of
        # a /24 is a /28
        Case(
            {"network.cidr_block": "10.20.0.0/24", **_many("p5.48xlarge", 6)},
            "network.cidr_block",
            ("11 addresses", "2 each, 12"),
            {"network.cidr_block": "10.20.0.0/24", **_many("p5.48xlarge", 5)},
        ),
    ],
    "SUBNET-ADDRESSES": [
        # three private subnets of /24, 251 addresses each, for instances of four vCPUs
        Case(
            {
                "network.cidr_block": "10.20.0.0/22",
                "network.room_for_zones": 3,
                "environments.spot-cpu.max_vcpus": 3016,
            },
            "environments.spot-cpu.max_vcpus",
            ("754 instances of 4 vCPUs", "753"),
            {
                "network.cidr_block": "10.20.0.0/22",
                "network.room_for_zones": 3,
                "environments.spot-cpu.max_vcpus": 3015,
            },
        ),
        Case(
            {
                "network.cidr_block": "10.20.0.0/22",
                "network.room_for_zones": 3,
                **postprocess_on({**FARGATE, "max_vcpus": 754}),
            },
            "environments.own.max_vcpus",
            ("754 tasks of 1 vCPUs",),
            postprocess_on({**FARGATE, "max_vcpus": 754}),
        ),
    ],
    "NETWORK-ROOM": [
        Case(
            {"network.room_for_zones": 2},
            "network.room_for_zones",
            ("2", "network.az_count is 3"),
            {"network.room_for_zones": 3},
        ),
        Case(
            {"network.az_count": 6, "network.room_for_zones": 5},
            "network.room_for_zones",
            ("az_count is 6",),
            {"network.az_count": 6},
        ),
    ],
    "NETWORK-DOCKER": [
        Case(
            {"network.cidr_block": "172.17.0.0/20"},
            "network.cidr_block",
            ("172.17.0.0/16",),
            {"network.cidr_block": "172.18.0.0/16"},
        )
    ],
    "NAT-SLACK": [
        Case(
            {**SECRET, "network.nat": "none"},
            "network.nat",
            ("slack-webhook-url", "single or per-zone"),
            {"network.nat": "none"},
        ),
        Case({**SECRET, "network.nat": "none"}, "network.nat", (), SECRET),
    ],
    "NAT-ENDPOINTS": [
        Case(
            {"network.nat": "single", "network.interface_endpoints": ["logs", "sts"]},
            "network.interface_endpoints",
            ("2 endpoints in 3 zones cost 0.060", "0.045"),
            {"network.nat": "single", "network.interface_endpoints": ["logs"]},
        ),
        Case(
            {"network.interface_endpoints": ["logs", "sts", "ecs", "sns", "kms"]},
            "network.interface_endpoints",
            ("0.150", "0.135"),
            {"network.interface_endpoints": ["logs", "sts", "ecs", "sns"]},
        ),
    ],
    # ---- images
    # ----------------------------------------------------------------------------------------------
    "IMAGE-DIGESTS": [
        Case(
            {"images": {"cpu_digest": "sha256:" + "0" * 64}},
            "images.gpu_digest",
            ("make push",),
            {"images": {"cpu_digest": "sha256:" + "0" * 64, "gpu_digest": "sha256:" + "1" * 64}},
        )
    ],
    "IMAGE-ARCHITECTURE": [
        Case(
            postprocess_on({**ON_DEMAND, "instance_types": ["c7g.xlarge"]}),
            "queues.own.environments",
            ("images of postprocess", "c7g.xlarge"),
            postprocess_on({**ON_DEMAND, "instance_types": ["c7i.xlarge"]}),
        )
    ],
    # ---- time
    # ----------------------------------------------------------------------------------------------
    "JOIN-DEADLINE": [
        Case(
            {"jobs.analysis.timeout_minutes": 15},
            "jobs.analysis.join_deadline_minutes",
            ("found 15", "timeout_minutes is 15"),
            {"jobs.analysis.timeout_minutes": 16},
        )
    ],
    "INTERMEDIATE-DAYS": [
        # two attempts of the analysis, five of postprocess: 2 x 1440 and 5 x 30 minutes
        Case(
            {"storage.intermediate_days": 2, "jobs.analysis.timeout_minutes": 1440},
            "storage.intermediate_days",
            ("3 days", "raise it to 3"),
            {"storage.intermediate_days": 3, "jobs.analysis.timeout_minutes": 1440},
        )
    ],
    "LOG-RETENTION": [
        Case(
            {"monitoring.log_retention_days": 1, "jobs.analysis.timeout_minutes": 721},
            "monitoring.log_retention_days",
            ("jobs.analysis may take 2 days",),
            {"monitoring.log_retention_days": 1, "jobs.analysis.timeout_minutes": 720},
        )
    ],
}
