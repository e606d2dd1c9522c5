"""Updates in place that take more than one call, or a call that differs from the creation, as the real provider does them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.provider.archive import archive_zip
from localcloud.provider.batch import job_definition
from localcloud.provider.budgets import notification
from localcloud.provider.calls import ProviderError
from localcloud.provider.compute import template_data
from localcloud.provider.functions import logging_document
from localcloud.provider.lifecycle import Update, at
from localcloud.provider.messaging import QUEUE_ATTRIBUTES, TOPIC_ATTRIBUTES, attribute_text
from localcloud.provider.removals import until

_MOST_POLICY_VERSIONS: Final = 5
"""Of one managed policy, which IAM keeps."""
_CODE: Final = frozenset(
    {"code", "imageUri", "s3Bucket", "s3Key", "s3ObjectVersion", "architectures"}
)


# ---- Batch -------------------------------------------------------------------------------------------------------------------------------


def environment_replacements(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What of a compute environment's change the provider cannot do in place.

    A block of launch template or images that comes or goes always replaces; most else does so unless the environment has the service-linked
    role and one of three strategies (terraform-provider-aws, internal/service/batch/compute_environment.go, schema and CustomizeDiff).
    """
    blocks = ("computeResources.launchTemplate", "computeResources.ec2Configurations")
    found = [path for path in blocks if bool(at(old, path)) != bool(at(new, path))]
    strategies = [at(values, "computeResources.allocationStrategy") for values in (old, new)]
    if new.get("serviceRole") or not all(strategy in _UPDATABLE for strategy in strategies):
        then, now = old.get("computeResources") or {}, new.get("computeResources") or {}
        fargate = str(now.get("type", "")).startswith("FARGATE")
        names = () if fargate else _IN_PLACE_ONLY_IF_UPDATABLE
        found += [f"computeResources.{name}" for name in names if then.get(name) != now.get(name)]
    return found


def environment_keeps(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """AWS's side of `ec2Configurations` and of its image: both are Optional and Computed, so taking them away changes nothing."""
    resources, before = new.get("computeResources"), at(old, "computeResources.ec2Configurations")
    if (
        not isinstance(resources, Mapping)
        or not before
        or str(resources.get("type", "")).startswith("FARGATE")
    ):
        return dict(new)
    after = resources.get("ec2Configurations") or before
    images = [
        {"imageIdOverride": each["imageIdOverride"]} if each.get("imageIdOverride") else {}
        for each in before
    ]
    kept = [{**image, **now} for image, now in zip(images, after, strict=False)]
    return {
        **new,
        "computeResources": {**resources, "ec2Configurations": [*kept, *after[len(kept) :]]},
    }


_UPDATABLE: Final = (
    "BEST_FIT_PROGRESSIVE",
    "SPOT_CAPACITY_OPTIMIZED",
    "SPOT_PRICE_CAPACITY_OPTIMIZED",
)
_IN_PLACE_ONLY_IF_UPDATABLE: Final = (
    "allocationStrategy",
    "bidPercentage",
    "ec2Configurations",
    "ec2KeyPair",
    "imageId",
    "instanceRole",
    "instanceTypes",
    "launchTemplate",
    "securityGroupIds",
    "subnets",
    "tags",
)
_EMPTY: Final[Mapping[str, Any]] = {
    "bidPercentage": 0,
    "securityGroupIds": [],
    "tags": {},
    "minVcpus": 0,
}
"""What the provider sends for an input that is no longer given."""


def compute_environment(update: Update) -> None:
    """Only what differs is sent, and the ceiling always, without which AWS takes no resources at all."""
    then, now = update.old.get("computeResources") or {}, update.take("computeResources") or {}
    values: dict[str, Any] = {"maxVcpus": now.get("maxVcpus")}
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            if name not in now and name not in _EMPTY:
                raise ProviderError(f"computeResources.{name} cannot be taken back by an update")
            values[name] = now.get(name, _EMPTY.get(name))
    rename = {"ec2Configurations": "ec2Configuration"}
    policy, role, state = update.new("updatePolicy"), update.new("serviceRole"), update.new("state")
    update.send(
        "batch",
        "UpdateComputeEnvironment",
        computeEnvironment=update.id,
        computeResources=update.aws.part("batch", "ComputeResourceUpdate", values, rename),
        updatePolicy=update.aws.part("batch", "UpdatePolicy", policy) if policy else None,
        serviceRole=role,
        state=state,
    )

    def found() -> dict[str, Any]:
        answer: dict[str, Any] = update.send(
            "batch", "DescribeComputeEnvironments", computeEnvironments=[update.id]
        )
        first: dict[str, Any] = answer["computeEnvironments"][0]
        return first

    until(lambda: found()["status"] != "UPDATING", f"the update of compute environment {update.id}")
    update.outputs |= {name: found().get(name) for name in ("status", "statusReason", "state")}


def definition_replacements(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Another number of retry rules replaces a job definition; what they say, its type and all else make a revision.

    (terraform-provider-aws, internal/service/batch/job_definition.go: `evaluate_on_exit` is a list with ForceNew.)
    """
    path = "retryStrategy.evaluateOnExits"
    counts = [len(at(values, path) or ()) for values in (old, new)]
    return [path] if counts[0] != counts[1] else []


def new_revision(update: Update) -> None:
    """A new revision; the one before goes only where `deregisterOnNewRevision` is not false."""
    before, drop = update.id, update.values.get("deregisterOnNewRevision", True)
    job_definition(update)
    update.sent_whole()
    if drop:
        update.send("batch", "DeregisterJobDefinition", jobDefinition=before)


# ---- EC2 and network ---------------------------------------------------------------------------------------------------------------------


def launch_template(update: Update) -> None:
    """A new version."""
    update.ignore("updateDefaultVersion", "defaultVersion", "name")
    description = update.take("description")
    data = template_data(update)
    update.sent_whole()
    created = update.send(
        "ec2",
        "CreateLaunchTemplateVersion",
        LaunchTemplateId=update.id,
        VersionDescription=description,
        LaunchTemplateData=data,
    )
    version = created["LaunchTemplateVersion"]["VersionNumber"]
    update.outputs["latestVersion"] = version
    if update.values.get("updateDefaultVersion"):
        update.send(
            "ec2", "ModifyLaunchTemplate", LaunchTemplateId=update.id, DefaultVersion=str(version)
        )
        update.outputs["defaultVersion"] = version


def vpc(update: Update) -> None:
    """DNS attributes."""
    for name, member in (
        ("enableDnsSupport", "EnableDnsSupport"),
        ("enableDnsHostnames", "EnableDnsHostnames"),
    ):
        value = update.new(name)
        if value is not None:
            update.send(
                "ec2", "ModifyVpcAttribute", VpcId=update.id, **{member: {"Value": bool(value)}}
            )


def subnet(update: Update) -> None:
    """Whether instances get a public address."""
    value = update.new_or_nothing("mapPublicIpOnLaunch")
    update.send(
        "ec2",
        "ModifySubnetAttribute",
        SubnetId=update.id,
        MapPublicIpOnLaunch={"Value": bool(value)},
    )


def internet_gateway(update: Update) -> None:
    """Moved to another VPC."""
    vpc_id = update.new_or_nothing("vpcId")
    if update.old.get("vpcId"):
        update.send(
            "ec2", "DetachInternetGateway", InternetGatewayId=update.id, VpcId=update.old["vpcId"]
        )
    if vpc_id:
        update.send("ec2", "AttachInternetGateway", InternetGatewayId=update.id, VpcId=vpc_id)


def route(update: Update) -> None:
    """Another target of the same destination."""
    values = {name: update.new_or_nothing(name) for name in sorted(update.changed)}
    target = update.aws.request(
        "ec2", "ReplaceRoute", {name: value for name, value in values.items() if value is not None}
    )
    destination = update.take("destinationCidrBlock")
    update.send(
        "ec2",
        "ReplaceRoute",
        RouteTableId=update.take("routeTableId"),
        DestinationCidrBlock=destination,
        **target,
    )


def route_table_association(update: Update) -> None:
    """Another table; AWS gives the association a new id."""
    table = update.new("routeTableId")
    answer = update.send(
        "ec2", "ReplaceRouteTableAssociation", AssociationId=update.id, RouteTableId=table
    )
    update.id = answer["NewAssociationId"]


def vpc_endpoint(update: Update) -> None:
    """Tables, subnets and groups that come and go, and the policy."""
    request: dict[str, Any] = {}
    for name, member in (
        ("routeTableIds", "RouteTableIds"),
        ("subnetIds", "SubnetIds"),
        ("securityGroupIds", "SecurityGroupIds"),
    ):
        if update.has(name):
            then, now = set(update.old.get(name) or []), set(update.new_or_nothing(name) or [])
            request[f"Add{member}"], request[f"Remove{member}"] = (
                sorted(now - then) or None,
                sorted(then - now) or None,
            )
    request["PolicyDocument"] = update.new("policy")
    request["PrivateDnsEnabled"] = update.new("privateDnsEnabled")
    update.send("ec2", "ModifyVpcEndpoint", VpcEndpointId=update.id, **request)


# ---- identity ----------------------------------------------------------------------------------------------------------------------------


def role(update: Update) -> None:
    """Trust policy, description, longest session."""
    trust = update.new("assumeRolePolicy")
    if trust is not None:
        update.send("iam", "UpdateAssumeRolePolicy", RoleName=update.id, PolicyDocument=trust)
    description, seconds = update.new("description"), update.new("maxSessionDuration")
    if description is not None or seconds is not None:
        update.send(
            "iam",
            "UpdateRole",
            RoleName=update.id,
            Description=description,
            MaxSessionDuration=seconds,
        )


def policy(update: Update) -> None:
    """A new default version; the oldest goes first where there are five (terraform-provider-aws, internal/service/iam/policy.go)."""
    update.ignore("delayAfterPolicyCreationInMs")
    document = update.new("policy")
    if document is None:
        return
    versions = update.send("iam", "ListPolicyVersions", PolicyArn=update.id)["Versions"]
    if len(versions) >= _MOST_POLICY_VERSIONS:
        oldest = min(
            (each for each in versions if not each["IsDefaultVersion"]),
            key=lambda each: each["CreateDate"],
        )
        update.send(
            "iam", "DeletePolicyVersion", PolicyArn=update.id, VersionId=oldest["VersionId"]
        )
    update.send(
        "iam",
        "CreatePolicyVersion",
        PolicyArn=update.id,
        PolicyDocument=document,
        SetAsDefault=True,
    )


def instance_profile(update: Update) -> None:
    """Another role."""
    owner = update.new_or_nothing("role")
    if update.old.get("role"):
        update.send(
            "iam",
            "RemoveRoleFromInstanceProfile",
            InstanceProfileName=update.id,
            RoleName=update.old["role"],
        )
    if owner:
        update.send(
            "iam", "AddRoleToInstanceProfile", InstanceProfileName=update.id, RoleName=owner
        )


def key(update: Update) -> None:
    """Policy, description, rotation."""
    policy, description, rotate = (
        update.new("policy"),
        update.new("description"),
        update.new_or_nothing("enableKeyRotation"),
    )
    if policy is not None:
        update.send("kms", "PutKeyPolicy", KeyId=update.id, PolicyName="default", Policy=policy)
    if description is not None:
        update.send("kms", "UpdateKeyDescription", KeyId=update.id, Description=description)
    if update.has("enableKeyRotation"):
        update.send("kms", "EnableKeyRotation" if rotate else "DisableKeyRotation", KeyId=update.id)


# ---- functions and messages --------------------------------------------------------------------------------------------------------------


def function(update: Update) -> None:
    """Code and configuration, which have a call each."""
    update.ignore("skipDestroy", "sourceCodeHash")
    if update.changed & _CODE:
        code, image = update.take("code"), update.take("imageUri")
        given = {"ZipFile": archive_zip(code) if code is not None else None, "ImageUri": image}
        architectures = update.take("architectures")
        told = update.send(
            "lambda",
            "UpdateFunctionCode",
            FunctionName=update.id,
            Architectures=architectures,
            **given,
        )
        update.outputs |= {
            "codeSha256": told["CodeSha256"],
            "sourceCodeSize": told["CodeSize"],
            "lastModified": told["LastModified"],
        }
    concurrency = update.new("reservedConcurrentExecutions")
    if concurrency is not None and int(concurrency) >= 0:
        update.send(
            "lambda",
            "PutFunctionConcurrency",
            FunctionName=update.id,
            ReservedConcurrentExecutions=int(concurrency),
        )
    values = {
        name: update.new_or_nothing(name)
        for name in sorted(update.changed - _CODE - {"tags", "reservedConcurrentExecutions"})
    }
    if values:
        # what is no longer given goes back to nothing, which these two have a form for
        blanks = {"environment": {"variables": {}}, "description": ""}
        filled = {
            name: blanks.get(name) if value is None else value for name, value in values.items()
        }
        missing = sorted(name for name, value in filled.items() if value is None)
        if missing:
            raise ProviderError(f"{', '.join(missing)} cannot be taken back by an update")
        body = update.aws.request(
            "lambda", "UpdateFunctionConfiguration", filled, {"kmsKeyArn": "KMSKeyArn"}
        )
        update.send("lambda", "UpdateFunctionConfiguration", FunctionName=update.id, **body)


def state_machine(update: Update) -> None:
    """Definition, role, logs, traces."""
    request: dict[str, Any] = {name: update.new(name) for name in ("definition", "roleArn")}
    tracing = update.new("tracingConfiguration")
    if tracing is not None:
        request["tracingConfiguration"] = update.aws.part(
            "stepfunctions", "TracingConfiguration", tracing
        )
    if update.has("loggingConfiguration"):
        request["loggingConfiguration"] = logging_document(update)
    update.send("stepfunctions", "UpdateStateMachine", stateMachineArn=update.id, **request)


def queue(update: Update) -> None:
    """Attributes of an SQS queue."""
    changed = {
        member: attribute_text(update.new_or_nothing(name))
        for name, member in QUEUE_ATTRIBUTES.items()
        if update.has(name)
    }
    update.send("sqs", "SetQueueAttributes", QueueUrl=update.id, Attributes=changed)


def topic(update: Update) -> None:
    """Attributes of an SNS topic, one call each."""
    for name, member in TOPIC_ATTRIBUTES.items():
        if update.has(name):
            value = attribute_text(update.new_or_nothing(name))
            update.send(
                "sns",
                "SetTopicAttributes",
                TopicArn=update.id,
                AttributeName=member,
                AttributeValue=value,
            )


def schedule(update: Update) -> None:
    """All of a schedule: AWS takes nothing over from before."""
    update.ignore("tags", "namePrefix", "region")
    name, group = update.take("name"), update.take("groupName") or "default"
    rename = {"target.sqsParameters": "SqsParameters", "target.ecsParameters": "EcsParameters"}
    body = update.aws.request("scheduler", "UpdateSchedule", update.rest(), rename)
    update.sent_whole()
    update.send("scheduler", "UpdateSchedule", Name=name, GroupName=group, **body)


# ---- what is stored and watched ----------------------------------------------------------------------------------------------------------


def repository(update: Update) -> None:
    """Scanning and mutability of an image repository."""
    scanning, mutability = (
        update.new("imageScanningConfiguration"),
        update.new("imageTagMutability"),
    )
    if scanning is not None:
        document = update.aws.part("ecr", "ImageScanningConfiguration", scanning)
        update.send(
            "ecr",
            "PutImageScanningConfiguration",
            repositoryName=update.id,
            imageScanningConfiguration=document,
        )
    if mutability is not None:
        update.send(
            "ecr", "PutImageTagMutability", repositoryName=update.id, imageTagMutability=mutability
        )


def log_group(update: Update) -> None:
    """Retention; 0 days mean for ever."""
    days = update.new_or_nothing("retentionInDays")
    if days:
        update.send("logs", "PutRetentionPolicy", logGroupName=update.id, retentionInDays=int(days))
    else:
        update.send("logs", "DeleteRetentionPolicy", logGroupName=update.id)
    update.outputs["retentionInDays"] = int(days or 0)


def saved_query(update: Update) -> None:
    """The same call as for the creation, with the id."""
    body = update.aws.request("logs", "PutQueryDefinition", update.rest())
    update.sent_whole()
    update.send("logs", "PutQueryDefinition", queryDefinitionId=update.id, **body)


def budget(update: Update) -> None:
    """Amount and filters; notifications that differ are deleted and made."""
    account, _, name = update.id.partition(":")
    amount, unit = update.take("limitAmount"), update.take("limitUnit", "USD")
    filters, notifications = update.take("costFilters") or [], update.take("notifications") or []
    update.ignore("accountId", "name")
    document = update.aws.part("budgets", "Budget", update.rest()) | {"BudgetName": name}
    update.sent_whole()
    if amount is not None:
        document["BudgetLimit"] = {"Amount": str(amount), "Unit": unit}
    if filters:
        document["CostFilters"] = {entry["name"]: list(entry["values"]) for entry in filters}
    update.send("budgets", "UpdateBudget", AccountId=account, NewBudget=document)
    before = update.old.get("notifications") or []
    _each(
        update,
        "DeleteNotification",
        account,
        name,
        [entry for entry in before if entry not in notifications],
        subscribers=False,
    )
    _each(
        update,
        "CreateNotification",
        account,
        name,
        [entry for entry in notifications if entry not in before],
        subscribers=True,
    )


def budget_action(update: Update) -> None:
    """Everything but the budget and the kind of action."""
    account, action, name = update.id.split(":")
    update.ignore("accountId", "budgetName", "actionType")
    body = update.aws.request("budgets", "UpdateBudgetAction", update.rest())
    update.sent_whole()
    update.send(
        "budgets", "UpdateBudgetAction", AccountId=account, BudgetName=name, ActionId=action, **body
    )


def _each(
    update: Update,
    operation: str,
    account: str,
    name: str,
    entries: list[Any],
    *,
    subscribers: bool,
) -> None:
    for entry in entries:
        told = notification(update, entry)
        more = {"Subscribers": told["Subscribers"]} if subscribers else {}
        update.send(
            "budgets",
            operation,
            AccountId=account,
            BudgetName=name,
            Notification=told["Notification"],
            **more,
        )


def secret(update: Update) -> None:
    """The description of a secret."""
    update.send(
        "secretsmanager",
        "UpdateSecret",
        SecretId=update.id,
        Description=update.new_or_nothing("description") or "",
    )
