"""Cases of the rules on network, images and time; see rule_cases.py."""

from __future__ import annotations

from tests.config.prod_changes import FARGATE, ON_DEMAND, Case, postprocess_on
from tests.config.stacks import Changes

SECRET = {"slack-webhook-url": {"secure": "v1:x"}}


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
    # ---- network ---------------------------------------------------------------------------------
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
    # ---- images ----------------------------------------------------------------------------------
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
    # ---- time ------------------------------------------------------------------------------------
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
