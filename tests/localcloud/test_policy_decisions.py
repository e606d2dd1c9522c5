"""Policy evaluation against a table: of identities, and of the principals that resources name."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.iam.policy_evaluation import decide, resource_policy_allows
from tests.localcloud.conftest import ACCOUNT
from tests.localcloud.policies import statement

GET = statement(Action="s3:GetObject", Resource="arn:aws:s3:::b/data/*")
TABLE = [
    # statements, action, resource, context -> decision
    ([GET], "s3:GetObject", "arn:aws:s3:::b/data/x", {}, "allowed"),
    ([GET], "s3:getobject", "arn:aws:s3:::b/data/x/y", {}, "allowed"),
    ([GET], "s3:GetObject", "arn:aws:s3:::b/other", {}, "implicit deny"),
    ([GET], "s3:PutObject", "arn:aws:s3:::b/data/x", {}, "implicit deny"),
    (
        [GET, statement("Deny", Action="s3:*", Resource="*")],
        "s3:GetObject",
        "arn:aws:s3:::b/data/x",
        {},
        "explicit deny",
    ),
    (
        [statement(Action=["s3:Get*", "s3:List?ucket"], Resource="*")],
        "s3:ListBucket",
        "arn:aws:s3:::b",
        {},
        "allowed",
    ),
    (
        [statement(NotAction="iam:*", Resource="*")],
        "s3:GetObject",
        "arn:aws:s3:::b/x",
        {},
        "allowed",
    ),
    ([statement(NotAction="iam:*", Resource="*")], "iam:GetRole", "*", {}, "implicit deny"),
    (
        [statement(Action="*", NotResource="arn:aws:s3:::b/*")],
        "s3:GetObject",
        "arn:aws:s3:::b/x",
        {},
        "implicit deny",
    ),
    (
        [statement(Action="*", NotResource="arn:aws:s3:::b/*")],
        "s3:GetObject",
        "arn:aws:s3:::c/x",
        {},
        "allowed",
    ),
    (
        [statement(Action="batch:DescribeJobs", Resource="arn:aws:batch:*:*:job/*")],
        "batch:DescribeJobs",
        "*",
        {},
        "implicit deny",
    ),
    (
        [statement(Action="batch:DescribeJobs", Resource="*")],
        "batch:DescribeJobs",
        "*",
        {},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"StringEquals": {"k": ["1", "2"]}})],
        "a:b",
        "r",
        {"k": "2"},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"StringEquals": {"K": "1"}})],
        "a:b",
        "r",
        {},
        "implicit deny",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"StringNotEquals": {"k": "1"}})],
        "a:b",
        "r",
        {},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"StringEqualsIfExists": {"k": "1"}})],
        "a:b",
        "r",
        {},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"StringLike": {"k": "data/*"}})],
        "a:b",
        "r",
        {"k": "data/1"},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"ArnLike": {"k": "arn:aws:s3:::*"}})],
        "a:b",
        "r",
        {"k": "arn:aws:s3:::x"},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"Bool": {"k": False}})],
        "a:b",
        "r",
        {"k": "false"},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"NumericLessThan": {"k": 10}})],
        "a:b",
        "r",
        {"k": "9"},
        "allowed",
    ),
    (
        [
            statement(
                Action="a:b", Resource="*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
            )
        ],
        "a:b",
        "r",
        {},
        "implicit deny",
    ),
    (
        [statement(Action="a:b", Resource="*", Condition={"Null": {"k": "true"}})],
        "a:b",
        "r",
        {},
        "allowed",
    ),
    (
        [
            statement(
                Action="a:b", Resource="*", Condition={"ForAllValues:StringLike": {"k": "DS#*"}}
            )
        ],
        "a:b",
        "r",
        {"k": ["DS#1", "X"]},
        "implicit deny",
    ),
    (
        [
            statement(
                Action="a:b", Resource="*", Condition={"ForAnyValue:StringLike": {"k": "DS#*"}}
            )
        ],
        "a:b",
        "r",
        {"k": ["DS#1", "X"]},
        "allowed",
    ),
    (
        [statement(Action="a:b", Resource="arn:x:${aws:PrincipalAccount}")],
        "a:b",
        "arn:x:1",
        {"aws:principalaccount": "1"},
        "allowed",
    ),
    (
        [
            statement(
                Action="a:b",
                Resource="*",
                Condition={"StringEquals": {"k": "1"}, "Bool": {"l": "true"}},
            )
        ],
        "a:b",
        "r",
        {"k": "1", "l": "false"},
        "implicit deny",
    ),
]


@pytest.mark.parametrize(("statements", "action", "resource", "context", "expected"), TABLE)
def test_decisions(
    statements: list[dict[str, Any]],
    action: str,
    resource: str,
    context: dict[str, Any],
    expected: str,
) -> None:
    assert decide([{"Statement": statements}], action, resource, context) == expected


def test_resource_policies_name_principals() -> None:
    grant = statement(
        Principal={"Service": "events.amazonaws.com"},
        Action="lambda:InvokeFunction",
        Resource="arn:f",
    )
    grant["Condition"] = {"ArnLike": {"AWS:SourceArn": "arn:rule/*"}}
    policy = {"Statement": grant}
    rule = {"aws:sourcearn": "arn:rule/x"}
    assert resource_policy_allows(
        policy, {"Service": "events.amazonaws.com"}, "lambda:InvokeFunction", "arn:f", rule
    )
    assert not resource_policy_allows(
        policy, {"Service": "s3.amazonaws.com"}, "lambda:InvokeFunction", "arn:f", rule
    )
    assert not resource_policy_allows(
        policy,
        {"Service": "events.amazonaws.com"},
        "lambda:InvokeFunction",
        "arn:f",
        {"aws:sourcearn": "arn:other"},
    )
    account = {
        "Statement": statement(
            Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Action="sts:AssumeRole"
        )
    }
    assert resource_policy_allows(
        account, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/r"}, "sts:AssumeRole", "arn:r", {}
    )
