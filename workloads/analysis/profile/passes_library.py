"""The library of compiled passes: where it lies, and how it is built.

`python -m workloads.analysis.profile.passes_library` builds it with the C compiler at hand (`CC`,
else `cc`) unless it is there. It is kept beside the bytecode, where an image may hold it and
nothing commits it, by a name that follows from source, flags and machine: one that was built from
another source is never loaded.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
_FLAGS: Final = (
    *("-std=gnu11", "-O3", "-fPIC"),
    # these change no result, but let loops be vectors
    *("-fno-math-errno", "-fno-trapping-math"),
)
_SOURCES: Final = {
    "passes.c": "-ffp-contract=off",  # each operation rounded on its own
    "products.c": "-ffp-contract=fast",  # nothing is rounded there
}
_HEADERS: Final = ("passes.h", "products_of_width.h")


class CompilerError(Exception):
    """A sentence for people: why there is no library."""


def path(folder: Path) -> Path:
    """Where the library of a folder's sources lies once it is built."""
    made_of = [(folder / name).read_bytes() for name in (*_SOURCES, *_HEADERS)]
    made_of += [repr((_FLAGS, _SOURCES)).encode(), platform.machine().encode()]
    key = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]
    return folder / "__pycache__" / f"passes-{key}.so"


def build(folder: Path) -> Path:
    """Builds it, whole or not at all. Raises CompilerError where there is no compiler, or where it
    fails.
    """
    library = path(folder)
    library.parent.mkdir(exist_ok=True)
    compiler = shlex.split(os.environ.get("CC") or "cc")
    with tempfile.TemporaryDirectory(dir=library.parent) as unfinished:
        parts = [f"{unfinished}/{name}.o" for name in _SOURCES]
        for part, (name, flag) in zip(parts, _SOURCES.items(), strict=True):
            _run(compiler, name, *_FLAGS, flag, "-c", str(folder / name), "-o", part)
        made = f"{unfinished}/{library.name}"
        _run(compiler, library.name, "-shared", *parts, "-o", made, "-lm")
        Path(made).replace(library)
    for old in library.parent.glob("passes-*.so"):
        if old != library:
            old.unlink(missing_ok=True)
    return library


def _run(compiler: Sequence[str], what: str, *arguments: str) -> None:
    try:
        ended = subprocess.run([*compiler, *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompilerError(
            f"the C compiler `{compiler[0]}` does not run: {error.strerror}. Install one, or name"
            " yours in the variable CC"
        ) from None
    if ended.returncode:
        told = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise CompilerError(f"`{compiler[0]}` could not compile {what}: {told[0]}")


def main() -> int:
    """Build it and say where it is; 1 with a sentence where that cannot be."""
    if path(FOLDER).exists():
        return 0
    try:
        library = build(FOLDER)
    except (CompilerError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{library}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
