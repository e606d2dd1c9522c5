"""Takes what a killed `pulumi up` was making into the state of its stack, where AWS may have it.

    pulumi stack export | python scripts/take_in_pending.py > taken-in.json
    pulumi stack import --file taken-in.json
    pulumi refresh --yes --clear-pending-creates   # asks AWS; what is not there leaves the state

The CLI writes into the state what it begins to make, with the name that it gives, and, once AWS has
answered, the id. It never takes that in by itself: `pulumi refresh --import-pending-creates`
forgets the operation and imports nothing (pulumi 3.274.1). What has neither an id nor a name that
is one stays pending and is told: if it is in AWS, it is an orphan there.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

Inputs = Mapping[str, Any]
_DEFAULTS: Final = "__defaults"
_CREATING: Final = "creating"
_BUS: Final = "default"


def _bus(inputs: Inputs) -> str:
    return str(inputs.get("eventBusName") or _BUS)


def _rule(inputs: Inputs) -> str:
    bus = _bus(inputs)
    return str(inputs["name"]) if bus == _BUS else f"{bus}/{inputs['name']}"


_IDS: Final[Mapping[str, Callable[[Inputs], str]]] = {
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": lambda inputs: inputs["alarmName"],
    "aws:cloudwatch/dashboard:Dashboard": lambda inputs: inputs["dashboardName"],
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:cloudwatch/eventTarget:EventTarget": lambda inputs: (
        f"{_bus(inputs)}-{inputs['rule']}-{inputs['targetId']}"
    ),
    "aws:cloudwatch/logGroup:LogGroup": lambda inputs: inputs["name"],
    "aws:cloudwatch/metricAlarm:MetricAlarm": lambda inputs: inputs["name"],
    "aws:dynamodb/table:Table": lambda inputs: inputs["name"],
    "aws:ec2/route:Route": lambda inputs: (
        f"r-{inputs['routeTableId']}{zlib.crc32(inputs['destinationCidrBlock'].encode())}"
    ),
    "aws:iam/instanceProfile:InstanceProfile": lambda inputs: inputs["name"],
    "aws:iam/role:Role": lambda inputs: inputs["name"],
    "aws:iam/rolePolicy:RolePolicy": lambda inputs: f"{inputs['role']}:{inputs['name']}",
    "aws:lambda/function:Function": lambda inputs: inputs["name"],
    "aws:s3/bucket:Bucket": lambda inputs: inputs["bucket"],
}
"""Types whose id follows from the inputs -> how, as the provider makes it."""


def take_in(document: dict[str, Any]) -> list[str]:
    """Moves pending creates that have an id, or a name that is one, to the resources of an export.

    Args:
        document: Of `pulumi stack export`; changed in place.

    Returns:
        What stays behind, a line each: URN and physical name, where one was given. What was made
        again since then is among it, and no longer pending: its first id is that of an orphan.
    """
    deployment = document["deployment"]
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    known = {each["urn"]: each for each in resources}
    kept, told = [], []
    for operation in deployment.get("pending_operations") or []:
        state = operation["resource"]
        if operation["type"] != _CREATING or not state.get("custom"):
            kept.append(operation)
            continue
        identity = state.get("id") or _identity(state)
        standing = known.get(state["urn"])
        if standing is not None:
            if not identity or standing.get("id") != identity:
                told.append(_line(state, identity))
        elif identity:
            inputs = state.get("inputs") or {}
            given = {name: value for name, value in inputs.items() if name != _DEFAULTS}
            known[state["urn"]] = taken = {
                **state,
                "id": identity,
                "outputs": {**given, "id": identity, **(state.get("outputs") or {})},
            }
            resources.append(taken)
        else:
            kept.append(operation)
            told.append(_line(state, identity))
    deployment["resources"], deployment["pending_operations"] = resources, kept
    return told


def _identity(state: Mapping[str, Any]) -> str:
    """What the id would be; empty where the type's is AWS's own."""
    rule = _IDS.get(state["type"])
    try:
        return rule(state.get("inputs") or {}) if rule is not None else ""
    except KeyError:  # a name that AWS gives, another kind of destination
        return ""


def _line(state: Mapping[str, Any], identity: str) -> str:
    inputs = state.get("inputs") or {}
    names = [inputs[key] for key in ("name", "bucket", "targetId") if key in inputs]
    return " ".join(str(part) for part in (state["urn"], identity or "", *names) if part)


def main() -> int:
    """From stdin to stdout; what stays behind is told on stderr."""
    try:
        document = json.load(sys.stdin)
        told = take_in(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print(
            f"stdin is no export of a stack ({error!r}); pipe `pulumi stack export` into it",
            file=sys.stderr,
        )
        return 2
    json.dump(document, sys.stdout, indent=2)
    for line in told:
        print(f"perhaps in AWS, and not in the state: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
