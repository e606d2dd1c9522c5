"""What is left of a stack: planted in the AWS in memory, and found by the AWS API alone."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from cli import leftovers
from cli.errors import CliError, ExitCode
from cli.leftovers import Account, Leftover
from cli.leftovers.by_tag import of_arn, tagged
from cli.leftovers.orphans import Known, known_of
from config.stack import NAMESPACE as PROJECT
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy, destroy
from localcloud.deployment.engine.checkpoint import checkpoint
from tests.cli import planting
from tests.config.stacks import sections
from tests.localcloud.conftest import until
from tests.support.documents import validated

ROOT = Path(__file__).parents[2]
SHARED = {"efs": {"kind": "created"}, "lustre": {"kind": "created"}}
DEV = sections("dev")
JOBS, ENVIRONMENTS = DEV["jobs"], DEV["environments"]
ENVIRONMENTS["gpu"]["scratch"] = {"kind": "gp3", "size_gib": 100}
JOBS["preprocess"]["volumes"] = [{"file_system": "efs", "path": "/mnt/shared"}]
JOBS["analysis"]["volumes"] = [{"file_system": "lustre", "path": "/mnt/fast"}]
OPEN = {
    "batch-reference:jobs": json.dumps(JOBS),
    "batch-reference:storage": json.dumps(
        {"protect": False, "delete_with_content": True, **SHARED}
    ),
    "batch-reference:environments": json.dumps(ENVIRONMENTS),
}
SECRETS = {"batch-reference:slack-webhook-url": "https://hooks.slack.com/services/T0/B0/x"}


def of(cloud: LocalCloud, stack: str = "dev") -> Account:
    return Account(client=cloud.client, project=PROJECT, stack=stack)


def kinds(found: list[Leftover]) -> set[str]:
    return {one.kind for one in found}


def _before(found: list[Leftover], user: str, used: str) -> bool:
    order = [one.kind for one in found]
    return max(n for n, kind in enumerate(order) if kind == user) < order.index(used)


@pytest.fixture(scope="module")
def clouds(tmp_path_factory) -> Iterator[tuple[LocalCloud, set[str]]]:
    """An AWS in which the stack `dev` was deployed and destroyed, and what was left before."""
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as cloud:
        alive = deploy(ROOT, "dev", cloud.client, config=OPEN, secrets=SECRETS)
        ended = _ended_job(cloud.client, alive.outputs)
        standing = leftovers.examine(of(cloud))[0]
        before = kinds(standing)
        state = tmp_path_factory.mktemp("state") / "exported.json"
        state.write_text(checkpoint(alive.state, exports={}, settings={}, passphrase="x"))
        assert leftovers.orphans(of(cloud), known_of(state, "dev")) == ([], []), (
            "of a stack that stands"
        )
        _made_by_a_killed_up(cloud, state)
        assert not any(ended in one.name for one in standing), "nobody can remove an ended job"
        assert _before(standing, "job queue", "compute environment")
        assert _before(standing, "subnet", "VPC")
        destroy(ROOT, "dev", cloud.client, previous=alive.state, config=OPEN, secrets=SECRETS)
        yield cloud, before


def _made_by_a_killed_up(cloud: LocalCloud, state: Path) -> None:
    """Orphans of a stack that stands are told, with the command that removes each."""
    ec2, account = cloud.client("ec2"), of(cloud)
    (vpc,) = ec2.describe_vpcs(Filters=account.filters)["Vpcs"]
    (gateway,) = ec2.describe_internet_gateways(Filters=account.filters)["InternetGateways"]
    group, *_ = ec2.describe_security_groups(Filters=account.filters)["SecurityGroups"]
    tags = planting.TAGS
    rule = ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 1,
                "ToPort": 1,
                "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
            }
        ],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
    )["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    kept = json.loads(state.read_text())
    kept["deployment"]["resources"] = [
        each
        for each in kept["deployment"]["resources"]
        if each.get("id") != gateway["InternetGatewayId"]
    ]
    without = state.with_name("without.json")
    without.write_text(json.dumps(kept))
    found, unseen = leftovers.orphans(account, known_of(without, "dev"))
    assert unseen == []
    assert {one.name.rpartition("/")[2]: one.remove for one in found} == {
        rule: (
            f"aws ec2 revoke-security-group-ingress --group-id {group['GroupId']}"
            f" --security-group-rule-ids {rule}"
        ),
        gateway["InternetGatewayId"]: (
            "aws ec2 detach-internet-gateway --internet-gateway-id"
            f" {gateway['InternetGatewayId']} --vpc-id {vpc['VpcId']} &&"
            f" aws ec2 delete-internet-gateway --internet-gateway-id {gateway['InternetGatewayId']}"
        ),
    }
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], SecurityGroupRuleIds=[rule])


def _ended_job(client: Callable[[str], Any], outputs: Mapping[str, Any]) -> str:
    batch = client("batch")
    job = batch.submit_job(
        jobName="ended",
        jobQueue=outputs["stage_queues"]["postprocess"],
        jobDefinition=outputs["stage_job_definitions"]["postprocess"],
        tags={"project": PROJECT, "stack": "dev"},
    )["jobId"]
    batch.terminate_job(jobId=job, reason="ended")
    until(lambda: batch.describe_jobs(jobs=[job])["jobs"][0]["status"] == "FAILED")
    return str(job)


def test_a_stack_that_stands_is_all_left(clouds) -> None:
    _, before = clouds
    assert {"bucket", "table", "NAT gateway", "compute environment", "log group", "alarm"} <= before
    shared = {
        "file system of EFS",
        "access point of EFS",
        "file system of FSx for Lustre",
        "secret",
    }
    assert shared <= before


def test_a_destroyed_stack_leaves_nothing_that_costs(clouds) -> None:
    cloud, _ = clouds
    found, unseen = leftovers.examine(of(cloud))
    assert unseen == []
    assert [one for one in found if leftovers._costly(one)] == []
    assert kinds(found) <= {"service-linked role", "secret"}


@pytest.mark.parametrize(
    ("plant", "kind", "remove"),
    [
        (
            planting.log_group,
            "log group",
            "delete-log-group --log-group-name /batch-reference/dev/analysis",
        ),
        (planting.secret, "secret", "--force-delete-without-recovery --secret-id late"),
        (
            planting.cluster,
            "ECS cluster",
            "delete-cluster --cluster AWSBatch-environments-gpu-1234567-abc",
        ),
        (planting.bucket, "bucket", "aws s3 rb --force s3://kept-results"),
        (planting.role, "role", "aws iam delete-role --role-name batch-reference-dev-notify-0a1b2"),
        (planting.query, "saved query", "delete-query-definition --query-definition-id "),
        (planting.dashboard, "dashboard", f"delete-dashboards --dashboard-names {PROJECT}-dev"),
        (
            planting.schedule,
            "schedule",
            f"--group-name default --name {PROJECT}-dev-pipeline-day-1",
        ),
        (planting.builds_log, "log group", f"--log-group-name /aws/imagebuilder/{PROJECT}-dev-gpu"),
        (planting.topic, "topic", "aws sns delete-topic --topic-arn arn:aws:sns:"),
        (planting.volume, "EBS volume", "delete-volume --volume-id vol-"),
        (planting.efs, "file system of EFS", "delete-file-system --file-system-id fs-"),
        (
            planting.lustre,
            "file system of FSx for Lustre",
            "aws fsx delete-file-system --file-system-id fs-",
        ),
    ],
)
def test_what_is_left_is_named_with_its_removal(clouds, plant, kind, remove) -> None:
    cloud, _ = clouds
    name = plant(cloud.client)
    found, _ = leftovers.examine(of(cloud))
    one = next(one for one in found if one.name == name)
    assert one.kind == kind
    assert remove in one.remove
    assert not any("dev-2" in other.name for other in found)
    others, _ = leftovers.examine(of(cloud, "prod"))
    assert name not in {other.name for other in others} - {
        one.name for one in found if "AWSBatch" in one.name
    }


def _run(client: Callable[[str], Any], command: str) -> None:
    """Does what a command for the shell does: calls of the aws CLI, one after the other."""
    for call in command.split(" && "):
        aws, service, operation, *words = shlex.split(call)
        assert aws == "aws"
        values: dict[str, list[str]] = {}
        for word in words:
            if word.startswith("--"):
                name = "".join(part.capitalize() for part in word[2:].split("-"))
                values[name] = []
            else:
                values[name].append(word)
        given = {name: each if name == "Ids" else each[0] for name, each in values.items()}
        getattr(client(service), operation.replace("-", "_"))(**given)


def _tied_role(client: Callable[[str], Any]) -> tuple[str, str, str]:
    """ARNs of a role that has everything, of its policy and of its instance profile."""
    iam, name = client("iam"), f"{PROJECT}-dev-tied"
    trust, tags = '{"Version": "2012-10-17", "Statement": []}', {"project": PROJECT, "stack": "dev"}
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=listed)["Role"]
    allowed = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}],
        }
    )
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=allowed)
    policy = iam.create_policy(PolicyName=name, PolicyDocument=allowed)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=allowed, SetAsDefault=True)
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    profile = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return role["Arn"], policy, profile


def _removal(account: Account, arn: str) -> str:
    if ":role/" in arn:  # the tagging API has none
        return next(one.remove for one in leftovers.examine(account)[0] if one.name == arn)
    return of_arn(account, arn).remove


def test_what_is_tied_to_a_thing_goes_before_it(clouds) -> None:
    """Each command does what it says, whichever is the first."""
    account = of(clouds[0])
    client = account.client
    for first in range(3):
        made = _tied_role(client)
        for arn in made[first:] + made[:first]:
            _run(client, _removal(account, arn))
    ec2, events = client("ec2"), client("events")
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.0.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    rule = events.put_rule(Name="left", ScheduleExpression="rate(1 minute)")["RuleArn"]
    targets = [{"Id": each, "Arn": f"arn:aws:sqs:us-east-1:1:{each}"} for each in ("a", "b")]
    events.put_targets(Rule="left", Targets=targets)
    here = "arn:aws:ec2:us-east-1:1"
    for arn in (
        f"{here}:route-table/{table}",
        f"{here}:subnet/{subnet}",
        f"{here}:internet-gateway/{gateway}",
        f"{here}:vpc/{vpc}",
        rule,
    ):
        _run(client, _removal(account, arn))


def test_what_may_not_be_looked_at_is_said(clouds, monkeypatch) -> None:
    cloud, _ = clouds

    def client(service: str) -> Any:
        if service == "ecs":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListClusters")
        return cloud.client(service)

    monkeypatch.setattr(leftovers, "clients", lambda *_: client)
    out = Console(file=io.StringIO(), width=100)
    assert (
        leftovers.show(out, "dev", state=None, endpoint_url="", as_json=False) is ExitCode.NOT_READY
    )
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "not looked for" in text
    assert "ListClusters" in text


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("arn:aws:dynamodb:us-east-1:1:table/metrics-1", "metrics-1"),
        ("arn:aws:ssm:us-east-1:1:parameter/a/b", "/a/b"),
        ("arn:aws:ecr:us-east-1:1:repository/a/b", "a/b"),
        ("arn:aws:cloudwatch:us-east-1:1:alarm:a", "a"),
        ("arn:aws:sns:us-east-1:1:topic", "arn:aws:sns:us-east-1:1:topic"),
        ("arn:aws:ec2:us-east-1:1:subnet/subnet-1", "subnet-1"),
        ("sgr-1", "sgr-1"),
        (
            "arn:aws:batch:us-east-1:1:job-definition/a:1",
            "arn:aws:batch:us-east-1:1:job-definition/a",
        ),
    ],
)
def test_what_a_state_has_by_its_name_alone_is_no_orphan(name: str, known: str) -> None:
    assert Known(frozenset({known})).has(name)
    assert not Known(frozenset({f"{known}-2"})).has(name)


def test_the_state_of_another_stack_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    urn = "urn:pulumi:prod::batch-reference::pulumi:pulumi:Stack::batch-reference-prod"
    file.write_text(json.dumps({"deployment": {"resources": [{"urn": urn}]}}))
    with pytest.raises(CliError, match=r"state\.json is of stack prod, not of dev"):
        known_of(file, "dev")
    assert known_of(file, "prod").names == set()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        '{"deployment": []}',
        '{"deployment": null}',
        '{"deployment": {"resources": [{"urn": "x"}]}}',
    ],
)
def test_a_state_that_is_none_is_refused(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    if text is not None:
        file.write_text(text)
    out = Console(file=io.StringIO())
    with pytest.raises(CliError, match=r"state\.json is no export of a stack .*stack export"):
        leftovers.show(out, "dev", state=file, endpoint_url="", as_json=False)


def test_a_state_is_told_what_it_lacks(clouds, monkeypatch, tmp_path: Path) -> None:
    cloud, _ = clouds
    monkeypatch.setattr(leftovers, "clients", lambda *_: cloud.client)
    topic = planting.topic(cloud.client)
    file = tmp_path / "state.json"
    for known, code in ((topic, ExitCode.OK), ("arn:of:another", ExitCode.NOT_READY)):
        told = [one.name for one in leftovers.orphans(of(cloud), Known(frozenset({topic})))[0]]
        urn = "urn:pulumi:dev::batch-reference::aws:sns/topic:Topic::it"
        resources = [{"urn": urn, "id": each} for each in (known, *told)]
        file.write_text(json.dumps({"deployment": {"resources": resources}}))
        out = Console(file=io.StringIO(), width=200)
        found = leftovers.show(out, "dev", state=file, endpoint_url="", as_json=False)
        text = out.file.getvalue()  # type: ignore[attr-defined]
        assert found is code, text
        assert "what the state lacks of dev" in text
        assert (topic in text) is (code is ExitCode.NOT_READY)


@pytest.mark.parametrize("code", ["NatGatewayNotFound", "InvalidInternetGatewayID.NotFound"])
def test_what_the_tagging_api_names_and_is_long_gone_is_not_told(code: str) -> None:
    arns = [f"arn:aws:ec2:us-east-1:1:{kind}/x-1" for kind in ("natgateway", "internet-gateway")]

    class Gone:
        def __getattr__(self, _name: str) -> Any:
            raise ClientError({"Error": {"Code": code, "Message": "gone"}}, "Describe")

    class Tagging:
        def get_paginator(self, _name: str) -> Any:
            return self

        def paginate(self, **_: Any) -> Any:
            yield {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in arns]}

    def client(service: str) -> Any:
        return Tagging() if service == "resourcegroupstaggingapi" else Gone()

    assert list(tagged(Account(client=client, project=PROJECT, stack="dev"))) == []


def test_json_has_everything(clouds, monkeypatch, capsys) -> None:
    cloud, _ = clouds
    monkeypatch.setattr(leftovers, "clients", lambda *_: cloud.client)
    leftovers.show(Console(file=io.StringIO()), "dev", state=None, endpoint_url="", as_json=True)
    document = validated("leftovers", capsys.readouterr().out)
    assert document["stack"] == "dev"
    assert all(
        one.keys() == {"kind", "name", "why", "costs", "remove"} for one in document["leftovers"]
    )
