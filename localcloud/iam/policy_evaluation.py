"""AWS's evaluation logic for identity and resource policies: explicit deny, then allow, else
implicit deny.

Follows "Policy evaluation logic" and "IAM JSON policy elements: Condition operators" of the IAM
User Guide.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

Decision = Literal["allowed", "explicit deny", "implicit deny"]
Context = Mapping[str, str | list[str]]
"""Condition keys of a request, in lower case, with their values."""


def decide(
    documents: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context
) -> Decision:
    """What identity policies together say of one action on one resource."""
    decision: Decision = "implicit deny"
    for statement in _statements(documents):
        if _applies(statement, action, resource, context):
            if statement.get("Effect") == "Deny":
                return "explicit deny"
            decision = "allowed"
    return decision


def resource_policy_allows(
    policy: Mapping[str, Any],
    principals: Mapping[str, str],
    action: str,
    resource: str,
    context: Context,
) -> bool:
    """Whether a resource policy (trust policy, queue, topic, function, bucket) lets a principal in.

    Args:
        policy: The policy document.
        principals: Kind (`Service`, `AWS`) to the principal of the request.
        action: For example `sts:AssumeRole`.
        resource: ARN of the resource that carries the policy; a trust policy has no Resource and
            matches any.
        context: Condition keys of the request, in lower case.
    """
    return resource_policy_decision(policy, principals, action, resource, context) == "allowed"


def resource_policy_decision(
    policy: Mapping[str, Any],
    principals: Mapping[str, str],
    action: str,
    resource: str,
    context: Context,
) -> Decision:
    """Like resource_policy_allows, telling an explicit deny from silence."""
    decision: Decision = "implicit deny"
    for statement in _statements([policy]):
        if not _is_principal(statement, principals) or not _applies(
            statement, action, resource, context, resource_optional=True
        ):
            continue
        if statement.get("Effect") == "Deny":
            return "explicit deny"
        decision = "allowed"
    return decision


def _statements(documents: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for document in documents:
        yield from _listed(document.get("Statement", []))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _applies(
    statement: Mapping[str, Any],
    action: str,
    resource: str,
    context: Context,
    *,
    resource_optional: bool = False,
) -> bool:
    if "Action" in statement:
        if not any(
            _like(str(pattern).lower(), action.lower()) for pattern in _listed(statement["Action"])
        ):
            return False
    elif any(
        _like(str(pattern).lower(), action.lower())
        for pattern in _listed(statement.get("NotAction", "*"))
    ):
        return False
    if "Resource" in statement:
        if not any(
            _resource_like(_filled(str(pattern), context), resource)
            for pattern in _listed(statement["Resource"])
        ):
            return False
    elif "NotResource" in statement:
        if any(
            _resource_like(_filled(str(pattern), context), resource)
            for pattern in _listed(statement["NotResource"])
        ):
            return False
    elif not resource_optional:
        return False
    return _conditions_hold(statement.get("Condition") or {}, context)


def _is_principal(statement: Mapping[str, Any], principals: Mapping[str, str]) -> bool:
    wanted = statement.get("Principal")
    if wanted == "*":
        return True
    if not isinstance(wanted, dict):
        return False
    for kind, names in wanted.items():
        actual = principals.get(kind)
        for name in _listed(names):
            if name == "*" or (actual is not None and _principal_matches(str(name), actual)):
                return True
    return False


def _principal_matches(wanted: str, actual: str) -> bool:
    """An account stands for all of its principals; a role ARN also for its sessions."""
    if wanted == actual:
        return True
    account = re.fullmatch(r"(?:arn:aws:iam::)?(\d{12})(?::root)?", wanted)
    return account is not None and f":{account[1]}:" in actual


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), re.DOTALL
    )


def _like(pattern: str, value: str) -> bool:
    return _glob(pattern).fullmatch(value) is not None


def _resource_like(pattern: str, resource: str) -> bool:
    # a request for "*" (operations without resource types) is met only by a statement on "*" itself
    return pattern == "*" if resource == "*" else _like(pattern, resource)


def _filled(text: str, context: Context) -> str:
    def value(match: re.Match[str]) -> str:
        found = context.get(match[1].lower())
        return found if isinstance(found, str) else match[0]

    return re.sub(r"\$\{([^}]+)\}", value, text) if "${" in text else text


# ---- conditions ----------------------------------------------------------------------------------

_COMPARISONS: Final = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    return all(
        _condition_holds(
            operator, key, [_filled(str(value), context) for value in _wanted(values)], context
        )
        for operator, block in conditions.items()
        for key, values in block.items()
    )


def _wanted(values: Any) -> list[str]:
    return [
        str(value).lower() if isinstance(value, bool) else str(value) for value in _listed(values)
    ]


def _condition_holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    quantifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    present = context.get(key.lower())
    if plain == "Null":
        return (present is None) == (wanted[0].lower() == "true")
    negated = "Not" in plain
    if present is None:
        # an absent key fails a positive test and passes a negated one; ForAllValues is true of
        # nothing
        return if_exists or negated or quantifier == "ForAllValues"
    test = plain.replace("Not", "")
    actual = _listed(present)
    matches = [any(_test(test, want, value) for want in wanted) for value in actual]
    if negated:
        matches = [not match for match in matches]
    return all(matches) if quantifier == "ForAllValues" else any(matches)


def _test(operator: str, wanted: str, actual: str) -> bool:
    if operator in ("StringEquals", "Bool", "BinaryEquals"):
        return wanted == actual if operator != "Bool" else wanted.lower() == actual.lower()
    if operator == "StringEqualsIgnoreCase":
        return wanted.lower() == actual.lower()
    if operator in ("StringLike", "ArnLike", "ArnEquals"):
        return _like(wanted, actual)
    if operator == "IpAddress":
        return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)
    if operator.startswith("Numeric"):
        return bool(_COMPARISONS[operator.removeprefix("Numeric")](float(actual), float(wanted)))
    if operator.startswith("Date"):
        return bool(_COMPARISONS[operator.removeprefix("Date")](_moment(actual), _moment(wanted)))
    raise ValueError(f"condition operator {operator} is not one of IAM's")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
