"""Connections to a listening socket, whatever happens to one of them."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 0.1


def serve_each(listener: socket.socket, serve: Callable[[socket.socket, Any], None]) -> None:
    """Give each connection and its peer's address to a thread of its own, until the listener is
    closed.

    accept(2) fails for reasons that pass: no free descriptor (EMFILE, ENFILE), no memory, a peer
    that hung up while it waited. The next connection may be a child, so only the end of the
    listener ends the loop.
    """
    failed = ""
    while listener.fileno() >= 0:
        try:
            connection, peer = listener.accept()
            _start(serve, connection, peer)
        except (OSError, RuntimeError) as error:  # RuntimeError: no further thread can be started
            if listener.fileno() >= 0 and str(error) != failed:
                log.warning(
                    "a connection could not be accepted, and the node goes on listening: %s", error
                )
                failed = str(error)
            time.sleep(_PAUSE_SECONDS)


def _start(
    serve: Callable[[socket.socket, Any], None], connection: socket.socket, peer: object
) -> None:
    try:
        threading.Thread(target=serve, args=(connection, peer), daemon=True).start()
    except BaseException:
        connection.close()
        raise
