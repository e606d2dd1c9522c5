"""What a change of one input does: updates, replacements and orders that the real provider is known
to make.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, destroy
from localcloud.deployment.engine.state import State
from tests.localcloud.deploying import failure, run

STOP = """
    role = aws.iam.Role("role", assume_role_policy=trust("budgets.amazonaws.com"))
    statement = {{"Effect": "Deny", "Action": {actions}, "Resource": "*"}}
    policy = aws.iam.Policy(
        "stop", policy=json.dumps({{"Version": "2012-10-17", "Statement": [statement]}}), tags={tags}{policy}
    )
    budget = aws.budgets.Budget(
        "budget", budget_type="COST", time_unit="MONTHLY", limit_amount="10.00", limit_unit="USD",
        notifications=[aws.budgets.BudgetNotificationArgs(
            notification_type="ACTUAL", comparison_operator="GREATER_THAN", threshold=80, threshold_type="PERCENTAGE",
            subscriber_email_addresses={emails},
        )],
    )
    definition = aws.budgets.BudgetActionDefinitionArgs(
        iam_action_definition=aws.budgets.BudgetActionDefinitionIamActionDefinitionArgs(policy_arn=policy.arn, roles=[role.name])
    )
    aws.budgets.BudgetAction(
        "action", budget_name=budget.name, action_type="APPLY_IAM_POLICY", approval_model="{approval}", notification_type="ACTUAL",
        action_threshold=aws.budgets.BudgetActionActionThresholdArgs(
            action_threshold_type="PERCENTAGE", action_threshold_value={percent}
        ),
        definition=definition, execution_role_arn=role.arn, tags={tags},
        subscribers=[aws.budgets.BudgetActionSubscriberArgs(address=a, subscription_type="EMAIL") for a in {emails}],
    )
"""


def stop(**changes: Any) -> str:
    given: dict[str, Any] = {
        "actions": ["batch:SubmitJob"],
        "tags": {},
        "policy": "",
        "emails": ["a@x.org", "b@x.org"],
        "approval": "AUTOMATIC",
        "percent": 90,
    }
    return STOP.format(**{**given, **changes})


def steps(deployment: Deployment) -> list[str]:
    return sorted(
        f"{step.operation} {step.name}" for step in deployment.steps if step.operation != "same"
    )


def test_the_budget_stop_follows_its_section_and_goes(cloud: LocalCloud, tmp_path: Path) -> None:
    def deployed(before: State, **changes: Any) -> Deployment:
        return run(tmp_path, stop(**changes), client=cloud.client, previous=before)

    budgets, iam = cloud.client("budgets"), cloud.client("iam")
    first = deployed(State())
    changed = deployed(
        first.state,
        actions=["batch:SubmitJob", "states:StartExecution"],
        percent=70,
        approval="MANUAL",
        tags={"team": "x"},
    )
    assert steps(changed) == ["update action", "update stop"]
    ids = {resource.name: resource.id for resource in changed.resources}
    name = ids["budget"].partition(":")[2]
    (action,) = budgets.describe_budget_actions_for_budget(
        AccountId=cloud.account_id, BudgetName=name
    )["Actions"]
    assert (action["ActionThreshold"]["ActionThresholdValue"], action["ApprovalModel"]) == (
        70,
        "MANUAL",
    )
    policy = iam.get_policy(PolicyArn=ids["stop"])["Policy"]
    document = iam.get_policy_version(PolicyArn=ids["stop"], VersionId=policy["DefaultVersionId"])[
        "PolicyVersion"
    ]["Document"]
    assert "states:StartExecution" in str(document)
    assert iam.list_policy_tags(PolicyArn=ids["stop"])["Tags"] == [{"Key": "team", "Value": "x"}]

    # subscribers are sets: their order is no change
    same = deployed(
        changed.state,
        actions=["batch:SubmitJob", "states:StartExecution"],
        percent=70,
        approval="MANUAL",
        tags={"team": "x"},
        emails=["b@x.org", "a@x.org"],
    )
    assert steps(same) == []

    # six documents one after the other: IAM keeps five versions
    state = same.state
    for number in range(6):
        state = deployed(state, actions=[f"batch:Submit{number}"]).state
    assert len(iam.list_policy_versions(PolicyArn=ids["stop"])["Versions"]) == 5
    described = deployed(state, actions=["batch:Submit5"], policy=', description="new"')
    assert {"replace stop", "update action", "delete replaced stop"} == set(steps(described))

    destroy(tmp_path, "dev", cloud.client, previous=described.state)
    assert not iam.list_policies(Scope="Local")["Policies"]


def test_an_attached_policy_is_not_deleted(cloud: LocalCloud, tmp_path: Path) -> None:
    """IAM refuses it (DeleteConflict): an action that has been executed is to be reversed first."""
    first = run(tmp_path, stop(), client=cloud.client)
    ids = {resource.name: resource.id for resource in first.resources}
    attached = cloud.client("iam").create_role(RoleName="somebody", AssumeRolePolicyDocument="{}")[
        "Role"
    ]["RoleName"]
    cloud.client("iam").attach_role_policy(RoleName=attached, PolicyArn=ids["stop"])
    error = failure(
        tmp_path, 'pulumi.export("nothing", 1)', client=cloud.client, previous=first.state
    )
    assert "DeleteConflict" in str(error)
    cloud.client("iam").detach_role_policy(RoleName=attached, PolicyArn=ids["stop"])
    assert error.state is not None
    run(tmp_path, 'pulumi.export("nothing", 1)', client=cloud.client, previous=error.state)


def test_a_lifecycle_policy_is_replaced_and_the_old_one_goes_first(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    """`policy` is ForceNew, and a repository has one (terraform-provider-aws,
    internal/service/ecr/lifecycle_policy.go).
    """
    body = """
        repository = aws.ecr.Repository("r")
        selection = {{"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": {count}}}
        rule = {{"rulePriority": 1, "selection": selection, "action": {{"type": "expire"}}}}
        aws.ecr.LifecyclePolicy("keep", repository=repository.name, policy=json.dumps({{"rules": [rule]}}))
    """
    first = run(tmp_path, body.format(count=10), client=cloud.client)
    second = run(tmp_path, body.format(count=20), client=cloud.client, previous=first.state)
    assert [
        f"{step.operation} {step.name}" for step in second.steps if step.operation != "same"
    ] == [
        "delete replaced keep",
        "replace keep",
    ]
    name = next(resource.id for resource in second.resources if resource.name == "r")
    assert (
        '"countNumber": 20'
        in cloud.client("ecr").get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    )


ENVIRONMENT = """
    vpc = aws.ec2.Vpc("v", cidr_block="10.0.0.0/16")
    subnet = aws.ec2.Subnet("s", vpc_id=vpc.id, cidr_block="10.0.0.0/24")
    group = aws.ec2.SecurityGroup("g", vpc_id=vpc.id)
    role = aws.iam.Role("i", assume_role_policy=trust("ec2.amazonaws.com"))
    profile = aws.iam.InstanceProfile("i", role=role.name)
    aws.batch.ComputeEnvironment("e", type="MANAGED", compute_resources=dict(
        type="EC2", allocation_strategy="BEST_FIT_PROGRESSIVE", max_vcpus={vcpus}, instance_types=["c6i.xlarge"],
        instance_role=profile.arn, subnets=[subnet.id], security_group_ids=[group.id], ec2_configurations=[{images}],
    ))
"""


def test_an_image_that_is_taken_away_stays(cloud: LocalCloud, tmp_path: Path) -> None:
    """`image_id_override` is Optional and Computed (internal/service/batch/compute_environment.go):
    no change, now and with a later one.
    """

    def deployed(before: State, image: str | None, vcpus: int = 8) -> Deployment:
        images = {"image_type": "ECS_AL2023", **({"image_id_override": image} if image else {})}
        return run(
            tmp_path,
            ENVIRONMENT.format(vcpus=vcpus, images=images),
            client=cloud.client,
            previous=before,
        )

    def image(deployment: Deployment) -> str:
        name = next(resource.id for resource in deployment.resources if resource.name == "e")
        (found,) = cloud.client("batch").describe_compute_environments(computeEnvironments=[name])[
            "computeEnvironments"
        ]
        return str(found["computeResources"]["ec2Configuration"][0].get("imageIdOverride"))

    first = deployed(State(), "ami-11111111")
    gone = deployed(first.state, None)
    assert (steps(gone), image(gone)) == ([], "ami-11111111")
    later = deployed(gone.state, None, vcpus=16)
    assert (steps(later), image(later)) == (["update e"], "ami-11111111")
    other = deployed(later.state, "ami-22222222", vcpus=16)
    assert (steps(other), image(other)) == (["update e"], "ami-22222222")
    destroy(tmp_path, "dev", cloud.client, previous=other.state)


@pytest.mark.parametrize(
    ("longest", "body"),
    [
        (80, 'aws.sns.Topic("{name}")'),
        (125, 'aws.ec2.LaunchTemplate("{name}")'),
        (
            64,
            (
                'aws.cloudwatch.EventTarget("{name}", arn="{arn}",'
                ' rule=aws.cloudwatch.EventRule("r", schedule_expression="{rate}").name)'
            ),
        ),
    ],
)
def test_automatic_names_end_where_the_provider_ends_them(
    cloud: LocalCloud, tmp_path: Path, longest: int, body: str
) -> None:
    room = longest - len("-1234567")
    texts = {"arn": "arn:aws:sqs:us-east-1:999999999999:q", "rate": "rate(1 hour)"}
    run(tmp_path, body.format(name="n" * room, **texts), client=cloud.client)
    error = failure(tmp_path, body.format(name="n" * (room + 1), **texts), client=cloud.client)
    assert f"has {longest + 1} characters, AWS allows {longest}" in str(error)


RULE = """
    vpc = aws.ec2.Vpc("v", cidr_block="10.0.0.0/16")
    group = aws.ec2.SecurityGroup("g", vpc_id=vpc.id)
    aws.vpc.SecurityGroup{direction}Rule("r", security_group_id=group.id, {rule})
"""


@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
def test_a_rule_of_a_security_group_changes_in_place(
    cloud: LocalCloud, tmp_path: Path, direction: str
) -> None:
    """Another kind of source replaces, all else is an update
    (internal/service/ec2/vpc_security_group_ingress_rule.go).
    """

    def deployed(before: State, rule: str) -> Deployment:
        body = RULE.format(direction=direction, rule=rule)
        return run(tmp_path, body, client=cloud.client, previous=before)

    ports = 'ip_protocol="tcp", from_port={0}, to_port={0}'
    first = deployed(State(), f'cidr_ipv4="10.0.0.0/24", {ports.format(443)}')
    second = deployed(first.state, f'cidr_ipv4="10.0.1.0/24", description="x", {ports.format(444)}')
    assert steps(second) == ["update r"]
    (identity,) = (r.id for r in second.resources if r.name == "r")
    ec2 = cloud.client("ec2")
    (rule,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[identity])[
        "SecurityGroupRules"
    ]
    assert (rule["CidrIpv4"], rule["FromPort"], rule["Description"]) == ("10.0.1.0/24", 444, "x")
    third = deployed(second.state, f"referenced_security_group_id=group.id, {ports.format(444)}")
    assert steps(third) == ["delete replaced r", "replace r"]
    destroy(tmp_path, "dev", cloud.client, previous=third.state)
