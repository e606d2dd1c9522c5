"""The program of this repository, whole or as far as a test looks at it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MAIN: Final = ROOT / "__main__.py"


def source(until: str = "") -> str:
    """The text of the program; it ends behind the component that the program calls `until`, which
    what comes later cannot change.
    """
    text = MAIN.read_text()
    if not until:
        return text
    ends = {
        ast.unparse(each.targets[0]): each.end_lineno
        for each in ast.parse(text).body
        if isinstance(each, ast.Assign)
    }
    return "".join(text.splitlines(keepends=True)[: ends[until]])


def write_part(folder: Path, stack: str, until: str) -> Path:
    """Puts the program there as far as `until`, with the file of a stack."""
    folder.mkdir(parents=True)
    (folder / "__main__.py").write_text(source(until))
    for name in ("Pulumi.yaml", f"Pulumi.{stack}.yaml"):
        (folder / name).symlink_to(ROOT / name)
    return folder
