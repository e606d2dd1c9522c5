"""How the address space of the VPC is divided.

Pure arithmetic, so that rules can ask for it before anything exists.
"""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from typing import Final

_SMALLEST_PREFIX: Final = 28
"""AWS makes no subnet smaller than /28."""
_PUBLIC_BITS: Final = 8
"""A public subnet holds one NAT gateway, so a 256th of the VPC does."""
RESERVED_ADDRESSES: Final = 5
"""Network, router, DNS, future use and broadcast: taken by AWS in every subnet."""


@dataclass(frozen=True, kw_only=True)
class SubnetPlan:
    """CIDR blocks, one public and one private for each zone, index = zone."""

    public: tuple[str, ...]
    private: tuple[str, ...]

    @property
    def private_addresses(self) -> int:
        """Addresses that one private subnet has for interfaces."""
        return ipaddress.IPv4Network(self.private[0]).num_addresses - RESERVED_ADDRESSES


@functools.cache
def plan_subnets(cidr_block: str, zones: int) -> SubnetPlan:
    """Private subnets from the beginning of the block, as large as they can be; small public ones
    from its end.

    Private subnets are large because machines are greedy: each network interface of type efa takes
    an address, and every container of a multi-node job one more. A block of /16 to /24 has room for
    six zones. How large they are depends on how many there are, so a living network keeps the
    number that it was cut for (`network.room_for_zones`), however many of the subnets it uses.
    """
    vpc = ipaddress.IPv4Network(cidr_block)
    public_prefix = min(vpc.prefixlen + _PUBLIC_BITS, _SMALLEST_PREFIX)
    taken = zones << (32 - public_prefix)
    private_prefix = next(
        p
        for p in range(vpc.prefixlen, _SMALLEST_PREFIX + 1)
        if (zones << (32 - p)) + taken <= vpc.num_addresses
    )
    first, end = int(vpc.network_address), int(vpc.broadcast_address) + 1
    return SubnetPlan(
        private=tuple(
            str(ipaddress.IPv4Network((first + (i << (32 - private_prefix)), private_prefix)))
            for i in range(zones)
        ),
        public=tuple(
            str(ipaddress.IPv4Network((end - ((i + 1) << (32 - public_prefix)), public_prefix)))
            for i in range(zones)
        ),
    )
