"""Who is at the other end of a loopback connection: the provider's protocol knows no key, so only
its own user may speak to it.

A page of a browser cannot: the port speaks HTTP/2 without TLS alone, which no browser does. Another
user of the machine could, and through a job definition or a function would run commands as the one
who started the rehearsal.

Every call is looked at, for a port may be somebody else's a moment later. The kernel is therefore
asked for the one connection (sock_diag(7)); its tables, which list every connection of the machine,
took more time than all else that the provider does, and are read where it does not answer.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Final

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _STATE, _UID = 1, 2, 3, 7  # columns of the kernel's tables (proc_net_tcp.txt)
_ESTABLISHED: Final = 1
_NOBODY: Final = -1

# netlink(7), sock_diag(7): a header, then a request or an answer
_HEADER: Final = struct.Struct("=IHHII")  # length, kind, flags, sequence, port
_REQUEST: Final = struct.Struct("=BBBxI")  # family, protocol, extensions, states
_PORTS: Final = struct.Struct("!HH")
_ANY_SOCKET: Final = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # interface, no cookie
_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_IS_REQUEST: Final = 1
_STATE_AT: Final = _HEADER.size + 1
_UID_AT: Final = _HEADER.size + 64


def refusal(peer: str, port: int) -> str | None:
    """Why a caller is not answered; None where it may go on.

    Args:
        peer: Its address as gRPC writes it, `ipv4:127.0.0.1:40000`.
        port: That of the provider.

    Where the kernel does not tell whose a connection is (no /proc: macOS), every user of the
    machine may call.
    """
    caller = int(peer.rpartition(":")[2])
    owner = _asked(caller, port)
    if owner is None:
        owner = _listed(caller, port)
    if owner is None or owner == os.getuid():
        return None
    served = f"this provider serves user {os.getuid()} of this machine alone"
    if owner == _NOBODY:
        return f"{served}, and the caller has closed its connection"
    return f"{served}, and the caller is user {owner}"


def _asked(caller: int, port: int) -> int | None:
    """The user of the caller's end, as the kernel answers; `_NOBODY` where that end is closed, None
    where it does not say.
    """
    if not hasattr(socket, "AF_NETLINK"):
        return None
    loopback = socket.inet_aton("127.0.0.1") + bytes(12)
    ends = _PORTS.pack(caller, port) + loopback + loopback + _ANY_SOCKET
    request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends
    length = _HEADER.size + len(request)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.send(_HEADER.pack(length, _BY_FAMILY, _IS_REQUEST, 1, 0) + request)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < _UID_AT + 4 or _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        return None
    if answer[_STATE_AT] != _ESTABLISHED:
        return _NOBODY
    return int(struct.unpack_from("=I", answer, _UID_AT)[0])


def _listed(caller: int, port: int) -> int | None:
    """The same from the kernel's tables; None where there are none."""
    wanted = (f":{caller:04X}", f":{port:04X}")
    found = None
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        found = _NOBODY
        for line in lines:
            columns = line.split()
            if columns[_LOCAL].endswith(wanted[0]) and columns[_REMOTE].endswith(wanted[1]):
                established = int(columns[_STATE], 16) == _ESTABLISHED
                return int(columns[_UID]) if established else _NOBODY
    return found
