"""Every rule has a smallest change of the prod stack that breaks it, and nothing else, and one
beside it that does not.
"""

from __future__ import annotations

from typing import Any

import pytest

from config.rules import RULES, base
from config.stack import SECRETS, SECTIONS, StackConfig
from tests.config import (
    capacity_rule_cases,
    disk_rule_cases,
    machine_rule_cases,
    money_rule_cases,
    network_rule_cases,
    pipeline_rule_cases,
    prepared_rule_cases,
    rule_cases,
    spot_rule_cases,
    volume_rule_cases,
)
from tests.config.stacks import changed, load, problems_of

_FILES = (
    rule_cases,
    capacity_rule_cases,
    disk_rule_cases,
    machine_rule_cases,
    money_rule_cases,
    network_rule_cases,
    pipeline_rule_cases,
    prepared_rule_cases,
    spot_rule_cases,
    volume_rule_cases,
)
CASES = {code: cases for file in _FILES for code, cases in file.CASES.items()}


def _leaves(rule: type) -> set[type]:
    below: list[type] = rule.__subclasses__()
    return set().union(*map(_leaves, below)) if below else {rule}


def test_every_rule_is_registered_once_and_has_cases() -> None:
    assert {type(rule) for rule in RULES} == _leaves(base.Rule)
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes)) > 60
    assert set(codes) == {code for code, cases in CASES.items() if cases}, (
        "a rule without cases, or cases without a rule"
    )
    assert len(CASES) == sum(len(file.CASES) for file in _FILES)
    for rule in RULES:
        assert rule.reason.endswith(".")
        assert rule.source


@pytest.mark.parametrize(
    ("code", "case"),
    [(code, case) for code, cases in CASES.items() for case in cases],
    ids=lambda v: str(getattr(v, "path", v)),
)
def test_the_smallest_change_breaks_this_rule_and_no_other(code, case) -> None:
    found = problems_of(changed(case.breaks), case.stacks[0])
    assert [(p.code, p.path) for p in found] == [(code, case.path)], "\n".join(map(str, found))
    text = str(found[0])
    assert all(part in text for part in case.says), text
    assert "Fix: " in text
    assert problems_of(changed(case.passes), case.stacks[1]) == ()


class _Seen:
    """Hands out a config's sections and notes which were asked for."""

    def __init__(self, config: StackConfig) -> None:
        self.config, self.names = config, set[str]()

    def __getattr__(self, name: str) -> object:
        self.names.add(name)
        return getattr(self.config, name)


def test_rules_declare_the_sections_that_they_read() -> None:
    seen: dict[str, set[str]] = {rule.code: set() for rule in RULES}
    for changes in [{}, *(case.breaks for cases in CASES.values() for case in cases)]:
        config = _unchecked(changed(changes))
        for rule in RULES:
            watched = _Seen(config)
            list(rule.check(watched))  # type: ignore[arg-type]
            seen[rule.code] |= watched.names
    assert seen == {rule.code: set(rule.reads) for rule in RULES}


def _unchecked(found: dict[str, Any]) -> StackConfig:
    secrets: Any = {key: "plain" for key in SECRETS if key in found}
    return StackConfig.model_construct(
        name="test",
        secrets=secrets,
        **{
            name: adapter.validate_python(found.get(name, {})) for name, adapter in SECTIONS.items()
        },
    )


def test_a_rule_is_still_heard_where_other_sections_are_broken() -> None:
    found = changed(
        {
            "environments.gpu.max_vcpus": 64,
            "budget.monthly_usd": -1,
            "monitoring.log_retention_days": 31,
        }
    )
    assert [p.code for p in problems_of(found)] == ["SHAPE-VALUE", "SHAPE-VALUE", "MNP-CAPACITY"]


def test_the_base_is_sound() -> None:
    assert load(changed({}))[1] == []
