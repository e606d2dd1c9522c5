"""What computed a result: the identity of the code that results are a function of, and of nothing
else.

Checkpoints and shards' parts are bound to it. Comments, documentation, sentences for people, log
lines, and code that only launches, measures, plans or carries bytes cannot change a result, so a
release that changes no more than that goes on from what an earlier one has stored.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_PARTS: Final = (
    *("kernels", "knn", "outliers", "profile", "space"),
    *("arrays.py", "shard.py", "table.py", "tree.py", "distributed/travelling_unit.py"),
    *("pipeline/outlier_stage.py", "pipeline/partial_result.py", "pipeline/partials.py"),
    *("pipeline/profile_stage.py", "pipeline/quantile_stage.py", "pipeline/shard_store.py"),
    "pipeline/success.py",
)
"""Parts of this package: files, and folders with all that is in them."""
_FOR_TESTS: Final = frozenset({"knn/kernels_numpy.py"})
"""Within these parts, what no job runs."""
_KEPT: Final = "__pycache__/code_version"
_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@functools.cache
def code_version(package: Path = _PACKAGE) -> str:
    """First 12 hex digits of the sha256 over what changes results.

    Reading the code for what it means takes a fifth of a second of a processor, for which all ranks
    wait. So the answer is kept beside the bytecode, and by the same rule: it counts as long as the
    files are the same to the byte, and it is written where Python may write bytecode.
    """
    texts = {
        path.relative_to(package).as_posix(): path.read_text() for path in sorted(_files(package))
    }
    kept, key = package / _KEPT, _key(texts)
    with contextlib.suppress(OSError, ValueError):
        of_key, version = kept.read_text().split()
        if of_key == key:
            return version
    version = _version(texts)
    if not sys.dont_write_bytecode:
        _keep(kept, f"{key} {version}\n")
    return version


def _key(texts: Mapping[str, str]) -> str:
    """Of all that the version is computed from, and with."""
    found = {**texts, "by": Path(__file__).read_text(), "Python": sys.version}
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _version(texts: Mapping[str, str]) -> str:
    total = hashlib.sha256()
    for name, text in texts.items():
        meaning = (
            _python(text) if name.endswith(".py") else " ".join(_COMMENT.sub(" ", text).split())
        )
        total.update(f"{name}\0{meaning}\0".encode())
    return total.hexdigest()[:12]


def _keep(path: Path, text: str) -> None:
    """Whole or not at all: others may read it at the same time."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        other = path.with_name(f"{path.name}.{os.getpid()}")
        other.write_text(text)
        other.replace(path)


def _files(package: Path) -> Iterator[Path]:
    for part in _PARTS:
        found = package / part
        inside = [found] if found.is_file() else found.rglob("*")
        yield from (
            path
            for path in inside
            if path.suffix in {".py", ".c", ".cu", ".cuh"}
            and path.relative_to(package).as_posix() not in _FOR_TESTS
        )


class _Meaning(ast.NodeTransformer):
    """Takes away what says something to people alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Strings that stand by themselves, and log lines."""
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text or _logs(node.value) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        """What an error says."""
        return ast.Raise() if node.exc is not None else node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Sentences: no name of an array, key or type has a blank in it."""
        return ast.Constant("") if _sentence(node) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Sentences with values in them."""
        sentence = any(_sentence(part) for part in node.values)
        return ast.Constant("") if sentence else self.generic_visit(node)


def _sentence(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip()
    )


def _logs(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
    )


def _python(text: str) -> str:
    return ast.unparse(_Meaning().visit(ast.parse(text)))


if __name__ == "__main__":  # the build of an image, whose jobs may write nothing here
    sys.dont_write_bytecode = False
    sys.stdout.write(f"{code_version()}\n")
