"""What the programs of these tests import when they need it is what the SDK has, and what their
host is told of packages is what pip tells of them.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from tests.conformance.cli import ROOT, SPARED

PROGRAM = """
import json, sys
import sitecustomize
sys.meta_path.insert(0, sitecustomize.OnDemand())
import pulumi_aws
names = json.loads(sys.argv[1])
found = {name: getattr(getattr(pulumi_aws, name[0]), name[1]) for name in map(tuple, names)}
before = len(sys.modules)
for service in {service for service, _ in found}:
    module = getattr(pulumi_aws, service)
    try:
        module.NothingOfThisName
    except AttributeError:
        pass  # all has been looked through
    else:
        raise SystemExit(f"{service} has what it has not")
for (service, name), value in found.items():
    assert vars(getattr(pulumi_aws, service))[name] is value, (service, name)
print(json.dumps([before, len(sys.modules)]))
"""


def names() -> set[tuple[str, str]]:
    """`aws.<service>.<name>` of all components."""
    return {
        (node.value.attr, node.attr)
        for path in (ROOT / "components").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == "aws"
    }


def test_each_name_is_the_one_of_the_whole_package() -> None:
    wanted = names()
    assert {("ec2", "Vpc"), ("budgets", "BudgetActionDefinitionArgs")} <= wanted
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(sorted(wanted))],
        env={"PYTHONPATH": SPARED["PYTHONPATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    few, all_of_them = json.loads(done.stdout)
    assert all_of_them - few > 300


def test_the_host_is_told_of_packages_what_pip_tells() -> None:
    short, whole = (
        json.loads(
            subprocess.run(
                [sys.executable, "-m", "pip", "list", "-v", "--format", "json"],
                env=variables,
                capture_output=True,
                check=True,
            ).stdout
        )
        for variables in ({"PYTHONPATH": SPARED["PYTHONPATH"]}, {})
    )
    assert [each["name"] for each in short] == ["pulumi_aws"]
    told = [{key: each[key] for key in ("name", "version", "location")} for each in whole]
    assert short == [each for each in told if _has_a_plugin(each)]


def _has_a_plugin(package: dict[str, str]) -> bool:
    """As the host finds it."""
    module = package["name"].replace("-", "_")
    file = Path(package["location"], module, "pulumi-plugin.json")
    return package["name"].startswith("pulumi-") or file.exists()
