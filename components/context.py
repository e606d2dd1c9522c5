"""What every component knows about its stack, and the base of all components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import pulumi
import pulumi_aws as aws

TYPE_PACKAGE: Final = "batch-reference:components"
"""Package and module of the components' type tokens."""
PROJECT_TAG: Final = "project"
STACK_TAG: Final = "stack"
"""Tags by which budget, cost report and clean-up tell the resources of one stack from all
others.
"""


@dataclass(frozen=True, kw_only=True)
class StackContext:
    """Plain facts about the stack.

    Plain, because names, policies and counts are made from them while the program runs.
    """

    project: str
    stack: str
    region: str
    account_id: str
    partition: str
    """`aws` or `aws-us-gov`; a rule refuses the regions of China."""
    tags: Mapping[str, str]
    """Tags of every resource that can have tags: the config's, then project and stack."""

    @classmethod
    def current(cls, tags: Mapping[str, str]) -> Self:
        """The stack that is being deployed, with the tags of its config.

        Asks AWS for account, region and partition.
        """
        project, stack = pulumi.get_project(), pulumi.get_stack()
        return cls(
            project=project,
            stack=stack,
            region=aws.get_region().region,
            account_id=aws.get_caller_identity().account_id,
            partition=aws.get_partition().partition,
            tags={**tags, PROJECT_TAG: project, STACK_TAG: stack},
        )

    @property
    def log_group_prefix(self) -> str:
        """How the names of all log groups of the stack begin; policies are scoped to it."""
        return f"/{self.project}/{self.stack}/"

    def named_tags(self, name: str) -> dict[str, str]:
        """The stack's tags and a `Name`, for the resources that consoles list by that tag alone."""
        return {**self.tags, "Name": f"{self.project}-{self.stack}-{name}"}


class Component(pulumi.ComponentResource):
    """A part of the stack: type token `batch-reference:components:<Class>`, children named
    `<name>-...`.
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PACKAGE}:{type(self).__name__}", name, None, opts)

    def child(
        self,
        *,
        depends_on: Sequence[pulumi.Resource] | None = None,
        protect: bool | None = None,
        retain_on_delete: bool | None = None,
        ignore_changes: list[str] | None = None,
        aliases: list[str] | None = None,
        replace_on_changes: list[str] | None = None,
        replace_with: list[pulumi.Resource] | None = None,
        replacement_trigger: str | None = None,
        hooks: pulumi.ResourceHookBinding | None = None,
    ) -> pulumi.ResourceOptions:
        """Options of a child: this component as parent, and what the child itself needs.

        The component's own options are not handed on. `aliases` are former logical names.
        """
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=depends_on,
            protect=protect,
            retain_on_delete=retain_on_delete,
            ignore_changes=ignore_changes,
            aliases=[pulumi.Alias(name=each) for each in aliases] if aliases else None,
            replace_on_changes=replace_on_changes,
            replace_with=replace_with,
            replacement_trigger=replacement_trigger,
            hooks=hooks,
        )
