"""Who may speak to the port at all: programs of this machine that call it by its own name, and no
page of a browser.

The port is open to everything that runs on the machine, a browser with any page of the web in it
included. Such a page cannot hide its origin, nor, where it makes a name of its own point to
127.0.0.1 (DNS rebinding), the name by which it came. Both are looked at before anything else of a
request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = re.compile(
    r"127(?:\.\d{1,3}){3}|\[::1\]|(?:[a-z0-9_-]+\.)*localhost", re.IGNORECASE
)
"""Addresses of this machine, and `localhost` with everything below it, which nobody else can own
(RFC 6761, section 6.3).
"""


def refusal(port: int, hosts: Sequence[str], origins: Sequence[str]) -> str | None:
    """Why a request is not answered; None where it may go on to its signature.

    Args:
        port: Of this endpoint.
        hosts: Every host that the request names: its Host headers, and that of an absolute request
            target.
        origins: Its Origin headers.
    """
    if not hosts:
        return "the request names no Host"
    for host in hosts:
        if not _is_ours(host, port):
            return (
                f"Host is {host[:200]!r}, and this endpoint is only localhost:{port} and"
                f" 127.0.0.1:{port}, on this machine"
            )
    for origin in origins:
        parts = urlsplit(origin) if origin.startswith("http://") else None
        if parts is None or origin != f"http://{parts.netloc}" or not _is_ours(parts.netloc, port):
            return f"Origin is {origin[:200]!r}: pages of a browser may not call this endpoint"
    return None


def _is_ours(host: str, port: int) -> bool:
    name, colon, number = host.rpartition(":")
    if not colon or host.endswith("]"):  # no port is port 80
        name, number = host, "80"
    return _LOOPBACK.fullmatch(name) is not None and number == str(port)
