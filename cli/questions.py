"""What checks of an account are asked with, and how they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from components.context import PROJECT_TAG, STACK_TAG
from config.environments import HpcEnvironment
from config.stack import NAMESPACE, StackConfig

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One answer."""

    level: Level
    check: str
    what: str
    fix: str = ""


@dataclass(frozen=True)
class Questions:
    """What the checks look at: the config of a stack, and the account through `client`, which gives
    a boto3 client for a service.
    """

    config: StackConfig
    region: str
    client: Callable[[str], Any]

    @property
    def tags(self) -> dict[str, str]:
        """By which the stack's own resources are known."""
        return {PROJECT_TAG: NAMESPACE, STACK_TAG: self.config.name}

    @cached_property
    def zones(self) -> list[str]:
        """The zones that the network takes, as components/network.py chooses them."""
        filters = [
            {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
            {"Name": "state", "Values": ["available"]},
        ]
        found = self.client("ec2").describe_availability_zones(Filters=filters)["AvailabilityZones"]
        return sorted(zone["ZoneName"] for zone in found)[: self.config.network.az_count]

    @property
    def hpc(self) -> dict[str, HpcEnvironment]:
        """Environments of kind hpc."""
        return {
            name: e for name, e in self.config.environments.items() if isinstance(e, HpcEnvironment)
        }
