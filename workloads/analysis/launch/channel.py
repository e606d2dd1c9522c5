"""The connection between a child and the main node: mutual proof of the token, then messages that
carry a code of their own.

Neither side sends the token. Both send a nonce and an HMAC-SHA256 over both nonces and what is
claimed (job, attempt, node, address), so that nothing recorded in another job or attempt is of use.
Later messages are authenticated with keys that only this connection has, one per direction, and
numbered. Nothing is encrypted: no message is secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any, Final

_LENGTH: Final = struct.Struct("!I")
_LARGEST: Final = 1 << 20  # a command line of mpirun has some kilobytes
_MAC_BYTES: Final = hashlib.sha256().digest_size
_NONCE_BYTES: Final = 32
HANDSHAKE_SECONDS: Final = 5.0
"""A peer that has not proved itself by then is cut off, however it deals out its bytes."""

Message = dict[str, Any]


class ChannelError(Exception):
    """The connection broke, or the peer does not keep to the protocol."""


class RefusedError(Exception):
    """The peer said no; the text is its reason."""


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a child says of itself."""

    node: int
    address: str


class Channel:
    """Authenticated messages over a connected socket; one thread may send while another
    receives.
    """

    def __init__(
        self, connection: socket.socket, *, token: str, nonces: tuple[str, str], is_main: bool
    ) -> None:
        self._socket = connection
        keys = {
            side: _code(token, "messages", side, *nonces).encode() for side in ("main", "child")
        }
        self._send_key, self._receive_key = (
            (keys["main"], keys["child"]) if is_main else (keys["child"], keys["main"])
        )
        self._sent = self._received = 0

    def send(self, message: Message) -> None:
        """Raises ChannelError where the peer is gone."""
        data = json.dumps(message).encode()
        _send_frame(self._socket, _numbered(self._send_key, self._sent, data) + data)
        self._sent += 1

    def receive(self) -> Message:
        """The next message. Raises ChannelError at the end of the connection."""
        frame = _receive_frame(self._socket)
        code, data = frame[:_MAC_BYTES], frame[_MAC_BYTES:]
        if not hmac.compare_digest(code, _numbered(self._receive_key, self._received, data)):
            raise ChannelError("a message was not authentic")
        self._received += 1
        return _decode(data)

    def close(self) -> None:
        """Ends the connection; a receive in another thread returns with ChannelError."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the peer was faster
        finally:
            self._socket.close()


def accept(connection: socket.socket, *, token: str, job: str) -> tuple[Channel, Hello]:
    """The main node's half of the handshake.

    Args:
        connection: Freshly accepted.
        token: The job's secret.
        job: Id and attempt; a child of another one is refused.

    Raises:
        ChannelError: The peer is no child, or went away.
        RefusedError: The peer does not know the token, or is of another job.
    """
    deadline = time.monotonic() + HANDSHAKE_SECONDS
    mine = secrets.token_hex(_NONCE_BYTES)
    _send_plain(connection, {"nonce": mine}, deadline)
    answer = _decode(_receive_frame(connection, deadline))
    theirs, address, proof = (_text(answer, name) for name in ("nonce", "address", "proof"))
    node = whole(answer, "node")
    if not _same(proof, _code(token, "child", job, mine, theirs, str(node), address)):
        reason = "it does not know this job's token, or is of another job or attempt"
        _send_plain(connection, {"refused": reason}, deadline)
        raise RefusedError(reason)
    _send_plain(connection, {"proof": _code(token, "main", job, mine, theirs)}, deadline)
    _keep_alive(connection)
    return Channel(connection, token=token, nonces=(mine, theirs), is_main=True), Hello(
        node=node, address=address
    )


def join(connection: socket.socket, *, token: str, job: str, hello: Hello) -> Channel:
    """A child's half of the handshake.

    Raises ChannelError, and RefusedError where either side is not satisfied with the other.
    """
    deadline = time.monotonic() + HANDSHAKE_SECONDS
    theirs = _text(_decode(_receive_frame(connection, deadline)), "nonce")
    mine = secrets.token_hex(_NONCE_BYTES)
    proof = _code(token, "child", job, theirs, mine, str(hello.node), hello.address)
    _send_plain(
        connection,
        {"nonce": mine, "node": hello.node, "address": hello.address, "proof": proof},
        deadline,
    )
    answer = _decode(_receive_frame(connection, deadline))
    if "refused" in answer:
        raise RefusedError(str(answer["refused"]))
    if not _same(_text(answer, "proof"), _code(token, "main", job, theirs, mine)):
        raise RefusedError("the main node does not know this job's token")
    _keep_alive(connection)
    return Channel(connection, token=token, nonces=(theirs, mine), is_main=False)


def whole(message: Message, name: str) -> int:
    """A whole number of a message. Raises ChannelError where there is none by that name."""
    found = message.get(name)
    if type(found) is not int:  # a bool is none, and int() of Infinity would overflow
        raise ChannelError(f"the peer does not speak the protocol: {name} is no whole number")
    return found


def _text(message: Message, name: str) -> str:
    found = message.get(name)
    if not isinstance(found, str):
        raise ChannelError(f"the peer does not speak the protocol: {name} is no text")
    return found


def _same(proof: str, code: str) -> bool:
    """In a time that tells nothing of either; compare_digest takes no text beyond ASCII."""
    return hmac.compare_digest(proof.encode(errors="replace"), code.encode())


def _code(token: str, *claims: str) -> str:
    return hmac.new(token.encode(), json.dumps(claims).encode(), hashlib.sha256).hexdigest()


def _numbered(key: bytes, number: int, data: bytes) -> bytes:
    return hmac.new(key, number.to_bytes(8, "big") + data, hashlib.sha256).digest()


def _keep_alive(connection: socket.socket) -> None:
    """A host that vanishes without a word is noticed within 11 seconds."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 2),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 11_000),
    ):
        if hasattr(socket, option):  # macOS names them otherwise, and has no lost hosts to care for
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _send_plain(connection: socket.socket, message: Message, deadline: float) -> None:
    _limit(connection, deadline)
    _send_frame(connection, json.dumps(message).encode())


def _send_frame(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(_LENGTH.pack(len(data)) + data)
    except OSError as error:
        raise ChannelError(str(error)) from error


def _receive_frame(connection: socket.socket, deadline: float | None = None) -> bytes:
    (length,) = _LENGTH.unpack(_receive_exactly(connection, _LENGTH.size, deadline))
    if length > _LARGEST:
        raise ChannelError(f"a message of {length} bytes is longer than any that a node sends")
    return _receive_exactly(connection, length, deadline)


def _receive_exactly(connection: socket.socket, length: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < length:
        if deadline is not None:
            _limit(connection, deadline)
        try:
            part = connection.recv(length - len(data))
        except OSError as error:
            raise ChannelError(str(error)) from error
        if not part:
            raise ChannelError("the connection was closed")
        data += part
    return bytes(data)


def _limit(connection: socket.socket, deadline: float) -> None:
    """A socket's own timeout is for one call only; the next call gets what is left."""
    left = deadline - time.monotonic()
    if left <= 0.0:
        raise ChannelError(f"the handshake took longer than {HANDSHAKE_SECONDS:g} s")
    try:
        connection.settimeout(left)
    except OSError as error:
        raise ChannelError(str(error)) from error


def _decode(data: bytes) -> Message:
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:  # RecursionError: brackets within brackets
        raise ChannelError("a message is not JSON") from error
    if not isinstance(message, dict):
        raise ChannelError("a message is not an object")
    return message
