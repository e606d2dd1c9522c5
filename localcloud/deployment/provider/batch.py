"""AWS Batch and the image registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import (
    Call,
    Naming,
    ProviderError,
    Row,
    handles,
    json_object,
    names,
    rows,
)

_NAME: Final = Naming(longest=128, characters=r"[A-Za-z0-9_-]")
names(
    {
        "batch/computeEnvironment:ComputeEnvironment": _NAME,
        "batch/jobQueue:JobQueue": _NAME,
        "batch/jobDefinition:JobDefinition": _NAME,
        "batch/schedulingPolicy:SchedulingPolicy": _NAME,
        "ecr/repository:Repository": Naming(longest=256, lower=True, characters=r"[a-z0-9._/-]"),
    }
)
rows(
    {
        "batch/jobQueue:JobQueue": Row(
            "batch",
            "CreateJobQueue",
            "jobQueueArn",
            {"arn": "jobQueueArn"},
            {"name": "jobQueueName", "computeEnvironmentOrders": "computeEnvironmentOrder"},
            ignore=("timeouts",),
        ),
        "batch/schedulingPolicy:SchedulingPolicy": Row(
            "batch",
            "CreateSchedulingPolicy",
            "arn",
            {"arn": "arn"},
            {
                "fairSharePolicy": "fairsharePolicy",
                "fairSharePolicy.shareDistributions": "shareDistribution",
            },
        ),
        "ecr/lifecyclePolicy:LifecyclePolicy": Row(
            "ecr",
            "PutLifecyclePolicy",
            "repositoryName",
            {"registryId": "registryId"},
            {"repository": "repositoryName", "policy": "lifecyclePolicyText"},
            tagged=None,
        ),
        "ecr/repositoryPolicy:RepositoryPolicy": Row(
            "ecr",
            "SetRepositoryPolicy",
            "repositoryName",
            {"registryId": "registryId"},
            {"repository": "repositoryName", "policy": "policyText"},
            tagged=None,
        ),
    }
)


@handles("batch/computeEnvironment:ComputeEnvironment")
def compute_environment(call: Call) -> None:
    """Compute environment; an update policy is set by an update, as CreateComputeEnvironment does
    not take one.
    """
    name, policy = call.take("name"), call.take("updatePolicy")
    rename = {"computeResources.ec2Configurations": "ec2Configuration"}
    created = call.create(
        "batch", "CreateComputeEnvironment", rename=rename, computeEnvironmentName=name
    )
    call.id = name
    if policy:
        document = call.aws.part("batch", "UpdatePolicy", policy)
        call.send(
            "batch", "UpdateComputeEnvironment", computeEnvironment=name, updatePolicy=document
        )
    found = call.send("batch", "DescribeComputeEnvironments", computeEnvironments=[name])[
        "computeEnvironments"
    ][0]
    call.outputs |= {
        "arn": created["computeEnvironmentArn"],
        "ecsClusterArn": found.get("ecsClusterArn", ""),
        "status": found.get("status"),
        "statusReason": found.get("statusReason", ""),
        "state": found.get("state"),
    }


@handles("batch/jobDefinition:JobDefinition")
def job_definition(call: Call) -> None:
    """Job definition.

    Properties are JSON texts in Pulumi; each member is checked against the API's model before it is
    sent.
    """
    call.ignore("deregisterOnNewRevision")
    if not call.values.get("schedulingPriority"):
        call.ignore("schedulingPriority")  # the real provider does not send a 0
    name, retry, timeout = call.take("name"), call.take("retryStrategy"), call.take("timeout")
    texts = {
        member: call.take(member)
        for member in ("containerProperties", "nodeProperties", "ecsProperties")
    }
    properties = {
        member: _without_nulls(json_object(text, member)) for member, text in texts.items() if text
    }
    if call.values.get("eksProperties"):
        raise ProviderError("eksProperties are not modelled by the local provider")
    if retry:
        properties["retryStrategy"] = call.aws.part(
            "batch", "RetryStrategy", retry, {"evaluateOnExits": "evaluateOnExit"}
        )
    if timeout:
        properties["timeout"] = call.aws.part("batch", "JobTimeout", timeout)
    created = call.create("batch", "RegisterJobDefinition", jobDefinitionName=name, **properties)
    call.id = created["jobDefinitionArn"]
    call.outputs |= {
        "arn": created["jobDefinitionArn"],
        "arnPrefix": created["jobDefinitionArn"].rpartition(":")[0],
        "revision": created["revision"],
    }


def _without_nulls(value: Any) -> Any:
    # the real provider reads the text into structures, where a null is the same as nothing
    if isinstance(value, Mapping):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


@handles("ecr/repository:Repository")
def repository(call: Call) -> None:
    """Image repository."""
    call.ignore("forceDelete")
    rename = {"name": "repositoryName", "encryptionConfigurations": "encryptionConfiguration"}
    created = call.create("ecr", "CreateRepository", rename=rename)["repository"]
    call.id = created["repositoryName"]
    call.outputs |= {
        "arn": created["repositoryArn"],
        "registryId": created["registryId"],
        "repositoryUrl": created["repositoryUri"],
    }
