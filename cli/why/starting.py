"""What a container needs to start besides its place: image, roles, secrets, log group.

Sources: AWS Batch user guide (execution role, instance role, awslogs), ECS developer guide (stopped
task error messages). A job that lacks one of them is placed, and fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cli.why.account import AbsentError, Account
from cli.why.demand import containers
from cli.why.model import Cause

_AGENT: Final = (
    "ecs:RegisterContainerInstance",
    "ecs:DiscoverPollEndpoint",
    "ecs:Poll",
    "ecs:SubmitTaskStateChange",
    "ecs:SubmitContainerStateChange",
)
_PULL: Final = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)
_ECR: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)(?:@(?P<digest>sha256:\w+)|:(?P<tag>[\w.-]+))?"
)
ASKED: Final = (
    ("ecr", "describe_images"),
    ("iam", "get_instance_profile"),
    ("iam", "get_role"),
    ("iam", "simulate_principal_policy"),
    ("logs", "describe_log_groups"),
    ("secretsmanager", "describe_secret"),
)
"""What start_causes asks, service and operation."""
_DEFAULT_GROUP: Final = "/aws/batch/job"
_UP: Final = "run pulumi up: it puts back what the stack owns"


def agent_causes(account: Account, environment: dict[str, Any]) -> Iterator[Cause]:
    """The instance role lacks what the ECS agent needs: instances start and never join the
    cluster.
    """
    profile = environment["computeResources"].get("instanceRole")
    if not profile:
        return
    name = str(profile).rsplit("/", 1)[-1]
    try:
        answer = account.ask("iam", "get_instance_profile", InstanceProfileName=name)
    except AbsentError as error:
        yield Cause(
            code="INSTANCE-ROLE",
            what=f"the instance profile of the environment is gone: {error}",
            setting=name,
            fix=_UP,
        )
        return
    if answer is None:
        return
    roles = answer["InstanceProfile"]["Roles"]
    if not roles:
        yield Cause(
            code="INSTANCE-ROLE",
            what=f"instance profile {name} has no role",
            setting=name,
            found="no role",
            needed="one role",
            fix=_UP,
        )
        return
    role = roles[0]
    denied = denied_actions(account, role["Arn"], _AGENT)
    if denied:
        yield Cause(
            code="INSTANCE-ROLE",
            what=(
                f"the instance role {role['RoleName']} does not allow {', '.join(denied)}:"
                " instances start and never join the cluster"
            ),
            setting=role["RoleName"],
            found=f"{len(_AGENT) - len(denied)} of {len(_AGENT)} actions of the ECS agent",
            needed="AmazonEC2ContainerServiceforEC2Role",
            fix=(
                f"aws iam attach-role-policy --role-name {role['RoleName']} --policy-arn"
                f" arn:{_partition(role['Arn'])}:iam::aws:policy/service-role/"
                "AmazonEC2ContainerServiceforEC2Role"
            ),
        )


def start_causes(
    account: Account, job: Mapping[str, Any], environments: Sequence[dict[str, Any]]
) -> list[Cause]:
    """What the containers of a job will lack when they start."""
    found: dict[tuple[str, str], Cause] = {}
    for container in containers(job):
        for cause in (
            *_image(account, container, environments),
            *_roles(account, container),
            *_secrets(account, container),
            *_log_group(account, container),
        ):
            found.setdefault((cause.code, cause.what), cause)
    return list(found.values())


def _image(
    account: Account, container: Mapping[str, Any], environments: Sequence[dict[str, Any]]
) -> Iterator[Cause]:
    image = str(container.get("image") or "")
    match = _ECR.match(image)
    if match is None:
        return
    wanted = (
        {"imageDigest": match["digest"]}
        if match["digest"]
        else {"imageTag": match["tag"] or "latest"}
    )
    try:
        account.ask(
            "ecr",
            "describe_images",
            registryId=match["account"],
            repositoryName=match["repository"],
            imageIds=[wanted],
        )
    except AbsentError:
        yield Cause(
            code="IMAGE",
            weight="later",
            what=(
                f"the image {image} does not exist in ECR: the job will fail with "
                "CannotPullContainerError"
            ),
            setting="images.cpu_digest or images.gpu_digest",
            found=next(iter(wanted.values())),
            needed="an image that is there",
            fix=(
                "make push STACK=<stack>, then pulumi up; aws ecr describe-images"
                " --repository-name "
            )
            + match["repository"],
        )
    puller = str(container.get("executionRoleArn") or "") or _instance_role(account, environments)
    place = f"{match['region']}:{match['account']}:repository/{match['repository']}"
    arn = f"arn:{_partition(puller)}:ecr:{place}"
    denied = [
        *denied_actions(account, puller, ("ecr:GetAuthorizationToken",)),
        *denied_actions(account, puller, _PULL, arn),
    ]
    if puller and denied:
        yield _role_cause("PULL", puller, denied, f"pull the image from {match['repository']}")


def _partition(arn: str) -> str:
    return arn.split(":")[1] if arn else "aws"


def _instance_role(account: Account, environments: Sequence[dict[str, Any]]) -> str:
    """ARN of the role by which instances pull where a job has no execution role; empty where none
    is known.
    """
    for environment in environments:
        profile = (environment.get("computeResources") or {}).get("instanceRole")
        try:
            answer = profile and account.ask(
                "iam", "get_instance_profile", InstanceProfileName=str(profile).rsplit("/", 1)[-1]
            )
        except AbsentError:
            continue
        for role in answer["InstanceProfile"]["Roles"] if answer else ():
            return str(role["Arn"])
    return ""


def _roles(account: Account, container: Mapping[str, Any]) -> Iterator[Cause]:
    for member, what in (("executionRoleArn", "execution role"), ("jobRoleArn", "job role")):
        arn = str(container.get(member) or "")
        try:
            if arn:
                account.ask("iam", "get_role", RoleName=arn.rsplit("/", 1)[-1])
        except AbsentError:
            yield Cause(
                code="ROLE",
                weight="later",
                what=(
                    f"the {what} {arn.rsplit('/', 1)[-1]} does not exist: the "
                    "container cannot start"
                ),
                setting=member,
                found="no such role",
                needed=arn,
                fix=_UP,
            )


def _secrets(account: Account, container: Mapping[str, Any]) -> Iterator[Cause]:
    role = str(container.get("executionRoleArn") or "")
    for entry in container.get("secrets") or []:
        reference = str(entry["valueFrom"])
        if ":secretsmanager:" not in reference:
            continue
        arn = ":".join(reference.split(":")[:7])
        try:
            answer = account.ask("secretsmanager", "describe_secret", SecretId=arn)
        except AbsentError:
            answer = {"gone": True}
        if answer is not None and (answer.get("gone") or answer.get("DeletedDate")):
            yield Cause(
                code="SECRET",
                weight="later",
                what=(
                    f"the secret behind {entry['name']}"
                    f" {'is about to go' if answer.get('DeletedDate') else 'does not exist'}:"
                    " the container cannot start"
                ),
                setting=arn,
                found="deleted",
                needed="a value",
                fix=(
                    f"aws secretsmanager restore-secret --secret-id {arn}"
                    if answer.get("DeletedDate")
                    else _UP
                ),
            )
        elif answer is not None and not answer.get("VersionIdsToStages"):
            yield Cause(
                code="SECRET",
                weight="later",
                what=f"the secret behind {entry['name']} has no value: the container cannot start",
                setting=arn,
                found="no version",
                needed="a value",
                fix="set it (pulumi config set --secret) and run pulumi up",
            )
        denied = denied_actions(account, role, ("secretsmanager:GetSecretValue",), arn)
        if role and denied:
            yield _role_cause(
                "SECRET-ROLE", role, denied, f"read the secret behind {entry['name']}"
            )


def _log_group(account: Account, container: Mapping[str, Any]) -> Iterator[Cause]:
    logs = container.get("logConfiguration") or {}
    options = logs.get("options") or {}
    group = str(options.get("awslogs-group") or _DEFAULT_GROUP)
    if (
        logs.get("logDriver", "awslogs") != "awslogs"
        or options.get("awslogs-create-group") == "true"
    ):
        return
    if group == _DEFAULT_GROUP:
        return  # AWS Batch makes it
    answer = account.ask("logs", "describe_log_groups", logGroupNamePrefix=group)
    if answer is not None and group not in {each["logGroupName"] for each in answer["logGroups"]}:
        yield Cause(
            code="LOG-GROUP",
            weight="later",
            what=f"the log group {group} does not exist: the container cannot start",
            setting="awslogs-group",
            found="no such group",
            needed=group,
            fix=f"aws logs create-log-group --log-group-name {group}; or run pulumi up",
        )


def _role_cause(code: str, role: str, denied: Sequence[str], what: str) -> Cause:
    name = role.rsplit("/", 1)[-1]
    return Cause(
        code=code,
        weight="later",
        what=f"the role {name} may not {what} ({', '.join(denied)}): the container cannot start",
        setting=name,
        found="denied",
        needed=", ".join(denied),
        fix="run pulumi up: it puts the policies of the stack's roles back",
    )


def denied_actions(
    account: Account, role: str, actions: Sequence[str], resource: str = "*"
) -> list[str]:
    """The actions that the policies of a role do not allow; empty where that is not known."""
    if not role:
        return []
    try:
        answer = account.ask(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=role,
            ActionNames=list(actions),
            ResourceArns=[resource],
        )
    except AbsentError:
        return []
    return [
        each["EvalActionName"]
        for each in (answer or {}).get("EvaluationResults") or []
        if each["EvalDecision"] != "allowed"
    ]
