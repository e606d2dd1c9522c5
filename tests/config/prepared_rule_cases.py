"""Cases of the rules on AMIs that the stack has made; see rule_cases.py."""

from __future__ import annotations

from typing import Any

from tests.config.prod_changes import DIGESTS, ON_DEMAND, Case
from tests.config.stacks import Changes

PUBLISHED: Changes = {"images": DIGESTS}


def made(environment: str, **prepared: Any) -> Changes:
    """An environment of the prod stack whose AMI is made, with published images."""
    return {**PUBLISHED, f"environments.{environment}.prepared_image": prepared}


CPU, GPU = made("on-demand-cpu"), made("gpu", builder_type="g4dn.xlarge")
CLOSED: Changes = {**CPU, "network.nat": "none"}
ENDPOINTS = ["imagebuilder", "ssm", "ssmmessages", "ec2messages"]

CASES: dict[str, list[Case]] = {
    "PREPARED-IMAGE-ID": [
        Case(
            {**CPU, "environments.on-demand-cpu.image_id": "ami-0123456789abcdef0"},
            "environments.on-demand-cpu.image_id",
            ("has a prepared_image too", "remove one"),
            CPU,
        ),
    ],
    "PREPARED-JOBS": [
        Case(
            {
                **PUBLISHED,
                "environments.own": {**ON_DEMAND, "prepared_image": {}},
                "queues.own": {"environments": ["own"]},
            },
            "environments.own.prepared_image",
            ("no job is sent", "remove prepared_image"),
            {**PUBLISHED, "environments.own": ON_DEMAND, "queues.own": {"environments": ["own"]}},
        ),
    ],
    "PREPARED-DIGEST": [
        Case(
            {"environments.on-demand-cpu.prepared_image": {}},
            "environments.on-demand-cpu.prepared_image",
            ("images.cpu_digest, which the file does not have yet", "make push"),
            CPU,
        ),
        Case(
            {"environments.gpu.prepared_image": {"builder_type": "g4dn.xlarge"}},
            "environments.gpu.prepared_image",
            ("images.gpu_digest",),
            GPU,
        ),
    ],
    "PREPARED-BUILDER": [
        Case(
            made("on-demand-cpu", builder_type="m7g.large"),
            "environments.on-demand-cpu.prepared_image.builder_type",
            ("m7g.large is of arm64", "x86_64"),
            made("on-demand-cpu", builder_type="m7i.large"),
        ),
        Case(
            made("gpu", builder_type="m7i.large"),
            "environments.gpu.prepared_image.builder_type",
            ("m7i.large has none", "g4dn.xlarge"),
            GPU,
        ),
        Case(
            made("gpu", builder_type="p3dn.24xlarge"),
            "environments.gpu.prepared_image.builder_type",
            ("does not serve p3dn.24xlarge", "newer family"),
            made("gpu"),
        ),
    ],
    "PREPARED-ENDPOINTS": [
        Case(
            CLOSED,
            "network.interface_endpoints",
            ("on-demand-cpu", "ec2messages, imagebuilder, ssm, ssmmessages", "nat single"),
            {**CLOSED, "network.interface_endpoints": ENDPOINTS},
        ),
        Case(
            {**CLOSED, "network.interface_endpoints": ENDPOINTS[1:]},
            "network.interface_endpoints",
            ("needs endpoints of imagebuilder",),
            {**CPU, "network.nat": "single"},
        ),
    ],
    "PREPARED-VOLUME": [
        Case(
            made("on-demand-cpu", volume_gib=51),
            "environments.on-demand-cpu.prepared_image.volume_gib",
            ("root_volume_gib of this environment is 50", "at most 50"),
            made("on-demand-cpu", volume_gib=50),
        ),
    ],
}
