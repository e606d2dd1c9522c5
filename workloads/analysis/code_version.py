"""What computed a result: the identity of the code that results are a function of, and of nothing else.

Checkpoints and shards' parts are bound to it. Comments, documentation, messages of errors, and code that only launches, measures, plans or
carries bytes cannot change a result, so a release that changes no more than that goes on from what an earlier one has stored.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_PARTS: Final = (
    *("anomaly", "kernels", "profile", "rotate"),
    *(
        "anomaly_result.py",
        "anomaly_stage.py",
        "arrays.py",
        "found.py",
        "full_search.py",
        "profile_stage.py",
        "quantile_stage.py",
    ),
    *("shard.py", "shard_store.py", "table.py", "top_search.py", "tree.py", "visit.py"),
)
"""Of this package: files, and folders with all that is in them."""
_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@functools.cache
def code_version(package: Path = _PACKAGE) -> str:
    """First 12 hex digits of the sha256 over what changes results."""
    total = hashlib.sha256()
    for path in sorted(_files(package)):
        text = (
            _python(path.read_text())
            if path.suffix == ".py"
            else " ".join(_COMMENT.sub(" ", path.read_text()).split())
        )
        total.update(f"{path.relative_to(package)}\0{text}\0".encode())
    return total.hexdigest()[:12]


def _files(package: Path) -> Iterator[Path]:
    for part in _PARTS:
        found = package / part
        yield from (
            [found]
            if found.is_file()
            else [path for path in found.rglob("*") if path.suffix in {".py", ".cu", ".cuh"}]
        )


class _Meaning(ast.NodeTransformer):
    """Takes away what says something to people alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | ast.Pass:
        """Strings that stand by themselves."""
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if text else node

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        """What an error says."""
        return ast.Raise() if node.exc is not None else node


def _python(text: str) -> str:
    return ast.unparse(_Meaning().visit(ast.parse(text)))
