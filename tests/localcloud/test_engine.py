"""What the engine passes on: secrets, unknowns, dependencies, options and hooks; and that
deployments do not touch one another.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from pulumi.runtime import settings

from localcloud.deployment.deploy import deploy
from localcloud.deployment.engine.state import State
from localcloud.deployment.provider.values import UNKNOWN
from tests.localcloud.deploying import FIRST_LINE, aws_client, failure, no_aws, run, write_program

QUEUE = "aws:sqs/queue:Queue"


def test_secrets_stay_secret_and_arrive_in_aws(tmp_path: Path) -> None:
    body = """
        hook = pulumi.Config().require_secret("hook")
        secret = aws.secretsmanager.Secret("s")
        version = aws.secretsmanager.SecretVersion("v", secret_id=secret.id, secret_string=hook)
        open_version = aws.ssm.Parameter("p", type="SecureString", value="also secret")
        pulumi.export("hook", pulumi.Output.concat("<", version.secret_string, ">"))
        pulumi.export("nested", {"deep": [open_version.value]})
        pulumi.export("open", secret.id)
    """
    deployed = run(tmp_path, body, secrets={"demo:hook": "https://hooks.example/1"})
    assert deployed.secret_outputs == {"hook", "nested"}
    assert deployed.outputs["hook"] == "<https://hooks.example/1>"
    assert deployed.outputs["nested"] == {"deep": ["also secret"]}
    version = deployed.resource("aws:secretsmanager/secretVersion:SecretVersion", "v")
    assert version.secret_inputs == {"secretString"}
    stored = aws_client()("secretsmanager").get_secret_value(SecretId=deployed.outputs["open"])
    assert stored["SecretString"] == "https://hooks.example/1"


def test_a_preview_asks_nothing_of_aws_and_knows_what_can_be_known(tmp_path: Path) -> None:
    body = """
        zones = aws.get_availability_zones(state="available").names
        account = aws.get_caller_identity().account_id
        policy = aws.iam.get_policy_document(statements=[{"actions": ["s3:GetObject"], "resources": ["*"]}]).json
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", availability_zone=zones[0])
        queue = aws.sqs.Queue("queue", name="fixed", redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": vpc.arn}))
        pulumi.export("queue", {"name": queue.name, "url": queue.url})
        pulumi.export("account", account)
        pulumi.export("actions", json.loads(policy)["Statement"][0]["Action"])
    """
    previewed = run(tmp_path, body, client=no_aws, preview=True)
    assert previewed.outputs == {
        "queue": {"name": "fixed", "url": None},
        "account": "123456789012",
        "actions": "s3:GetObject",
    }
    subnet = previewed.resource("aws:ec2/subnet:Subnet", "subnet")
    assert subnet.inputs["vpcId"] is UNKNOWN
    assert subnet.inputs["availabilityZone"] == "us-east-1a"
    assert subnet.id == ""
    error = failure(tmp_path, body.replace("cidr_block=", "cidr=", 1), client=no_aws, preview=True)
    assert "cidr" in str(error)


def test_a_preview_finds_misspelt_properties_too(tmp_path: Path) -> None:
    body = (
        'aws.sqs.Queue("q", name=aws.sns.Topic("t").arn)\naws.dynamodb.Table("t",'
        ' attributes=[{"name": "a", "typ": "S"}], hash_key="a")'
    )
    (only,) = failure(tmp_path, body, client=no_aws, preview=True).failures[:1]
    assert "attributes[0].typ is not a property here; did you mean type?" in only.message


def test_dependencies_parents_and_options_are_recorded(tmp_path: Path) -> None:
    body = """
        class Pair(pulumi.ComponentResource):
            def __init__(self, name):
                super().__init__("demo:index:Pair", name)
                inner = pulumi.ResourceOptions(parent=self)
                self.dead = aws.sqs.Queue(f"{name}-dead", opts=inner)
                redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": self.dead.arn, "maxReceiveCount": 3})
                self.live = aws.sqs.Queue(f"{name}-live", redrive_policy=redrive, delay_seconds=5, opts=inner)
                self.register_outputs({"url": self.live.url})


        pair = Pair("pair")
        options = pulumi.ResourceOptions(
            protect=True, ignore_changes=["displayName"], depends_on=[pair], aliases=[pulumi.Alias(name="old")], retain_on_delete=True
        )
        aws.sns.Topic("topic", display_name="x", opts=options)
        pulumi.export("url", pair.live.url)
    """
    deployed = run(tmp_path, body)
    assert len(deployed.resources) == 5
    pair = deployed.resource("demo:index:Pair", "pair")
    dead, live = deployed.resource(QUEUE, "pair-dead"), deployed.resource(QUEUE, "pair-live")
    topic = deployed.resource("aws:sns/topic:Topic", "topic")
    assert live.urn == "urn:pulumi:dev::demo::demo:index:Pair$aws:sqs/queue:Queue::pair-live"
    assert live.parent == pair.urn
    assert pair.parent == "urn:pulumi:dev::demo::pulumi:pulumi:Stack::demo-dev"
    assert live.dependencies == (dead.urn,)
    assert live.property_dependencies == {"delaySeconds": (), "redrivePolicy": (dead.urn,)}
    assert pair.outputs == {"url": deployed.outputs["url"]} == {"url": live.outputs["url"]}
    assert set(topic.dependencies) == {dead.urn, live.urn}
    assert topic.options.protect
    assert topic.options.retain_on_delete
    assert topic.options.ignore_changes == ("displayName",)
    assert topic.options.aliases == ("urn:pulumi:dev::demo::aws:sns/topic:Topic::old",)
    assert live.trail == (f"__main__.py:{FIRST_LINE + 6}", f"__main__.py:{FIRST_LINE + 10}")
    attributes = aws_client()("sqs").get_queue_attributes(
        QueueUrl=live.outputs["url"], AttributeNames=["All"]
    )["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == dead.outputs["arn"]
    assert attributes["DelaySeconds"] == "5"


def test_hooks_run_around_a_creation_and_an_error_hook_may_ask_for_another_try(
    tmp_path: Path,
) -> None:
    body = """
        from pathlib import Path

        calls = Path(__file__).with_name("calls.txt")


        def note(text):
            calls.write_text((calls.read_text() if calls.exists() else "") + text + " ")


        def after(args):
            note(f"after:{args.new_outputs['name']}:{args.id[:4]}")


        def failed(args):
            note(f"failed:{args.failed_operation}:{len(args.errors)}")
            return len(args.errors) < 3


        around = pulumi.ResourceHookBinding(
            before_create=[pulumi.ResourceHook("before", lambda args: note(f"before:{args.name}"))],
            after_create=[pulumi.ResourceHook("after", after)],
        )
        aws.sns.Topic("topic", name="hooked", opts=pulumi.ResourceOptions(hooks=around))
        retrying = pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("failed", failed)])
        lost = "arn:aws:iam::123456789012:policy/p"
        aws.iam.RolePolicyAttachment("lost", role="nobody", policy_arn=lost, opts=pulumi.ResourceOptions(hooks=retrying))
    """
    error = failure(tmp_path, body)
    assert [f.name for f in error.failures] == ["lost"]
    noted = (tmp_path / "calls.txt").read_text().split()
    assert [n for n in noted if n.startswith("failed")] == [
        "failed:create:1",
        "failed:create:2",
        "failed:create:3",
    ]
    assert [n for n in noted if not n.startswith("failed")] == ["before:topic", "after:hooked:arn:"]


def test_default_tags_and_explicit_providers(tmp_path: Path) -> None:
    body = """
        other = aws.Provider("other", region="us-east-1", default_tags={"tags": {"team": "b"}})
        aws.sns.Topic("plain", tags={"own": "1"})
        aws.sns.Topic("explicit", opts=pulumi.ResourceOptions(provider=other))
        pulumi.export("all", aws.sns.Topic("third").tags_all)
    """
    deployed = run(tmp_path, body, config="  aws:defaultTags:\n    tags: {team: a}\n")
    sns = aws_client()("sns")
    tags = {
        name: {
            t["Key"]: t["Value"]
            for t in sns.list_tags_for_resource(
                ResourceArn=deployed.resource("aws:sns/topic:Topic", name).id
            )["Tags"]
        }
        for name in ("plain", "explicit")
    }
    assert tags == {"plain": {"team": "a", "own": "1"}, "explicit": {"team": "b"}}
    assert deployed.outputs == {"all": {"team": "a"}}


def test_a_resource_goes_to_another_provider_and_back_in_place(tmp_path: Path) -> None:
    made = 'aws.Provider("{0}", region="us-east-1", default_tags={{"tags": {{"of": "{0}"}}}})'
    body = "aws.sns.Topic('topic', opts=pulumi.ResourceOptions(provider={}))"
    known, topics = dict[str, State](), set[str]()
    for provider, tags in (("None", {}), ("one", {"of": "one"}), ("two", {"of": "two"})) * 2:
        first = "" if provider == "None" else f"{provider} = {made.format(provider)}"
        deployed = run(tmp_path, f"{first}\n{body.format(provider)}", **known)
        done = [s.operation for s in deployed.steps if s.type == "aws:sns/topic:Topic"]
        assert done == ["update" if known else "create"]
        topic = deployed.resource("aws:sns/topic:Topic", "topic")
        found = aws_client()("sns").list_tags_for_resource(ResourceArn=topic.id)["Tags"]
        assert {tag["Key"]: tag["Value"] for tag in found} == tags
        assert (provider in topic.provider) is (provider != "None")
        topics.add(topic.id)
        known = {"previous": deployed.state}
    assert len(topics) == 1


def test_deployments_in_one_process_share_nothing(tmp_path: Path) -> None:
    body = (
        'import part\npulumi.export("value", part.VALUE)\npulumi.export("config",'
        ' pulumi.Config().get("key"))'
    )
    first = run(tmp_path / "a", body, files={"part.py": "VALUE = 1"}, config="  key: from-a\n")
    second = run(tmp_path / "b", body, files={"part.py": "VALUE = 2"})
    assert first.outputs == {"value": 1, "config": "from-a"}
    assert second.outputs == {"value": 2}
    assert "part" not in sys.modules
    assert not [entry for entry in sys.path if str(tmp_path) in entry]
    assert settings.get_monitor() is None
    assert settings.get_root_resource() is None
    assert not settings.is_dry_run()
    assert logging.getLogger("asyncio").level == logging.NOTSET
    failed = failure(tmp_path / "c", 'raise ValueError("broken")')
    assert len(failed.failures) == 1
    assert run(tmp_path / "a", body, files={"part.py": "VALUE = 3"}).outputs["value"] == 3


def test_config_reaches_the_program_as_with_the_cli(tmp_path: Path) -> None:
    config = """\
  network: {cidr: 10.0.0.0/16, zones: [a, b], nat: true}
  demo:count: 3
  ratio: 0.5
  enabled: true
  words: yes
  date: 2026-01-31
  time: 12:30:00
"""
    body = """
        config = pulumi.Config()
        pulumi.export("network", config.require_object("network"))
        pulumi.export("numbers", [config.require_int("count"), config.require_float("ratio"), config.require_bool("enabled")])
        pulumi.export("text", [config.require(name) for name in ("count", "enabled", "words", "date", "time")])
        pulumi.export("region", pulumi.Config("aws").require("region"))
        pulumi.export("override", config.require("override"))
        pulumi.export("names", [pulumi.get_project(), pulumi.get_stack()])
    """
    program = write_program(tmp_path, body, config=config)
    outputs = deploy(
        program, "dev", no_aws, preview=True, config={"demo:override": "given"}
    ).outputs
    assert outputs == {
        "network": {"cidr": "10.0.0.0/16", "zones": ["a", "b"], "nat": True},
        "numbers": [3, 0.5, True],
        "text": ["3", "true", "yes", "2026-01-31 00:00:00 +0000 UTC", "12:30:00"],
        "region": "us-east-1",
        "override": "given",
        "names": ["demo", "dev"],
    }
