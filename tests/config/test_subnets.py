from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from config.subnets import plan_subnets


@given(prefix=st.integers(16, 24), zones=st.integers(1, 6), index=st.integers(0, 255))
def test_subnets_are_disjoint_inside_the_vpc_and_of_legal_size(prefix, zones, index) -> None:
    vpc = ipaddress.IPv4Network((f"10.{index}.0.0", prefix))
    plan = plan_subnets(str(vpc), zones)
    subnets = [ipaddress.IPv4Network(cidr) for cidr in (*plan.private, *plan.public)]
    assert len(plan.private) == len(plan.public) == zones
    assert all(subnet.subnet_of(vpc) and 16 <= subnet.prefixlen <= 28 for subnet in subnets)
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)
    private = subnets[:zones]
    # the largest that fit: with twice the size they would not leave room for the public ones
    assert private[0].prefixlen == 16 or 2 * sum(
        s.num_addresses for s in private
    ) > vpc.num_addresses - sum(s.num_addresses for s in subnets[zones:])
    assert plan.private_addresses == private[0].num_addresses - 5


def test_a_zone_of_prod_holds_hundreds_of_machines_with_32_interfaces() -> None:
    assert plan_subnets("10.20.0.0/16", 3).private == (
        "10.20.0.0/18",
        "10.20.64.0/18",
        "10.20.128.0/18",
    )
    assert plan_subnets("10.20.0.0/16", 3).public == (
        "10.20.255.0/24",
        "10.20.254.0/24",
        "10.20.253.0/24",
    )
    assert plan_subnets("10.20.0.0/16", 3).private_addresses // 33 > 400
