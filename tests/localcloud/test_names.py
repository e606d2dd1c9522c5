"""Physical names tell project and stack, fit every type, and stay what they are on resources that
exist.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, DeploymentError, deploy
from localcloud.deployment.engine.autonaming import Names, NamingError
from localcloud.deployment.provider import Provider
from localcloud.deployment.provider.calls import NAMES
from localcloud.deployment.provider.naming import Autonaming
from tests.localcloud.deploying import HEADER, no_aws

ROOT = Path(__file__).parents[2]
DEFAULT = {"pulumi:autonaming": '{"mode":"default"}'}
LONGEST = "a" * 12


def named(stack: str, folder: Path, pattern: str = "") -> Deployment:
    """A preview of the program under another stack's name, and with a pattern of its own."""
    for path in (ROOT / "__main__.py", ROOT / "Pulumi.yaml"):
        (folder / path.name).symlink_to(path)
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    if pattern:
        own = f"config:\n  pulumi:autonaming: {{ pattern: '{pattern}' }}\n"
        text = text.replace("config:\n", own, 1)
    (folder / f"Pulumi.{stack}.yaml").write_text(text)
    return deploy(folder, stack, no_aws, preview=True)


def test_every_automatic_name_tells_project_and_stack_and_fits(tmp_path: Path) -> None:
    made = named(LONGEST, tmp_path)
    automatic = [
        (r, str(r.outputs[NAMES[r.type].property])) for r in made.resources if r.type in NAMES
    ]
    assert len(automatic) > 60
    for resource, name in automatic:
        if name.startswith("/"):
            continue  # log groups are named by the program: /<project>/<stack>/…
        assert re.match(rf"batch-reference-{LONGEST}[-/]", name), (resource.type, name)
        assert len(name) <= NAMES[resource.type].longest, (resource.type, name)
        assert resource.name in name or "/" in name


def test_the_longest_stack_is_the_longest(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="STACK-NAME at stack"):
        named(f"{LONGEST}a", tmp_path)


def test_a_stack_with_a_longer_name_has_the_pattern_that_the_rule_says(tmp_path: Path) -> None:
    stack = "research-in-europe-west"
    with pytest.raises(DeploymentError, match="has 23 characters") as caught:
        named(stack, tmp_path)
    found = re.search(r'pattern: "([^"]+)"', str(caught.value))
    assert found is not None
    folder = tmp_path / "own"
    folder.mkdir()
    made = named(stack, folder, found[1])
    role = made.resource("aws:iam/role:Role", "roles-preprocess").outputs["name"]
    assert re.fullmatch(r"batch-reference-research-in-roles-preprocess-[0-9a-f]{4}", role)


@pytest.mark.timeout(300)
def test_what_exists_keeps_its_name(tmp_path: Path) -> None:
    """A stack of the time before names told project and stack is not replaced, and new resources
    get the new names.
    """
    with LocalCloud(tmp_path, images={}) as cloud:
        before = deploy(ROOT, "local", cloud.client, config=DEFAULT)
        after = deploy(ROOT, "local", cloud.client, previous=before.state, preview=True)
        assert {s.operation for s in after.steps} == {"same"}
        with_more = {
            "batch-reference:network": json.dumps(
                {"az_count": 2, "cidr_block": "10.30.0.0/16", "nat": "none"}
            )
        }
        back = deploy(
            ROOT, "local", cloud.client, config=with_more, previous=before.state, preview=True
        )
    table = "aws:dynamodb/table:Table"
    old = before.resource(table, "storage-metrics").outputs["name"]
    assert old.startswith("storage-metrics-")
    assert after.resource(table, "storage-metrics").outputs["name"] == old
    assert "replace" not in {
        s.operation for s in back.steps if s.urn.startswith("urn") and "::aws:dynamodb" in s.urn
    }


def program(folder: Path, naming: object, body: str) -> Deployment:
    (folder / "Pulumi.yaml").write_text(
        json.dumps(
            {
                "name": "demo",
                "runtime": "python",
                "config": {"pulumi:autonaming": {"value": naming}},
            }
        )
    )
    (folder / "Pulumi.dev.yaml").write_text(
        '{"config": {"aws:region": "us-east-1", "demo:team": "red"}}'
    )
    (folder / "__main__.py").write_text(HEADER + body)
    return deploy(folder, "dev", no_aws, preview=True)


TOPIC = 'aws.sns.Topic("news")\naws.s3.Bucket("Data")\n'


@pytest.mark.parametrize(
    ("naming", "topic", "bucket"),
    [
        (
            {"pattern": "${project}-${stack}-${name}-${hex(4)}"},
            r"demo-dev-news-[0-9a-f]{4}",
            r"demo-dev-data-[0-9a-f]{4}",
        ),
        (
            {"pattern": "${name}-${config.team}-${num(3)}"},
            r"news-red-[0-9]{3}",
            r"data-red-[0-9]{3}",
        ),
        (
            {"pattern": "${organization}-${name}-${alphanum(5)}"},
            r"organization-news-[0-9a-z]{5}",
            r"organization-data-.{5}",
        ),
        (
            {"pattern": "${name}-${string(3)}${uuid}"},
            r"news-[a-z]{3}[0-9a-f-]{36}",
            r"data-[a-z]{3}[0-9a-f-]{36}",
        ),
        ({"mode": "default"}, r"news-[0-9a-f]{7}", r"data-[0-9a-f]{7}"),
        ({"providers": {"aws": {"pattern": "x-${name}"}}}, "x-news", "x-data"),
        (
            {
                "mode": "default",
                "providers": {
                    "aws": {"resources": {"aws:sns/topic:Topic": {"pattern": "t-${name}"}}}
                },
            },
            "t-news",
            r"data-[0-9a-f]{7}",
        ),
        (
            {"providers": {"aws": {"resources": {"aws:sns/topic:Topic": {"mode": "verbatim"}}}}},
            "news",
            r"data-[0-9a-f]{7}",
        ),
    ],
)
def test_patterns_make_names(tmp_path: Path, naming: object, topic: str, bucket: str) -> None:
    made = program(tmp_path, naming, TOPIC)
    assert re.fullmatch(topic, made.resource("aws:sns/topic:Topic", "news").outputs["name"])
    assert re.fullmatch(bucket, made.resource("aws:s3/bucket:Bucket", "Data").outputs["bucket"])


@pytest.mark.parametrize(
    ("naming", "says"),
    [
        ("x", "is no map"),
        ({"patern": "x"}, "has no patern; known are enforce, mode, pattern, providers"),
        ({"mode": "verbatim", "pattern": "x"}, "keep one"),
        ({"enforce": True}, "enforces no pattern"),
        ({"mode": "magic"}, "known are default, verbatim, disabled"),
        ({"pattern": "${config.nothing}"}, r"demo:nothing is not set"),
        ({"providers": {"aws": {"resources": {"aws:sns/topic:Topic": {}}}}}, "says nothing"),
        ({"mode": "disabled"}, "pulumi:autonaming is disabled"),
        ({"pattern": "${name}-" + "x" * 90}, "AWS allows 80"),
        ({"pattern": "${name} ${hex(3)}"}, "has ' ', which AWS does not take"),
    ],
)
def test_what_cannot_name_is_refused(tmp_path: Path, naming: object, says: str) -> None:
    with pytest.raises(DeploymentError, match=says):
        program(tmp_path, naming, 'aws.sns.Topic("news")\n')


def test_a_name_without_randomness_is_freed_before_it_is_taken_again() -> None:
    rules = {
        "pulumi:autonaming": (
            '{"pattern":"x-${name}","providers":{"aws":{"pattern":"${name}-${hex(3)}"}}}'
        )
    }
    names = Names(rules, project="p", stack="s")
    assert names.fixed("random:index/pet:Pet")
    assert not names.fixed("aws:sns/topic:Topic")
    with pytest.raises(NamingError):
        Names({"pulumi:autonaming": "{"}, project="p", stack="s")


@pytest.mark.parametrize(
    ("type_", "longest", "wrong"),
    [
        ("aws:cloudwatch/eventTarget:EventTarget", 64, "a b"),
        ("aws:sns/topic:Topic", 80, "a/b"),
        ("aws:lambda/permission:Permission", 100, "a.b"),
        ("aws:ec2/launchTemplate:LaunchTemplate", 125, None),
        ("aws:batch/jobQueue:JobQueue", 128, "a.b"),
        ("aws:s3/bucket:Bucket", 63, "a_b"),
        ("aws:iam/role:Role", 64, "a/b"),
        ("aws:sqs/queue:Queue", 80, "a:b"),
        ("aws:lambda/function:Function", 64, "a.b"),
    ],
)
def test_the_limits_of_the_types(type_: str, longest: int, wrong: str | None) -> None:
    rule = NAMES[type_]
    assert rule.longest == longest
    assert rule.fitting("a" * longest) == "a" * longest
    for each in ("a" * (longest + 1), *([wrong] if wrong else [])):
        with pytest.raises(Exception, match="the automatic name"):
            rule.fitting(each)


def test_a_proposal_is_taken_by_types_that_name_while_creating() -> None:
    provider = Provider(client=no_aws, config={"aws:region": "us-east-1"}, preview=True)
    naming = Autonaming(proposal="p-s-n")
    checked = provider.check(
        "aws:cloudwatch/eventTarget:EventTarget", "n", {"rule": "r", "arn": "a"}, naming=naming
    )
    assert checked["targetId"] == "p-s-n"
    former = {"rule": "r", "arn": "a"}
    again = provider.check(
        "aws:cloudwatch/eventTarget:EventTarget", "n", former, olds=former, naming=naming
    )
    assert "targetId" not in again
