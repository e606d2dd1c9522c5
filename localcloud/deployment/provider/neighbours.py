"""Who is at the other end of a loopback connection: the provider's protocol knows no key, so only
its own user may speak to it.

A page of a browser cannot: the port speaks HTTP/2 without TLS alone, which no browser does. Another
user of the machine could, and through a job definition or a function would run commands as the one
who started the rehearsal.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_LOCAL, _REMOTE, _UID = 1, 2, 7  # columns of the kernel's tables (proc_net_tcp.txt)


def refusal(peer: str, port: int) -> str | None:
    """Why a caller is not answered; None where it may go on.

    Args:
        peer: Its address as gRPC writes it, `ipv4:127.0.0.1:40000`.
        port: That of the provider.

    Where the kernel does not tell whose a connection is (no /proc: macOS), every user of the
    machine may call.
    """
    owner = _owner(int(peer.rpartition(":")[2]), port)
    if owner is None or owner == os.getuid():
        return None
    return (
        f"this provider serves user {os.getuid()} of this machine alone, and the caller is user"
        f" {owner}"
    )


def _owner(caller_port: int, port: int) -> int | None:
    wanted = (f":{caller_port:04X}", f":{port:04X}")
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[_LOCAL].endswith(wanted[0]) and columns[_REMOTE].endswith(wanted[1]):
                return int(columns[_UID])
    return None
