from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from workloads.analysis.launch import channel as channels
from workloads.analysis.launch.channel import (
    Channel,
    ChannelError,
    Hello,
    RefusedError,
    accept,
    join,
)

HELLO = Hello(node=3, address="10.0.0.7")


def _both(
    main: Callable[[socket.socket], object], child: Callable[[socket.socket], object]
) -> list[Any]:
    """Results or exceptions of both sides of one connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    results: list[Any] = [None, None]

    def work(
        place: int, function: Callable[[socket.socket], object], connection: socket.socket
    ) -> None:
        try:
            results[place] = function(connection)
        except (ChannelError, RefusedError) as error:
            results[place] = error
            connection.close()

    dialled = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    threads = [
        threading.Thread(target=work, args=arguments)
        for arguments in ((0, main, accepted), (1, child, dialled))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    listener.close()
    return results


def test_messages_go_both_ways_and_end_with_the_connection():
    (main, hello), child = _both(
        lambda c: accept(c, token="t", job="j:1"),
        lambda c: join(c, token="t", job="j:1", hello=HELLO),
    )
    assert isinstance(main, Channel)
    assert isinstance(child, Channel)
    assert hello == HELLO
    for number in range(3):
        main.send({"run": f"command {number}"})
        child.send({"exited": number})
    assert [child.receive()["run"] for _ in range(3)] == ["command 0", "command 1", "command 2"]
    assert [main.receive()["exited"] for _ in range(3)] == [0, 1, 2]
    child.close()
    with pytest.raises(ChannelError):
        main.receive()
    main.close()


@pytest.mark.parametrize(("token", "job"), [("other", "j:1"), ("t", "j:2"), ("t", "k:1")])
def test_another_token_job_or_attempt_is_refused(token, job):
    main, child = _both(
        lambda c: accept(c, token="t", job="j:1"),
        lambda c: join(c, token=token, job=job, hello=HELLO),
    )
    assert isinstance(main, RefusedError)
    assert isinstance(child, RefusedError)


@pytest.mark.parametrize("proof", ["0" * 64, "é" * 64, ""])
def test_a_child_refuses_a_main_node_that_does_not_know_the_token(proof):
    def impostor(connection: socket.socket) -> None:
        later = time.monotonic() + 60
        channels._send_plain(connection, {"nonce": "0"}, later)
        channels._receive_frame(connection, later)
        channels._send_plain(connection, {"proof": proof}, later)

    _, child = _both(impostor, lambda c: join(c, token="t", job="j:1", hello=HELLO))
    assert isinstance(child, RefusedError)


def _framed(text: str) -> bytes:
    return len(text.encode()).to_bytes(4, "big") + text.encode()


def _answer(
    node: str = "3", proof: str = '"0"', nonce: str = '"0"', address: str = '"10.0.0.7"'
) -> bytes:
    return _framed(f'{{"node": {node}, "proof": {proof}, "nonce": {nonce}, "address": {address}}}')


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"",
        _framed("[]"),
        _framed("{}"),
        _framed("[" * 200_000),
        _framed('{"nonce":' * 100_000),
        _answer(node="Infinity"),
        _answer(node="NaN"),
        _answer(node="true"),
        _answer(node='"3"'),
        _answer(node="9" * 5_000),
        _answer(proof="[[]]"),
        _answer(nonce="null"),
        _answer(address="{}"),
    ],
)
def test_strangers_are_no_children(noise):
    def stranger(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # main may have hung up already
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1 << 16)

    main, _ = _both(lambda c: accept(c, token="t", job="j:1"), stranger)
    assert isinstance(main, ChannelError)


@pytest.mark.parametrize("proof", ['"é"', '"\\ud800"', '""'])
def test_a_proof_of_whatever_letters_is_refused(proof):
    def stranger(connection: socket.socket) -> None:
        connection.sendall(_answer(proof=proof))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1 << 16)

    main, _ = _both(lambda c: accept(c, token="t", job="j:1"), stranger)
    assert isinstance(main, RefusedError)


def test_the_limit_is_for_the_whole_handshake(monkeypatch):
    monkeypatch.setattr(channels, "HANDSHAKE_SECONDS", 0.5)

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for byte in _framed("{" + " " * 100 + "}"):
                connection.sendall(bytes([byte]))
                time.sleep(0.05)  # each byte comes well before a limit that is for one call

    main, _ = _both(lambda c: accept(c, token="t", job="j:1"), drip)
    assert isinstance(main, ChannelError)
    assert "protocol" not in str(
        main
    )  # which is said of the whole message, that nobody shall wait for
    child, _ = _both(lambda c: join(c, token="t", job="j:1", hello=HELLO), drip)
    assert isinstance(child, ChannelError)
    assert "protocol" not in str(child)


def test_an_exit_code_that_is_none_is_no_message():
    assert channels.whole({"exited": 143}, "exited") == 143
    for message in ({}, {"exited": "0"}, {"exited": float("inf")}):
        with pytest.raises(ChannelError, match="exited is no whole number"):
            channels.whole(message, "exited")


def test_a_forged_or_repeated_message_is_not_believed():
    (main, _), child = _both(
        lambda c: accept(c, token="t", job="j:1"),
        lambda c: join(c, token="t", job="j:1", hello=HELLO),
    )
    main.send({"run": "true"})
    main._sent = 0  # the same number again, as a recording would have it
    main.send({"run": "true"})
    assert child.receive() == {"run": "true"}
    with pytest.raises(ChannelError, match="not authentic"):
        child.receive()
    main.close()
    child.close()
