from __future__ import annotations

import math

from workloads.analysis.checkpoint.schedule import NODE_MTBF_HOURS, Cadence


def test_dear_checkpoints_come_seldom_and_cheap_ones_never_below_the_floor():
    now = 0.0
    cadence = Cadence(nodes=100, floor_seconds=60, clock=lambda: now)
    assert not cadence.due()
    now = 60.0
    assert cadence.due()
    cadence.stored(2.0)
    assert cadence.interval_seconds == math.sqrt(2 * 2.0 * NODE_MTBF_HOURS * 3600 / 100) > 300
    now += 300
    assert not cadence.due()
    now += 30
    assert cadence.due()
    cadence.stored(0.001)
    assert cadence.interval_seconds == 60
    assert not cadence.due()
