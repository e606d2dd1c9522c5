from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from tests.components import mocks


def test_the_stack_knows_itself_and_config_tags_do_not_hide_that() -> None:
    context = mocks.deploy(
        lambda: StackContext.current({"cost-center": "x", "stack": "another"}), stack="prod"
    ).returned
    assert (context.project, context.stack, context.region) == (mocks.PROJECT, "prod", mocks.REGION)
    assert (context.account_id, context.partition) == (mocks.ACCOUNT, "aws")
    assert context.tags == {"cost-center": "x", "project": mocks.PROJECT, "stack": "prod"}
    assert context.named_tags("vpc") == {**context.tags, "Name": "batch-reference-prod-vpc"}
    assert context.log_group_prefix == "/batch-reference/prod/"


class Outer(Component):
    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(name, opts)
        pulumi.ComponentResource("test:index:Leaf", f"{name}-leaf", None, self.child())
        self.register_outputs({})


def test_children_get_the_parent_and_none_of_the_components_own_options() -> None:
    def program() -> None:
        other = aws.s3.Bucket("other")
        Outer("outer", pulumi.ResourceOptions(depends_on=[other], protect=True))

    made = mocks.deploy(program)
    outer, leaf, other = (
        made.component("Outer"),
        made.one("test:index:Leaf"),
        made.one("aws:s3/bucket:Bucket"),
    )
    assert outer.dependencies == (other.urn,)
    assert leaf.parent == outer.urn
    assert leaf.dependencies == ()
