"""Writes what a stack makes as a CloudFormation template, for the linters that read no Pulumi."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.deployment.engine import Resource
from localcloud.deployment.provider.values import plain
from referees import shapes
from referees.folded import FOLDED

_REF_IS_ARN = {
    "AWS::Batch::ComputeEnvironment",
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::Batch::SchedulingPolicy",
    "AWS::IAM::ManagedPolicy",
    "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
    "AWS::StepFunctions::StateMachine",
}
"""Types whose Ref gives the ARN (template reference guide, return values)."""


class UnknownTypeError(ValueError):
    """A type that the tables of referees/shapes.py do not know."""


def template(made: Iterable[Resource]) -> dict[str, Any]:
    """The template of a stack.

    A value that is the id or the ARN of another resource becomes a reference, so that linters see
    what belongs together. Raises UnknownTypeError for a type that neither stands in the tables nor
    is left out on purpose.
    """
    found: dict[str, dict[str, Any]] = {}
    names: dict[str, Any] = {}
    by_id: dict[str, dict[str, Any]] = {}
    folded = []
    for resource in made:
        if not resource.type.startswith("aws:") or resource.type in shapes.LEFT_OUT:
            continue
        if resource.type in FOLDED:
            folded.append(resource)
            continue
        if resource.type not in shapes.TYPES:
            raise UnknownTypeError(
                f"{resource.name} is a {resource.type}; say in referees/shapes.py what it is in"
                " CloudFormation"
            )
        kind, logical = shapes.TYPES[resource.type], logical_id(resource)
        entry = {"Type": kind, "Properties": _properties(kind, plain(resource.inputs))}
        found[logical] = by_id[resource.id] = entry
        names.update(_references(kind, logical, resource))
        if kind == "AWS::EC2::InternetGateway":
            attachment = {
                "InternetGatewayId": resource.id,
                "VpcId": plain(resource.inputs)["vpcId"],
            }
            found[f"{logical}Attachment"] = {
                "Type": "AWS::EC2::VPCGatewayAttachment",
                "Properties": attachment,
            }
    for resource in folded:
        key, fold = FOLDED[resource.type]
        values = plain(resource.inputs)
        properties = by_id[values[key]]["Properties"]
        for name, value in fold(values).items():
            properties[name] = (
                [*properties.get(name, ()), *value] if isinstance(value, list) else value
            )
    for logical, entry in found.items():
        others = {
            value: reference
            for value, reference in names.items()
            if logical not in json.dumps(reference).split('"')
        }
        entry["Properties"] = _linked(entry["Properties"], others)
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": found}


def logical_id(resource: Resource) -> str:
    """Name and type in one word, such as StorageIngestBucket; templates allow letters and digits
    alone.
    """
    words = re.split(r"[^A-Za-z0-9]+", f"{resource.name}-{resource.type.rpartition(':')[2]}")
    return "".join(word[:1].upper() + word[1:] for word in words)


def _references(kind: str, logical: str, resource: Resource) -> dict[str, Any]:
    outputs = plain(resource.outputs)
    found: dict[str, Any] = {resource.id: {"Ref": logical}}
    if kind == "AWS::EC2::VPC":
        return {
            **found,
            outputs["defaultSecurityGroupId"]: {"Fn::GetAtt": [logical, "DefaultSecurityGroup"]},
        }
    if kind == "AWS::EC2::EIP":
        return {resource.id: {"Fn::GetAtt": [logical, "AllocationId"]}}
    if kind == "AWS::EC2::SecurityGroup":
        return {resource.id: {"Fn::GetAtt": [logical, "GroupId"]}}
    if isinstance(outputs.get("url"), str):
        found[outputs["url"]] = {"Ref": logical}
    if (
        isinstance(outputs.get("arn"), str)
        and "arn" not in resource.inputs
        and not kind.startswith("AWS::EC2::")
    ):
        attribute = {"Ref": logical} if kind in _REF_IS_ARN else {"Fn::GetAtt": [logical, "Arn"]}
        found[outputs["arn"]] = attribute
    return found


def _properties(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    tags = inputs.get("tags")
    properties = _renamed(
        {key: value for key, value in inputs.items() if key not in ("tags", "tagsAll")},
        shapes.RENAMED.get(kind, {}),
    )
    if tags and kind not in shapes.WITHOUT_TAGS:
        properties["Tags"] = dict(tags) if kind in shapes.TAGS_ARE_A_MAP else shapes.tags_of(tags)
    if kind in shapes.SPECIAL:
        shapes.SPECIAL[kind](properties, inputs)
    return properties


def _renamed(values: Mapping[str, Any], renamed: Mapping[str, str | None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    inner = {key: name for key, name in renamed.items() if key != "name"}
    for key, value in values.items():
        name = renamed.get(key, key[:1].upper() + key[1:])
        if name is None:
            continue
        if name in shapes.DOCUMENTS and isinstance(value, str):
            read = json.loads(value)
            found[name] = (
                _value(read, inner) if name in ("ContainerProperties", "NodeProperties") else read
            )
        elif name in shapes.FREE_KEYS or name in ("EventPattern", "FilterPolicy"):
            found[name] = value
        elif name in shapes.LISTS:
            found[name] = [value]
        else:
            found[name] = _value(value, inner)
    return found


def _value(value: Any, renamed: Mapping[str, str | None]) -> Any:
    if isinstance(value, Mapping):
        return _renamed(value, renamed)
    if isinstance(value, list):
        return [_value(item, renamed) for item in value]
    return value


def _linked(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        # policies keep their ARNs: a linter of policies wants text, and two policies may name one
        # another
        return {
            key: (
                item
                if key in shapes.DOCUMENTS and key != "ContainerProperties"
                else _linked(item, names)
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_linked(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
