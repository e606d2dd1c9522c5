"""Whether mpirun and the MPI library belong together: `python -m
workloads.analysis.launch.self_check`, run when the image is built.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from workloads.analysis.launch import mpirun
from workloads.runtime.errors import StageError

_RANKS: Final = 2
_PROGRAM: Final = (
    "from mpi4py import MPI; c = MPI.COMM_WORLD; n = c.allreduce(1);"
    f" assert n == {_RANKS}, f'the ranks do not see each other: {{n}} of {_RANKS}';"
    " c.rank or print(MPI.Get_library_version())"
)


def main() -> int:
    """Exit status of mpirun, found and called as the launcher does, over two ranks that have to
    meet; 82 where there is none.
    """
    try:
        command = mpirun.on_one_node(_RANKS, (sys.executable, "-m", "mpi4py", "-c", _PROGRAM))
    except StageError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - for people
        return error.exit_code
    print(command[0], flush=True)  # noqa: T201 - for people
    return subprocess.run(command, env=mpirun.environment(os.environ), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
