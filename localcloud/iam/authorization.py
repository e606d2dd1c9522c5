"""Which permissions an API call needs: action, resource ARN and condition keys, after the Service
Authorization Reference.

Covers the services that jobs and functions call; for any other, the action is
`<service>:<operation>` on resource `*`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from localcloud.iam.requirement import Requirement
from localcloud.iam.storage_requirements import dynamodb, s3
from localcloud.moto.state import ACCOUNT_ID, AwsState, function_name
from localcloud.protocol.wire import Call

_Rule = Callable[[Call, AwsState], Iterator[Requirement]]


def requirements(call: Call, state: AwsState) -> list[Requirement]:
    """All permissions that the call needs; every one has to be granted.

    Empty for calls that anybody may make.
    """
    rule = _RULES.get(call.service)
    if rule is not None:
        return list(rule(call, state))
    prefix = {"cloudwatch": "cloudwatch", "stepfunctions": "states"}.get(
        call.service, call.signing_name
    )
    return [Requirement(action=f"{prefix}:{call.operation}")]


# ---- Batch ---------------------------------------------------------------------------------------


def _batch(call: Call, state: AwsState) -> Iterator[Requirement]:
    params = call.params
    action = f"batch:{call.operation}"
    if call.operation == "SubmitJob":
        queue, definition = params.get("jobQueue", ""), params.get("jobDefinition", "")
        context: dict[str, str | list[str]] = {}
        if params.get("shareIdentifier"):
            context["batch:shareidentifier"] = params["shareIdentifier"]
        yield Requirement(
            action=action,
            resource=(
                queue if queue.startswith("arn:") else state.arn("batch", f"job-queue/{queue}")
            ),
            context=context,
        )
        arn = (
            definition
            if definition.startswith("arn:")
            else state.arn("batch", f"job-definition/{definition}")
        )
        yield Requirement(action=action, resource=arn, context=context)
        if not arn.rsplit(":", 1)[-1].isdigit():
            # submitting without a revision needs both the bare name and the revisions
            yield Requirement(action=action, resource=f"{arn}:*", context=context)
        if params.get("tags"):
            yield Requirement(action="batch:TagResource", resource=state.arn("batch", "job/*"))
    elif call.operation.startswith(("TerminateJob", "CancelJob")):
        # there is no action of the names in the plural: each job needs the right to end it alone
        # (API reference)
        jobs = params.get("jobs") or [params.get("jobId", "")]
        for resource in (state.arn("batch", f"job/{job}") for job in jobs):
            yield Requirement(action=action.removesuffix("s"), resource=resource)
    elif call.operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        yield Requirement(action=action, resource=params.get("resourceArn", "*"))
    elif call.operation in ("UpdateJobQueue", "DeleteJobQueue", "GetJobQueueSnapshot"):
        name = params.get("jobQueue", "")
        yield Requirement(
            action=action,
            resource=name if name.startswith("arn:") else state.arn("batch", f"job-queue/{name}"),
        )
    elif call.operation in ("UpdateComputeEnvironment", "DeleteComputeEnvironment"):
        name = params.get("computeEnvironment", "")
        yield Requirement(
            action=action,
            resource=(
                name
                if name.startswith("arn:")
                else state.arn("batch", f"compute-environment/{name}")
            ),
        )
    else:
        yield Requirement(action=action)


# ---- the rest ------------------------------------------------------------------------------------


def _logs(call: Call, state: AwsState) -> Iterator[Requirement]:
    params = call.params
    group = params.get("logGroupName") or str(params.get("logGroupIdentifier", "")).rpartition(
        "log-group:"
    )[2].removesuffix(":*")
    if call.operation in ("CreateLogStream", "PutLogEvents", "GetLogEvents", "DeleteLogStream"):
        yield Requirement(
            action=f"logs:{call.operation}",
            resource=state.arn(
                "logs", f"log-group:{group}:log-stream:{params.get('logStreamName', '')}"
            ),
        )
    elif group:
        yield Requirement(
            action=f"logs:{call.operation}", resource=state.arn("logs", f"log-group:{group}:*")
        )
    else:
        yield Requirement(action=f"logs:{call.operation}")


def _sqs(call: Call, state: AwsState) -> Iterator[Requirement]:
    name = str(call.params.get("QueueUrl") or call.params.get("QueueName") or "").rsplit("/", 1)[-1]
    action = call.operation.replace("MessageBatch", "Message").replace(
        "VisibilityBatch", "Visibility"
    )
    yield Requirement(action=f"sqs:{action}", resource=state.arn("sqs", name) if name else "*")


def _sns(call: Call, _: AwsState) -> Iterator[Requirement]:
    params = call.params
    resource = params.get("TopicArn") or params.get("TargetArn") or params.get("ResourceArn") or "*"
    yield Requirement(
        action=f"sns:{'Publish' if call.operation == 'PublishBatch' else call.operation}",
        resource=resource,
    )


def _lambda(call: Call, state: AwsState) -> Iterator[Requirement]:
    name = call.params.get("FunctionName")
    action = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction"}.get(
        call.operation, call.operation
    )
    yield Requirement(
        action=f"lambda:{action}",
        resource=state.arn("lambda", f"function:{function_name(name)}") if name else "*",
    )


def _secretsmanager(call: Call, state: AwsState) -> Iterator[Requirement]:
    secret = call.params.get("SecretId")
    yield Requirement(
        action=f"secretsmanager:{call.operation}",
        resource=state.secret_arn(secret) if secret else "*",
    )


def _kms(call: Call, state: AwsState) -> Iterator[Requirement]:
    key = str(call.params.get("KeyId") or "")
    resource = (
        "*"
        if not key
        else (
            key if key.startswith("arn:") else state.arn("kms", key if "/" in key else f"key/{key}")
        )
    )
    yield Requirement(action=f"kms:{call.operation}", resource=resource)


def _ecr(call: Call, state: AwsState) -> Iterator[Requirement]:
    name = call.params.get("repositoryName")
    yield Requirement(
        action=f"ecr:{call.operation}",
        resource=state.arn("ecr", f"repository/{name}") if name else "*",
    )


def _events(call: Call, state: AwsState) -> Iterator[Requirement]:
    if call.operation != "PutEvents":
        name = call.params.get("Rule") or call.params.get("Name")
        yield Requirement(
            action=f"events:{call.operation}",
            resource=state.arn("events", f"rule/{name}") if name else "*",
        )
        return
    for entry in call.params.get("Entries", []):
        bus = entry.get("EventBusName") or "default"
        context: dict[str, str | list[str]] = {
            "events:source": entry.get("Source", ""),
            "events:detail-type": entry.get("DetailType", ""),
        }
        yield Requirement(
            action="events:PutEvents",
            resource=bus if bus.startswith("arn:") else state.arn("events", f"event-bus/{bus}"),
            context=context,
        )


def _states(call: Call, _: AwsState) -> Iterator[Requirement]:
    resource = call.params.get("stateMachineArn") or call.params.get("executionArn") or "*"
    yield Requirement(action=f"states:{call.operation}", resource=resource)


def _sts(call: Call, _: AwsState) -> Iterator[Requirement]:
    if call.operation == "AssumeRole":
        yield Requirement(action="sts:AssumeRole", resource=call.params.get("RoleArn", "*"))
    elif call.operation not in ("GetCallerIdentity", "GetSessionToken", "GetAccessKeyInfo"):
        yield Requirement(action=f"sts:{call.operation}")


def _cloudwatch(call: Call, state: AwsState) -> Iterator[Requirement]:
    context: dict[str, str | list[str]] = {}
    if call.operation == "PutMetricData" and call.params.get("Namespace"):
        context["cloudwatch:namespace"] = call.params["Namespace"]
    alarms = call.params.get("AlarmNames") or (
        [call.params["AlarmName"]] if call.params.get("AlarmName") else []
    )
    for name in alarms or [None]:
        resource = "*" if name is None else state.arn("cloudwatch", f"alarm:{name}")
        yield Requirement(action=f"cloudwatch:{call.operation}", resource=resource, context=context)


def _ssm(call: Call, state: AwsState) -> Iterator[Requirement]:
    params = call.params
    names = params.get("Names") or [
        name for name in (params.get("Name"), params.get("Path")) if name
    ]
    for name in names or [None]:
        resource = (
            "*"
            if name is None
            else (
                name
                if name.startswith("arn:")
                else state.arn("ssm", f"parameter/{name.lstrip('/')}")
            )
        )
        yield Requirement(action=f"ssm:{call.operation}", resource=resource)


def _iam(call: Call, _: AwsState) -> Iterator[Requirement]:
    role, policy = call.params.get("RoleName"), call.params.get("PolicyArn")
    context: dict[str, str | list[str]] = {"iam:policyarn": policy} if policy else {}
    resource = f"arn:aws:iam::{ACCOUNT_ID}:role/{role}" if role else "*"
    yield Requirement(action=f"iam:{call.operation}", resource=resource, context=context)


_RULES: Final[dict[str, _Rule]] = {
    "s3": s3,
    "dynamodb": dynamodb,
    "batch": _batch,
    "logs": _logs,
    "sqs": _sqs,
    "sns": _sns,
    "lambda": _lambda,
    "secretsmanager": _secretsmanager,
    "kms": _kms,
    "ecr": _ecr,
    "events": _events,
    "stepfunctions": _states,
    "sts": _sts,
    "cloudwatch": _cloudwatch,
    "ssm": _ssm,
    "iam": _iam,
}
