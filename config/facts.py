"""Facts about EC2 instance types: sizes, network cards, prices with their date.

One data file, `ec2_facts.json`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict

EFA_ONLY_FAMILIES: Final = ("p5.", "p5e.", "p5en.", "p6-")
"""Beginnings of the types of whose network cards only the first takes an address: the others get
interfaces of type efa-only.
"""


USABLE_MEMORY_SHARE: Final = 0.94
"""Part of an instance's nominal memory that jobs can count on; `workloads.contract` has it too."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InstanceType(_Facts):
    """One EC2 instance type."""

    vcpus: int
    memory_mib: int
    """Nominal; the ECS agent registers less, see `usable_memory_mib`."""
    architecture: str
    gpus: int = 0
    gpu_name: str | None = None
    gpu_memory_mib: int = 0
    """Memory of one GPU."""
    efa_interfaces: int = 0
    network_cards: int = 1
    interfaces_per_card: int = 2
    scratch_disks: int = 0
    scratch_disk_gb: int = 0
    spot: bool = True
    usd_per_hour: float | None = None
    """Price of On-Demand, Linux; None where no price is known."""
    price_confirmed: bool = True

    @property
    def usable_memory_mib(self) -> int:
        """What jobs can ask for, see `usable_memory_mib`."""
        return usable_memory_mib(self.memory_mib)


def usable_memory_mib(nominal_mib: int) -> int:
    """Memory that jobs can have on an EC2 instance, MiB.

    Nominal less 6 % for kernel and ECS agent, less the 32 MiB that AWS Batch reserves. The share is
    a rule of thumb on the safe side: an m4.large of 8192 MiB registers 7985 (AWS Batch user guide,
    memory management).
    """
    return int(nominal_mib * USABLE_MEMORY_SHARE) - 32


class PriceSource(_Facts):
    """Where the prices come from."""

    region: str
    date: str
    unit: str
    source: str


class FargatePrices(_Facts):
    """Fargate, Linux on x86, per hour."""

    usd_per_vcpu_hour: float
    usd_per_gib_hour: float
    price_confirmed: bool


class Ec2Facts(_Facts):
    """The data file."""

    source: str
    prices: PriceSource
    fargate: FargatePrices
    types: dict[str, InstanceType]


@cache
def ec2_facts() -> Ec2Facts:
    """The facts, read once."""
    return Ec2Facts.model_validate_json(files("config").joinpath("ec2_facts.json").read_bytes())


def instance_type(name: str) -> InstanceType | None:
    """Facts of a type, or None where it is unknown: then nothing may be concluded about it."""
    return ec2_facts().types.get(name)
