"""Sends IAM policies through parliament, policy_sentry and cloudsplaining. Runs in the referees'
environment, not in .venv.

Reads a list of `{where, policy}` from standard input, writes a list of `{referee, check, where,
text}` to standard output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import parliament
from cloudsplaining.scan.policy_document import PolicyDocument
from policy_sentry.analysis.analyze import analyze_by_access_level, determine_actions_to_expand
from policy_sentry.querying.actions import remove_actions_that_are_not_wildcard_arn_only

Finding = dict[str, str]


def _parliament(policy: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in parliament.analyze_policy_string(json.dumps(policy)).findings:
        finding = parliament.enhance_finding(each)
        if finding.severity != "MUTE":
            yield finding.issue, str(finding.detail)


def _policy_sentry(policy: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Actions that change permissions, and actions that are allowed everywhere though they take
    resources.
    """
    for action in analyze_by_access_level(policy, "Permissions management"):
        yield "permissions-management", action
    for statement in policy["Statement"]:
        if (
            statement["Effect"] == "Allow"
            and "*" in _several(statement["Resource"])
            and "Condition" not in statement
        ):
            actions = determine_actions_to_expand(_several(statement["Action"]))
            everywhere = {
                each.lower() for each in remove_actions_that_are_not_wildcard_arn_only(actions)
            }
            for action in sorted(set(actions)):
                if action.lower() not in everywhere:
                    yield "takes-a-resource", action


def _cloudsplaining(policy: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    document = PolicyDocument(policy)
    for escalation in document.allows_privilege_escalation:
        yield "privilege-escalation", escalation["type"]
    for check, found in (
        ("data-exfiltration", document.allows_data_exfiltration_actions),
        ("resource-exposure", document.permissions_management_without_constraints),
        ("service-wildcard", document.service_wildcard),
        ("credentials-exposure", document.credentials_exposure),
        ("infrastructure-modification", document.infrastructure_modification),
    ):
        for each in found:
            yield check, each


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def findings(documents: list[dict[str, Any]]) -> Iterator[Finding]:
    """What all three say about each policy."""
    for document in documents:
        for referee, judge in (
            ("parliament", _parliament),
            ("policy_sentry", _policy_sentry),
            ("cloudsplaining", _cloudsplaining),
        ):
            for check, text in judge(document["policy"]):
                yield {"referee": referee, "check": check, "where": document["where"], "text": text}


if __name__ == "__main__":
    json.dump(list(findings(json.load(sys.stdin))), sys.stdout)
