"""The address under which the other nodes of the job reach this one."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

_METADATA: Final = "ECS_CONTAINER_METADATA_URI_V4"
_SECONDS: Final = 2.0


def told_by_agent(environ: Mapping[str, str] = os.environ) -> str | None:
    """IPv4 address of this container as the container agent knows it; None where there is no agent.

    From ECS task metadata version 4, `Networks[].IPv4Addresses`: a multi-node job's containers have a network interface of their own beside
    a link-local one, `ecs-eth0`, that leads to the agent only.
    """
    uri = environ.get(_METADATA, "")
    return _from_metadata(uri) if uri else None


def of_host_name() -> str:
    """IPv4 address that the host's own name stands for; a host without a resolvable name is alone, on loopback."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def is_loopback(address: str) -> bool:
    """Whether the nodes are processes of one machine, told apart by addresses in 127.0.0.0/8."""
    return ipaddress.ip_address(address).is_loopback


def _from_metadata(uri: str) -> str | None:
    try:
        with urllib.request.urlopen(uri, timeout=_SECONDS) as reply:  # noqa: S310 - the agent's own URI
            document: dict[str, Any] = json.load(reply)
        addresses = [address for network in document["Networks"] for address in network["IPv4Addresses"]]
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return None
    return next((address for address in addresses if not ipaddress.ip_address(address).is_link_local), None)
