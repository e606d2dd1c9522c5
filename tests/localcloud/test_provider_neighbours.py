"""Whose a loopback connection is: asked of the kernel, or looked up in its tables."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.deployment.provider import neighbours

TABLES = Path("/proc/net/tcp").exists()
needs_tables = pytest.mark.skipif(not TABLES, reason="the kernel does not tell here")


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


def _silent(_caller: int, _port: int) -> int | None:
    return None


@pytest.fixture(params=["asked", "listed"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "listed":
        monkeypatch.setattr(neighbours, "_asked", _silent)


@needs_tables
@pytest.mark.usefixtures("_way")
def test_a_caller_of_this_user_may_go_on_and_another_not(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, port = connection.ports
    assert neighbours.refusal(f"ipv4:127.0.0.1:{caller}", port) is None
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    told = neighbours.refusal(f"ipv4:127.0.0.1:{caller}", port)
    assert told is not None
    assert told.endswith(f"the caller is user {uid}")


@needs_tables
@pytest.mark.usefixtures("_way")
def test_a_caller_who_has_gone_is_not_answered(connection: Connection) -> None:
    """The kernel gives a socket without a process to root, who may be the one that serves."""
    caller, port = connection.ports
    connection.caller.close()
    told = neighbours.refusal(f"ipv4:127.0.0.1:{caller}", port)
    assert told is not None
    assert "has closed its connection" in told


@needs_tables
def test_a_connection_that_was_never_there_is_nobodys(connection: Connection) -> None:
    _, port = connection.ports
    assert neighbours.refusal("ipv4:127.0.0.1:1", port) is not None


def test_where_the_kernel_does_not_tell_everybody_may_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK", raising=False)
    monkeypatch.setattr(neighbours, "_TABLES", (tmp_path / "none",))
    assert neighbours.refusal("ipv4:127.0.0.1:40000", 50000) is None
