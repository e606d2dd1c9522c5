"""Section `network`: the VPC that the compute environments live in."""

from __future__ import annotations

from typing import Final, Literal

from config.base import CidrBlock, Section, setting

EndpointService = Literal[
    "batch",
    "ec2",
    "ec2messages",
    "ecr.api",
    "ecr.dkr",
    "ecs",
    "ecs-agent",
    "ecs-telemetry",
    "elasticfilesystem",
    "events",
    "fsx",
    "imagebuilder",
    "kms",
    "logs",
    "monitoring",
    "secretsmanager",
    "sns",
    "ssm",
    "ssmmessages",
    "states",
    "sts",
]


PRIVATE_BATCH_SERVICES: Final[tuple[EndpointService, ...]] = (
    "ecs",
    "ecs-agent",
    "ecs-telemetry",
    "ecr.api",
    "ecr.dkr",
    "logs",
    "secretsmanager",
)
"""What instances and Fargate tasks call besides S3: without NAT each needs an interface endpoint
(AWS Batch user guide, VPC endpoints).
"""


BUILDER_SERVICES: Final[tuple[EndpointService, ...]] = (
    "ec2messages",
    "imagebuilder",
    "ssm",
    "ssmmessages",
)
"""What an instance calls besides these while EC2 Image Builder makes an AMI of it (Image Builder
user guide, vpc-interface-endpoints; Systems Manager user guide, setup-create-vpc).
"""


class NetworkSection(Section):
    """The VPC: zones, address space, and how private subnets reach AWS."""

    cidr_block: CidrBlock = setting(
        "10.0.0.0/16",
        about="Address space of the VPC, split evenly among the subnets.",
        change="replaces",
    )
    az_count: int = setting(
        2,
        about=(
            "Availability Zones, each with a private subnet and, where there is NAT, a public one."
        ),
        change="in place",
        ge=1,
        le=6,
    )
    room_for_zones: int = setting(
        6,
        about=(
            "For how many zones the address space is cut, so that az_count can grow without a"
            " subnet moving."
        ),
        change="replaces",
        ge=1,
        le=6,
    )
    nat: Literal["none", "single", "per-zone"] = setting(
        "single",
        about=(
            "NAT gateways: none (no internet gateway either: endpoints carry all traffic, to this"
            " account alone), single, or per-zone."
        ),
        change="in place",
    )
    interface_endpoints: tuple[EndpointService, ...] = setting(
        (),
        about=(
            "Interface endpoints besides those that private subnets without NAT need anyway; each"
            " costs per zone and hour."
        ),
        change="in place",
    )

    @property
    def nat_gateways(self) -> int:
        """How many NAT gateways there are."""
        return {"none": 0, "single": 1, "per-zone": self.az_count}[self.nat]

    @property
    def endpoint_services(self) -> tuple[EndpointService, ...]:
        """Services with an interface endpoint in every zone."""
        needed = PRIVATE_BATCH_SERVICES if self.nat == "none" else ()
        return tuple(dict.fromkeys((*needed, *self.interface_endpoints)))
