"""The facts file against the dump of DescribeInstanceTypes that moto ships."""

from __future__ import annotations

from typing import Any

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from config.facts import USABLE_MEMORY_SHARE, ec2_facts, instance_type
from workloads import contract

FACTS = ec2_facts().types


def _gpus(dump: dict[str, Any]) -> int:
    return sum(int(gpu["Count"]) for gpu in dump.get("GpuInfo", {}).get("Gpus", []))


@pytest.mark.parametrize("name", sorted(FACTS.keys() & INSTANCE_TYPES.keys()))
def test_sizes_are_those_of_aws(name) -> None:
    facts, dump = FACTS[name], INSTANCE_TYPES[name]
    assert facts.vcpus == dump["VCpuInfo"]["DefaultVCpus"]
    assert facts.memory_mib == dump["MemoryInfo"]["SizeInMiB"]
    assert [facts.architecture] == [
        a for a in dump["ProcessorInfo"]["SupportedArchitectures"] if a != "i386"
    ]
    assert facts.gpus == _gpus(dump)
    network = dump["NetworkInfo"]
    assert facts.efa_interfaces == network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0)
    assert facts.network_cards == network["MaximumNetworkCards"]
    assert facts.spot == ("spot" in dump["SupportedUsageClasses"])
    disks = dump.get("InstanceStorageInfo", {}).get("Disks", [])
    assert facts.scratch_disks == sum(int(disk["Count"]) for disk in disks)
    assert [facts.scratch_disk_gb] == [int(disk["SizeInGB"]) for disk in disks] or not disks


def test_the_file_covers_what_people_use() -> None:
    compared = FACTS.keys() & INSTANCE_TYPES.keys()
    assert len(compared) > 50
    assert len(FACTS.keys() - compared) <= 5, "types that the dump lacks are checked by nobody"
    assert {"p5.48xlarge", "g5.8xlarge", "c5n.9xlarge", "c6i.xlarge"} <= compared


def test_usable_memory_leaves_room_for_the_agent_and_unknown_types_prove_nothing() -> None:
    # an m4.large of 8192 MiB registers 7985 with ECS (AWS Batch user guide): what a job may ask for
    # has to be below that
    assert ec2_facts().types["c6i.xlarge"].usable_memory_mib == 7668 < 7985
    assert USABLE_MEMORY_SHARE == contract.USABLE_MEMORY_SHARE, "what people are told"
    assert instance_type("z99.huge") is None
