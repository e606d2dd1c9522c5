"""Data sources: what a program may ask AWS while it runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import Aws, ProviderError
from localcloud.deployment.provider.values import Secret

Invoke = Callable[[Aws, Mapping[str, Any]], dict[str, Any]]


def _zones(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    filters = [
        {"Name": entry["name"], "Values": list(entry["values"])}
        for entry in arguments.get("filters") or []
    ]
    if arguments.get("state"):
        filters.append({"Name": "state", "Values": [arguments["state"]]})
    request = {"Filters": filters, "AllAvailabilityZones": arguments.get("allAvailabilityZones")}
    answer = aws.call(
        "ec2",
        "DescribeAvailabilityZones",
        {name: value for name, value in request.items() if value},
    )
    left_out = {*(arguments.get("excludeNames") or []), *(arguments.get("excludeZoneIds") or [])}
    zones = sorted(
        (z["ZoneName"], z["ZoneId"])
        for z in answer["AvailabilityZones"]
        if not left_out & {z["ZoneName"], z["ZoneId"]}
    )
    return _zone_result(aws, zones)


def _zone_result(aws: Aws, zones: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": aws.region,
        "region": aws.region,
        "names": [name for name, _ in zones],
        "zoneIds": [zone for _, zone in zones],
        "groupNames": [aws.region],
    }


def _assumed_zones(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the AWS in memory, which knows the real ones; three in a region that it lacks."""
    # half a second, for previews alone
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

    known = RegionsAndZonesBackend.zones.get(aws.region, [])
    zones = [(str(each.name), str(each.zone_id)) for each in known] or [
        (f"{aws.region}{letter}", f"az{n}") for n, letter in enumerate("abc", 1)
    ]
    left_out = {*(arguments.get("excludeNames") or []), *(arguments.get("excludeZoneIds") or [])}
    return _zone_result(aws, sorted(zone for zone in zones if not left_out & {*zone}))


def _region(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    region = arguments.get("region") or arguments.get("name") or aws.region
    return {
        "id": region,
        "region": region,
        "name": region,
        "description": region,
        "endpoint": f"ec2.{region}.amazonaws.com",
    }


def _partition(aws: Aws, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": aws.partition,
        "partition": aws.partition,
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


def _caller(aws: Aws, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    answer = aws.call("sts", "GetCallerIdentity", {})
    return {
        "id": answer["Account"],
        "accountId": answer["Account"],
        "arn": answer["Arn"],
        "userId": answer["UserId"],
    }


def _assumed_caller(aws: Aws, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": aws.account,
        "accountId": aws.account,
        "arn": f"arn:{aws.partition}:iam::{aws.account}:user/preview",
        "userId": "preview",
    }


def _policy_document(_aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    sources = [
        *(arguments.get("sourcePolicyDocuments") or []),
        *([arguments["sourceJson"]] if arguments.get("sourceJson") else []),
    ]
    statements = [
        *(s for text in sources for s in _as_list(json.loads(text)["Statement"])),
        *map(_statement, arguments.get("statements") or []),
    ]
    for text in [
        *(arguments.get("overridePolicyDocuments") or []),
        *([arguments["overrideJson"]] if arguments.get("overrideJson") else []),
    ]:
        for statement in _as_list(json.loads(text)["Statement"]):
            statements = [
                s for s in statements if not s.get("Sid") or s.get("Sid") != statement.get("Sid")
            ] + [statement]
    document: dict[str, Any] = {
        "Version": arguments.get("version") or "2012-10-17",
        "Statement": statements,
    }
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    text = json.dumps(document, indent=2)
    minified = json.dumps(document, separators=(",", ":"))
    return {
        **arguments,
        "id": str(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)),
        "json": text,
        "minifiedJson": minified,
    }


def _statement(given: Mapping[str, Any]) -> dict[str, Any]:
    members = {
        "actions": "Action",
        "notActions": "NotAction",
        "resources": "Resource",
        "notResources": "NotResource",
    }
    found: dict[str, Any] = {"Sid": given["sid"]} if given.get("sid") else {}
    found["Effect"] = given.get("effect") or "Allow"
    found |= {
        member: _one_or_many(given[name]) for name, member in members.items() if given.get(name)
    }
    for name, member in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if given.get(name):
            found[member] = _principals(given[name])
    for condition in given.get("conditions") or []:
        found.setdefault("Condition", {}).setdefault(condition["test"], {})[
            condition["variable"]
        ] = _one_or_many(condition["values"])
    return found


def _principals(given: list[Mapping[str, Any]]) -> Any:
    if any(p["type"] == "*" and list(p["identifiers"]) == ["*"] for p in given):
        return "*"
    merged: dict[str, list[str]] = {}
    for principal in given:
        merged.setdefault(principal["type"], []).extend(principal["identifiers"])
    return {kind: _one_or_many(identifiers) for kind, identifiers in merged.items()}


def _one_or_many(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _random_password(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    request = aws.request(
        "secretsmanager", "GetRandomPassword", {n: v for n, v in arguments.items() if n != "region"}
    )
    return {
        **arguments,
        "id": aws.region,
        "randomPassword": aws.call("secretsmanager", "GetRandomPassword", request)[
            "RandomPassword"
        ],
    }


def _ami_ids(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """AMIs by the time of their making, the newest first unless told otherwise (terraform-
    provider-aws, ec2_ami_ids_data_source.go).
    """
    request = {
        "Owners": list(arguments["owners"]),
        "ExecutableUsers": list(arguments.get("executableUsers") or []),
        "Filters": [
            {"Name": entry["name"], "Values": list(entry["values"])}
            for entry in arguments.get("filters") or []
        ],
        "IncludeDeprecated": arguments.get("includeDeprecated") or False,
    }
    found = aws.call(
        "ec2", "DescribeImages", {name: value for name, value in request.items() if value}
    )["Images"]
    pattern = arguments.get("nameRegex")
    fitting = [each for each in found if not pattern or re.search(pattern, each["Name"])]
    ordered = sorted(
        fitting,
        key=lambda each: str(each["CreationDate"]),
        reverse=not arguments.get("sortAscending"),
    )
    return {**arguments, "id": aws.region, "ids": [each["ImageId"] for each in ordered]}


def _prefix_list(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    filters = [
        {"Name": entry["name"], "Values": list(entry["values"])}
        for entry in arguments.get("filters") or []
    ]
    if arguments.get("name"):
        filters.append({"Name": "prefix-list-name", "Values": [arguments["name"]]})
    request = {
        "Filters": filters,
        "PrefixListIds": [arguments["id"]] if arguments.get("id") else [],
    }
    found = aws.call(
        "ec2",
        "DescribeManagedPrefixLists",
        {name: value for name, value in request.items() if value},
    )["PrefixLists"]
    if len(found) != 1:
        raise ProviderError(
            f"{len(found)} managed prefix lists fit {dict(arguments)}, expected one"
        )
    entry = found[0]
    return {
        "id": entry["PrefixListId"],
        "name": entry["PrefixListName"],
        "arn": entry["PrefixListArn"],
        "addressFamily": entry.get("AddressFamily", "IPv4"),
        "ownerId": entry.get("OwnerId", "AWS"),
        "maxEntries": entry.get("MaxEntries", 0),
        "version": entry.get("Version", 0),
        "entries": [],
        "tags": {},
    }


def _ssm_parameter(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    found = aws.call(
        "ssm",
        "GetParameter",
        {"Name": arguments["name"], "WithDecryption": arguments.get("withDecryption", True)},
    )["Parameter"]
    plain = {
        "name": found["Name"],
        "type": found["Type"],
        "version": found["Version"],
        "arn": found["ARN"],
        "id": found["Name"],
    }
    return {
        **plain,
        "value": Secret(found["Value"]),
        "insecureValue": found["Value"] if found["Type"] != "SecureString" else "",
    }


def _cluster(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    found = aws.call("ecs", "DescribeClusters", {"clusters": [arguments["clusterName"]]})[
        "clusters"
    ]
    if (
        not found
    ):  # in the words of terraform-provider-aws, internal/service/ecs/cluster_data_source.go
        raise ProviderError(f"reading ECS Cluster ({arguments['clusterName']}): empty result")
    names = (
        "clusterName",
        "status",
        "pendingTasksCount",
        "registeredContainerInstancesCount",
        "runningTasksCount",
    )
    arn = found[0]["clusterArn"]
    lists: dict[str, Any] = {"serviceConnectDefaults": [], "settings": []}
    return {
        "id": arn,
        "arn": arn,
        "region": aws.region,
        "tags": {},
        **lists,
        **{name: found[0][name] for name in names},
    }


def _compute_environment(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    answer = aws.call(
        "batch", "DescribeComputeEnvironments", {"computeEnvironments": [arguments["name"]]}
    )
    if not answer["computeEnvironments"]:
        raise ProviderError(
            f"reading Batch Compute Environment ({arguments['name']}): empty result"
        )
    found = answer["computeEnvironments"][0]
    policy = found.get("updatePolicy")
    return {
        "id": found["computeEnvironmentArn"],
        "arn": found["computeEnvironmentArn"],
        "name": found["computeEnvironmentName"],
        "region": aws.region,
        "updatePolicies": [policy] if policy else [],
        "tags": found.get("tags") or {},
        **{
            name: found.get(name, "")
            for name in ("ecsClusterArn", "serviceRole", "state", "status", "statusReason", "type")
        },
    }


INVOKES: Final[Mapping[str, Invoke]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
    "aws:secretsmanager/getRandomPassword:getRandomPassword": _random_password,
    "aws:ec2/getAmiIds:getAmiIds": _ami_ids,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": _prefix_list,
    "aws:ssm/getParameter:getParameter": _ssm_parameter,
    "aws:ecs/getCluster:getCluster": _cluster,
    "aws:batch/getComputeEnvironment:getComputeEnvironment": _compute_environment,
}
PREVIEWED: Final[Mapping[str, Invoke]] = {
    # what a preview can say without asking AWS; all else is unknown until the deployment
    "aws:index/getAvailabilityZones:getAvailabilityZones": _assumed_zones,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getCallerIdentity:getCallerIdentity": _assumed_caller,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
}
