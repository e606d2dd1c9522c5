"""docs/why.md lists each permission that `why` and `doctor` need, and each code of a cause."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "why.md").read_text()
SOURCES = {
    path: path.read_text()
    for folder in ("why", "doctor")
    for path in sorted((ROOT / "cli" / folder).glob("*.py"))
}
PREFIXES = {"stepfunctions": "states", "service-quotas": "servicequotas"}
NAMES = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "budgets:DescribeBudgets": "budgets:ViewBudget",
}
"""Permissions of another name than their operation (Service Authorization Reference)."""
FREE = {"sts:GetCallerIdentity"}


def test_each_permission_is_listed() -> None:
    pattern = r'(?:ask|listed|asked)\(\s*(?:patient,\s*)?"([\w-]+)",\s*"(\w+)"'
    called = {
        f"{PREFIXES.get(service, service)}:{''.join(part.capitalize() for part in name.split('_'))}"
        for text in SOURCES.values()
        for service, name in re.findall(pattern, text)
    }
    needed = {NAMES.get(each, each) for each in called} - FREE
    listed = set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", PAGE.partition("<!-- actions")[2]))
    assert len(needed) > 40
    assert needed == listed


def test_each_code_is_explained() -> None:
    codes = {
        code
        for path, text in SOURCES.items()
        if path.parent.name == "why"
        for code in re.findall(
            r'(?:code=|^        |return |code="[A-Z-]+" if [\w ]+ else'
            r' |\(|_role_cause\()"([A-Z]+(?:-[A-Z0-9]+)*)"',
            text,
            re.MULTILINE,
        )
    } - {
        "ERROR",
        "CRITICAL",
        "FAILED",
        "RUNNABLE",
        "SUBMITTED",
        "CLAIMED",
        "STARTING",
        "OK",
        "SPOT",
        "FARGATE",
    }
    explained = set(re.findall(r"`([A-Z]+(?:-[A-Z0-9]+)*)`", PAGE))
    assert {"MAX-VCPUS", "CAPACITY", "FAIR-SHARE", "TIMEOUT", "PULL"} <= codes
    assert codes - explained == set()
