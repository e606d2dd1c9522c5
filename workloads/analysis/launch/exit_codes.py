"""Exit codes of a node, beyond those that all stages share (`workloads.runtime.errors`).

A rank's own exit code is passed through; a rank that a signal ended gives 128 + signal, as in a
shell.
"""

from __future__ import annotations

from enum import IntEnum


class LaunchExit(IntEnum):
    """What ended a node; Batch shows it as the container's exit code.

    A retry strategy matches the first digit: another attempt is worth it after 9.., and not after
    8...
    """

    JOIN_DEADLINE = 90
    """Main: not all children had joined at the deadline.

    Child: the main node could not be reached by then.
    """
    CHILD_LOST = 91
    """Main: the connection to a child broke, so its container or host is gone."""
    MAIN_LOST = 80
    """Child: the connection to the main node broke."""
    REFUSED = 81
    """Child: the main node does not accept this node, because the token or the job differs."""
    NOT_LAUNCHED = 82
    """Main: there is no mpirun, or the port is taken."""
