"""`make quick`: the tests nearest to a change, within a budget."""

from __future__ import annotations

import pytest

from scripts import quick

MODULES = {
    "config": "config/__init__.py",
    "config.base": "config/base.py",
    "config.facts": "config/facts.py",
    "workloads.functions.submit": "workloads/functions/submit.py",
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import config.base", {"config/base.py"}),
        ("from config import facts", {"config/facts.py", "config/__init__.py"}),
        ("from config.base import setting", {"config/base.py"}),
        ("from config import StackConfig", {"config/__init__.py"}),
        ("import config.gone", set()),
        ("HANDLER = 'workloads.functions.submit.handler'", {"workloads/functions/submit.py"}),
        ("def f():\n    from config.facts import x", {"config/facts.py"}),
        ("open('data/prices.json')", {"config/data/prices.json"}),
        ("import os, json", set()),
    ],
)
def test_what_a_file_uses(source: str, expected: set[str]) -> None:
    assert quick.uses(source, MODULES, ["config/data/prices.json"]) == expected


def test_distances_follow_the_imports_and_end_where_they_go_round() -> None:
    used_by = {"a": ["b", "c"], "b": ["tests/test_b.py", "a"], "c": ["b"]}
    assert quick.distances(["a"], used_by) == {"a": 0, "b": 1, "c": 1, "tests/test_b.py": 2}


def test_the_nearest_and_quickest_that_fit_are_chosen_and_the_others_are_named() -> None:
    near = {
        "tests/test_far.py": 3,
        "tests/test_near.py": 1,
        "tests/test_long.py": 0,
        "tests/other.py": 0,
        "tests/test_quick.py": 1,
    }
    seconds = {
        "tests/test_far.py": 2.0,
        "tests/test_near.py": 9.0,
        "tests/test_long.py": 100.0,
        "tests/test_quick.py": 1.0,
    }
    found = quick.choose(near, seconds, 11.0)
    assert found.chosen == ["tests/test_quick.py", "tests/test_near.py"]
    assert found.left == ["tests/test_long.py", "tests/test_far.py"]


def test_a_change_of_this_repository_reaches_its_tests() -> None:
    near = quick.distances(["config/facts.py"], quick.graph(["config/facts.py"]))
    assert near["tests/config/test_facts.py"] <= 2
    near = quick.distances(["tests/localcloud/conftest.py"], quick.graph([]))
    assert near["tests/localcloud/test_alarms.py"] == 1
    assert "tests/config/test_facts.py" not in near
    near = quick.distances(["docs/runbook.md"], quick.graph(["docs/runbook.md"]))
    assert "tests/localcloud/test_alarms.py" in near
