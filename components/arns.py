"""ARNs that a preview knows.

What AWS answers of a resource that is not there yet is unknown in a preview, its ARN too, and with
it every policy, pattern and definition that names it: the preview would show them as a whole taken
away. The name is known, for Pulumi chooses it, and an ARN of these types says no more (service
authorization reference, "Resource types defined by" each service). The output still depends on its
resource, which is made before who names it.
"""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_aws as aws

from components.context import StackContext

Named = (
    aws.batch.ComputeEnvironment
    | aws.batch.JobDefinition
    | aws.batch.JobQueue
    | aws.batch.SchedulingPolicy
    | aws.cloudwatch.CompositeAlarm
    | aws.cloudwatch.EventRule
    | aws.cloudwatch.LogGroup
    | aws.cloudwatch.MetricAlarm
    | aws.dynamodb.Table
    | aws.ecr.Repository
    | aws.iam.InstanceProfile
    | aws.iam.Policy
    | aws.iam.Role
    | aws.lambda_.Function
    | aws.s3.Bucket
    | aws.sfn.StateMachine
    | aws.sns.Topic
    | aws.sqs.Queue
)

_FORMS: Final[dict[type[pulumi.Resource], str]] = {
    aws.batch.ComputeEnvironment: "batch:{region}:{account}:compute-environment/{name}",
    aws.batch.JobDefinition: "batch:{region}:{account}:job-definition/{name}",
    aws.batch.JobQueue: "batch:{region}:{account}:job-queue/{name}",
    aws.batch.SchedulingPolicy: "batch:{region}:{account}:scheduling-policy/{name}",
    aws.cloudwatch.CompositeAlarm: "cloudwatch:{region}:{account}:alarm:{name}",
    aws.cloudwatch.EventRule: "events:{region}:{account}:rule/{name}",
    aws.cloudwatch.LogGroup: "logs:{region}:{account}:log-group:{name}",
    aws.cloudwatch.MetricAlarm: "cloudwatch:{region}:{account}:alarm:{name}",
    aws.dynamodb.Table: "dynamodb:{region}:{account}:table/{name}",
    aws.ecr.Repository: "ecr:{region}:{account}:repository/{name}",
    aws.iam.InstanceProfile: "iam::{account}:instance-profile/{name}",
    aws.iam.Policy: "iam::{account}:policy/{name}",
    aws.iam.Role: "iam::{account}:role/{name}",
    aws.lambda_.Function: "lambda:{region}:{account}:function:{name}",
    aws.s3.Bucket: "s3:::{name}",
    aws.sfn.StateMachine: "states:{region}:{account}:stateMachine:{name}",
    aws.sns.Topic: "sns:{region}:{account}:{name}",
    aws.sqs.Queue: "sqs:{region}:{account}:{name}",
}


def arn_of(resource: Named, context: StackContext) -> pulumi.Output[str]:
    """The ARN of a resource, by its name: what `named_arn` says."""
    if isinstance(resource, aws.cloudwatch.CompositeAlarm):
        name = resource.alarm_name
    elif isinstance(resource, aws.s3.Bucket):
        name = resource.bucket
    else:
        name = resource.name
    return name.apply(lambda name: named_arn(type(resource), name, context))


def named_arn(kind: type[Named], name: str, context: StackContext) -> str:
    """The ARN of what has this name.

    That of a job definition is without revision, a log group's without the `:*` of its streams.
    """
    form = _FORMS[kind].format(region=context.region, account=context.account_id, name=name)
    return f"arn:{context.partition}:{form}"
