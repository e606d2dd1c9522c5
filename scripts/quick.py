"""Runs the tests nearest to what has changed, as many as a minute holds: `make quick`.

What has changed is what git sees since the branch left main, new files too. A test file is near
where few imports lie between it and a changed file. A name of a module in a string counts as an
import, for processes and Lambda handlers are started by name, and so does the name of a file that
is no module. The seconds are those of tests/seconds.json.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a script it has its own folder there

from tests.support.units import UNKNOWN_SECONDS, recorded  # noqa: E402

BUDGET_SECONDS = 80.0
"""Budget of all chosen files together, on two workers."""
EVERY_TIME = ("tests/test_project.py",)
"""What looks at the files themselves."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What runs, and what is left to `make test`."""

    chosen: list[str]
    left: list[str]


def module_of(path: str) -> str:
    """The dotted name of a Python file."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def uses(source: str, modules: Mapping[str, str], others: Iterable[str]) -> set[str]:
    """The files that a Python file imports or names.

    Args:
        source: its text.
        modules: dotted name -> file, of all modules of the repository.
        others: the changed files that are no modules.
    """
    found = {path for path in others if PurePosixPath(path).name in source}
    for name in _names(source):
        parts = name.split(".")
        known = next(
            (
                ".".join(parts[:n])
                for n in range(len(parts), 0, -1)
                if ".".join(parts[:n]) in modules
            ),
            None,
        )
        # the package alone, where one of its modules was meant that is not there, says nothing
        if known is not None and (known == name or not modules[known].endswith("__init__.py")):
            found.add(modules[known])
    return found


@cache
def _names(source: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_named(ast.parse(source))))


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and "." in node.value
            and len(node.value) < 100
        ):
            yield node.value


def distances(changed: Iterable[str], used_by: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """File -> how many imports lie between it and the nearest changed file."""
    found = dict.fromkeys(changed, 0)
    queue = deque(found)
    while queue:
        path = queue.popleft()
        for user in used_by.get(path, ()):
            if user not in found:
                found[user] = found[path] + 1
                queue.append(user)
    return found


def choose(near: Mapping[str, int], seconds: Mapping[str, float], budget: float) -> Choice:
    """The nearest test files, the quickest of equally near ones first, that fit into a budget."""
    tests = [
        path
        for path in near
        if path.startswith("tests/") and PurePosixPath(path).name.startswith("test_")
    ]
    chosen: list[str] = []
    left: list[str] = []
    for path in sorted(
        tests, key=lambda path: (near[path], seconds.get(path, UNKNOWN_SECONDS), path)
    ):
        cost = seconds.get(path, UNKNOWN_SECONDS)
        fits = cost <= budget
        (chosen if fits else left).append(path)
        budget -= cost if fits else 0
    return Choice(chosen=chosen, left=left)


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


def changed_files(base: str) -> list[str]:
    """Changed since the branch left `base`, whether committed or not, and there still."""
    (fork,) = _git("merge-base", "HEAD", base)
    names = {
        *_git("diff", "--name-only", fork),
        *_git("ls-files", "--others", "--exclude-standard"),
    }
    return sorted(name for name in names if (ROOT / name).is_file())


def graph(changed: Iterable[str]) -> dict[str, set[str]]:
    """File -> the Python files that use it; a test uses the conftest.py of its folder and of those
    above.
    """
    files = [
        path
        for path in _git("ls-files", "--cached", "--others", "--exclude-standard", "*.py")
        if (ROOT / path).is_file()
    ]
    modules = {module_of(path): path for path in files}
    others = [path for path in changed if not path.endswith(".py") or path == "__main__.py"]
    used_by: dict[str, set[str]] = defaultdict(set)
    for path in files:
        for used in uses((ROOT / path).read_text(encoding="utf-8"), modules, others) - {path}:
            used_by[used].add(path)
        for folder in PurePosixPath(path).parents:
            if path.startswith("tests/") and (conftest := str(folder / "conftest.py")) in files:
                used_by[conftest].add(path)
    return used_by


def main() -> int:
    """Chooses the tests, says which, and runs them; the exit status is that of pytest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", default="main", help="branch or commit to compare with")
    parser.add_argument("--list", action="store_true", help="only say which tests would run")
    options = parser.parse_args()
    changed = changed_files(options.base)
    choice = choose(
        {**dict.fromkeys(EVERY_TIME, 0), **distances(changed, graph(changed))},
        recorded(),
        BUDGET_SECONDS,
    )
    print(
        f"quick: {len(changed)} files changed since {options.base}, {len(choice.chosen)} test files"
        " for it"
    )
    print("".join(f"  {path}\n" for path in choice.chosen), end="")
    if choice.left:
        print(
            f"quick: {len(choice.left)} more are farther away or take longer, and are left to make"
            " test"
        )
    if options.list:
        return 0
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "logical",
        "--maxprocesses",
        "8",
        "--dist",
        "loadgroup",
    ]
    command += ["-m", "not slow and not drill", *choice.chosen]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
