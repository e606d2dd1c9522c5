"""The temporary directory of a node's launcher, of mpirun and of the ranks, which goes when the
node ends.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workloads.analysis.launch.agent import FOLDER
from workloads.runtime.errors import EXIT_ENVIRONMENT, StageError


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new directory. Raises StageError where none can be made."""
    try:
        made = tempfile.TemporaryDirectory(prefix="launch-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StageError(
            f"this node has no writable temporary directory: {error.strerror or error}",
            hint=(
                "MPI needs one: mount a tmpfs on /tmp, or set TMPDIR to a directory that the"
                " container may write"
            ),
            exit_code=EXIT_ENVIRONMENT,
        ) from error
    with made as path:
        yield Path(path)


def variables(path: Path) -> dict[str, str]:
    """What makes mpirun, its daemon and the ranks put their sessions there and not beside it."""
    return {"TMPDIR": str(path), FOLDER: str(path)}
