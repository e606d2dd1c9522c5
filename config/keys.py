"""The keys of a stack file: which of them nothing reads, and what they may be misspelt for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from config.problems import Problem
from config.stack import SECRETS, SECTIONS

_OWN: Final = (*SECTIONS, *SECRETS)

_PULUMI: Final = ("autonaming", "disable-default-providers", "tags", "template")
"""Keys of the namespace `pulumi` that the CLI reads (sdk/go/common/workspace, pkg/engine)."""
_AWS: Final = (
    *("accessKey", "allowedAccountIds", "assumeRoleWithWebIdentity"),
    *("assumeRoles", "customCaBundle", "defaultTags"),
    *("ec2MetadataServiceEndpoint", "ec2MetadataServiceEndpointMode", "endpoints"),
    *("forbiddenAccountIds", "httpProxy", "httpsProxy"),
    *("ignoreTags", "insecure", "maxRetries"),
    *("noProxy", "profile", "region"),
    *("retryMode", "s3UsEast1RegionalEndpoint", "s3UsePathStyle"),
    *("secretKey", "sharedConfigFiles", "sharedCredentialsFiles"),
    *("skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation"),
    *("skipRequestingAccountId", "stsRegion", "tagPolicyCompliance"),
    *("token", "tokenBucketRateLimiterCapacity", "useDualstackEndpoint"),
    *("useFipsEndpoint", "userAgents"),
)
"""Inputs of the AWS provider (pulumi_aws.ProviderArgs), which is given all that stands under
`aws`.
"""
_KNOWN: Final = {"aws": _AWS, "pulumi": _PULUMI}


def own_problems(keys: Iterable[str], empty: Collection[str]) -> Iterator[Problem]:
    """What is wrong with keys of the program's own namespace, given without it.

    Args:
        keys: All of them.
        empty: Those that stand there without a value.
    """
    for key in keys:
        if key not in _OWN:
            yield _unknown(key)
        elif key in empty:
            yield _without_value(key)


def foreign_problems(keys: Iterable[str], project: str) -> Iterator[Problem]:
    """What is wrong with keys of other namespaces than the project's.

    Args:
        keys: In full, `<namespace>:<name>`; those of the project are passed over.
        project: Its name, which is its namespace.
    """
    for key in sorted(keys):
        namespace, _, name = key.partition(":")
        if namespace == project or name in _KNOWN.get(namespace, ()):
            continue
        if name in _OWN:
            yield _problem(
                "error",
                key,
                f"{name} is read below {project}: only, so the program never sees it there",
                f"write {project}:{name}",
            )
        elif namespace in _KNOWN:
            close = get_close_matches(name, _KNOWN[namespace], n=1)
            reader = "the AWS provider" if namespace == "aws" else "the Pulumi CLI"
            yield _problem(
                "error",
                key,
                f"{reader} knows no such setting",
                f"write {namespace}:{close[0]}" if close else "remove it",
            )
        elif close := get_close_matches(namespace.lower(), (project, *_KNOWN), n=1, cutoff=0.7):
            yield _problem(
                "error",
                key,
                f"nothing reads the namespace {namespace}; those that count are {project}, "
                f"{' and '.join(_KNOWN)}",
                f"write {close[0]}:{name}, or remove it",
            )
        else:
            yield _problem(
                "warning",
                key,
                f"nothing in this program reads the namespace {namespace}",
                "remove it, unless something beside the program reads it",
            )


def _problem(level: str, key: str, message: str, fix: str) -> Problem:
    return Problem(
        code="SHAPE-NAMESPACE",
        level="error" if level == "error" else "warning",
        path=key,
        found=key,
        message=message,
        fix=fix,
    )


def _without_value(key: str) -> Problem:
    section = key in SECTIONS
    return Problem(
        code="SHAPE-EMPTY",
        level="error",
        path=key,
        found=None,
        message="a key without a value is an empty text for Pulumi, "
        + ("and the section is a map" if section else "and the secret would be empty"),
        fix="remove the key"
        + (", or write {} for a section that changes nothing" if section else ""),
    )


def _unknown(key: str) -> Problem:
    section = re.split(r"[.\[]", key)[0]
    close = get_close_matches(key, _OWN, n=1)
    fix = f"write {close[0]}" if close else "remove it"
    if section in SECTIONS and section != key:
        fix = f"write it as a field below {section} (`pulumi config set --path`)"
    return Problem(
        code="SHAPE-UNKNOWN-KEY",
        level="error",
        path=key,
        found=key,
        message=f"the program has no such section; known are {', '.join(_OWN)}",
        fix=fix,
    )
