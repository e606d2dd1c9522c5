"""What options of resources do, and a change that fails half way, with both engines: one small
program in several states.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.book.engines import Own, Real
from tests.conformance.book.play import compare, ends
from tests.conformance.book.server import Aws, elsewhere, here
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
        second = aws.sqs.Queue(
            "second",
            fifo_queue=True,
            delay_seconds=9,
            tags={"of": first.arn},
            opts=pulumi.ResourceOptions(replace_on_changes=["tags.of"]),
        )
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
    "and the next time not, by a provider of its own": (
        """
        other = aws.Provider("other", region="us-east-1", default_tags={"tags": {"by": "other"}})
        first = aws.sqs.Queue(
            "renamed", delay_seconds=7, opts=pulumi.ResourceOptions(provider=other)
        )
        second = aws.sqs.Queue("second", fifo_queue=True, delay_seconds=8, tags={"of": first.arn})
        third = aws.sqs.Queue("third", opts=pulumi.ResourceOptions(retain_on_delete=True))
        bad = aws.sns.Topic("bad", opts=pulumi.ResourceOptions(depends_on=[first, second, third]))
        """,
        "",
    ),
    "what is retained is forgotten, and the provider too": (
        """
        first = aws.sqs.Queue(
            "renamed", delay_seconds=1, opts=pulumi.ResourceOptions(ignore_changes=["delaySeconds"])
        )
        """,
        "",
    ),
}


WORD = """
    secret = aws.secretsmanager.Secret("secret")
    word = pulumi.Config().require_secret("word")
    aws.secretsmanager.SecretVersion("value", secret_id=secret.id, secret_string=word)
    pulumi.export("word", word)
"""
TWO = """
    first = aws.sqs.Queue("first", delay_seconds={0})
    aws.sqs.Queue("second", delay_seconds={0}, tags={{"of": first.arn}})
    aws.sqs.Queue("third", delay_seconds={0})
"""

WAITING = """
    import pathlib, time
    aws.sqs.Queue("first", delay_seconds={0})
    pathlib.Path({1!r}).touch()
    while not pathlib.Path({2!r}).exists():
        time.sleep(0.05)
"""


@dataclass(frozen=True, kw_only=True)
class Both:
    """A small program in front of both engines."""

    own: Own
    real: Real
    clouds: tuple[Aws, Aws]

    def write(self, body: str) -> None:
        """Puts the program there."""
        file = self.real.cli.program / "Pulumi.dev.yaml"
        config = file.read_text() if file.exists() else ""
        for program in (self.own.folder, self.real.cli.program):
            write_program(program, body)
        if config:
            file.write_text(config)  # with the secrets and the note of the passphrase

    def ends(self) -> list[str]:
        """In what they differ."""
        return list(ends(self.clouds, (self.own.state, self.real.state)))


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Aws, Aws]]:
    folder = tmp_path_factory.mktemp("clouds")
    with here(folder / "aws-own") as own, elsewhere(folder / "aws-real") as real:
        yield own, real


@pytest.fixture
def both(pulumi_folder: Path, clouds: tuple[Aws, Aws], tmp_path: Path) -> Both:
    own = Own(tmp_path / "own", "dev", clouds[0].client)
    real = Real(
        tmp_path / "real", "dev", provider=clouds[1].provider, bin=pulumi_folder, project="demo"
    )
    write_program(real.cli.program, "")
    real.cli.run("stack", "init", "dev")
    return Both(own=own, real=real, clouds=clouds)


@pytest.mark.timeout(300)
def test_options_do_the_same(both: Both) -> None:
    differing = dict[str, list[str]]()
    for name, (body, refusal) in STAGES.items():
        both.write(body)
        # a protected one would be passed over until others are deleted, were it not for a preview
        outcomes = [
            engine.preview() if "protect" in refusal else engine.up()
            for engine in (both.own, both.real)
        ]
        if told := [*compare(outcomes[0], outcomes[1], refusal), *both.ends()]:
            differing[name] = told
    assert differing == {}


@pytest.mark.timeout(300)
def test_a_secret_is_set_and_rotated(both: Both) -> None:
    for word in ("hush-one", "hush-two"):
        both.write(WORD)
        both.own.secrets = {"demo:word": word}
        both.real.cli.run("config", "set", "--secret", "word", word, "-s", "dev")
        own, real = both.own.up(), both.real.up()
        assert [*compare(own, real), *both.ends()] == []
        for cloud in both.clouds:
            secrets = cloud.client("secretsmanager")
            (entry,) = secrets.list_secrets()["SecretList"]
            assert secrets.get_secret_value(SecretId=entry["ARN"])["SecretString"] == word
    kept = both.real.cli.program.parent
    files = [path for path in kept.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 3
    assert [path for path in files if b"hush-" in path.read_bytes()] == []


@pytest.mark.timeout(300)
def test_a_part_of_a_change_and_then_the_rest(both: Both) -> None:
    """`--target` does one resource; the next `up` does all else, and says so before (without
    `--skip-preview`) as it does it.
    """
    both.write(TWO.format(5))
    assert [*compare(both.own.up(), both.real.up())] == []
    both.write(TWO.format(6))
    urns = {r.name: r.urn for r in both.real.state.resources if r.custom}
    part = both.real.up("--target", urns["first"])
    assert [step.reason for step in part.steps] == ["update delaySeconds"]
    assert [step.resource for step in part.steps] == ["Queue first"]
    whole = both.real.cli.run("up", "--yes", "--non-interactive", "-s", "dev")
    assert whole.out.count("2 to update") == whole.out.count("2 updated") == 1
    assert sorted(step.resource for step in both.own.up().steps) == [
        "Queue first",
        "Queue second",
        "Queue third",
    ]
    assert both.ends() == []


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_the_second_of_two_changes_at_once_is_refused(both: Both, tmp_path: Path) -> None:
    """Our engine's is in tests/cli/test_two_at_once.py."""
    begun, ends = tmp_path / "begun", tmp_path / "ends"
    both.write(WAITING.format(5, str(begun), str(ends)))
    with ThreadPoolExecutor(max_workers=1) as beside:
        first = beside.submit(both.real.up)
        while not (begun.exists() or first.done()):
            time.sleep(0.05)
        for second in (both.real.up, both.real.destroy):
            (words,) = second().failures
            assert "the stack is currently locked by 1 lock(s)" in words
        ends.touch()
    assert [step.reason for step in first.result().steps][-1:] == ["create"]
    assert [*compare(both.own.up(), first.result()), *both.ends()] == []
    both.write(WAITING.format(6, str(begun), str(ends)))
    assert [*compare(both.own.up(), both.real.up()), *both.ends()] == []
