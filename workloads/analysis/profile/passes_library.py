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
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("passes.c")
_FLAGS: Final = (
    *("-std=gnu11", "-O3", "-shared", "-fPIC"),
    # each operation rounded on its own; the others change no result, but let loops be vectors
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)


class CompilerError(Exception):
    """A sentence for people: why there is no library."""


def path(source: Path) -> Path:
    """Where the library of a source lies once it is built."""
    made_of = source.read_bytes(), repr(_FLAGS).encode(), platform.machine().encode()
    key = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]
    return source.parent / "__pycache__" / f"{source.stem}-{key}.so"


def build(source: Path) -> Path:
    """Builds it, whole or not at all. Raises CompilerError where there is no compiler, or where it
    fails.
    """
    library = path(source)
    library.parent.mkdir(exist_ok=True)
    unfinished = library.with_suffix(f".{os.getpid()}")
    compiler = shlex.split(os.environ.get("CC") or "cc")
    try:
        ended = subprocess.run(
            [*compiler, *_FLAGS, "-o", str(unfinished), str(source), "-lm"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise CompilerError(
            f"the C compiler `{compiler[0]}` does not run: {error.strerror}. Install one, or name"
            " yours in the variable CC"
        ) from None
    if ended.returncode:
        unfinished.unlink(missing_ok=True)
        told = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise CompilerError(f"`{compiler[0]}` could not compile {source.name}: {told[0]}")
    unfinished.replace(library)
    for old in library.parent.glob(f"{source.stem}-*.so"):
        if old != library:
            old.unlink(missing_ok=True)
    return library


def main() -> int:
    """Build it and say where it is; 1 with a sentence where that cannot be."""
    if path(SOURCE).exists():
        return 0
    try:
        library = build(SOURCE)
    except (CompilerError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{library}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
