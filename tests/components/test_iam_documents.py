"""Every IAM document of every stack, through parliament: unknown actions and keys, resources that
an action does not take, too much.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator

import pytest

from tests.components.program import STACKS, deployed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import parliament

_ANSWERED = ("'required_format': 'arn:*:states:*:*:express:*:*:*'",)
"""Executions of Standard workflows have ARNs of their own (service authorization reference, AWS
Step Functions); its list has those of Express alone.
"""
_LARGEST = {"policy": 10_240, "assumeRolePolicy": 2_048}
"""Characters of a role's inline policies together, and of a trust policy (IAM user guide,
reference_iam-quotas).
"""


def _documents(stack: str) -> Iterator[tuple[str, str, str]]:
    """Resource, property and text of each."""
    for resource in deployed(stack).resources:
        for name in ("policy", "assumeRolePolicy"):
            text = resource.inputs.get(name)
            if isinstance(text, str) and '"Statement"' in text:
                yield resource.name, name, text


@pytest.mark.parametrize("stack", STACKS)
def test_no_finding(stack: str) -> None:
    judged = 0
    for resource, _, text in _documents(stack):
        if '"Principal"' in text:  # parliament knows policies of identities alone
            continue
        judged += 1
        findings = [
            parliament.enhance_finding(each)
            for each in parliament.analyze_policy_string(text).findings
        ]
        told = [f"{each.issue}: {each.detail}" for each in findings if each.severity != "MUTE"]
        assert [each for each in told if not any(known in each for known in _ANSWERED)] == [], (
            resource
        )
    assert judged >= 8


def test_parliament_finds_what_it_is_here_for() -> None:
    for action, resource, issue in (
        ("s3:GetObjects", "*", "UNKNOWN_ACTION"),
        ("s3:GetObject", "arn:aws:s3:::bucket", "RESOURCE_MISMATCH"),
        ("logs:PutLogEvents", "*", "RESOURCE_STAR"),
    ):
        statement = {"Effect": "Allow", "Action": action, "Resource": resource}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        assert issue in {each.issue for each in parliament.analyze_policy_string(text).findings}


@pytest.mark.parametrize("stack", STACKS)
def test_documents_are_short_enough(stack: str) -> None:
    for resource, name, text in _documents(stack):
        assert len("".join(text.split())) <= _LARGEST[name], resource
