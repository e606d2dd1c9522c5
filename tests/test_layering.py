"""Imports point one way.

The contracts stand in pyproject.toml; here they are run, and shown to see what they are there for.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_contracts_are_kept() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout
    assert len(CONTRACTS) >= 4
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in result.stdout


@pytest.mark.parametrize(
    ("module", "imports"),
    [
        ("config/rules/x.py", "import pulumi"),
        ("config/x.py", "import components.network"),
        ("components/x.py", "from localcloud import deploy"),
        ("components/x.py", "def late():\n    import workloads.analysis"),
        ("workloads/functions/x.py", "from config.stack import StackConfig"),
        ("workloads/x.py", "import pulumi_aws"),
        ("localcloud/x.py", "import cli"),
    ],
)
def test_an_import_that_points_the_wrong_way_breaks_one(tmp_path, module, imports) -> None:
    result = _broken(tmp_path, {module: imports})
    assert "1 broken" in result.stdout


def test_a_cycle_breaks_one_even_when_half_of_it_is_lazy(tmp_path) -> None:
    late = "def late():\n    from config.loading import load_stack_config"
    result = _broken(
        tmp_path, {"config/stack.py": late, "config/loading.py": "import config.stack"}
    )
    assert "no cycle among siblings BROKEN" in result.stdout


def _broken(folder: Path, modules: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the linter says of empty modules, after a few of them got these imports."""
    for package in ("cli", "components", "config", "localcloud", "workloads"):
        for source in (ROOT / package).rglob("*.py"):
            copy = folder / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()
    shutil.copy(ROOT / "pyproject.toml", folder)
    assert lint_imports(folder).returncode == 0
    for module, imports in modules.items():
        (folder / module).write_text(imports + "\n")
    result = lint_imports(folder)
    assert result.returncode == 1, result.stdout
    return result


def _imported(path: Path) -> set[str]:
    """First parts of all names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_program_only_wires_components() -> None:
    imported = _imported(ROOT / "__main__.py")
    assert "components" in imported
    assert imported <= {"__future__", "components", "config", "pulumi"}


def test_the_contract_needs_the_standard_library_alone() -> None:
    contract, names, variables = (
        _imported(ROOT / "workloads" / f"{name}.py") for name in ("contract", "names", "variables")
    )
    assert "hashlib" in contract & names
    assert names | variables <= sys.stdlib_module_names
    assert contract <= {*sys.stdlib_module_names, "workloads"}
    text = (ROOT / "workloads" / "contract.py").read_text()
    assert re.findall(r"^from workloads(\S*) import", text, re.MULTILINE) == ["", ".variables"]
    assert "from workloads import names\n" in text
