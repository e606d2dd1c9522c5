"""One resource of every type that the local provider models, wired as a real program would wire
them.
"""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws


def allow(action: str, resource: pulumi.Input[Any] = "*", **more: Any) -> pulumi.Output[str]:
    """A policy of one statement."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]})


def role(name: str, service: str, **kwargs: Any) -> aws.iam.Role:
    """A role that a service may assume."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return aws.iam.Role(
        name,
        assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        **kwargs,
    )


def after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
    """Options that wait for others."""
    return pulumi.ResourceOptions(depends_on=list(resources))


# ---- network -------------------------------------------------------------------------------------

zones = aws.get_availability_zones(state="available").names
vpc = aws.ec2.Vpc(
    "vpc", cidr_block="10.0.0.0/16", enable_dns_hostnames=True, tags={"Name": "everything"}
)
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
subnets = [
    aws.ec2.Subnet(
        f"subnet-{n}",
        vpc_id=vpc.id,
        cidr_block=f"10.0.{n}.0/24",
        availability_zone=zones[n],
        map_public_ip_on_launch=n == 0,
    )
    for n in range(2)
]
address = aws.ec2.Eip("address", domain="vpc")
nat = aws.ec2.NatGateway(
    "nat", allocation_id=address.id, subnet_id=subnets[0].id, opts=after(gateway)
)
public = aws.ec2.RouteTable(
    "public", vpc_id=vpc.id, routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}]
)
private = aws.ec2.RouteTable("private", vpc_id=vpc.id)
aws.ec2.Route(
    "private-out",
    route_table_id=private.id,
    destination_cidr_block="0.0.0.0/0",
    nat_gateway_id=nat.id,
)
aws.ec2.RouteTableAssociation("public-0", route_table_id=public.id, subnet_id=subnets[0].id)
everything_out: Any = {"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["0.0.0.0/0"]}
itself: Any = {"protocol": "-1", "from_port": 0, "to_port": 0, "self": True}
group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, egress=[everything_out], ingress=[itself])
aws.ec2.SecurityGroup("bare", vpc_id=vpc.id, description="no rule at all")
ruled = aws.ec2.SecurityGroup("ruled", vpc_id=vpc.id)
aws.vpc.SecurityGroupIngressRule(
    "https",
    security_group_id=ruled.id,
    ip_protocol="tcp",
    from_port=443,
    to_port=443,
    cidr_ipv4="10.0.0.0/16",
    description="from the VPC",
)
aws.vpc.SecurityGroupEgressRule(
    "out", security_group_id=ruled.id, ip_protocol="-1", referenced_security_group_id=group.id
)
aws.ec2.SecurityGroupRule(
    "older",
    security_group_id=ruled.id,
    type="ingress",
    protocol="tcp",
    from_port=22,
    to_port=22,
    source_security_group_id=group.id,
)
aws.ec2.DefaultSecurityGroup("default", vpc_id=vpc.id)
s3_endpoint = aws.ec2.VpcEndpoint(
    "s3",
    vpc_id=vpc.id,
    service_name="com.amazonaws.us-east-1.s3",
    route_table_ids=[public.id],
    policy=allow("s3:*", Principal="*"),
)
aws.ec2.VpcEndpointRouteTableAssociation(
    "s3-private", vpc_endpoint_id=s3_endpoint.id, route_table_id=private.id
)
aws.ec2.VpcEndpoint(
    "ecr",
    vpc_id=vpc.id,
    service_name="com.amazonaws.us-east-1.ecr.api",
    vpc_endpoint_type="Interface",
    subnet_ids=[subnet.id for subnet in subnets],
    security_group_ids=[group.id],
    private_dns_enabled=True,
)
logs = aws.cloudwatch.LogGroup("logs", retention_in_days=30)
aws.ec2.FlowLog(
    "flow",
    vpc_id=vpc.id,
    traffic_type="ALL",
    iam_role_arn=role("flow-role", "vpc-flow-logs.amazonaws.com").arn,
    log_destination=logs.arn,
)
placement = aws.ec2.PlacementGroup("placement", strategy="cluster")
template = aws.ec2.LaunchTemplate(
    "template",
    metadata_options={"http_tokens": "required", "http_endpoint": "enabled"},
    block_device_mappings=[
        {
            "device_name": "/dev/xvda",
            "ebs": {"volume_size": 100, "volume_type": "gp3", "encrypted": "true"},
        }
    ],
    tag_specifications=[{"resource_type": "instance", "tags": {"part": "job"}}],
    placement={"group_name": placement.name},
    user_data="IyEvYmluL2Jhc2g=",
    tags={"part": "template"},
)
aws.ec2.LaunchTemplate(
    "efa",
    network_interfaces=[
        {
            "device_index": 0 if card == 0 else 1,
            "network_card_index": card,
            "interface_type": "efa",
            "security_groups": [group.id],
        }
        for card in range(2)
    ],
)

# ---- storage -------------------------------------------------------------------------------------

key = aws.kms.Key(
    "key", enable_key_rotation=True, description="everything", deletion_window_in_days=7
)
aws.kms.Alias("key-alias", target_key_id=key.id)
bucket = aws.s3.Bucket("Bucket", tags={"part": "bucket"}, force_destroy=True)
aws.s3.BucketVersioning(
    "versioning", bucket=bucket.id, versioning_configuration={"status": "Enabled"}
)
aws.s3.BucketServerSideEncryptionConfiguration(
    "encryption",
    bucket=bucket.id,
    rules=[
        {
            "apply_server_side_encryption_by_default": {
                "sse_algorithm": "aws:kms",
                "kms_master_key_id": key.arn,
            },
            "bucket_key_enabled": True,
        }
    ],
)
aws.s3.BucketPublicAccessBlock(
    "private",
    bucket=bucket.id,
    block_public_acls=True,
    block_public_policy=True,
    ignore_public_acls=True,
    restrict_public_buckets=True,
)
aws.s3.BucketOwnershipControls(
    "owner", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}
)
aws.s3.BucketLifecycleConfiguration(
    "lifecycle",
    bucket=bucket.id,
    rules=[
        {
            "id": "old",
            "status": "Enabled",
            "expiration": {"days": 30},
            "filter": {"prefix": "data/"},
        },
        {
            "id": "parts",
            "status": "Enabled",
            "abort_incomplete_multipart_upload": {"days_after_initiation": 3},
        },
    ],
)
aws.s3.BucketPolicy(
    "policy",
    bucket=bucket.id,
    policy=allow("s3:GetObject", pulumi.Output.concat(bucket.arn, "/*"), Principal="*"),
)
aws.s3.BucketNotification("notification", bucket=bucket.id, eventbridge=True)
aws.s3.BucketCorsConfiguration(
    "cors",
    bucket=bucket.id,
    cors_rules=[{"id": "get", "allowed_methods": ["GET"], "allowed_origins": ["*"]}],
)
log_bucket = aws.s3.Bucket("log-bucket")
service = {"Service": "logging.s3.amazonaws.com"}
may_log = aws.s3.BucketPolicy(
    "may-log",
    bucket=log_bucket.id,
    policy=allow("s3:PutObject", pulumi.Output.concat(log_bucket.arn, "/*"), Principal=service),
)
aws.s3.BucketLogging(
    "logging",
    bucket=bucket.id,
    target_bucket=log_bucket.id,
    target_prefix="log/",
    opts=after(may_log),
)
aws.s3.BucketObjectv2(
    "object",
    bucket=bucket.id,
    key="a.txt",
    content="hello",
    content_type="text/plain",
    tags={"part": "object"},
)
table = aws.dynamodb.Table(
    "table",
    attributes=[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}],
    hash_key="pk",
    range_key="sk",
    billing_mode="PAY_PER_REQUEST",
    point_in_time_recovery={"enabled": True},
    ttl={"attribute_name": "expires", "enabled": True},
    server_side_encryption={"enabled": True},
    global_secondary_indexes=[
        {"name": "by-sk", "hash_key": "sk", "range_key": "pk", "projection_type": "ALL"}
    ],
)
repository = aws.ecr.Repository(
    "repository",
    image_scanning_configuration={"scan_on_push": True},
    image_tag_mutability="IMMUTABLE",
    encryption_configurations=[{"encryption_type": "AES256"}],
)
expire = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5}
rule_text = json.dumps(
    {"rules": [{"rulePriority": 1, "selection": expire, "action": {"type": "expire"}}]}
)
aws.ecr.LifecyclePolicy("images", repository=repository.name, policy=rule_text)
pull = {"Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}
aws.ecr.RepositoryPolicy(
    "pull",
    repository=repository.name,
    policy=json.dumps({"Version": "2012-10-17", "Statement": [pull]}),
)

# ---- identity ------------------------------------------------------------------------------------

job_role = role(
    "job",
    "ecs-tasks.amazonaws.com",
    inline_policies=[{"name": "own", "policy": allow("s3:*")}],
    tags={"part": "job"},
)
managed = aws.iam.Policy("managed", policy=allow("dynamodb:*", table.arn))
aws.iam.RolePolicyAttachment("managed", role=job_role.name, policy_arn=managed.arn)
aws.iam.RolePolicy("inline", role=job_role.id, policy=allow("s3:*"))
instance_role = role("instance", "ec2.amazonaws.com")
profile = aws.iam.InstanceProfile("profile", role=instance_role.name)
aws.iam.ServiceLinkedRole("spot", aws_service_name="spot.amazonaws.com")
secret = aws.secretsmanager.Secret("secret", recovery_window_in_days=0, kms_key_id=key.arn)
version = aws.secretsmanager.SecretVersion(
    "secret", secret_id=secret.id, secret_string=pulumi.Config().require_secret("hook")
)
aws.ssm.Parameter("parameter", type="String", name="/everything/parameter", value="x")

# ---- batch ---------------------------------------------------------------------------------------

fair = aws.batch.SchedulingPolicy(
    "fair",
    fair_share_policy={
        "share_decay_seconds": 3600,
        "compute_reservation": 1,
        "share_distributions": [{"share_identifier": "a", "weight_factor": 0.5}],
    },
)
nodes = aws.batch.ComputeEnvironment(
    "nodes",
    type="MANAGED",
    compute_resources={
        "type": "EC2",
        "allocation_strategy": "BEST_FIT_PROGRESSIVE",
        "min_vcpus": 0,
        "max_vcpus": 16,
        "instance_types": ["m5.large"],
        "subnets": [subnet.id for subnet in subnets],
        "security_group_ids": [group.id],
        "instance_role": profile.arn,
        "placement_group": placement.name,
        "launch_template": {
            "launch_template_id": template.id,
            "version": template.latest_version.apply(str),
        },
        "ec2_configurations": [{"image_type": "ECS_AL2023"}],
    },
    update_policy={"job_execution_timeout_minutes": 30, "terminate_jobs_on_update": False},
)
queue = aws.batch.JobQueue(
    "queue",
    state="ENABLED",
    priority=1,
    compute_environment_orders=[{"order": 1, "compute_environment": nodes.arn}],
    scheduling_policy_arn=fair.arn,
    job_state_time_limit_actions=[
        {
            "action": "CANCEL",
            "max_time_seconds": 3600,
            "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
            "state": "RUNNABLE",
        }
    ],
)
container: dict[str, Any] = {
    "image": repository.repository_url,
    "command": ["true"],
    "jobRoleArn": job_role.arn,
    "executionRoleArn": job_role.arn,
    "user": None,
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
    "secrets": [{"name": "HOOK", "valueFrom": version.secret_arn}],
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": logs.name}},
}
job = aws.batch.JobDefinition(
    "job",
    type="container",
    platform_capabilities=["EC2"],
    propagate_tags=True,
    scheduling_priority=1,
    container_properties=pulumi.Output.json_dumps(container),
    retry_strategy={
        "attempts": 3,
        "evaluate_on_exits": [
            {"action": "RETRY", "on_status_reason": "Host EC2*"},
            {"action": "EXIT", "on_reason": "*"},
        ],
    },
    timeout={"attempt_duration_seconds": 600},
)
group_of_nodes = {
    "mainNode": 0,
    "numNodes": 2,
    "nodeRangeProperties": [{"targetNodes": "0:", "container": container}],
}
aws.batch.JobDefinition(
    "many",
    type="multinode",
    scheduling_priority=1,
    node_properties=pulumi.Output.json_dumps(group_of_nodes),
)

# ---- functions, events and messages --------------------------------------------------------------

topic = aws.sns.Topic("topic")
events = {"Service": "events.amazonaws.com"}
aws.sns.TopicPolicy(
    "topic-policy", arn=topic.arn, policy=allow("sns:Publish", topic.arn, Principal=events)
)
dead = aws.sqs.Queue("dead", message_retention_seconds=1209600, sqs_managed_sse_enabled=True)
aws.sqs.QueuePolicy(
    "dead-policy", queue_url=dead.id, policy=allow("sqs:SendMessage", dead.arn, Principal=events)
)
redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})
aws.sqs.Queue("work", fifo_queue=True, content_based_deduplication=True)
todo = aws.sqs.Queue("todo", redrive_policy=redrive, visibility_timeout_seconds=60)
function = aws.lambda_.Function(
    "function",
    role=role(
        "function-role",
        "lambda.amazonaws.com",
        inline_policies=[{"name": "read", "policy": allow("sqs:*")}],
    ).arn,
    runtime="python3.12",
    handler="index.handler",
    code=pulumi.AssetArchive(
        {"index.py": pulumi.StringAsset("def handler(event, context):\n    return event\n")}
    ),
    environment={"variables": {"TABLE": table.name}},
    timeout=30,
    memory_size=256,
    dead_letter_config={"target_arn": dead.arn},
    tracing_config={"mode": "Active"},
    logging_config={"log_format": "JSON", "log_group": logs.name},
    reserved_concurrent_executions=5,
    layers=[
        aws.lambda_.LayerVersion(
            "layer",
            layer_name="layer",
            code=pulumi.AssetArchive({"a.py": pulumi.StringAsset("A = 1\n")}),
            compatible_runtimes=["python3.12"],
        ).arn
    ],
)
aws.lambda_.FunctionEventInvokeConfig(
    "delivery",
    function_name=function.name,
    maximum_retry_attempts=1,
    maximum_event_age_in_seconds=3600,
    destination_config={"on_failure": {"destination": dead.arn}},
)
aws.lambda_.EventSourceMapping(
    "mapping", function_name=function.name, event_source_arn=todo.arn, batch_size=5
)
pattern = pulumi.Output.json_dumps(
    {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket.id]}}}
)
uploads = aws.cloudwatch.EventRule("uploads", event_pattern=pattern)
aws.cloudwatch.EventTarget(
    "uploads",
    rule=uploads.name,
    arn=function.arn,
    dead_letter_config={"arn": dead.arn},
    retry_policy={"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 2},
    input_transformer={
        "input_paths": {"detail": "$.detail"},
        "input_template": '{"detail": <detail>}',
    },
)
aws.lambda_.Permission(
    "uploads",
    action="lambda:InvokeFunction",
    function=function.name,
    principal="events.amazonaws.com",
    source_arn=uploads.arn,
)
aws.sns.TopicSubscription("subscription", topic=topic.arn, protocol="lambda", endpoint=function.arn)
machine_role = role("machine-role", "states.amazonaws.com")
machine_logs = aws.iam.RolePolicy("machine-logs", role=machine_role.id, policy=allow("logs:*"))
machine = aws.sfn.StateMachine(
    "machine",
    role_arn=machine_role.arn,
    definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}),
    logging_configuration={
        "level": "ALL",
        "include_execution_data": True,
        "log_destination": pulumi.Output.concat(logs.arn, ":*"),
    },
    tracing_configuration={"enabled": True},
    opts=after(machine_logs),
)
nightly = aws.scheduler.ScheduleGroup("nightly")
aws.scheduler.Schedule(
    "nightly",
    group_name=nightly.name,
    schedule_expression="cron(0 3 * * ? *)",
    flexible_time_window={"mode": "OFF"},
    target={
        "arn": machine.arn,
        "role_arn": machine_role.arn,
        "input": "{}",
        "retry_policy": {"maximum_retry_attempts": 1},
    },
)

# ---- watching ------------------------------------------------------------------------------------

alarm = aws.cloudwatch.MetricAlarm(
    "alarm",
    comparison_operator="GreaterThanThreshold",
    evaluation_periods=1,
    metric_name="Failed",
    namespace="Everything",
    period=60,
    statistic="Sum",
    threshold=0,
    alarm_actions=[topic.arn],
    treat_missing_data="notBreaching",
    dimensions={"Queue": queue.name},
)
metric: Any = {
    "metric_name": "Failed",
    "namespace": "Everything",
    "period": 60,
    "stat": "Sum",
    "dimensions": {"Queue": queue.name},
}
aws.cloudwatch.MetricAlarm(
    "ratio",
    comparison_operator="GreaterThanThreshold",
    evaluation_periods=1,
    threshold=0.5,
    metric_queries=[
        {"id": "e1", "expression": "m1 / 2", "return_data": True},
        {"id": "m1", "metric": metric},
    ],
)
aws.cloudwatch.CompositeAlarm(
    "any",
    alarm_name="any",
    alarm_rule=pulumi.Output.concat('ALARM("', alarm.name, '") AND NOT FALSE'),
    alarm_actions=[topic.arn],
    ok_actions=[topic.arn],
)
aws.cloudwatch.QueryDefinition(
    "query", name="everything/errors", log_group_names=[logs.name], query_string="fields @message"
)
aws.cloudwatch.Dashboard(
    "dashboard", dashboard_name="everything", dashboard_body=json.dumps({"widgets": []})
)
aws.cloudwatch.LogMetricFilter(
    "errors",
    log_group_name=logs.name,
    pattern="ERROR",
    metric_transformation={
        "name": "Errors",
        "namespace": "Everything",
        "value": "1",
        "default_value": "0",
    },
)
aws.cloudwatch.LogResourcePolicy(
    "events-may-log",
    policy_document=allow(
        "logs:PutLogEvents", pulumi.Output.concat(logs.arn, ":*"), Principal=events
    ),
)
aws.resourcegroups.Group(
    "resources",
    resource_query={
        "type": "TAG_FILTERS_1_0",
        "query": json.dumps(
            {
                "ResourceTypeFilters": ["AWS::AllSupported"],
                "TagFilters": [{"Key": "part", "Values": ["job"]}],
            }
        ),
    },
)
monthly = aws.budgets.Budget(
    "monthly",
    budget_type="COST",
    limit_amount="100",
    limit_unit="USD",
    time_unit="MONTHLY",
    time_period_start="2026-01-01_00:00",
    cost_filters=[{"name": "TagKeyValue", "values": ["user:part$job"]}],
    notifications=[
        {
            "comparison_operator": "GREATER_THAN",
            "threshold": 80,
            "threshold_type": "PERCENTAGE",
            "notification_type": "ACTUAL",
            "subscriber_sns_topic_arns": [topic.arn],
        }
    ],
)

aws.budgets.BudgetAction(
    "enough",
    budget_name=monthly.name,
    action_type="APPLY_IAM_POLICY",
    approval_model="AUTOMATIC",
    notification_type="ACTUAL",
    action_threshold={"action_threshold_type": "PERCENTAGE", "action_threshold_value": 90},
    definition={"iam_action_definition": {"policy_arn": managed.arn, "roles": [job_role.name]}},
    execution_role_arn=job_role.arn,
    subscribers=[{"address": "oncall@example.com", "subscription_type": "EMAIL"}],
)

# ---- file systems that machines share ------------------------------------------------------------

nfs = aws.efs.FileSystem(
    "nfs",
    encrypted=True,
    throughput_mode="provisioned",
    provisioned_throughput_in_mibps=16,
    lifecycle_policies=[
        {"transition_to_ia": "AFTER_30_DAYS"},
        {"transition_to_primary_storage_class": "AFTER_1_ACCESS"},
    ],
    tags={"part": "files"},
)
aws.efs.AccessPoint(
    "nfs-point",
    file_system_id=nfs.id,
    posix_user={"uid": 10001, "gid": 10001},
    root_directory={
        "path": "/shared",
        "creation_info": {"owner_uid": 10001, "owner_gid": 10001, "permissions": "0750"},
    },
    tags={"part": "files"},
)
aws.efs.MountTarget(
    "nfs-target", file_system_id=nfs.id, subnet_id=subnets[0].id, security_groups=[group.id]
)
aws.efs.BackupPolicy("nfs-backup", file_system_id=nfs.id, backup_policy={"status": "ENABLED"})
aws.efs.FileSystemPolicy(
    "nfs-policy",
    file_system_id=nfs.id,
    policy=allow("elasticfilesystem:ClientMount", Principal={"AWS": "*"}),
)
lustre = aws.fsx.LustreFileSystem(
    "lustre",
    deployment_type="PERSISTENT_2",
    per_unit_storage_throughput=125,
    storage_capacity=1200,
    file_system_type_version="2.15",
    data_compression_type="LZ4",
    subnet_ids=subnets[0].id,
    security_group_ids=[group.id],
    tags={"part": "files"},
)
aws.fsx.DataRepositoryAssociation(
    "lustre-link",
    file_system_id=lustre.id,
    file_system_path="/data",
    data_repository_path=pulumi.Output.concat("s3://", bucket.bucket),
    batch_import_meta_data_on_create=True,
    s3={
        "auto_import_policy": {"events": ["NEW", "CHANGED", "DELETED"]},
        "auto_export_policy": {"events": ["NEW"]},
    },
    tags={"part": "files"},
)

builder_role = role("builder", "ec2.amazonaws.com")
directed = aws.iam.RolePolicyAttachment(
    "builder",
    role=builder_role.name,
    policy_arn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
)
reads = aws.iam.RolePolicy(
    "builder", role=builder_role.id, policy=allow("imagebuilder:GetComponent")
)
builder_profile = aws.iam.InstanceProfile("builder", role=builder_role.name)
pulled = aws.imagebuilder.Component(
    "pulled",
    name="everything-pulled",
    version="1.0.0",
    platform="Linux",
    data=json.dumps({"name": "pulled", "schemaVersion": 1.0, "phases": []}),
    tags={"part": "amis"},
)
recipe = aws.imagebuilder.ImageRecipe(
    "recipe",
    name="everything-recipe",
    version="1.0.0",
    parent_image="ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
    components=[{"component_arn": pulled.arn}],
    block_device_mappings=[
        {"device_name": "/dev/xvda", "ebs": {"volume_size": 30, "encrypted": "true"}}
    ],
    tags={"part": "amis"},
)
builders = aws.imagebuilder.InfrastructureConfiguration(
    "builders",
    instance_profile_name=builder_profile.name,
    instance_types=["m6i.large"],
    subnet_id=subnets[0].id,
    security_group_ids=[group.id],
    instance_metadata_options={"http_tokens": "required"},
    resource_tags={"part": "amis"},
    tags={"part": "amis"},
)
spread = aws.imagebuilder.DistributionConfiguration(
    "spread",
    distributions=[
        {
            "region": "us-east-1",
            "ami_distribution_configuration": {
                "name": "everything {{ imagebuilder:buildDate }}",
                "ami_tags": {"part": "amis"},
            },
        }
    ],
    tags={"part": "amis"},
)
aws.imagebuilder.Image(
    "baked",
    image_recipe_arn=recipe.arn,
    infrastructure_configuration_arn=builders.arn,
    distribution_configuration_arn=spread.arn,
    tags={"part": "amis"},
    opts=after(directed, reads),
)
aws.imagebuilder.ImagePipeline(
    "renewal",
    image_recipe_arn=recipe.arn,
    infrastructure_configuration_arn=builders.arn,
    distribution_configuration_arn=spread.arn,
    schedule={"schedule_expression": "rate(7 days)"},
    tags={"part": "amis"},
)
aws.imagebuilder.LifecyclePolicy(
    "old-amis",
    execution_role=job_role.arn,
    resource_type="AMI_IMAGE",
    policy_details=[
        {
            "action": {"type": "DELETE", "include_resources": {"amis": True, "snapshots": True}},
            "filter": {"type": "COUNT", "value": 2},
        }
    ],
    resource_selection={"recipes": [{"name": "everything-recipe", "semantic_version": "1.0.0"}]},
    tags={"part": "amis"},
)

pulumi.export("bucket", bucket.id)
pulumi.export("hook", version.secret_string)
