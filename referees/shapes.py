"""How the types of the stacks are written in CloudFormation (AWS CloudFormation template reference
guide).

Names of properties differ by the case of their first letter; what differs by more stands here. A
type that is in no table cannot be converted, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Values = dict[str, Any]
Plain = Mapping[str, Any]

TYPES = {
    "aws:batch/computeEnvironment:ComputeEnvironment": "AWS::Batch::ComputeEnvironment",
    "aws:batch/jobDefinition:JobDefinition": "AWS::Batch::JobDefinition",
    "aws:batch/jobQueue:JobQueue": "AWS::Batch::JobQueue",
    "aws:batch/schedulingPolicy:SchedulingPolicy": "AWS::Batch::SchedulingPolicy",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "AWS::CloudWatch::CompositeAlarm",
    "aws:cloudwatch/dashboard:Dashboard": "AWS::CloudWatch::Dashboard",
    "aws:cloudwatch/eventRule:EventRule": "AWS::Events::Rule",
    "aws:cloudwatch/logGroup:LogGroup": "AWS::Logs::LogGroup",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "AWS::CloudWatch::Alarm",
    "aws:cloudwatch/queryDefinition:QueryDefinition": "AWS::Logs::QueryDefinition",
    "aws:dynamodb/table:Table": "AWS::DynamoDB::Table",
    "aws:ec2/eip:Eip": "AWS::EC2::EIP",
    "aws:ec2/internetGateway:InternetGateway": "AWS::EC2::InternetGateway",
    "aws:ec2/launchTemplate:LaunchTemplate": "AWS::EC2::LaunchTemplate",
    "aws:ec2/natGateway:NatGateway": "AWS::EC2::NatGateway",
    "aws:ec2/placementGroup:PlacementGroup": "AWS::EC2::PlacementGroup",
    "aws:ec2/route:Route": "AWS::EC2::Route",
    "aws:ec2/routeTable:RouteTable": "AWS::EC2::RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "AWS::EC2::SubnetRouteTableAssociation",
    "aws:ec2/securityGroup:SecurityGroup": "AWS::EC2::SecurityGroup",
    "aws:ec2/subnet:Subnet": "AWS::EC2::Subnet",
    "aws:ec2/vpc:Vpc": "AWS::EC2::VPC",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "AWS::EC2::VPCEndpoint",
    "aws:ecr/repository:Repository": "AWS::ECR::Repository",
    "aws:efs/accessPoint:AccessPoint": "AWS::EFS::AccessPoint",
    "aws:efs/fileSystem:FileSystem": "AWS::EFS::FileSystem",
    "aws:efs/mountTarget:MountTarget": "AWS::EFS::MountTarget",
    "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation": (
        "AWS::FSx::DataRepositoryAssociation"
    ),
    "aws:fsx/lustreFileSystem:LustreFileSystem": "AWS::FSx::FileSystem",
    "aws:iam/instanceProfile:InstanceProfile": "AWS::IAM::InstanceProfile",
    "aws:iam/policy:Policy": "AWS::IAM::ManagedPolicy",
    "aws:iam/role:Role": "AWS::IAM::Role",
    "aws:kms/key:Key": "AWS::KMS::Key",
    "aws:lambda/function:Function": "AWS::Lambda::Function",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        "AWS::Lambda::EventInvokeConfig"
    ),
    "aws:lambda/permission:Permission": "AWS::Lambda::Permission",
    "aws:s3/bucket:Bucket": "AWS::S3::Bucket",
    "aws:s3/bucketPolicy:BucketPolicy": "AWS::S3::BucketPolicy",
    "aws:scheduler/schedule:Schedule": "AWS::Scheduler::Schedule",
    "aws:secretsmanager/secret:Secret": "AWS::SecretsManager::Secret",
    "aws:sfn/stateMachine:StateMachine": "AWS::StepFunctions::StateMachine",
    "aws:sns/topic:Topic": "AWS::SNS::Topic",
    "aws:sns/topicPolicy:TopicPolicy": "AWS::SNS::TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription": "AWS::SNS::Subscription",
    "aws:sqs/queue:Queue": "AWS::SQS::Queue",
    "aws:sqs/queuePolicy:QueuePolicy": "AWS::SQS::QueuePolicy",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "AWS::EC2::SecurityGroupEgress",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "AWS::EC2::SecurityGroupIngress",
}
LEFT_OUT = {
    "aws:budgets/budget:Budget": "no referee knows budgets",
    "aws:budgets/budgetAction:BudgetAction": "no referee knows budgets",
    "aws:secretsmanager/secretVersion:SecretVersion": "the value of a secret is nobody's to see",
}
TAGS_ARE_A_MAP = {name for name in TYPES.values() if name.startswith("AWS::Batch::")}
WITHOUT_TAGS = {
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EFS::AccessPoint",
    "AWS::EFS::FileSystem",
    "AWS::EFS::MountTarget",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::ManagedPolicy",
}
RENAMED: dict[str, dict[str, str | None]] = {
    "AWS::Batch::ComputeEnvironment": {
        "ec2Configurations": "Ec2Configuration",
        "maxVcpus": "MaxvCpus",
        "minVcpus": "MinvCpus",
        "desiredVcpus": "DesiredvCpus",
        "name": "ComputeEnvironmentName",
    },
    "AWS::Batch::JobDefinition": {
        "evaluateOnExits": "EvaluateOnExit",
        "deregisterOnNewRevision": None,
        "name": "JobDefinitionName",
    },
    "AWS::Batch::JobQueue": {
        "computeEnvironmentOrders": "ComputeEnvironmentOrder",
        "name": "JobQueueName",
    },
    "AWS::Batch::SchedulingPolicy": {
        "fairSharePolicy": "FairsharePolicy",
    },
    "AWS::CloudWatch::Alarm": {"okActions": "OKActions"},
    "AWS::CloudWatch::CompositeAlarm": {"okActions": "OKActions"},
    "AWS::EC2::SecurityGroup": {"description": "GroupDescription", "name": "GroupName"},
    "AWS::EC2::SecurityGroupEgress": {
        "securityGroupId": "GroupId",
        "cidrIpv4": "CidrIp",
        "referencedSecurityGroupId": "DestinationSecurityGroupId",
        "prefixListId": "DestinationPrefixListId",
    },
    "AWS::EC2::SecurityGroupIngress": {
        "securityGroupId": "GroupId",
        "cidrIpv4": "CidrIp",
        "referencedSecurityGroupId": "SourceSecurityGroupId",
    },
    "AWS::EC2::InternetGateway": {"vpcId": None},
    "AWS::EC2::VPCEndpoint": {"policy": "PolicyDocument"},
    "AWS::ECR::Repository": {"name": "RepositoryName", "forceDelete": "EmptyOnDelete"},
    "AWS::IAM::ManagedPolicy": {"policy": "PolicyDocument", "name": "ManagedPolicyName"},
    "AWS::IAM::Role": {
        "assumeRolePolicy": "AssumeRolePolicyDocument",
        "name": "RoleName",
        "forceDetachPolicies": None,
    },
    "AWS::KMS::Key": {"policy": "KeyPolicy", "deletionWindowInDays": "PendingWindowInDays"},
    "AWS::Lambda::Function": {"code": None, "sourceCodeHash": None, "name": "FunctionName"},
    "AWS::Lambda::Permission": {"function": "FunctionName"},
    "AWS::Logs::LogGroup": {"name": "LogGroupName", "skipDestroy": None},
    "AWS::S3::Bucket": {"forceDestroy": None, "bucket": "BucketName"},
    "AWS::S3::BucketPolicy": {"policy": "PolicyDocument"},
    "AWS::SNS::Subscription": {"topic": "TopicArn"},
    "AWS::SNS::TopicPolicy": {"policy": "PolicyDocument", "arn": "Topics"},
    "AWS::SQS::Queue": {
        "messageRetentionSeconds": "MessageRetentionPeriod",
        "visibilityTimeoutSeconds": "VisibilityTimeout",
        "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
        "name": "QueueName",
    },
    "AWS::SQS::QueuePolicy": {"policy": "PolicyDocument", "queueUrl": "Queues"},
    "AWS::SecretsManager::Secret": {
        "recoveryWindowInDays": None,
        "forceOverwriteReplicaSecret": None,
    },
    "AWS::StepFunctions::StateMachine": {
        "definition": "DefinitionString",
        "name": "StateMachineName",
        "type": "StateMachineType",
    },
}
"""Property of Pulumi -> that of CloudFormation, at any depth, `name` at the top; None:
CloudFormation knows no such thing.
"""
DOCUMENTS = {
    "AssumeRolePolicyDocument",
    "ContainerProperties",
    "EventPattern",
    "FileSystemPolicy",
    "FilterPolicy",
    "KeyPolicy",
    "NodeProperties",
    "PolicyDocument",
}
"""JSON text in Pulumi, an object in CloudFormation."""
FREE_KEYS = {"Variables", "Options", "Parameters", "Tags"}
"""Objects whose keys are the stack's own."""
LISTS = {"Topics", "Queues"}
"""One value in Pulumi, a list in CloudFormation."""


def _table(properties: Values, _made: Plain) -> None:
    attributes = properties.pop("Attributes")
    properties["AttributeDefinitions"] = [
        {"AttributeName": each["Name"], "AttributeType": each["Type"]} for each in attributes
    ]
    keys = ((properties.pop("HashKey"), "HASH"), (properties.pop("RangeKey", None), "RANGE"))
    properties["KeySchema"] = [
        {"AttributeName": name, "KeyType": kind} for name, kind in keys if name
    ]
    recovery = properties.pop("PointInTimeRecovery", {"Enabled": False})
    properties["PointInTimeRecoverySpecification"] = {
        "PointInTimeRecoveryEnabled": recovery["Enabled"]
    }
    for index in properties.get("GlobalSecondaryIndexes", ()):
        index["IndexName"], index["KeySchema"] = index.pop("Name"), index.pop("KeySchemas")
        members = (index.pop("ProjectionType"), index.pop("NonKeyAttributes", None))
        names = ("ProjectionType", "NonKeyAttributes")
        index["Projection"] = {
            name: value for name, value in zip(names, members, strict=True) if value is not None
        }
    if expiry := properties.pop("Ttl", None):
        properties["TimeToLiveSpecification"] = expiry


def _launch_template(properties: Values, _made: Plain) -> None:
    properties.pop("Tags", None)
    described = properties.pop("Description", None)
    data = {key: properties.pop(key) for key in list(properties)}
    for interface in data.get("NetworkInterfaces", ()):
        interface["Groups"] = interface.pop("SecurityGroups")
    for specification in data.get("TagSpecifications", ()):
        specification["Tags"] = tags_of(specification["Tags"])
    properties.update({"VersionDescription": described, "LaunchTemplateData": _booleans(data)})


def _booleans(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _booleans(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_booleans(item) for item in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _alarm(properties: Values, made: Plain) -> None:
    if "Dimensions" in properties:
        properties["Dimensions"] = _dimensions(made["dimensions"])
    if queries := properties.pop("MetricQueries", None):
        properties["Metrics"] = [
            _query(each, plain) for each, plain in zip(queries, made["metricQueries"], strict=True)
        ]


def _query(query: Values, made: Plain) -> Values:
    metric = query.pop("Metric", None)
    if metric is None:
        return query
    told = {"MetricName": metric["MetricName"], "Namespace": metric["Namespace"]}
    told["Dimensions"] = _dimensions(made["metric"].get("dimensions", {}))
    return {
        **query,
        "MetricStat": {"Metric": told, "Period": metric["Period"], "Stat": metric["Stat"]},
    }


def _dimensions(values: Plain) -> list[Values]:
    return [{"Name": name, "Value": value} for name, value in sorted(values.items())]


def _function(properties: Values, _made: Plain) -> None:
    properties["Code"] = {"S3Bucket": "the-archive-of-the-program", "S3Key": "function.zip"}


def _invoke(properties: Values, _made: Plain) -> None:
    properties["Qualifier"] = "$LATEST"


def _instance_profile(properties: Values, _made: Plain) -> None:
    properties["Roles"] = [properties.pop("Role")]


def _state_machine(properties: Values, _made: Plain) -> None:
    logging = properties["LoggingConfiguration"]
    logging["Destinations"] = [
        {"CloudWatchLogsLogGroup": {"LogGroupArn": logging.pop("LogDestination")}}
    ]


def _scheduling_policy(properties: Values, _made: Plain) -> None:
    policy = properties["FairsharePolicy"]
    policy["ShareDistribution"] = policy.pop("ShareDistributions")


def _file_system(properties: Values, made: Plain) -> None:
    rules = properties.pop("LifecyclePolicies", None) or ()
    if rules:
        properties["LifecyclePolicies"] = [
            {key.replace("ToIa", "ToIA"): value for key, value in rule.items()} for rule in rules
        ]
    properties["FileSystemTags"] = tags_of(made.get("tags") or {})


def _access_point(properties: Values, made: Plain) -> None:
    for holder in (properties["PosixUser"], properties["RootDirectory"]["CreationInfo"]):
        holder.update({key: str(value) for key, value in holder.items()})
    properties["AccessPointTags"] = tags_of(made.get("tags") or {})


def _lustre(properties: Values, _made: Plain) -> None:
    own = ("DeploymentType", "PerUnitStorageThroughput", "DataCompressionType")
    settings = {key: properties.pop(key) for key in own if key in properties}
    subnets = properties["SubnetIds"]
    properties |= {
        "FileSystemType": "LUSTRE",
        "SubnetIds": subnets if isinstance(subnets, list) else [subnets],
        "LustreConfiguration": settings,
    }


SPECIAL: dict[str, Callable[[Values, Plain], None]] = {
    "AWS::Batch::SchedulingPolicy": _scheduling_policy,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::LaunchTemplate": _launch_template,
    "AWS::EFS::AccessPoint": _access_point,
    "AWS::EFS::FileSystem": _file_system,
    "AWS::FSx::FileSystem": _lustre,
    "AWS::IAM::InstanceProfile": _instance_profile,
    "AWS::Lambda::EventInvokeConfig": _invoke,
    "AWS::Lambda::Function": _function,
    "AWS::StepFunctions::StateMachine": _state_machine,
}
"""What renaming does not do; works on the properties, and has the inputs of Pulumi beside them."""


def tags_of(values: Plain) -> list[Values]:
    """Tags as most types of CloudFormation want them."""
    return [{"Key": key, "Value": value} for key, value in sorted(values.items())]
