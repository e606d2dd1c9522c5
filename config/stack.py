"""All sections of a stack file, validated together."""

from __future__ import annotations

from typing import Any, Final, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter

from config.base import FrozenDict, FrozenMap, ResourceName, TagKey, TagValue
from config.budget import BudgetSection
from config.environments import Environment
from config.images import ImagesSection
from config.jobs import JobsSection
from config.monitoring import MonitoringSection
from config.network import NetworkSection
from config.pipeline import PipelineSection
from config.queues import Queue
from config.storage import StorageSection

SECRETS: Final = ("slack-webhook-url",)
"""Keys of their own (`pulumi config set --secret`), never part of a section: as part of an object a
secret would arrive in plain text.
"""


NAMESPACE: Final = "batch-reference"
"""Namespace of the program's own keys in a stack file: the project's name."""


class StackConfig(BaseModel):
    """One stack: what `Pulumi.<stack>.yaml` says under the project's namespace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    """Name of the stack."""
    region: str = ""
    """`aws:region` of the stack's file; empty where it names none."""
    secrets: FrozenMap[str, Literal["encrypted", "plain"]] = FrozenDict()
    """Those of `SECRETS` that the stack has, and how they stand in its file."""
    naming: str = ""
    """`pulumi:autonaming` as JSON; empty where the stack has none beside that of the project."""

    network: NetworkSection
    storage: StorageSection
    images: ImagesSection
    environments: FrozenMap[ResourceName, Environment]
    queues: FrozenMap[ResourceName, Queue]
    jobs: JobsSection
    pipeline: PipelineSection
    monitoring: MonitoringSection
    budget: BudgetSection
    tags: FrozenMap[TagKey, TagValue]


SECTION_TYPES: Final[dict[str, Any]] = get_type_hints(StackConfig, include_extras=True)
STACK_METADATA: Final = ("name", "region", "secrets", "naming")
"""What a config knows of its stack besides the sections."""
SECTIONS: Final[dict[str, TypeAdapter[Any]]] = {
    name: TypeAdapter(SECTION_TYPES[name])
    for name in StackConfig.model_fields
    if name not in STACK_METADATA
}
"""Section -> its type. Sections whose fields all have defaults may be left out of a stack file."""
