"""Changes that somebody makes by hand, past the program: one of each kind, and where each has to be
seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from localcloud.deployment.engine.state import Resource

Find = Callable[[str, str], Resource]
Client = Callable[[str], Any]
Drift = Callable[[Find, Client], tuple[Resource, str]]
"""Makes the change; answers the resource and the path."""


def _bucket_tag(find: Find, client: Client) -> tuple[Resource, str]:
    bucket = find("aws:s3/bucket:Bucket", "storage-results")
    tags = [{"Key": k, "Value": v} for k, v in bucket.inputs["tags"].items()]
    added = [*tags, {"Key": "by", "Value": "hand"}]
    client("s3").put_bucket_tagging(Bucket=bucket.id, Tagging={"TagSet": added})
    return bucket, "tags.by"


def _bucket_versioning(find: Find, client: Client) -> tuple[Resource, str]:
    setting = find("aws:s3/bucketVersioning:BucketVersioning", "storage-ingest")
    status = {"Status": "Suspended"}
    client("s3").put_bucket_versioning(Bucket=setting.id, VersioningConfiguration=status)
    return setting, "versioningConfiguration.status"


def _bucket_policy_gone(find: Find, client: Client) -> tuple[Resource, str]:
    policy = find("aws:s3/bucketPolicy:BucketPolicy", "storage-intermediate")
    client("s3").delete_bucket_policy(Bucket=policy.id)
    return policy, "gone"


def _retention(find: Find, client: Client) -> tuple[Resource, str]:
    group = find("aws:cloudwatch/logGroup:LogGroup", "jobs-analysis")
    client("logs").put_retention_policy(logGroupName=group.id, retentionInDays=30)
    return group, "retentionInDays"


def _no_retention(find: Find, client: Client) -> tuple[Resource, str]:
    group = find("aws:cloudwatch/logGroup:LogGroup", "jobs-preprocess")
    client("logs").delete_retention_policy(logGroupName=group.id)
    return group, "retentionInDays"


def _environment_size(find: Find, client: Client) -> tuple[Resource, str]:
    environment = find("aws:batch/computeEnvironment:ComputeEnvironment", "environments-spot-cpu")
    client("batch").update_compute_environment(
        computeEnvironment=environment.id, computeResources={"maxvCpus": 64}
    )
    return environment, "computeResources.maxVcpus"


def _queue_state(find: Find, client: Client) -> tuple[Resource, str]:
    queue = find("aws:batch/jobQueue:JobQueue", "queues-main")
    client("batch").update_job_queue(jobQueue=queue.id, state="DISABLED")
    return queue, "state"


def _definition_gone(find: Find, client: Client) -> tuple[Resource, str]:
    definition = find("aws:batch/jobDefinition:JobDefinition", "jobs-postprocess")
    client("batch").deregister_job_definition(jobDefinition=definition.id)
    return definition, "gone"


def _function_memory(find: Find, client: Client) -> tuple[Resource, str]:
    function = find("aws:lambda/function:Function", "monitoring-notify")
    client("lambda").update_function_configuration(FunctionName=function.id, MemorySize=1024)
    return function, "memorySize"


def _function_variable(find: Find, client: Client) -> tuple[Resource, str]:
    function = find("aws:lambda/function:Function", "pipeline-submit")
    variables = {**function.inputs["environment"]["variables"], "BY": "hand"}
    client("lambda").update_function_configuration(
        FunctionName=function.id, Environment={"Variables": variables}
    )
    return function, "environment.variables.BY"


def _role_policy(find: Find, client: Client) -> tuple[Resource, str]:
    policy = find("aws:iam/rolePolicy:RolePolicy", "roles-analysis")
    document = json.loads(policy.inputs["policy"])
    document["Statement"].append({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    owner, _, name = policy.id.partition(":")
    client("iam").put_role_policy(
        RoleName=owner, PolicyName=name, PolicyDocument=json.dumps(document)
    )
    return policy, "policy"


def _detached(find: Find, client: Client) -> tuple[Resource, str]:
    attached = find("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "roles-instance-ecs")
    owner, _, arn = attached.id.partition("/")
    client("iam").detach_role_policy(RoleName=owner, PolicyArn=arn)
    return attached, "gone"


def _alarm(find: Find, client: Client) -> tuple[Resource, str]:
    alarm = find("aws:cloudwatch/metricAlarm:MetricAlarm", "monitoring-alarms-notify-errors")
    cloudwatch = client("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm.id])["MetricAlarms"]
    taken = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    given = {member: value for member, value in found.items() if member in taken}
    cloudwatch.put_metric_alarm(**{**given, "Threshold": 5.0})
    return alarm, "threshold"


def _dashboard(find: Find, client: Client) -> tuple[Resource, str]:
    dashboard = find("aws:cloudwatch/dashboard:Dashboard", "monitoring-dashboard-picture")
    body = json.loads(dashboard.inputs["dashboardBody"])
    body["widgets"].pop()
    client("cloudwatch").put_dashboard(DashboardName=dashboard.id, DashboardBody=json.dumps(body))
    return dashboard, "dashboardBody"


def _table(find: Find, client: Client) -> tuple[Resource, str]:
    table = find("aws:dynamodb/table:Table", "storage-metrics")
    recovery = {"PointInTimeRecoveryEnabled": False}
    client("dynamodb").update_continuous_backups(
        TableName=table.id, PointInTimeRecoverySpecification=recovery
    )
    return table, "pointInTimeRecovery.enabled"


def _vpc_tag(find: Find, client: Client) -> tuple[Resource, str]:
    vpc = find("aws:ec2/vpc:Vpc", "network-vpc")
    client("ec2").delete_tags(Resources=[vpc.id], Tags=[{"Key": "cost-center"}])
    return vpc, 'tags["cost-center"]'


def _subnet(find: Find, client: Client) -> tuple[Resource, str]:
    subnet = find("aws:ec2/subnet:Subnet", "network-private-0")
    client("ec2").modify_subnet_attribute(SubnetId=subnet.id, MapPublicIpOnLaunch={"Value": True})
    return subnet, "mapPublicIpOnLaunch"


def _rule_disabled(find: Find, client: Client) -> tuple[Resource, str]:
    rule = find("aws:cloudwatch/eventRule:EventRule", "pipeline-uploads")
    client("events").disable_rule(Name=rule.id)
    return rule, "state"


def _topic(find: Find, client: Client) -> tuple[Resource, str]:
    topic = find("aws:sns/topic:Topic", "monitoring-topic")
    client("sns").tag_resource(ResourceArn=topic.id, Tags=[{"Key": "by", "Value": "hand"}])
    return topic, "tags.by"


def _dead_letters(find: Find, client: Client) -> tuple[Resource, str]:
    queue = find("aws:sqs/queue:Queue", "pipeline-submit-dead-letters")
    client("sqs").set_queue_attributes(
        QueueUrl=queue.id, Attributes={"MessageRetentionPeriod": "60"}
    )
    return queue, "messageRetentionSeconds"


def _budget(find: Find, client: Client) -> tuple[Resource, str]:
    budget = find("aws:budgets/budget:Budget", "budget-monthly")
    account, _, name = budget.id.partition(":")
    budgets = client("budgets")
    found = budgets.describe_budget(AccountId=account, BudgetName=name)["Budget"]
    names = ("BudgetName", "BudgetType", "FilterExpression", "Metrics", "TimeUnit")
    kept = {name: found[name] for name in names if name in found}
    amount = {"Amount": "9999", "Unit": "USD"}
    budgets.update_budget(AccountId=account, NewBudget={**kept, "BudgetLimit": amount})
    return budget, "limitAmount"


def _key(find: Find, client: Client) -> tuple[Resource, str]:
    key = find("aws:kms/key:Key", "monitoring-topic")
    client("kms").disable_key_rotation(KeyId=key.id)
    return key, "enableKeyRotation"


DRIFTS: list[Drift] = [
    _bucket_tag,
    _bucket_versioning,
    _bucket_policy_gone,
    _retention,
    _no_retention,
    _environment_size,
    _queue_state,
    _definition_gone,
    _function_memory,
    _function_variable,
    _role_policy,
    _detached,
    _alarm,
    _dashboard,
    _table,
    _vpc_tag,
    _subnet,
    _rule_disabled,
    _topic,
    _dead_letters,
    _budget,
    _key,
]
