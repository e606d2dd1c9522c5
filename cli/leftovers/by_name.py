"""What the Resource Groups Tagging API does not know, or not for long enough: found by its name, or
by what it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cli.leftovers.account import Account, Leftover, Look
from cli.leftovers.by_tag import ALIVE, of_arn
from cli.leftovers.kinds import FREE, SERVICE_ROLES
from cli.leftovers.ties import ties_of_role
from components.context import STACK_TAG
from components.state_machines.machine import VENDED_LOGS


def _log_groups(account: Account) -> Iterator[Leftover]:
    """Log groups by name: one that a late writer made again has no tags."""
    owned = f"/{account.project}/{account.stack}/"
    vended = f"{VENDED_LOGS}{owned}"
    named = tuple(f"/aws/{service}/{account.prefix}-" for service in ("lambda", "imagebuilder"))
    for prefix in (owned, vended, *named):
        for group in account.pages(
            "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix
        ):
            if prefix in named and _is_of_another(account, group["arn"].removesuffix(":*")):
                continue
            yield Leftover(
                kind="log group",
                name=group["logGroupName"],
                why="was written to, and so made again, after its deletion; or was not deleted",
                costs=f"its text, {group.get('storedBytes', 0):,} bytes at $0.03 a GB a month",
                remove=f"aws logs delete-log-group --log-group-name {group['logGroupName']}",
            )


def _is_of_another(account: Account, log_group: str) -> bool:
    """Whether it is of stack `dev-2`, whose names begin like those of `dev`."""
    tags = account.client("logs").list_tags_for_resource(resourceArn=log_group)["tags"]
    return bool(tags.get(STACK_TAG, account.stack) != account.stack)


def _secrets(account: Account) -> Iterator[Leftover]:
    """Secrets that wait for their deletion (Secrets Manager user guide, 7 to 30 days)."""
    for secret in account.pages(
        "secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True
    ):
        owned = account.owns(secret.get("Tags", []))
        if owned and (moment := secret.get("DeletedDate")) is not None:
            yield Leftover(
                kind="secret",
                name=secret["Name"],
                why=f"waits for its deletion (DeletedDate {moment:%Y-%m-%d}), 7 to 30 days in all",
                costs=f"{FREE} while it waits; its name cannot be used again until then",
                remove=(
                    "aws secretsmanager delete-secret --force-delete-without-recovery"
                    f" --secret-id {secret['Name']}"
                ),
            )


def _backups(account: Account) -> Iterator[Leftover]:
    """Backups of the metrics table: one is made by AWS when a table with recovery is deleted, for
    35 days.
    """
    summaries = account.pages("dynamodb", "list_backups", "BackupSummaries", BackupType="ALL")
    for backup in summaries:
        if backup["TableName"].startswith((account.prefix, _TABLE_NAME)):
            system = backup.get("BackupType") == "SYSTEM"
            yield Leftover(
                kind="table backup",
                name=backup["BackupArn"],
                why=(
                    "was made by DynamoDB when the table was deleted, and goes after 35 days"
                    if system
                    else "was made by somebody"
                ),
                costs=f"{FREE}" if system else "about $0.10 a GB a month",
                remove=f"aws dynamodb delete-backup --backup-arn {backup['BackupArn']}",
            )


_TABLE_NAME: Final = "storage-metrics-"
"""How the table's name begins in stacks that are older than names with project and stack."""


def _clusters(account: Account) -> Iterator[Leftover]:
    """ECS clusters that AWS Batch made for compute environments and did not take away."""
    for arn in account.pages("ecs", "list_clusters", "clusterArns"):
        name = arn.rsplit("/", 1)[-1]
        if name.startswith((f"AWSBatch-{account.prefix}", "AWSBatch-environments-")):
            yield Leftover(
                kind="ECS cluster",
                name=name,
                why="was made by AWS Batch, whose compute environment ended badly",
                costs=f"{FREE} without instances",
                remove=f"aws ecs delete-cluster --cluster {name}",
            )


def _images(account: Account) -> Iterator[Leftover]:
    """AMIs of the account with the stack's tags; deregistering one leaves its snapshots."""
    for image in account.pages(
        "ec2", "describe_images", "Images", Owners=["self"], Filters=account.filters
    ):
        yield Leftover(
            kind="AMI",
            name=image["ImageId"],
            why="was baked for the stack, and is no resource of it",
            costs="its snapshots, about $0.05 a GB a month",
            remove=(
                "aws ec2 deregister-image --delete-associated-snapshots --image-id"
                f" {image['ImageId']}"
            ),
        )


def _roles(account: Account) -> Iterator[Leftover]:
    """Roles by name and tags: the tagging API has none (its reference, "Supported services")."""
    iam = account.client("iam")
    for role in account.pages("iam", "list_roles", "Roles", PathPrefix="/"):
        name = role["RoleName"]
        if not account.named(name) or account.has(role["Arn"]):
            continue
        if account.owns(iam.list_role_tags(RoleName=name)["Tags"]):
            yield Leftover(
                kind="role",
                name=role["Arn"],
                why=ALIVE,
                costs=FREE,
                remove=" && ".join(
                    (
                        *ties_of_role(account.client, name),
                        f"aws iam delete-role --role-name {name}",
                    )
                ),
            )


def _policies(account: Account) -> Iterator[Leftover]:
    """Instance profiles and managed policies, as roles: IAM is in the tagging API of us-east-1
    alone.
    """
    iam = account.client("iam")
    for profile in account.pages("iam", "list_instance_profiles", "InstanceProfiles"):
        name, arn = profile["InstanceProfileName"], profile["Arn"]
        if not account.named(name) or account.has(arn):
            continue
        there = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        if account.owns(there.get("Tags", [])):
            yield of_arn(account, arn)
    for policy in account.pages("iam", "list_policies", "Policies", Scope="Local"):
        arn = policy["Arn"]
        if not account.named(policy["PolicyName"]) or account.has(arn):
            continue
        if account.owns(iam.list_policy_tags(PolicyArn=arn)["Tags"]):
            yield of_arn(account, arn)


def _rules(account: Account) -> Iterator[Leftover]:
    """Rules of security groups: what revokes one needs its group and direction."""
    for rule in account.pages(
        "ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=account.filters
    ):
        direction = "egress" if rule["IsEgress"] else "ingress"
        group, identity = rule["GroupId"], rule["SecurityGroupRuleId"]
        yield Leftover(
            kind="security group rule",
            name=identity,
            why=f"{ALIVE} ({direction} of {group})",
            costs=FREE,
            remove=(
                f"aws ec2 revoke-security-group-{direction} --group-id {group}"
                f" --security-group-rule-ids {identity}"
            ),
        )


def _associations(account: Account) -> Iterator[Leftover]:
    """Associations of route tables, which have no tags; the table cannot be deleted before."""
    for table in account.pages(
        "ec2", "describe_route_tables", "RouteTables", Filters=account.filters
    ):
        for association in table["Associations"]:
            if not association["Main"]:
                identity = association["RouteTableAssociationId"]
                yield Leftover(
                    kind="route table association",
                    name=identity,
                    why=f"{ALIVE} ({table['RouteTableId']})",
                    costs=FREE,
                    remove=f"aws ec2 disassociate-route-table --association-id {identity}",
                )


def _mount_targets(account: Account) -> Iterator[Leftover]:
    """Mount targets, which have no tags; the file system cannot be deleted before."""
    for system in account.pages("efs", "describe_file_systems", "FileSystems"):
        if not account.owns(system["Tags"]):
            continue
        for target in account.pages(
            "efs", "describe_mount_targets", "MountTargets", FileSystemId=system["FileSystemId"]
        ):
            if target["LifeCycleState"] in {"deleting", "deleted"}:
                continue
            identity = target["MountTargetId"]
            yield Leftover(
                kind="mount target of EFS",
                name=identity,
                why=f"{ALIVE} ({system['FileSystemId']})",
                costs=FREE,
                remove=f"aws efs delete-mount-target --mount-target-id {identity}",
            )


_BUDGET: Final = "budget-monthly"
"""The program's name of its budget, which the whole name has in it."""


def _counts(budget: Mapping[str, Any]) -> list[dict[str, str]]:
    """The tags by whose cost a budget goes."""
    parts = [part.get("Tags", {}) for part in budget.get("FilterExpression", {}).get("And", [])]
    return [
        {"Key": part["Key"], "Value": value} for part in parts for value in part.get("Values", [])
    ]


def _budgets(account: Account) -> Iterator[Leftover]:
    """Budgets of the stack's cost, and their actions: Budgets lists no tags beside them."""
    caller = account.client("sts").get_caller_identity()
    number, partition = caller["Account"], caller["Arn"].split(":")[1]
    for budget in account.pages(
        "budgets", "describe_budgets", "Budgets", AccountId=number, ShowFilterExpression=True
    ):
        name = budget["BudgetName"]
        if _BUDGET not in name or not account.owns(_counts(budget)):
            continue
        arn = f"arn:{partition}:budgets::{number}:budget/{name}"
        of_budget = {"AccountId": number, "BudgetName": name}
        told = f"--account-id {number} --budget-name {name}"
        for action in account.pages(
            "budgets", "describe_budget_actions_for_budget", "Actions", **of_budget
        ):
            identity = action["ActionId"]
            yield Leftover(
                kind="budget action",
                name=f"{arn}/action/{identity}",
                why=ALIVE,
                costs="$0.10 a day after the account's first two",
                remove=f"aws budgets delete-budget-action {told} --action-id {identity}",
            )
        yield Leftover(
            kind="budget",
            name=arn,
            why=ALIVE,
            costs=FREE,
            remove=f"aws budgets delete-budget {told}",
        )


def _queries(account: Account) -> Iterator[Leftover]:
    """Saved queries by name: they have no tags, and two may have one name."""
    owned: dict[str, str] = {"queryDefinitionNamePrefix": f"{account.project}/{account.stack}/"}
    while True:
        answer = account.client("logs").describe_query_definitions(**owned)
        for query in answer["queryDefinitions"]:
            identity = query["queryDefinitionId"]
            yield Leftover(
                kind="saved query",
                name=identity,
                why=f"{ALIVE} ({query['name']})",
                costs=FREE,
                remove=f"aws logs delete-query-definition --query-definition-id {identity}",
            )
        if "nextToken" not in answer:
            return
        owned["nextToken"] = answer["nextToken"]


def _dashboards(account: Account) -> Iterator[Leftover]:
    """The dashboard, whose name is the stack's; dashboards have no tags."""
    for entry in account.pages(
        "cloudwatch", "list_dashboards", "DashboardEntries", DashboardNamePrefix=account.prefix
    ):
        name = entry["DashboardName"]
        if name == account.prefix:
            yield Leftover(
                kind="dashboard",
                name=name,
                why=ALIVE,
                costs="$3 a month after the account's first three",
                remove=f"aws cloudwatch delete-dashboards --dashboard-names {name}",
            )


def _schedules(account: Account) -> Iterator[Leftover]:
    """Schedules of the pipeline, which have no tags; one that is left goes on to call."""
    prefix = f"{account.prefix}-pipeline-"
    for one in account.pages("scheduler", "list_schedules", "Schedules", NamePrefix=prefix):
        name, group = one["Name"], one["GroupName"]
        yield Leftover(
            kind="schedule",
            name=f"{group}/{name}",
            why=ALIVE,
            costs=FREE,
            remove=f"aws scheduler delete-schedule --group-name {group} --name {name}",
        )


def _service_roles(account: Account) -> Iterator[Leftover]:
    """Service-linked roles, which belong to the account."""
    for role in account.pages("iam", "list_roles", "Roles", PathPrefix="/aws-service-role/"):
        if role["RoleName"].partition("_")[0] in SERVICE_ROLES:
            yield Leftover(
                kind="service-linked role",
                name=role["RoleName"],
                why=(
                    "belongs to the account: AWS made it at the first use, and other stacks need it"
                ),
                costs=FREE,
                remove=f"aws iam delete-service-linked-role --role-name {role['RoleName']}",
            )


TIES_OF_A_STACK: Final[dict[str, Look]] = {
    "security group rules": _rules,
    "associations of route tables": _associations,
    "mount targets": _mount_targets,
}
"""Kinds of things that the program makes between two others, neither of which can be deleted before
-> how they are looked for.
"""
MADE_BY_A_STACK: Final[dict[str, Look]] = {
    "roles": _roles,
    "instance profiles and managed policies": _policies,
    "budgets": _budgets,
    "saved queries": _queries,
    "dashboards": _dashboards,
    "schedules": _schedules,
}
"""Kinds of other things that it makes, which outlive what uses them."""
MADE_BESIDE: Final[dict[str, Look]] = {
    "log groups": _log_groups,
    "secrets": _secrets,
    "backups of tables": _backups,
    "ECS clusters of AWS Batch": _clusters,
    "AMIs": _images,
    "service-linked roles": _service_roles,
}
"""Kinds of things that appear, or stay, without it."""
