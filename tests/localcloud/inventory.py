"""Everything of the in-memory AWS that a stack makes, so that a test can say what a deletion has
left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Page = Mapping[str, Any]

_LISTS: Final[tuple[tuple[str, str, str, str], ...]] = (
    # service, method, member of the answer, what tells one entry from another
    ("batch", "describe_compute_environments", "computeEnvironments", "computeEnvironmentName"),
    ("batch", "describe_job_queues", "jobQueues", "jobQueueName"),
    ("batch", "list_scheduling_policies", "schedulingPolicies", "arn"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "describe_alarms", "CompositeAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("dynamodb", "list_tables", "TableNames", ""),
    ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("ec2", "describe_placement_groups", "PlacementGroups", "GroupName"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("efs", "describe_access_points", "AccessPoints", "AccessPointId"),
    ("efs", "describe_file_systems", "FileSystems", "FileSystemId"),
    ("events", "list_rules", "Rules", "Name"),
    ("fsx", "describe_data_repository_associations", "Associations", "AssociationId"),
    ("fsx", "describe_file_systems", "FileSystems", "FileSystemId"),
    ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("logs", "describe_query_definitions", "queryDefinitions", "queryDefinitionId"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("scheduler", "list_schedules", "Schedules", "Name"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sqs", "list_queues", "QueueUrls", ""),
    ("stepfunctions", "list_state_machines", "stateMachines", "name"),
)


def inventory(client: Callable[[str], Any], account: str) -> set[str]:
    """One text for each thing that exists.

    What AWS itself only marks for a later deletion counts as gone.
    """
    found = set()
    for service, method, member, key in _LISTS:
        entries = getattr(client(service), method)().get(member, [])
        found |= {f"{service} {member} {entry[key] if key else entry}" for entry in entries}
    definitions = client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    found |= {f"batch jobDefinitions {entry['jobDefinitionArn']}" for entry in definitions}
    for method, member, key in (
        ("describe_nat_gateways", "NatGateways", "NatGatewayId"),
        ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ):
        entries = getattr(client("ec2"), method)()[member]
        found |= {f"ec2 {member} {entry[key]}" for entry in entries if entry["State"] != "deleted"}
    keys = [
        client("kms").describe_key(KeyId=entry["KeyId"])["KeyMetadata"]
        for entry in client("kms").list_keys()["Keys"]
    ]
    found |= {
        f"kms Keys {entry['KeyId']}"
        for entry in keys
        if entry["KeyManager"] == "CUSTOMER" and entry["KeyState"] != "PendingDeletion"
    }
    budgets = client("budgets").describe_budgets(AccountId=account).get("Budgets", [])
    found |= {f"budgets Budgets {entry['BudgetName']}" for entry in budgets}
    return found | {
        f"secretsmanager SecretList {entry['Name']}"
        for entry in client("secretsmanager").list_secrets()["SecretList"]
    }
