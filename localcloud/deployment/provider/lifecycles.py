"""The lifecycle of every type that this project's stacks use: what replaces it, what updates it,
what deletes it.

Which inputs replace and which lists are sets is data, rules.json; here stands what a path cannot
say.
"""

from __future__ import annotations

from localcloud.deployment.provider import (
    batch_updates,
    identity,
    image_builder,
    network_updates,
    removals,
    shared_files,
    tables,
    updates,
)
from localcloud.deployment.provider.lifecycle import (
    Lifecycle,
    changes,
    lifecycles,
    put_again,
    remove,
)


def _bucket_setting(delete: str) -> Lifecycle:
    return Lifecycle(delete=remove("s3", delete, Bucket="{bucket}"), update=put_again)


lifecycles(
    {
        # ---- Batch and images
        "batch/computeEnvironment:ComputeEnvironment": Lifecycle(
            delete=removals.compute_environment,
            update=batch_updates.compute_environment,
            when=batch_updates.environment_replacements,
            stays=batch_updates.environment_keeps,
            decided=("status", "statusReason"),
        ),
        "batch/jobQueue:JobQueue": Lifecycle(
            delete=removals.job_queue,
            update=changes(
                "batch",
                "UpdateJobQueue",
                rename={"computeEnvironmentOrders": "computeEnvironmentOrder"},
                ignore=("timeouts",),
                jobQueue="{id}",
            ),
        ),
        "batch/schedulingPolicy:SchedulingPolicy": Lifecycle(
            delete=remove("batch", "DeleteSchedulingPolicy", arn="{id}"),
            update=changes(
                "batch",
                "UpdateSchedulingPolicy",
                rename={
                    "fairSharePolicy": "fairsharePolicy",
                    "fairSharePolicy.shareDistributions": "shareDistribution",
                },
                arn="{id}",
            ),
        ),
        "batch/jobDefinition:JobDefinition": Lifecycle(
            delete=removals.job_definition,
            update=batch_updates.new_revision,
            when=batch_updates.definition_replacements,
            steers=("deregisterOnNewRevision",),
            decided=("arn", "revision"),
        ),
        "ecr/repository:Repository": Lifecycle(
            delete=remove("ecr", "DeleteRepository", repositoryName="{id}", force=True),
            update=updates.repository,
            steers=("forceDelete",),
        ),
        "ecr/lifecyclePolicy:LifecyclePolicy": Lifecycle(
            delete=remove("ecr", "DeleteLifecyclePolicy", repositoryName="{repository}"),
        ),
        # ---- network and instances
        "ec2/vpc:Vpc": Lifecycle(
            delete=remove("ec2", "DeleteVpc", VpcId="{id}"),
            update=network_updates.vpc,
            when=network_updates.another_tenancy,
        ),
        "ec2/subnet:Subnet": Lifecycle(
            delete=remove("ec2", "DeleteSubnet", SubnetId="{id}"),
            update=network_updates.subnet,
        ),
        "ec2/internetGateway:InternetGateway": Lifecycle(
            delete=removals.internet_gateway, update=network_updates.internet_gateway
        ),
        "ec2/eip:Eip": Lifecycle(delete=remove("ec2", "ReleaseAddress", AllocationId="{id}")),
        "ec2/natGateway:NatGateway": Lifecycle(delete=removals.nat_gateway),
        "ec2/routeTable:RouteTable": Lifecycle(
            delete=remove("ec2", "DeleteRouteTable", RouteTableId="{id}")
        ),
        "ec2/route:Route": Lifecycle(
            delete=removals.route,
            update=network_updates.route,
        ),
        "ec2/routeTableAssociation:RouteTableAssociation": Lifecycle(
            delete=remove("ec2", "DisassociateRouteTable", AssociationId="{id}"),
            update=network_updates.route_table_association,
        ),
        "ec2/vpcEndpoint:VpcEndpoint": Lifecycle(
            delete=remove("ec2", "DeleteVpcEndpoints", VpcEndpointIds=["{id}"]),
            update=network_updates.vpc_endpoint,
            when=network_updates.endpoint_replacements,
            stays=network_updates.endpoint_keeps,
        ),
        "ec2/placementGroup:PlacementGroup": Lifecycle(
            delete=remove("ec2", "DeletePlacementGroup", GroupName="{id}"),
        ),
        "ec2/launchTemplate:LaunchTemplate": Lifecycle(
            delete=remove("ec2", "DeleteLaunchTemplate", LaunchTemplateId="{id}"),
            update=network_updates.launch_template,
            decided=("latestVersion", "defaultVersion"),
        ),
        "ec2/securityGroup:SecurityGroup": Lifecycle(
            delete=remove("ec2", "DeleteSecurityGroup", GroupId="{id}"),
        ),
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule": Lifecycle(
            delete=remove(
                "ec2",
                "RevokeSecurityGroupIngress",
                GroupId="{securityGroupId}",
                SecurityGroupRuleIds=["{id}"],
            ),
            update=network_updates.security_group_rule,
            when=network_updates.another_kind_of_source,
        ),
        "vpc/securityGroupEgressRule:SecurityGroupEgressRule": Lifecycle(
            delete=remove(
                "ec2",
                "RevokeSecurityGroupEgress",
                GroupId="{securityGroupId}",
                SecurityGroupRuleIds=["{id}"],
            ),
            update=network_updates.security_group_rule,
            when=network_updates.another_kind_of_source,
        ),
        # ---- identity and secrets
        "iam/role:Role": Lifecycle(
            delete=remove("iam", "DeleteRole", RoleName="{id}"),
            update=updates.role,
        ),
        "iam/rolePolicy:RolePolicy": Lifecycle(
            delete=remove("iam", "DeleteRolePolicy", RoleName="{role}", PolicyName="{name}"),
            update=put_again,
        ),
        "iam/policy:Policy": Lifecycle(
            delete=removals.policy,
            update=updates.policy,
        ),
        "iam/rolePolicyAttachment:RolePolicyAttachment": Lifecycle(
            delete=remove("iam", "DetachRolePolicy", RoleName="{role}", PolicyArn="{policyArn}"),
        ),
        "iam/instanceProfile:InstanceProfile": Lifecycle(
            delete=removals.instance_profile,
            update=updates.instance_profile,
        ),
        "kms/key:Key": Lifecycle(
            delete=remove("kms", "ScheduleKeyDeletion", KeyId="{id}", PendingWindowInDays=30),
            update=updates.key,
        ),
        "secretsmanager/secret:Secret": Lifecycle(
            delete=removals.secret,
            update=updates.secret,
            steers=("recoveryWindowInDays",),
        ),
        "secretsmanager/secretVersion:SecretVersion": Lifecycle(delete=None),
        # ---- functions, events, messages
        "lambda/function:Function": Lifecycle(
            delete=remove("lambda", "DeleteFunction", FunctionName="{id}"),
            update=updates.function,
            decided=(
                "codeSha256",
                "lastModified",
                "sourceCodeSize",
                "sourceCodeHash",
                "qualifiedArn",
                "version",
            ),
        ),
        "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Lifecycle(
            delete=remove(
                "lambda", "DeleteFunctionEventInvokeConfig", FunctionName="{functionName}"
            ),
            update=put_again,
        ),
        "lambda/permission:Permission": Lifecycle(
            delete=remove(
                "lambda", "RemovePermission", FunctionName="{function}", StatementId="{statementId}"
            ),
        ),
        "cloudwatch/eventRule:EventRule": Lifecycle(
            delete=remove("events", "DeleteRule", Name="{name}"),
            update=put_again,
        ),
        "cloudwatch/eventTarget:EventTarget": Lifecycle(
            delete=removals.event_target,
            update=put_again,
            keeps=("targetId",),
        ),
        "sfn/stateMachine:StateMachine": Lifecycle(
            delete=removals.state_machine,
            update=updates.state_machine,
        ),
        "sqs/queue:Queue": Lifecycle(
            delete=remove("sqs", "DeleteQueue", QueueUrl="{id}"),
            update=updates.queue,
        ),
        "sqs/queuePolicy:QueuePolicy": Lifecycle(
            delete=remove(
                "sqs", "SetQueueAttributes", QueueUrl="{queueUrl}", Attributes={"Policy": ""}
            ),
            update=put_again,
        ),
        "sns/topic:Topic": Lifecycle(
            delete=remove("sns", "DeleteTopic", TopicArn="{id}"),
            update=updates.topic,
        ),
        "sns/topicPolicy:TopicPolicy": Lifecycle(delete=removals.topic_policy, update=put_again),
        "sns/topicSubscription:TopicSubscription": Lifecycle(
            delete=remove("sns", "Unsubscribe", SubscriptionArn="{id}"),
        ),
        # ---- storage
        "s3/bucket:Bucket": Lifecycle(
            delete=removals.bucket,
            update=updates.bucket,
            when=updates.lock_taken_away,
            steers=("forceDestroy",),
        ),
        "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_setting(
            "DeleteBucketLifecycle"
        ),
        "s3/bucketOwnershipControls:BucketOwnershipControls": _bucket_setting(
            "DeleteBucketOwnershipControls"
        ),
        "s3/bucketPolicy:BucketPolicy": _bucket_setting("DeleteBucketPolicy"),
        "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket_setting(
            "DeletePublicAccessBlock"
        ),
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
            _bucket_setting("DeleteBucketEncryption")
        ),
        "s3/bucketVersioning:BucketVersioning": Lifecycle(
            delete=removals.versioning, update=put_again
        ),
        "s3/bucketNotification:BucketNotification": Lifecycle(
            delete=remove(
                "s3",
                "PutBucketNotificationConfiguration",
                Bucket="{bucket}",
                NotificationConfiguration={},
            ),
            update=put_again,
        ),
        "dynamodb/table:Table": Lifecycle(
            delete=remove("dynamodb", "DeleteTable", TableName="{id}"),
            update=tables.change_table,
        ),
        "efs/accessPoint:AccessPoint": Lifecycle(
            delete=remove("efs", "DeleteAccessPoint", AccessPointId="{id}"),
        ),
        "efs/backupPolicy:BackupPolicy": Lifecycle(
            delete=remove(
                "efs", "PutBackupPolicy", FileSystemId="{id}", BackupPolicy={"Status": "DISABLED"}
            ),
            update=put_again,
        ),
        "efs/fileSystem:FileSystem": Lifecycle(
            delete=remove("efs", "DeleteFileSystem", FileSystemId="{id}"),
            update=shared_files.change_file_system,
        ),
        "efs/fileSystemPolicy:FileSystemPolicy": Lifecycle(
            delete=remove("efs", "DeleteFileSystemPolicy", FileSystemId="{id}"),
            update=put_again,
            steers=("bypassPolicyLockoutSafetyCheck",),
        ),
        "efs/mountTarget:MountTarget": Lifecycle(
            delete=remove("efs", "DeleteMountTarget", MountTargetId="{id}"),
            update=shared_files.change_mount_target,
        ),
        "fsx/dataRepositoryAssociation:DataRepositoryAssociation": Lifecycle(
            delete=remove("fsx", "DeleteDataRepositoryAssociation", AssociationId="{id}"),
            update=changes("fsx", "UpdateDataRepositoryAssociation", AssociationId="{id}"),
            steers=("batchImportMetaDataOnCreate", "deleteDataInFilesystem"),
        ),
        "fsx/lustreFileSystem:LustreFileSystem": Lifecycle(
            delete=remove("fsx", "DeleteFileSystem", FileSystemId="{id}"),
            update=shared_files.change_lustre,
            when=shared_files.smaller_or_first,
        ),
        # ---- AMIs
        "imagebuilder/component:Component": Lifecycle(
            delete=remove("imagebuilder", "DeleteComponent", componentBuildVersionArn="{id}"),
            steers=("skipDestroy",),
        ),
        "imagebuilder/imageRecipe:ImageRecipe": Lifecycle(
            delete=remove("imagebuilder", "DeleteImageRecipe", imageRecipeArn="{id}"),
        ),
        "imagebuilder/image:Image": Lifecycle(
            delete=remove("imagebuilder", "DeleteImage", imageBuildVersionArn="{id}"),
        ),
        **{
            f"imagebuilder/{kind}:{name}": Lifecycle(
                delete=remove("imagebuilder", f"Delete{name}", **{f"{kind}Arn": "{id}"}),
                update=image_builder.describe_anew(kind),
            )
            for kind, name in image_builder.KINDS.items()
        },
        "ssm/parameter:Parameter": Lifecycle(
            delete=remove("ssm", "DeleteParameter", Name="{id}"),
            update=identity.change_parameter,
            steers=("overwrite",),
        ),
        # ---- what watches
        "cloudwatch/logGroup:LogGroup": Lifecycle(
            delete=remove("logs", "DeleteLogGroup", logGroupName="{id}"),
            update=updates.log_group,
        ),
        "cloudwatch/metricAlarm:MetricAlarm": Lifecycle(
            delete=remove("cloudwatch", "DeleteAlarms", AlarmNames=["{id}"]),
            update=put_again,
        ),
        "cloudwatch/compositeAlarm:CompositeAlarm": Lifecycle(
            delete=remove("cloudwatch", "DeleteAlarms", AlarmNames=["{id}"]),
            update=put_again,
        ),
        "cloudwatch/dashboard:Dashboard": Lifecycle(
            delete=remove("cloudwatch", "DeleteDashboards", DashboardNames=["{id}"]),
            update=put_again,
        ),
        "cloudwatch/queryDefinition:QueryDefinition": Lifecycle(
            delete=remove("logs", "DeleteQueryDefinition", queryDefinitionId="{id}"),
            update=updates.saved_query,
        ),
        "budgets/budget:Budget": Lifecycle(
            delete=remove("budgets", "DeleteBudget", AccountId="{account}", BudgetName="{name}"),
            update=updates.budget,
        ),
        "budgets/budgetAction:BudgetAction": Lifecycle(
            delete=remove(
                "budgets",
                "DeleteBudgetAction",
                AccountId="{account}",
                BudgetName="{budgetName}",
                ActionId="{actionId}",
            ),
            update=updates.budget_action,
        ),
        "scheduler/schedule:Schedule": Lifecycle(
            delete=removals.schedule,
            update=updates.schedule,
        ),
        "scheduler/scheduleGroup:ScheduleGroup": Lifecycle(
            delete=remove("scheduler", "DeleteScheduleGroup", Name="{name}"),
        ),
    }
)
