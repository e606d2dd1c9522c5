"""Updates in place that take more than one call, or a call that differs from the creation, as the
real provider does them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.archive import archive_zip
from localcloud.deployment.provider.budgets import notification
from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.functions import logging_document
from localcloud.deployment.provider.lifecycle import Update
from localcloud.deployment.provider.messaging import (
    QUEUE_ATTRIBUTES,
    TOPIC_ATTRIBUTES,
    attribute_text,
)

_MOST_POLICY_VERSIONS: Final = 5
"""Most versions of one managed policy, which IAM keeps."""
_CODE: Final = frozenset(
    {"code", "imageUri", "s3Bucket", "s3Key", "s3ObjectVersion", "architectures"}
)


# ---- identity ------------------------------------------------------------------------------------


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
    """A new default version; the oldest goes first where there are five (terraform-provider-aws,
    internal/service/iam/policy.go).
    """
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
    policy, description = update.new("policy"), update.new("description")
    rotate, days = update.take("enableKeyRotation"), update.take("rotationPeriodInDays")
    if policy is not None:
        update.send("kms", "PutKeyPolicy", KeyId=update.id, PolicyName="default", Policy=policy)
    if description is not None:
        update.send("kms", "UpdateKeyDescription", KeyId=update.id, Description=description)
    if rotate and (update.has("enableKeyRotation") or update.has("rotationPeriodInDays")):
        update.send("kms", "EnableKeyRotation", KeyId=update.id, RotationPeriodInDays=days)
    elif update.has("enableKeyRotation"):
        update.send("kms", "DisableKeyRotation", KeyId=update.id)


# ---- functions and messages ----------------------------------------------------------------------


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


# ---- what is stored and watched ------------------------------------------------------------------


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


def lock_taken_away(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Object lock can be put on a bucket that exists, and stays for ever (terraform-provider-aws
    6.63).
    """
    then, now = (bool(each.get("objectLockEnabled")) for each in (old, new))
    return ["objectLockEnabled"] if then and not now else []


def bucket(update: Update) -> None:
    """Object lock; all else of a bucket stands in resources of its own."""
    if update.new("objectLockEnabled"):
        lock = {"ObjectLockEnabled": "Enabled"}
        update.send(
            "s3", "PutObjectLockConfiguration", Bucket=update.id, ObjectLockConfiguration=lock
        )


def secret(update: Update) -> None:
    """The description of a secret."""
    update.send(
        "secretsmanager",
        "UpdateSecret",
        SecretId=update.id,
        Description=update.new_or_nothing("description") or "",
    )
