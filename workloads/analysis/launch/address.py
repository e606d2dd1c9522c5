"""The address under which the other nodes of the job reach this one."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

_METADATA: Final = "ECS_CONTAINER_METADATA_URI_V4"
_SECONDS: Final = 2.0
_SIOCGIFADDR: Final = 0x8915
"""netdevice(7): the IPv4 address of an interface, in bytes 20 to 23 of a struct ifreq."""


def told_by_agent(environ: Mapping[str, str] = os.environ) -> str | None:
    """IPv4 address of this container as the container agent knows it; None where there is no agent.

    From ECS task metadata version 4, `Networks[].IPv4Addresses`: a multi-node job's containers have
    a network interface of their own beside a link-local one, `ecs-eth0`, that leads to the agent
    only.
    """
    uri = environ.get(_METADATA, "")
    return _from_metadata(uri) if uri else None


def of_host_name() -> str:
    """IPv4 address that the host's own name stands for; a host without a resolvable name is alone,
    on loopback.
    """
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def is_loopback(address: str) -> bool:
    """Whether the nodes are processes of one machine, told apart by addresses in 127.0.0.0/8."""
    return ipaddress.ip_address(address).is_loopback


def has_link_local() -> bool:
    """Whether an interface of this node has an address in 169.254.0.0/16, as `ecs-eth0` of a
    container does.
    """
    return any(ipaddress.ip_address(address).is_link_local for address in _of_interfaces())


def _of_interfaces() -> list[str]:
    """IPv4 addresses of the network interfaces; none for an interface that has none."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                request = struct.pack("256s", name.encode()[:15])
                found.append(
                    socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])
                )
    return found


def _from_metadata(uri: str) -> str | None:
    try:
        with urllib.request.urlopen(uri, timeout=_SECONDS) as reply:  # noqa: S310 - the agent's own URI
            document: dict[str, Any] = json.load(reply)
        addresses = [
            ipaddress.IPv4Address(address)
            for network in document["Networks"]
            for address in network["IPv4Addresses"]
        ]
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return None
    return next((str(address) for address in addresses if not address.is_link_local), None)
