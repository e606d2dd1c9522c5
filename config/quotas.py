"""Which quota of the account counts an instance type, by purchase option and family.

Source: EC2 user guide, ec2-instance-quotas; AWS Fargate user guide, service quotas. All of them
count vCPUs of what runs at one time, in the whole account and region.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_STANDARD: Final = frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"})


@dataclass(frozen=True)
class Quota:
    """A quota as the Service Quotas API knows it."""

    service: str
    code: str


VCPU_QUOTAS: Final[Mapping[str, Quota]] = {
    "on-demand standard": Quota("ec2", "L-1216C47A"),
    "on-demand P": Quota("ec2", "L-417A185B"),
    "on-demand G and VT": Quota("ec2", "L-DB2E81BA"),
    "on-demand HPC": Quota("ec2", "L-F7808C92"),
    "spot standard": Quota("ec2", "L-34B43A08"),
    "spot G and VT": Quota("ec2", "L-3819A6DF"),
    "spot P2, P3, P4": Quota("ec2", "L-7212CCBC"),
    "spot P5": Quota("ec2", "L-C4BD4855"),
    "fargate": Quota("fargate", "L-3032A538"),
    "fargate-spot": Quota("fargate", "L-36FBB829"),
}
"""Family, with its purchase option, -> quota."""


def family_of(instance_type: str, purchase: str) -> str:
    """The family that one quota counts together, or the letters of the type where none is known.

    Args:
        instance_type: such as `p5.48xlarge`.
        purchase: `on-demand` or `spot`: P instances have one quota in the one, several in the
            other.
    """
    match = re.match(r"([a-z]+)(\d*)", instance_type)
    letters, generation = (match[1], match[2]) if match else (instance_type, "")
    if letters == "p":
        if purchase == "on-demand":
            return "P"
        if generation == "5":
            return "P5"
        return "P2, P3, P4" if generation in {"2", "3", "4"} else f"p{generation}"
    words = {
        "g": "G and VT",
        "gr": "G and VT",
        "vt": "G and VT",
        "hpc": "HPC",
        **dict.fromkeys(_STANDARD, "standard"),
    }
    return words.get(letters, letters)


def quota_of(instance_type: str, purchase: str) -> Quota | None:
    """The quota that counts the type, None where none is known."""
    return VCPU_QUOTAS.get(f"{purchase} {family_of(instance_type, purchase)}")


def increase_command(quota: Quota, vcpus: float) -> str:
    """The command of the aws CLI that asks for more."""
    return (
        "aws service-quotas request-service-quota-increase"
        f" --service-code {quota.service} --quota-code {quota.code} --desired-value {vcpus:g}"
    )
