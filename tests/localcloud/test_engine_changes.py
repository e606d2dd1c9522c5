"""What a second deployment does with what the first has left: nothing, updates, replacements,
deletions, in the right order.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.deployment.deploy import Deployment, destroy
from localcloud.deployment.engine.state import State
from localcloud.deployment.engine.wanted import demanded
from tests.localcloud.deploying import aws_client, failure, no_aws, run, write_program

TOPIC = "aws:sns/topic:Topic"
QUEUES = """
    dead = aws.sqs.Queue("dead", tags={tags})
    policy = pulumi.Output.json_dumps({{"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3}})
    live = aws.sqs.Queue("live", redrive_policy=policy, delay_seconds={delay}{more})
    pulumi.export("urls", [dead.url, live.url])
"""


def queues(*, delay: int = 5, tags: dict[str, str] | None = None, more: str = "") -> str:
    return QUEUES.format(delay=delay, tags=tags or {}, more=more)


def steps(deployment: Deployment) -> list[str]:
    """`operation name` of everything that was not left as it is."""
    return [
        f"{step.operation} {step.name}" for step in deployment.steps if step.operation != "same"
    ]


def exists(url: str) -> bool:
    name = url.rsplit("/", 1)[-1]
    return any(
        each.endswith(f"/{name}")
        for each in aws_client()("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls", [])
    )


def attributes(url: str) -> dict[str, str]:
    found: dict[str, str] = aws_client()("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["All"]
    )["Attributes"]
    return found


def test_changes_reach_aws_in_place_and_what_is_dropped_goes(tmp_path: Path) -> None:
    first = run(tmp_path, queues())
    again = run(tmp_path, queues(), previous=first.state)
    assert steps(again) == []
    assert again.outputs == first.outputs
    dead, live = first.outputs["urls"]

    changed = run(tmp_path, queues(delay=9, tags={"a": "1"}), previous=again.state)
    assert sorted(steps(changed)) == ["update dead", "update live"]
    assert changed.outputs == first.outputs
    assert attributes(live)["DelaySeconds"] == "9"
    assert aws_client()("sqs").list_queue_tags(QueueUrl=dead)["Tags"] == {"a": "1"}

    dropped = run(tmp_path, 'aws.sqs.Queue("dead")', previous=changed.state)
    assert steps(dropped) == ["update dead", "delete live"]
    assert (exists(dead), exists(live)) == (True, False)
    assert aws_client()("sqs").list_queue_tags(QueueUrl=dead).get("Tags", {}) == {}

    gone = destroy(tmp_path, "dev", aws_client(), previous=dropped.state)
    assert steps(gone)[0] == "delete dead"
    assert gone.state == State()
    assert not exists(dead)


def test_a_preview_lists_what_would_happen_and_asks_nothing_of_aws(tmp_path: Path) -> None:
    first = run(tmp_path, queues())
    body = queues(delay=9, more=", fifo_queue=True") + '    aws.sns.Topic("new", name=live.name)\n'
    previewed = run(tmp_path, body, previous=first.state, preview=True, client=no_aws)
    assert sorted(steps(previewed)) == ["create new", "delete replaced live", "replace live"]
    assert [step.changed for step in previewed.steps if step.operation == "replace"] == [
        ("delaySeconds", "fifoQueue")
    ]
    assert previewed.state == first.state
    assert previewed.outputs["urls"] == [first.outputs["urls"][0], None]


def test_a_replacement_is_made_first_and_the_old_half_goes_after_the_program(
    tmp_path: Path,
) -> None:
    first = run(tmp_path, queues())
    options = 'opts=pulumi.ResourceOptions(replace_on_changes=["delaySeconds"])'
    second = run(tmp_path, queues(delay=9, more=f", {options}"), previous=first.state)
    assert steps(second) == ["replace live", "delete replaced live"]
    old, new = first.outputs["urls"][1], second.outputs["urls"][1]
    assert old != new
    assert (exists(old), exists(new)) == (False, True)

    # a name that the program gives may be taken until the old half is gone, and nobody looks
    # whether it is
    third = run(tmp_path, queues(more=', name="swap-1"'), previous=second.state)
    assert steps(third) == ["delete replaced live", "replace live"]
    demanded = run(
        tmp_path, queues(delay=6, more=f', name="swap-1", {options}'), previous=third.state
    )
    assert steps(demanded) == ["delete replaced live", "replace live"]
    options = "opts=pulumi.ResourceOptions(delete_before_replace=True)"
    before = run(
        tmp_path, queues(delay=6, more=f', name="swap-2", {options}'), previous=demanded.state
    )
    assert steps(before) == ["delete replaced live", "replace live"]


def test_options_keep_what_the_program_no_longer_asks_for(tmp_path: Path) -> None:
    protect = ", opts=pulumi.ResourceOptions(protect=True)"
    first = run(tmp_path, queues(more=protect))
    error = failure(tmp_path, queues(more=", fifo_queue=True" + protect), previous=first.state)
    assert "unable to replace resource" in str(error)
    assert "currently marked for protection" in str(error)
    demanding = 'opts=pulumi.ResourceOptions(replace_on_changes=["delaySeconds"])'
    freed = run(tmp_path, queues(delay=6, more=f", {demanding}"), previous=first.state)
    assert steps(freed) == ["replace live", "delete replaced live"]
    first = run(tmp_path, queues(more=protect))
    error = failure(tmp_path, 'aws.sqs.Queue("dead")', previous=first.state)
    assert "cannot be deleted because it is protected" in str(error)
    assert error.state is not None
    assert {r.id for r in error.state.resources} == {r.id for r in first.state.resources}

    ignoring = queues(
        delay=9,
        more=(
            ', opts=pulumi.ResourceOptions(ignore_changes=["delaySeconds"], retain_on_delete=True)'
        ),
    )
    kept = run(tmp_path, ignoring, previous=first.state)
    assert steps(kept) == []
    assert attributes(first.outputs["urls"][1])["DelaySeconds"] == "5"
    retained = run(tmp_path, 'aws.sqs.Queue("dead")', previous=kept.state)
    assert steps(retained) == ["retain live"]
    assert exists(first.outputs["urls"][1])
    renamed = run(
        tmp_path,
        'aws.sqs.Queue("other", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="dead")]))',
        previous=retained.state,
    )
    assert steps(renamed) == []
    assert [r.name for r in renamed.state.resources if r.custom] == ["other"]


def test_deletions_go_backwards_and_a_failed_one_keeps_what_it_needs(tmp_path: Path) -> None:
    body = """
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24")
        bucket = aws.s3.Bucket("bucket", tags={"subnet": subnet.id})
    """
    first = run(tmp_path, body)
    bucket = first.resource("aws:s3/bucket:Bucket", "bucket").id
    aws_client()("s3").put_object(Bucket=bucket, Key="full", Body=b"x")
    error = failure(tmp_path, 'pulumi.export("nothing", 1)', previous=first.state)
    assert [f.name for f in error.failures] == ["bucket"]
    assert "BucketNotEmpty" in str(error)
    assert str(error).endswith("left as they were, because of these: Subnet 'subnet', Vpc 'vpc'")
    assert error.state is not None
    assert {r.name for r in error.state.resources if r.custom} == {"vpc", "subnet", "bucket"}
    aws_client()("s3").delete_object(Bucket=bucket, Key="full")
    later = run(tmp_path, 'pulumi.export("nothing", 1)', previous=error.state)
    assert steps(later) == ["delete bucket", "delete subnet", "delete vpc"]


def test_a_failure_deletes_nothing(tmp_path: Path) -> None:
    first = run(tmp_path, queues())
    error = failure(tmp_path, 'aws.sns.Topic("bad", kms_master_key=1)', previous=first.state)
    assert "kms" in str(error)
    assert all(exists(url) for url in first.outputs["urls"])
    assert error.state is not None
    assert {r.name for r in error.state.resources if r.custom} == {"dead", "live"}


def test_a_change_that_is_not_modelled_is_refused(tmp_path: Path) -> None:
    vpc = 'vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")\n'
    body = vpc + 'aws.ec2.RouteTable("t", vpc_id=vpc.id{})'
    first = run(tmp_path, body.format(""))
    routes = ', routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": "local"}]'
    error = failure(tmp_path, body.format(routes), previous=first.state)
    assert (
        "a change of routes of aws:ec2/routeTable:RouteTable is not modelled by the local provider"
        in str(error)
    )
    key = 'key = aws.kms.Key("k")\naws.kms.Alias("a", name="alias/{}", target_key_id=key.id)'
    kept = run(tmp_path / "b", key.format("not-modelled-1"))
    error = failure(tmp_path / "b", key.format("not-modelled-2"), previous=kept.state)
    assert "changes and deletion of aws:kms/alias:Alias are not modelled" in str(error)


@pytest.mark.parametrize("given", ["deep.path", "list[0]"])
def test_paths_into_properties_are_refused_rather_than_misread(tmp_path: Path, given: str) -> None:
    first = run(tmp_path, queues())
    error = failure(
        tmp_path,
        queues(delay=7, more=f", opts=pulumi.ResourceOptions(ignore_changes=[{given!r}])"),
        previous=first.state,
    )
    assert f"ignore_changes has {given!r}" in str(error)


@pytest.mark.parametrize(
    ("option", "demands"),
    [
        ("tags", ["tags.a", 'tags["b.c"]']),
        ("tags.a", ["tags.a"]),
        ("tags.b", []),
        ('tags["b.c"]', ['tags["b.c"]']),
        ("rules[0]", ["rules[0].days"]),
        ("rules[*].days", ["rules[0].days", "rules[1].days"]),
        ("name.inner", []),  # all of it came or went
        ("*", ["name", "tags.a", 'tags["b.c"]', "rules[0].days", "rules[1].days"]),
    ],
)
def test_what_demands_a_replacement(option: str, demands: list[str]) -> None:
    paths = ["name", "tags.a", 'tags["b.c"]', "rules[0].days", "rules[1].days"]
    assert demanded([option], paths) == demands


def test_a_program_that_is_gone_can_still_be_destroyed(tmp_path: Path) -> None:
    first = run(tmp_path, queues())
    write_program(tmp_path, 'aws.sqs.Queue("unheard-of")')
    gone = destroy(tmp_path, "dev", aws_client(), previous=first.state)
    assert steps(gone) == ["delete live", "delete dead", *(s for s in steps(gone) if "demo" in s)]
    assert not any(exists(url) for url in first.outputs["urls"])


NAMED = """
    topic = aws.sns.Topic("topic", name="{name}"{more})
    queue = aws.sqs.Queue("queue", tags={{"topic": topic.arn}})
    aws.sns.TopicSubscription("subscription", topic=topic.arn, protocol="sqs", endpoint=queue.arn)
"""


def test_what_would_be_replaced_with_it_goes_before_it(tmp_path: Path) -> None:
    """By Pulumi's step_generator.go, calculateDependentReplacements: a tag changes in place, the topic
    of a subscription does not.
    """
    first = run(tmp_path, NAMED.format(name="goes-1", more=""))
    body = NAMED.format(name="goes-2", more="")
    wanted = [
        "delete replaced subscription",
        "delete replaced topic",
        "replace topic",
        "update queue",
        "replace subscription",
    ]
    previewed = run(tmp_path, body, previous=first.state, preview=True, client=no_aws)
    assert steps(previewed) == wanted
    second = run(tmp_path, body, previous=first.state)
    assert steps(second) == wanted
    told = {step.name: step.replaces for step in second.steps if step.operation == "replace"}
    assert told == {"topic": ("name",), "subscription": ("topic",)}
    subscription = second.resource("aws:sns/topicSubscription:TopicSubscription", "subscription")
    assert "goes-2" in subscription.id
    # a program that wants the new one first gets it
    later = NAMED.format(
        name="goes-3", more=", opts=pulumi.ResourceOptions(delete_before_replace=False)"
    )
    third = run(tmp_path, later, previous=second.state)
    assert steps(third)[0] == "replace topic"
    assert steps(third)[-1] == "delete replaced topic"
    # what the program no longer has is gone with it, and not deleted twice
    alone = 'aws.sns.Topic("topic", name="goes-4")'
    fourth = run(tmp_path, alone, previous=third.state)
    assert steps(fourth) == [
        "delete replaced subscription",
        "delete replaced topic",
        "replace topic",
        "delete queue",
    ]
    assert [r.name for r in fourth.state.resources if r.custom] == ["topic"]


def test_a_protected_resource_is_not_taken_along(tmp_path: Path) -> None:
    body = """
        topic = aws.sns.Topic("topic", name="{}")
        queue = aws.sqs.Queue("queue")
        aws.sns.TopicSubscription(
            "kept", topic=topic.arn, protocol="sqs", endpoint=queue.arn,
            opts=pulumi.ResourceOptions(protect=True),
        )
    """
    first = run(tmp_path, body.format("along-1"))
    error = failure(tmp_path, body.format("along-2"), previous=first.state)
    assert "as part of replacing" in str(error)
    assert error.state is not None
    assert {r.id for r in error.state.resources} == {r.id for r in first.state.resources}


def test_a_trigger_replaces_where_it_was_and_is(tmp_path: Path) -> None:
    def body(trigger: str) -> str:
        return queues(more=f", opts=pulumi.ResourceOptions({trigger})")

    first = run(tmp_path, queues())
    given = run(tmp_path, body('replacement_trigger={"a": 1}'), previous=first.state)
    assert steps(given) == []
    same = run(tmp_path, body('replacement_trigger={"a": 1}'), previous=given.state)
    assert steps(same) == []
    other = run(tmp_path, body('replacement_trigger={"a": 2}'), previous=same.state)
    assert steps(other) == ["replace live", "delete replaced live"]
    assert steps(run(tmp_path, queues(), previous=other.state)) == []


def test_what_is_replaced_takes_others_along(tmp_path: Path) -> None:
    def body(kind: str) -> str:
        return (
            f'first = aws.sqs.Queue("first"{kind})\n'
            'aws.sqs.Queue("second", opts=pulumi.ResourceOptions(replace_with=[first]))\n'
        )

    made = run(tmp_path, body(""))
    assert steps(run(tmp_path, body(", delay_seconds=5"), previous=made.state)) == ["update first"]
    replaced = run(tmp_path, body(", fifo_queue=True"), previous=made.state)
    assert sorted(steps(replaced)) == [
        "delete replaced first",
        "delete replaced second",
        "replace first",
        "replace second",
    ]
    bound = (
        'first = aws.sqs.Queue("first"{})\n'
        'aws.sqs.Queue("second", opts=pulumi.ResourceOptions(deleted_with=first))\n'
    )
    made = run(tmp_path, bound.format(""))
    replaced = run(tmp_path, bound.format(", fifo_queue=True"), previous=made.state)
    assert {s.name: s.replaces for s in replaced.steps if s.operation == "replace"} == {
        "first": ("fifoQueue",),
        "second": ("deletedWith",),
    }
