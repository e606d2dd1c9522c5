"""How each type is read; what one call does not tell stands in the files of readings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider import monitoring_readings, network_readings
from localcloud.deployment.provider import readings as more
from localcloud.deployment.provider.reading import Described, readers

_ARN: Final = {"resourceArn": "{arn}"}
_EC2_ARN: Final = "arn:{partition}:ec2:{region}:{account}:"
_NONE: Final[Mapping[str, str]] = {}
_OWNED: Final = {"ownerId": "{account}"}


def _alarm(kind: str) -> Described:
    return Described(
        service="cloudwatch",
        operation="DescribeAlarms",
        request={"AlarmNames": ["{id}"], "AlarmTypes": [kind]},
        at=f"{kind}s.0",
        rename={"name": "AlarmName", "metricQueries": "Metrics", "arn": "AlarmArn"},
        tags=("cloudwatch", "ListTagsForResource", {"ResourceARN": "{arn}"}),
        more=monitoring_readings.alarm,
    )


def _ec2(
    operation: str, member: str, at: str, kind: str, told: Mapping[str, str] = _NONE, **details: Any
) -> Described:
    """A resource whose ARN EC2 does not tell; `kind` is the word for it there."""
    arn = {"arn": f"{_EC2_ARN}{kind}/{{id}}"} if kind else {}
    return Described(
        service="ec2",
        operation=operation,
        request={member: ["{id}"]},
        at=f"{at}.0",
        told={**arn, **told},
        **details,
    )


def _batch(operation: str, member: str, at: str, *, by: str = "{id}", **details: Any) -> Described:
    return Described(
        service="batch", operation=operation, request={member: [by]}, at=f"{at}.0", **details
    )


def _s3(operation: str, at: str = "", **details: Any) -> Described:
    return Described(
        service="s3", operation=operation, request={"Bucket": "{bucket}"}, at=at, **details
    )


_IAM_ROLE: Final[Mapping[str, str]] = {"RoleName": "{id}"}
readers(
    {
        # ---- Batch and images
        "batch/computeEnvironment:ComputeEnvironment": _batch(
            "DescribeComputeEnvironments",
            "computeEnvironments",
            "computeEnvironments",
            rename={
                "arn": "computeEnvironmentArn",
                "name": "computeEnvironmentName",
                "computeResources.ec2Configurations": "ec2Configuration",
            },
            more=more.compute_environment,
            absent={"status": ("DELETED", "DELETING")},
        ),
        "batch/jobQueue:JobQueue": _batch(
            "DescribeJobQueues",
            "jobQueues",
            "jobQueues",
            rename={
                "arn": "jobQueueArn",
                "name": "jobQueueName",
                "computeEnvironmentOrders": "computeEnvironmentOrder",
            },
            absent={"status": ("DELETED", "DELETING")},
        ),
        "batch/jobDefinition:JobDefinition": _batch(
            "DescribeJobDefinitions",
            "jobDefinitions",
            "jobDefinitions",
            rename={
                "arn": "jobDefinitionArn",
                "name": "jobDefinitionName",
                "retryStrategy.evaluateOnExits": "evaluateOnExit",
            },
            more=more.job_definition,
            absent={"status": ("INACTIVE",)},
            by="{arn}",  # of the latest revision; the id stays that of the first
        ),
        "batch/schedulingPolicy:SchedulingPolicy": _batch(
            "DescribeSchedulingPolicies",
            "arns",
            "schedulingPolicies",
            rename={
                "fairSharePolicy": "fairsharePolicy",
                "fairSharePolicy.shareDistributions": "shareDistribution",
            },
        ),
        "ecr/repository:Repository": Described(
            service="ecr",
            operation="DescribeRepositories",
            request={"repositoryNames": ["{id}"]},
            at="repositories.0",
            rename={
                "arn": "repositoryArn",
                "name": "repositoryName",
                "repositoryUrl": "repositoryUri",
                "encryptionConfigurations": "encryptionConfiguration",
            },
            tags=("ecr", "ListTagsForResource", _ARN),
        ),
        "ecr/lifecyclePolicy:LifecyclePolicy": Described(
            service="ecr",
            operation="GetLifecyclePolicy",
            request={"repositoryName": "{id}"},
            rename={"policy": "lifecyclePolicyText", "repository": "repositoryName"},
        ),
        "ecr/repositoryPolicy:RepositoryPolicy": Described(
            service="ecr",
            operation="GetRepositoryPolicy",
            request={"repositoryName": "{id}"},
            rename={"policy": "policyText", "repository": "repositoryName"},
        ),
        # ---- network and instances
        "ec2/vpc:Vpc": _ec2(
            "DescribeVpcs", "VpcIds", "Vpcs", "vpc", _OWNED, more=network_readings.vpc
        ),
        "ec2/subnet:Subnet": _ec2("DescribeSubnets", "SubnetIds", "Subnets", "subnet", _OWNED),
        "ec2/internetGateway:InternetGateway": _ec2(
            "DescribeInternetGateways",
            "InternetGatewayIds",
            "InternetGateways",
            "internet-gateway",
            _OWNED,
            more=network_readings.internet_gateway,
        ),
        "ec2/eip:Eip": _ec2(
            "DescribeAddresses",
            "AllocationIds",
            "Addresses",
            "elastic-ip",
            {"allocationId": "{id}"},
            more=network_readings.address,
        ),
        "ec2/natGateway:NatGateway": _ec2(
            "DescribeNatGateways",
            "NatGatewayIds",
            "NatGateways",
            "",
            more=network_readings.nat_gateway,
            absent={"State": ("deleted", "deleting", "failed")},
        ),
        "ec2/routeTable:RouteTable": _ec2(
            "DescribeRouteTables",
            "RouteTableIds",
            "RouteTables",
            "route-table",
            _OWNED,
            more=network_readings.without_routes,
        ),
        "ec2/route:Route": network_readings.route,
        "ec2/routeTableAssociation:RouteTableAssociation": network_readings.route_table_association,
        "ec2/vpcEndpoint:VpcEndpoint": _ec2(
            "DescribeVpcEndpoints",
            "VpcEndpointIds",
            "VpcEndpoints",
            "vpc-endpoint",
            _OWNED,
            rename={"policy": "PolicyDocument"},
            more=network_readings.endpoint,
            absent={"State": ("deleted", "deleting")},
        ),
        "ec2/placementGroup:PlacementGroup": Described(
            service="ec2",
            operation="DescribePlacementGroups",
            request={"GroupNames": ["{id}"]},
            at="PlacementGroups.0",
            rename={"name": "GroupName", "placementGroupId": "GroupId"},
            told={"arn": f"{_EC2_ARN}placement-group/{{id}}"},
            absent={"State": ("deleted", "deleting")},
        ),
        "ec2/launchTemplate:LaunchTemplate": network_readings.launch_template,
        "ec2/securityGroup:SecurityGroup": _ec2(
            "DescribeSecurityGroups",
            "GroupIds",
            "SecurityGroups",
            "security-group",
            _OWNED,
            rename={"name": "GroupName"},
            more=network_readings.without_rules,
        ),
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ec2(
            "DescribeSecurityGroupRules",
            "SecurityGroupRuleIds",
            "SecurityGroupRules",
            "security-group-rule",
            {"securityGroupRuleId": "{id}"},
            rename={"securityGroupId": "GroupId"},
            more=network_readings.rule,
        ),
        "vpc/securityGroupEgressRule:SecurityGroupEgressRule": _ec2(
            "DescribeSecurityGroupRules",
            "SecurityGroupRuleIds",
            "SecurityGroupRules",
            "security-group-rule",
            {"securityGroupRuleId": "{id}"},
            rename={"securityGroupId": "GroupId"},
            more=network_readings.rule,
        ),
        # ---- identity and secrets
        "iam/role:Role": Described(
            service="iam",
            operation="GetRole",
            request=_IAM_ROLE,
            at="Role",
            rename={
                "name": "RoleName",
                "uniqueId": "RoleId",
                "assumeRolePolicy": "AssumeRolePolicyDocument",
            },
            tags=("iam", "ListRoleTags", _IAM_ROLE),
        ),
        "iam/rolePolicy:RolePolicy": more.role_policy,
        "iam/policy:Policy": Described(
            service="iam",
            operation="GetPolicy",
            request={"PolicyArn": "{id}"},
            at="Policy",
            rename={"name": "PolicyName"},
            tags=("iam", "ListPolicyTags", {"PolicyArn": "{id}"}),
            more=more.policy,
        ),
        "iam/rolePolicyAttachment:RolePolicyAttachment": more.attachment,
        "iam/instanceProfile:InstanceProfile": Described(
            service="iam",
            operation="GetInstanceProfile",
            request={"InstanceProfileName": "{id}"},
            at="InstanceProfile",
            rename={"name": "InstanceProfileName", "uniqueId": "InstanceProfileId"},
            more=more.instance_profile,
        ),
        "kms/key:Key": Described(
            service="kms",
            operation="DescribeKey",
            request={"KeyId": "{id}"},
            at="KeyMetadata",
            rename={"isEnabled": "Enabled", "customerMasterKeySpec": "KeySpec"},
            tags=("kms", "ListResourceTags", {"KeyId": "{id}"}),
            more=more.key,
            absent={"KeyState": ("PendingDeletion",)},
        ),
        "secretsmanager/secret:Secret": Described(
            service="secretsmanager",
            operation="DescribeSecret",
            request={"SecretId": "{id}"},
            absent={"DeletedDate": None},  # what is deleted soon is gone for the provider
        ),
        "secretsmanager/secretVersion:SecretVersion": more.secret_version,
        "ssm/parameter:Parameter": Described(
            service="ssm",
            operation="GetParameter",
            request={"Name": "{id}", "WithDecryption": True},
            at="Parameter",
            tags=(
                "ssm",
                "ListTagsForResource",
                {"ResourceType": "Parameter", "ResourceId": "{id}"},
            ),
        ),
        # ---- functions, events, messages
        "lambda/function:Function": Described(
            service="lambda",
            operation="GetFunctionConfiguration",
            request={"FunctionName": "{id}"},
            rename={
                "arn": "FunctionArn",
                "name": "FunctionName",
                "layers": "",
                "sourceCodeSize": "CodeSize",
            },
            tags=("lambda", "ListTags", {"Resource": "{arn}"}),
            more=more.function,
        ),
        "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Described(
            service="lambda",
            operation="GetFunctionEventInvokeConfig",
            request={"FunctionName": "{functionName}"},
            rename={"functionName": "", "qualifier": ""},
        ),
        "lambda/permission:Permission": more.permission,
        "cloudwatch/eventRule:EventRule": Described(
            service="events",
            operation="DescribeRule",
            request={"Name": "{name}", "EventBusName": "{eventBusName}"},
            rename={"isEnabled": ""},
            tags=("events", "ListTagsForResource", {"ResourceARN": "{arn}"}),
        ),
        "cloudwatch/eventTarget:EventTarget": more.event_target,
        "scheduler/schedule:Schedule": more.schedule,
        "scheduler/scheduleGroup:ScheduleGroup": Described(
            service="scheduler",
            operation="GetScheduleGroup",
            request={"Name": "{id}"},
            tags=("scheduler", "ListTagsForResource", {"ResourceArn": "{arn}"}),
        ),
        "sfn/stateMachine:StateMachine": Described(
            service="stepfunctions",
            operation="DescribeStateMachine",
            request={"stateMachineArn": "{id}"},
            rename={"arn": "stateMachineArn"},
            tags=("stepfunctions", "ListTagsForResource", _ARN),
            more=more.state_machine,
            absent={"status": ("DELETING",)},
        ),
        "sqs/queue:Queue": more.queue,
        "sqs/queuePolicy:QueuePolicy": more.queue_policy,
        "sns/topic:Topic": more.topic,
        "sns/topicPolicy:TopicPolicy": more.topic_policy,
        "sns/topicSubscription:TopicSubscription": more.subscription,
        # ---- storage
        "s3/bucket:Bucket": more.bucket,
        "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _s3(
            "GetBucketLifecycleConfiguration", rename={"rules.id": "ID"}
        ),
        "s3/bucketOwnershipControls:BucketOwnershipControls": _s3(
            "GetBucketOwnershipControls", "OwnershipControls", rename={"rule": "Rules"}
        ),
        "s3/bucketPolicy:BucketPolicy": _s3("GetBucketPolicy"),
        "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _s3(
            "GetPublicAccessBlock", "PublicAccessBlockConfiguration"
        ),
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _s3(
            "GetBucketEncryption",
            "ServerSideEncryptionConfiguration",
            rename={"rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID"},
        ),
        "s3/bucketVersioning:BucketVersioning": more.versioning,
        "s3/bucketNotification:BucketNotification": more.notification,
        "dynamodb/table:Table": Described(
            service="dynamodb",
            operation="DescribeTable",
            request={"TableName": "{id}"},
            at="Table",
            rename={
                "arn": "TableArn",
                "name": "TableName",
                "streamArn": "LatestStreamArn",
                "streamLabel": "LatestStreamLabel",
            },
            tags=("dynamodb", "ListTagsOfResource", {"ResourceArn": "{arn}"}),
            more=more.table,
        ),
        # ---- what watches
        "cloudwatch/logGroup:LogGroup": monitoring_readings.log_group,
        "cloudwatch/metricAlarm:MetricAlarm": _alarm("MetricAlarm"),
        "cloudwatch/compositeAlarm:CompositeAlarm": _alarm("CompositeAlarm"),
        "cloudwatch/dashboard:Dashboard": Described(
            service="cloudwatch", operation="GetDashboard", request={"DashboardName": "{id}"}
        ),
        "cloudwatch/queryDefinition:QueryDefinition": monitoring_readings.query_definition,
        "budgets/budget:Budget": monitoring_readings.budget,
        "budgets/budgetAction:BudgetAction": monitoring_readings.budget_action,
    }
)
