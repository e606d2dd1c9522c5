"""Whose a loopback connection is: asked of the kernel, or looked up in its tables."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.deployment.provider import neighbours

LINUX = hasattr(socket, "AF_NETLINK")
HEAD = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout\n"
)
LINE = (
    "   1: 0100007F:{:04X} 0100007F:{:04X} {:02X} 00000000:00000000 00:00000000 00000000 {:5} 0\n"
)
ESTABLISHED, ENDING = 1, 5


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Both ends of one."""

    caller: socket.socket
    accepted: socket.socket

    @property
    def ports(self) -> tuple[int, int]:
        return self.accepted.getpeername()[1], self.accepted.getsockname()[1]


@pytest.fixture
def connection() -> Iterator[Connection]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as caller,
        server.accept()[0] as accepted,
    ):
        yield Connection(caller=caller, accepted=accepted)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The kernel's table, where it does not answer."""
    monkeypatch.delattr(socket, "AF_NETLINK", raising=False)
    file = tmp_path / "tcp"
    monkeypatch.setattr(neighbours, "_TABLES", (file,))
    return file


def told(caller: int, port: int) -> str | None:
    return neighbours.refusal(f"ipv4:127.0.0.1:{caller}", port)


if LINUX:

    def test_the_kernel_tells_whose_a_connection_is(
        connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(neighbours, "_TABLES", ())  # for one answer nobody reads all of them
        assert told(*connection.ports) is None
        uid = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: uid + 1)
        assert str(told(*connection.ports)).endswith(f"the caller is user {uid}")

    def test_a_caller_who_has_gone_is_not_answered(connection: Connection) -> None:
        """The kernel gives a socket without a process to root, who may be the one that serves."""
        ports = connection.ports
        connection.caller.close()
        assert "has closed its connection" in str(told(*ports))

    def test_a_connection_that_was_never_there_is_nobodys(connection: Connection) -> None:
        assert told(1, connection.ports[1]) is not None


@pytest.mark.parametrize(
    ("uid", "state", "says"),
    [
        (0, ESTABLISHED, None),
        (1, ESTABLISHED, "the caller is user"),
        (0, ENDING, "has closed its connection"),
    ],
)
def test_the_table_tells_it_too(table: Path, uid: int, state: int, says: str | None) -> None:
    owner = os.getuid() + uid
    other = LINE.format(50000, 40000, ESTABLISHED, owner + 7)  # our own end, and others
    table.write_text(HEAD + other + LINE.format(40000, 50000, state, owner))
    answer = told(40000, 50000)
    assert answer is None if says is None else says in str(answer)
    assert "has closed its connection" in str(told(40001, 50000))


def test_where_the_kernel_does_not_tell_everybody_may_call(table: Path) -> None:
    assert not table.exists()
    assert told(40000, 50000) is None
