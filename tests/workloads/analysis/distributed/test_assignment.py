from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workloads.analysis.distributed.assignment import groups, rounds
from workloads.analysis.tree import share


@given(st.integers(1, 40), st.integers(0, 200))
def test_every_unit_is_put_on_the_ring_once_by_its_own_rank(ranks, units):
    seen = []
    shares = [share(rank, ranks, units) for rank in range(ranks)]
    for offered in rounds(shares):
        assert len(offered) == ranks
        for rank, unit in enumerate(offered):
            if unit is not None:
                assert unit in share(rank, ranks, units)
                seen.append(unit)
    assert sorted(seen) == list(range(units))


@given(
    st.lists(st.integers(0, 99), unique=True).map(sorted), st.integers(0, 100), st.integers(0, 1000)
)
def test_groups_fit_the_budget_and_hold_one_unit_at_least(units, unit_bytes, budget):
    found = groups(units, unit_bytes, budget)
    assert [unit for group in found for unit in group] == units
    assert all(group for group in found)
    assert all(len(group) == 1 or len(group) * unit_bytes <= budget for group in found)
