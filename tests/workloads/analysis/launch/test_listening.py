from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from workloads.analysis.launch import listening


class Flaky:
    """A listener whose first calls fail, as accept(2) does when descriptors run out or a peer hangs
    up.
    """

    def __init__(self, listener: socket.socket, *failures: int) -> None:
        self._listener, self._failures = listener, list(failures)

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> tuple[socket.socket, Any]:
        if self._failures:
            number = self._failures.pop(0)
            raise OSError(number, os.strerror(number))
        return self._listener.accept()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def greet(connection: socket.socket, _peer: object) -> None:
    with connection:
        connection.sendall(b"welcome")


def greeting(listener: socket.socket) -> bytes:
    with socket.create_connection(listener.getsockname(), 20) as dialled:
        return dialled.recv(16)


def in_background(function: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def test_a_child_can_join_after_descriptors_ran_out_and_a_peer_hung_up(listener):
    flaky = Flaky(
        listener, errno.EMFILE, errno.EMFILE, errno.ECONNABORTED, errno.ENFILE, errno.ENOMEM
    )
    in_background(listening.serve_each, flaky, greet)
    assert greeting(listener) == b"welcome"
    assert greeting(listener) == b"welcome"


def test_a_child_can_join_after_a_thread_could_not_be_started(listener, monkeypatch):
    class Thread(threading.Thread):
        left = 2

        def start(self) -> None:
            if Thread.left:
                Thread.left -= 1
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(listening, "threading", SimpleNamespace(Thread=Thread))
    in_background(listening.serve_each, listener, greet)
    assert [greeting(listener) for _ in range(3)] == [b"", b"", b"welcome"]


def test_a_closed_listener_ends_it(listener):
    thread = in_background(listening.serve_each, Flaky(listener, *[errno.EMFILE] * 1_000), greet)
    listener.close()
    thread.join(20)
    assert not thread.is_alive()
