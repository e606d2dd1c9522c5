"""The mpirun command line: Open MPI 5 with its run-time PRRTE 3."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from workloads.analysis.launch.address import has_link_local
from workloads.analysis.launch.exit_codes import LaunchExit
from workloads.runtime.errors import StageError

PROGRAM: Final = (sys.executable, "-m", "mpi4py", "-m", "workloads.analysis.program")
"""One rank. Without `-m mpi4py` an uncaught error on one rank would leave the others waiting for
ever.
"""
ROOT: Final = Path(__file__).resolve().parents[3]
"""Where the package `workloads` lies: the working directory of every rank."""
_AGENT: Final = shlex.join(
    (sys.executable, "-S", str(Path(__file__).resolve().with_name("agent.py")))
)
"""Starts a command on another node. It lies in the same place on every node: PRRTE looks for it on
all of them, and warns where it is not."""
_RANK: Final = (sys.executable, "-S", str(Path(__file__).resolve().with_name("rank.py")))
"""Becomes a rank, which then does not outlive mpirun or its daemon."""
_LOOPBACK: Final = "127.0.0.0/8"
_LINK_LOCAL: Final = "169.254.0.0/16"
"""Network of `ecs-eth0` in a container, which leads to the container agent only."""


def find() -> str:
    """Path of mpirun: on PATH, or else beside this Python. Raises StageError.

    PATH first: an image with an MPI of its own (Amazon's, for EFA) puts that one there, and the
    ranks load its library; the wheel's mpirun beside Python would start them with another.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(
        "mpirun", path=os.pathsep.join((os.environ.get("PATH", os.defpath), beside))
    )
    if found is None:
        raise StageError(
            "there is no mpirun on this node; the analysis image brings Open MPI",
            exit_code=LaunchExit.NOT_LAUNCHED,
        )
    return found


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of ranks: one thread per rank unless the job says otherwise, and memory that
    is not given back between units.
    """
    defaults = {
        "OMP_NUM_THREADS": "1",
        # the image's user has none, and PRRTE warns of a shell that it does not know
        "SHELL": "/bin/sh",
        # threads share the comparisons of rows, each with products of its own
        "OPENBLAS_NUM_THREADS": "1",
        # glibc: arrays of a unit's size come from the heap and stay there; page faults would cost
        # more than the arithmetic
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    }
    return {**defaults, **environ}


def on_one_node(ranks: int, program: Sequence[str]) -> list[str]:
    """All ranks here, without libfabric's transport, which opens with a sleep of one second and is
    of use between nodes only.

    As many as are asked for: where there is no ssh, PRRTE goes by the cores that it sees and not by
    the slots of `--host`.
    """
    command = [
        find(),
        "--allow-run-as-root",
        "--bind-to",
        "none",
        "--map-by",
        ":oversubscribe",
        "--mca",
        "btl",
        "^ofi",
    ]
    return [*command, "--host", f"localhost:{ranks}", "-n", str(ranks), *_RANK, *program]


def over_nodes(
    *,
    addresses: Sequence[str],
    on_one_machine: bool,
    ranks: int,
    hostfile: Path,
    program: Sequence[str],
) -> list[str]:
    """`ranks` on each node, node after node.

    Args:
        addresses: Of the nodes, in order of their index; a name of this machine for the main node.
        on_one_machine: Whether the nodes are processes of one machine, told apart by loopback
            addresses.
        ranks: Per node.
        hostfile: Is written.
        program: One rank.
    """
    hostfile.write_text("".join(f"{address} slots={ranks}\n" for address in addresses))
    command = [
        find(),
        "--allow-run-as-root",
        "--bind-to",
        "none",
        "--hostfile",
        str(hostfile),
        "--map-by",
        f"ppr:{ranks}:node:oversubscribe",
    ]
    command += ["--prtemca", "plm_ssh_agent", _AGENT, "--prtemca", "plm_ssh_no_tree_spawn", "1"]
    command += [
        "--prtemca",
        "oob_tcp_disable_ipv6_family",
        "1",
    ]  # the nodes' addresses are IPv4; an IPv6 one need not lead anywhere
    command += [
        "--leave-session-attached"
    ]  # or the daemons on the children detach, and outlive the job
    if on_one_machine:
        # nodes that are processes of one machine: they share /dev/shm, but each thinks that it is
        # alone there. PRRTE itself refuses to be bound to loopback and finds the machine's own
        # address
        command += [
            "--mca",
            "pml",
            "ob1",
            "--mca",
            "btl",
            "self,tcp",
            "--mca",
            "coll",
            "^sm,han",
            "--mca",
            "btl_tcp_if_include",
            "lo",
        ]
    else:
        # PRRTE warns of a network to exclude that the node does not have
        excluded = f"{_LOOPBACK},{_LINK_LOCAL}" if has_link_local() else _LOOPBACK
        command += [
            "--prtemca",
            "prte_if_exclude",
            excluded,
            "--mca",
            "btl_tcp_if_exclude",
            excluded,
        ]
    return [*command, *_RANK, *program]
