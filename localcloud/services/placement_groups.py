"""EC2 placement groups, which moto does not have."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, Final

from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError

_STRATEGIES: Final = ("cluster", "spread", "partition")
Params = dict[str, Any]


class PlacementGroups:
    """The placement groups of the account, and the three operations on them."""

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self.by_name: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, Callable[[Params], Params]] = {
            "CreatePlacementGroup": self._create,
            "DescribePlacementGroups": self._describe,
            "DeletePlacementGroup": self._delete,
        }

    def answer(self, operation: str, params: Params) -> Params | None:
        """The operation's output; None where it is not about placement groups. Raises WireError."""
        if operation in self.operations:
            return self.operations[operation](params)
        if operation in ("CreateTags", "DeleteTags") and all(
            each.startswith("pg-") for each in params.get("Resources", [""])
        ):
            return self._tag(params, drop=operation == "DeleteTags")
        return None

    def tags(self) -> list[tuple[str, dict[str, str]]]:
        """ARN and tags of each."""
        return [
            (group["GroupArn"], {tag["Key"]: tag["Value"] for tag in group["Tags"]})
            for group in list(self.by_name.values())
        ]

    def _tag(self, params: Params, *, drop: bool) -> Params:
        given = {tag["Key"]: tag for tag in params["Tags"]}
        for group in list(self.by_name.values()):
            if group["GroupId"] not in params["Resources"]:
                continue
            group["Tags"] = [tag for tag in group["Tags"] if tag["Key"] not in given] + (
                [] if drop else list(given.values())
            )
        return {}

    def _create(self, params: Params) -> Params:
        name, strategy = params.get("GroupName", ""), params.get("Strategy", "cluster")
        if not re.fullmatch(r"[ -~]{1,255}", name):
            raise WireError("InvalidParameterValue", "GroupName must be 1 to 255 ASCII characters")
        if name in self.by_name:
            raise WireError(
                "InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists."
            )
        if strategy not in _STRATEGIES:
            raise WireError(
                "InvalidParameterValue",
                f"Invalid placement strategy '{strategy}'; allowed are {', '.join(_STRATEGIES)}",
            )
        tags = [tag for spec in params.get("TagSpecifications", []) for tag in spec.get("Tags", [])]
        group = {
            "GroupName": name,
            "GroupId": f"pg-0{secrets.token_hex(8)}",
            "GroupArn": self._state.arn("ec2", f"placement-group/{name}"),
            "State": "available",
            "Strategy": strategy,
            "Tags": tags,
        }
        for member in ("PartitionCount", "SpreadLevel"):
            if params.get(member):
                group[member] = params[member]
        self.by_name[name] = group
        return {"PlacementGroup": group}

    def _describe(self, params: Params) -> Params:
        names, ids = params.get("GroupNames") or [], params.get("GroupIds") or []
        for name in names:
            if name not in self.by_name:
                raise WireError(
                    "InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown."
                )
        groups = list(self.by_name.values())
        if names or ids:
            groups = [
                group for group in groups if group["GroupName"] in names or group["GroupId"] in ids
            ]
        for condition in params.get("Filters") or []:
            member = {
                "group-name": "GroupName",
                "strategy": "Strategy",
                "state": "State",
                "group-arn": "GroupArn",
            }.get(condition.get("Name", ""))
            if member is None:
                raise WireError(
                    "InvalidParameterValue", f"The filter '{condition.get('Name')}' is invalid"
                )
            groups = [group for group in groups if group[member] in condition.get("Values", ())]
        return {"PlacementGroups": groups}

    def _delete(self, params: Params) -> Params:
        name = params.get("GroupName", "")
        if self.by_name.pop(name, None) is None:
            raise WireError(
                "InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown."
            )
        return {}
