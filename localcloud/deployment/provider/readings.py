"""What is read by more than one call, or lies in an answer otherwise than in the inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import ProviderError
from localcloud.deployment.provider.lifecycle import is_absent
from localcloud.deployment.provider.messaging import (
    QUEUE_ATTRIBUTES,
    SUBSCRIPTION_ATTRIBUTES,
    TOPIC_ATTRIBUTES,
)
from localcloud.deployment.provider.reading import Actual, Described, Reading, tag_map

Found = Mapping[str, Any]


# ---- network -------------------------------------------------------------------------------------


def vpc(reading: Reading, _found: Found) -> Found:
    """DNS attributes, one call each."""
    told = {}
    for name in ("enableDnsSupport", "enableDnsHostnames"):
        member = f"{name[0].upper()}{name[1:]}"
        answer = reading.send("ec2", "DescribeVpcAttribute", VpcId=reading.id, Attribute=name)
        told[name] = answer[member]["Value"]
    return told


def internet_gateway(_reading: Reading, found: Found) -> Found:
    """The VPC that it is attached to."""
    return {"vpcId": next((each["VpcId"] for each in found.get("Attachments", [])), None)}


def nat_gateway(_reading: Reading, found: Found) -> Found:
    """The address."""
    address: Found = next(iter(found.get("NatGatewayAddresses", [])), {})
    return {"allocationId": address.get("AllocationId")}


def without_routes(_reading: Reading, _found: Found) -> Found:
    """Routes that stand alone are no part of their table."""
    return {"routes": None}


def without_rules(_reading: Reading, _found: Found) -> Found:
    """Rules that stand alone are no part of their group."""
    return {"ingress": None, "egress": None}


def rule(_reading: Reading, found: Found) -> Found:
    """The other end of a rule; protocol -1 has no ports."""
    group = (found.get("ReferencedGroupInfo") or {}).get("GroupId")
    every = found.get("IpProtocol") == "-1"
    ports = {"fromPort": None, "toPort": None} if every else {}
    return {"referencedSecurityGroupId": group, **ports}


def endpoint(_reading: Reading, found: Found) -> Found:
    """Its security groups."""
    return {"securityGroupIds": [group["GroupId"] for group in found.get("Groups", [])]}


def route(reading: Reading) -> Actual | None:
    """The route of a table to one destination."""
    tables = reading.maybe(
        "ec2", "DescribeRouteTables", RouteTableIds=[reading.values["routeTableId"]]
    )
    names = {
        "destinationCidrBlock": "DestinationCidrBlock",
        "gatewayId": "GatewayId",
        "natGatewayId": "NatGatewayId",
        "networkInterfaceId": "NetworkInterfaceId",
        "transitGatewayId": "TransitGatewayId",
        "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    }
    wanted = reading.values.get("destinationCidrBlock")
    for table in tables.get("RouteTables", []):
        for each in table["Routes"]:
            if each.get("DestinationCidrBlock") == wanted:
                return {name: each.get(member) for name, member in names.items()}
    return None


def route_table_association(reading: Reading) -> Actual | None:
    """The association itself lies in its table."""
    filters = [{"Name": "association.route-table-association-id", "Values": [reading.id]}]
    for each in reading.send("ec2", "DescribeRouteTables", Filters=filters)["RouteTables"]:
        for found in each["Associations"]:
            if found["RouteTableAssociationId"] == reading.id:
                return {
                    "routeTableId": found["RouteTableId"],
                    "subnetId": found.get("SubnetId"),
                    "gatewayId": found.get("GatewayId"),
                }
    return None


_TEMPLATE: Final = Described(
    service="ec2",
    operation="DescribeLaunchTemplateVersions",
    request={"LaunchTemplateId": "{id}", "Versions": ["$Latest"]},
    at="LaunchTemplateVersions.0.LaunchTemplateData",
    rename={
        "vpcSecurityGroupIds": "SecurityGroupIds",
        "securityGroupNames": "SecurityGroups",
        "networkInterfaces.securityGroups": "Groups",
        "tags": "",
    },
)


def launch_template(reading: Reading) -> Actual | None:
    """The latest version, and the template around it."""
    request = {"LaunchTemplateIds": [reading.id]}
    found = reading.maybe("ec2", "DescribeLaunchTemplates", **request).get("LaunchTemplates")
    data = _TEMPLATE(reading)
    if not found:
        return None
    own = {"name": found[0]["LaunchTemplateName"], "tags": tag_map(found[0].get("Tags", []))}
    told = dict(data or {})
    # moto notes the template's own tags among those of what is launched, where AWS takes none of
    # this kind
    specifications = told.get("tagSpecifications") or []
    told["tagSpecifications"] = [
        each for each in specifications if each.get("resourceType") != "launch-template"
    ]
    return {**told, **own}


# ---- identity ------------------------------------------------------------------------------------


def role_policy(reading: Reading) -> Actual | None:
    """An inline policy; its id is `role:name`."""
    owner, _, name = reading.id.partition(":")
    found = reading.maybe("iam", "GetRolePolicy", RoleName=owner, PolicyName=name)
    if not found:
        return None
    return {"role": owner, "name": name, "policy": json.dumps(found["PolicyDocument"])}


def policy(reading: Reading, found: Found) -> Found:
    """The document of the default version."""
    version = {"PolicyArn": reading.id, "VersionId": found["DefaultVersionId"]}
    document = reading.send("iam", "GetPolicyVersion", **version)["PolicyVersion"]["Document"]
    return {"policy": document}


def attachment(reading: Reading) -> Actual | None:
    """A managed policy on a role; its id is `role/arn`."""
    owner, _, arn = reading.id.partition("/")
    found = reading.maybe("iam", "ListAttachedRolePolicies", RoleName=owner)
    there = {each["PolicyArn"] for each in found.get("AttachedPolicies", [])}
    return {"role": owner, "policyArn": arn} if arn in there else None


def instance_profile(_reading: Reading, found: Found) -> Found:
    """Its role."""
    return {"role": next((each["RoleName"] for each in found["Roles"]), None)}


def key(reading: Reading, _found: Found) -> Found:
    """Policy and rotation."""
    document = reading.send("kms", "GetKeyPolicy", KeyId=reading.id, PolicyName="default")
    rotation = reading.send("kms", "GetKeyRotationStatus", KeyId=reading.id)
    return {
        "policy": document["Policy"],
        "enableKeyRotation": rotation["KeyRotationEnabled"],
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays"),
    }


def secret(reading: Reading, found: Found) -> Found:
    """What is deleted soon is gone."""
    if found.get("DeletedDate"):
        raise ProviderError(f"the secret {reading.id} is marked for deletion; restore it first")
    return {}


def secret_version(reading: Reading) -> Actual | None:
    """The value; its id is `arn|version`."""
    arn, _, version = reading.id.partition("|")
    found = reading.maybe("secretsmanager", "GetSecretValue", SecretId=arn, VersionId=version)
    return {"secretId": arn, "secretString": found.get("SecretString")} if found else None


# ---- functions and events ------------------------------------------------------------------------


def function(reading: Reading, found: Found) -> Found:
    """Reserved concurrency; variables lie one level deeper than in the inputs."""
    told = reading.send("lambda", "GetFunctionConcurrency", FunctionName=reading.id)
    environment = found.get("Environment")
    return {
        "reservedConcurrentExecutions": told.get("ReservedConcurrentExecutions", -1),
        "environment": {"variables": environment.get("Variables", {})} if environment else None,
    }


def permission(reading: Reading) -> Actual | None:
    """One statement of a function's policy."""
    owner = str(reading.values["function"])
    found = reading.maybe("lambda", "GetPolicy", FunctionName=owner)
    for each in json.loads(found.get("Policy", "{}")).get("Statement", []):
        if each["Sid"] == reading.id:
            condition = each.get("Condition", {})
            principal = each["Principal"]
            return {
                "function": owner,
                "statementId": reading.id,
                "action": each["Action"],
                "principal": (
                    principal if isinstance(principal, str) else next(iter(principal.values()))
                ),
                "sourceArn": condition.get("ArnLike", {}).get("AWS:SourceArn"),
                "sourceAccount": condition.get("StringEquals", {}).get("AWS:SourceAccount"),
            }
    return None


def event_target(reading: Reading) -> Actual | None:
    """One target of a rule."""
    rule_name, target = str(reading.values["rule"]), reading.values["targetId"]
    found = reading.maybe("events", "ListTargetsByRule", Rule=rule_name)
    for each in found.get("Targets", []):
        if each["Id"] == target:
            retries, dead = each.get("RetryPolicy"), each.get("DeadLetterConfig")
            return {
                "rule": rule_name,
                "targetId": target,
                "arn": each["Arn"],
                "roleArn": each.get("RoleArn"),
                "input": each.get("Input"),
                "inputPath": each.get("InputPath"),
                "retryPolicy": (
                    retries
                    and {
                        "maximumEventAgeInSeconds": retries.get("MaximumEventAgeInSeconds"),
                        "maximumRetryAttempts": retries.get("MaximumRetryAttempts"),
                    }
                ),
                "deadLetterConfig": dead and {"arn": dead.get("Arn")},
            }
    return None


_SCHEDULE: Final = Described(
    service="scheduler",
    operation="GetSchedule",
    request={"Name": "{schedule}", "GroupName": "{group}"},
)


def schedule(reading: Reading) -> Actual | None:
    """Its id is `group/name`."""
    group, _, name = reading.id.partition("/")
    values = {**reading.values, "schedule": name, "group": group}
    inner = Reading(aws=reading.aws, token=reading.token, id=reading.id, values=values)
    return _SCHEDULE(inner)


def state_machine(_reading: Reading, found: Found) -> Found:
    """Where it logs, without the API's envelopes."""
    logs = found.get("loggingConfiguration") or {}
    destinations = [
        each["cloudWatchLogsLogGroup"]["logGroupArn"] for each in logs.get("destinations", [])
    ]
    plain = {name: logs[name] for name in ("level", "includeExecutionData") if name in logs}
    return {
        "loggingConfiguration": (
            {**plain, "logDestination": next(iter(destinations), None)} if logs else None
        )
    }


# ---- messages ------------------------------------------------------------------------------------


def _named(attributes: Mapping[str, str], table: Mapping[str, str]) -> dict[str, Any]:
    return {name: attributes.get(member) or None for name, member in table.items()}


def queue(reading: Reading) -> Actual | None:
    """A queue, whose settings are attributes."""
    told = reading.maybe("sqs", "GetQueueAttributes", QueueUrl=reading.id, AttributeNames=["All"])
    if not told:
        return None
    tags = reading.send("sqs", "ListQueueTags", QueueUrl=reading.id).get("Tags", {})
    named = _named(told["Attributes"], QUEUE_ATTRIBUTES)
    name = told["Attributes"]["QueueArn"].rpartition(":")[2]
    return {**_own_policy(reading, named), "name": name, "tags": tag_map(tags)}


def _own_policy(reading: Reading, named: dict[str, Any]) -> dict[str, Any]:
    """A policy that stands in a resource of its own is no part of the queue or topic."""
    return named if reading.values.get("policy") else {**named, "policy": None}


def queue_policy(reading: Reading) -> Actual | None:
    """Policy of a queue."""
    names = ["Policy"]
    told = reading.maybe("sqs", "GetQueueAttributes", QueueUrl=reading.id, AttributeNames=names)
    found = told.get("Attributes", {}).get("Policy")
    return {"queueUrl": reading.id, "policy": found} if found else None


def topic(reading: Reading) -> Actual | None:
    """A topic, whose settings are attributes."""
    told = reading.maybe("sns", "GetTopicAttributes", TopicArn=reading.id)
    if not told:
        return None
    tags = reading.send("sns", "ListTagsForResource", ResourceArn=reading.id).get("Tags", [])
    named = _named(told["Attributes"], TOPIC_ATTRIBUTES)
    name = reading.id.rpartition(":")[2]
    return {**_own_policy(reading, named), "name": name, "tags": tag_map(tags)}


def topic_policy(reading: Reading) -> Actual | None:
    """Policy of a topic."""
    told = reading.maybe("sns", "GetTopicAttributes", TopicArn=reading.id)
    found = told.get("Attributes", {}).get("Policy")
    return {"arn": reading.id, "policy": found} if found else None


def subscription(reading: Reading) -> Actual | None:
    """A subscription, whose settings are attributes."""
    told = reading.maybe("sns", "GetSubscriptionAttributes", SubscriptionArn=reading.id)
    if not told:
        return None
    found = told["Attributes"]
    named = _named(found, SUBSCRIPTION_ATTRIBUTES)
    return {
        **named,
        "topic": found["TopicArn"],
        "protocol": found["Protocol"],
        "endpoint": found["Endpoint"],
    }


# ---- storage -------------------------------------------------------------------------------------


def bucket(reading: Reading) -> Actual | None:
    """A bucket: its name and its tags; settings are resources of their own."""
    try:
        reading.send("s3", "HeadBucket", Bucket=reading.id)
    except ProviderError as error:
        if is_absent(error) or "404" in str(error):
            return None
        raise
    tags = reading.maybe("s3", "GetBucketTagging", Bucket=reading.id).get("TagSet", [])
    return {"bucket": reading.id, "tags": tag_map(tags)}


def versioning(reading: Reading) -> Actual | None:
    """`Disabled` is Terraform's word for a bucket that never had it."""
    told = reading.maybe("s3", "GetBucketVersioning", Bucket=reading.id)
    if not told:
        return None
    return {
        "bucket": reading.id,
        "versioningConfiguration": {"status": told.get("Status", "Disabled")},
    }


def notification(reading: Reading) -> Actual | None:
    """EventBridge, and what is told to functions, queues and topics."""
    told = reading.maybe("s3", "GetBucketNotificationConfiguration", Bucket=reading.id)
    if not told:
        return None
    kinds = {
        "lambdaFunctions": ("LambdaFunctionConfigurations", "lambdaFunctionArn"),
        "queues": ("QueueConfigurations", "queueArn"),
        "topics": ("TopicConfigurations", "topicArn"),
    }
    found: dict[str, Any] = {
        "bucket": reading.id,
        "eventbridge": "EventBridgeConfiguration" in told,
    }
    for name, (member, target) in kinds.items():
        found[name] = [_notified(each, target) for each in told.get(member, [])]
    return found


def _notified(each: Mapping[str, Any], target: str) -> dict[str, Any]:
    rules = each.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    filters = {f"filter{rule['Name'].title()}": rule["Value"] for rule in rules}
    arn = each[f"{target[0].upper()}{target[1:]}"]
    return {"id": each.get("Id"), target: arn, "events": each["Events"], **filters}


def table(reading: Reading, found: Found) -> Found:
    """Keys, recovery, time to live and encryption."""
    keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
    name = {"TableName": reading.id}
    backups = reading.send("dynamodb", "DescribeContinuousBackups", **name)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    living = reading.send("dynamodb", "DescribeTimeToLive", **name)["TimeToLiveDescription"]
    lives = living["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
    billing = (found.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
    return {
        "hashKey": keys.get("HASH"),
        "rangeKey": keys.get("RANGE"),
        "billingMode": billing,
        "attributes": [
            {"name": each["AttributeName"], "type": each["AttributeType"]}
            for each in found["AttributeDefinitions"]
        ],
        "pointInTimeRecovery": {"enabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED"},
        "ttl": {"enabled": lives, "attributeName": living.get("AttributeName")} if lives else None,
        "deletionProtectionEnabled": bool(found.get("DeletionProtectionEnabled")),
    }


# ---- what watches --------------------------------------------------------------------------------


def log_group(reading: Reading) -> Actual | None:
    """A log group; no retention is 0 days, which mean for ever."""
    told = reading.send("logs", "DescribeLogGroups", logGroupNamePrefix=reading.id)["logGroups"]
    found = next((each for each in told if each["logGroupName"] == reading.id), None)
    if found is None:
        return None
    arn = reading.aws.arn("logs", f"log-group:{reading.id}")
    tags = reading.send("logs", "ListTagsForResource", resourceArn=arn)["tags"]
    return {
        "name": reading.id,
        "retentionInDays": found.get("retentionInDays", 0),
        "kmsKeyId": found.get("kmsKeyId"),
        "tags": tag_map(tags),
    }


def alarm(_reading: Reading, found: Found) -> Found:
    """Metrics of a formula: the inputs have one level less than the API."""
    if not found.get("Metrics"):
        return {"metricQueries": []}
    queries = []
    for each in found["Metrics"]:
        query = {name: value for name, value in each.items() if name != "MetricStat"}
        if stat := each.get("MetricStat"):
            inner = {name: value for name, value in stat.items() if name != "Metric"}
            query["metric"] = {**inner, **stat["Metric"]}
        queries.append(query)
    return {"metricQueries": queries}


def query_definition(reading: Reading) -> Actual | None:
    """A saved query; the API knows only lists of them."""
    told = reading.send("logs", "DescribeQueryDefinitions")["queryDefinitions"]
    found = next((each for each in told if each["queryDefinitionId"] == reading.id), None)
    return found and {name: found.get(name) for name in ("name", "queryString", "logGroupNames")}


def budget(reading: Reading) -> Actual | None:
    """A budget, its notifications and their subscribers; its id is `account:name`."""
    account, _, name = reading.id.partition(":")
    named = {"AccountId": account, "BudgetName": name}
    told = reading.maybe("budgets", "DescribeBudget", **named)
    if not told:
        return None
    found = told["Budget"]
    listed = reading.send("budgets", "DescribeNotificationsForBudget", **named)
    notifications = [_watched(reading, named, each) for each in listed.get("Notifications", [])]
    filters = found.get("CostFilters", {})
    return {
        "name": name,
        "accountId": account,
        "budgetType": found["BudgetType"],
        "timeUnit": found["TimeUnit"],
        "limitAmount": found.get("BudgetLimit", {}).get("Amount"),
        "limitUnit": found.get("BudgetLimit", {}).get("Unit"),
        "costFilters": [{"name": name, "values": values} for name, values in filters.items()],
        "notifications": notifications,
    }


def _watched(reading: Reading, named: Mapping[str, str], each: Found) -> dict[str, Any]:
    plain = {
        name: each[name]
        for name in ("NotificationType", "ComparisonOperator", "Threshold", "ThresholdType")
        if name in each
    }
    told = reading.send(
        "budgets", "DescribeSubscribersForNotification", **named, Notification=plain
    )
    addresses: dict[str, list[str]] = {"EMAIL": [], "SNS": []}
    for subscriber in told["Subscribers"]:
        addresses[subscriber["SubscriptionType"]].append(subscriber["Address"])
    return {
        **{f"{name[0].lower()}{name[1:]}": value for name, value in plain.items()},
        "subscriberEmailAddresses": addresses["EMAIL"],
        "subscriberSnsTopicArns": addresses["SNS"],
    }


_ACTION: Final = Described(
    service="budgets",
    operation="DescribeBudgetAction",
    request={"AccountId": "{owner}", "BudgetName": "{budget}", "ActionId": "{action}"},
    at="Action",
)


def budget_action(reading: Reading) -> Actual | None:
    """Its id is `account:action:budget`."""
    owner, action, name = reading.id.split(":")
    values = {**reading.values, "owner": owner, "action": action, "budget": name}
    inner = Reading(aws=reading.aws, token=reading.token, id=reading.id, values=values)
    return _ACTION(inner)
