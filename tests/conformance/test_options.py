"""What options of resources do, and a change that fails half way, with both engines: one small
program in several states.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localcloud.deployment.provider.plugin import Server
from tests.conformance.book.engines import Own, Real, new_cloud
from tests.conformance.book.play import compare, ends
from tests.localcloud.deploying import write_program

STAGES: dict[str, tuple[str, str]] = {
    # what is new -> the program, and a part of the refusal
    "it is made": (
        """
        first = aws.sqs.Queue("first")
        second = aws.sqs.Queue("second", tags={"a": "1"}, opts=pulumi.ResourceOptions(protect=True))
        topic = aws.sns.Topic("topic", name="options-one")
        aws.sns.TopicSubscription(
            "subscription", topic=topic.arn, protocol="sqs", endpoint=first.arn
        )
        told = aws.sqs.Queue("told", tags={"topic": topic.arn})
        """,
        "",
    ),
    "a name goes by an alias": (
        """
        first = aws.sqs.Queue(
            "renamed", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="first")])
        )
        second = aws.sqs.Queue("second", tags={"a": "2"}, opts=pulumi.ResourceOptions(protect=True))
        topic = aws.sns.Topic("topic", name="options-one")
        aws.sns.TopicSubscription(
            "subscription", topic=topic.arn, protocol="sqs", endpoint=first.arn
        )
        told = aws.sqs.Queue("told", tags={"topic": topic.arn})
        """,
        "",
    ),
    "what is protected had to be replaced": (
        """
        first = aws.sqs.Queue("renamed")
        second = aws.sqs.Queue("second", fifo_queue=True, opts=pulumi.ResourceOptions(protect=True))
        topic = aws.sns.Topic("topic", name="options-one")
        aws.sns.TopicSubscription(
            "subscription", topic=topic.arn, protocol="sqs", endpoint=first.arn
        )
        told = aws.sqs.Queue("told", tags={"topic": topic.arn})
        """,
        "as it is currently marked for protection",
    ),
    "what is protected is no longer there": (
        """
        first = aws.sqs.Queue("renamed")
        topic = aws.sns.Topic("topic", name="options-one")
        aws.sns.TopicSubscription(
            "subscription", topic=topic.arn, protocol="sqs", endpoint=first.arn
        )
        told = aws.sqs.Queue("told", tags={"topic": topic.arn})
        """,
        "because it is protected",
    ),
    "protection ends with the replacement": (
        """
        first = aws.sqs.Queue("renamed")
        second = aws.sqs.Queue("second", fifo_queue=True)
        topic = aws.sns.Topic("topic", name="options-one")
        aws.sns.TopicSubscription(
            "subscription", topic=topic.arn, protocol="sqs", endpoint=first.arn
        )
        told = aws.sqs.Queue("told", tags={"topic": topic.arn})
        """,
        "",
    ),
    "a given name changes, and what needs it goes before": (
        """
        first = aws.sqs.Queue("renamed")
        second = aws.sqs.Queue("second", fifo_queue=True)
        topic = aws.sns.Topic("topic", name="options-two")
        aws.sns.TopicSubscription(
            "subscription", topic=topic.arn, protocol="sqs", endpoint=first.arn
        )
        told = aws.sqs.Queue("told", tags={"topic": topic.arn})
        """,
        "",
    ),
    "a given name changes, and the program wants the new one first": (
        """
        first = aws.sqs.Queue("renamed")
        second = aws.sqs.Queue("second", fifo_queue=True)
        topic = aws.sns.Topic(
            "topic",
            name="options-three",
            opts=pulumi.ResourceOptions(delete_before_replace=False),
        )
        aws.sns.TopicSubscription(
            "subscription", topic=topic.arn, protocol="sqs", endpoint=first.arn
        )
        told = aws.sqs.Queue("told", tags={"topic": topic.arn})
        """,
        "",
    ),
    "others are bound to one": (
        """
        first = aws.sqs.Queue(
            "renamed",
            opts=pulumi.ResourceOptions(delete_before_replace=True, replacement_trigger="1"),
        )
        second = aws.sqs.Queue(
            "second", fifo_queue=True, opts=pulumi.ResourceOptions(replace_with=[first])
        )
        told = aws.sqs.Queue("told", opts=pulumi.ResourceOptions(deleted_with=first))
        """,
        "",
    ),
    "and go with it by its trigger": (
        """
        first = aws.sqs.Queue(
            "renamed",
            delay_seconds=9,
            opts=pulumi.ResourceOptions(delete_before_replace=True, replacement_trigger="2"),
        )
        second = aws.sqs.Queue(
            "second",
            fifo_queue=True,
            delay_seconds=9,
            opts=pulumi.ResourceOptions(replace_with=[first]),
        )
        told = aws.sqs.Queue("told", opts=pulumi.ResourceOptions(deleted_with=first))
        """,
        "",
    ),
    "a change of one thing demands another one": (
        """
        first = aws.sqs.Queue(
            "renamed",
            delay_seconds=8,
            opts=pulumi.ResourceOptions(replace_on_changes=["delaySeconds"]),
        )
        second = aws.sqs.Queue("second", fifo_queue=True, delay_seconds=9, tags={"of": first.arn})
        """,
        "",
    ),
    "one fails when all else is done": (
        """
        first = aws.sqs.Queue("renamed", delay_seconds=7)
        second = aws.sqs.Queue("second", fifo_queue=True, delay_seconds=8, tags={"of": first.arn})
        third = aws.sqs.Queue("third")
        aws.sns.Topic(
            "bad", name="no name", opts=pulumi.ResourceOptions(depends_on=[first, second, third])
        )
        """,
        "InvalidParameter",
    ),
    "and the next time not": (
        """
        first = aws.sqs.Queue("renamed", delay_seconds=7)
        second = aws.sqs.Queue("second", fifo_queue=True, delay_seconds=8, tags={"of": first.arn})
        third = aws.sqs.Queue("third", opts=pulumi.ResourceOptions(retain_on_delete=True))
        bad = aws.sns.Topic("bad", opts=pulumi.ResourceOptions(depends_on=[first, second, third]))
        """,
        "",
    ),
    "what is retained is forgotten": (
        """
        first = aws.sqs.Queue(
            "renamed", delay_seconds=1, opts=pulumi.ResourceOptions(ignore_changes=["delaySeconds"])
        )
        """,
        "",
    ),
}


@pytest.mark.timeout(300)
def test_options_do_the_same(pulumi_folder: Path, tmp_path: Path) -> None:
    differing = {name: told for name, told in _played(pulumi_folder, tmp_path) if told}
    assert differing == {}


def _played(bin_folder: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    with ExitStack() as exits:
        clouds = [exits.enter_context(new_cloud(folder / name)) for name in ("aws", "aws-too")]
        server = Server(client=clouds[1].client, region=clouds[1].region)
        exits.callback(server.stop)
        own = Own(folder / "own", "dev", clouds[0].client)
        real = Real(folder / "real", "dev", provider=server.port, bin=bin_folder, project="demo")
        for name, (body, refusal) in STAGES.items():
            for program in (own.folder, real.cli.program):
                write_program(program, body)
            if name == next(iter(STAGES)):
                real.cli.run("stack", "init", "dev")
            if refusal.startswith("as it is"):
                found = own.preview(), real.preview()
            else:
                found = own.up(), real.up()
            yield name, [*compare(*found, refusal), *ends(clouds, (own.state, real.state))]
