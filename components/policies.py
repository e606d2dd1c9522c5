"""IAM policy documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import pulumi

from components.context import StackContext
from components.json_text import json_text

POLICY_VERSION: Final = "2012-10-17"

Conditions = Mapping[str, Mapping[str, Any]]
"""Operator -> condition key -> value or values, for example {"StringLike": {"s3:prefix":
"data/*"}}.
"""


def statement(
    sid: str,
    *,
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    conditions: Conditions | None = None,
    effect: Literal["Allow", "Deny"] = "Allow",
    principal: Literal["*"] | Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One statement.

    `sid` has letters and digits only; `principal`, for policies of resources, is anybody or a map
    of kinds.
    """
    result: dict[str, Any] = {
        "Sid": sid,
        "Effect": effect,
        "Action": list(actions),
        "Resource": list(resources),
    }
    if principal is not None:
        result["Principal"] = principal
    if conditions is not None:
        result["Condition"] = conditions
    return result


def leading_keys(*prefixes: str) -> Conditions:
    """Only items of a table whose partition key begins so (DynamoDB developer guide, "Fine-grained
    access control").
    """
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}*" for prefix in prefixes]}
    }


def tls_only(actions: str, resources: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    """For policies of resources: nobody comes without TLS."""
    return statement(
        "TlsOnly",
        actions=[actions],
        resources=resources,
        effect="Deny",
        principal="*",
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )


def document(*statements: Mapping[str, Any]) -> pulumi.Output[str]:
    """A policy document as JSON."""
    return json_text({"Version": POLICY_VERSION, "Statement": list(statements)})


def trust(service: str, context: StackContext | None = None) -> pulumi.Output[str]:
    """A trust policy: the service may assume the role.

    With a context only on behalf of the stack's own account (the confused deputy: IAM user guide,
    confused-deputy), for the services that send `aws:SourceAccount`; EC2 does not when it hands an
    instance its role.
    """
    allow: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if context is not None:
        allow["Condition"] = {"StringEquals": {"aws:SourceAccount": context.account_id}}
    return document(allow)
