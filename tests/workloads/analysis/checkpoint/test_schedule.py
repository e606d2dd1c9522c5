from __future__ import annotations

import math

from workloads.analysis.checkpoint.schedule import NODE_MTBF_HOURS, CheckpointSchedule


def test_dear_checkpoints_come_seldom_and_cheap_ones_never_below_the_floor():
    now = 0.0
    schedule = CheckpointSchedule(nodes=100, floor_seconds=60, clock=lambda: now)
    assert not schedule.due()
    now = 60.0
    assert schedule.due()
    schedule.stored(2.0)
    assert schedule.interval_seconds == math.sqrt(2 * 2.0 * NODE_MTBF_HOURS * 3600 / 100) > 300
    now += 300
    assert not schedule.due()
    now += 30
    assert schedule.due()
    schedule.stored(0.001)
    assert schedule.interval_seconds == 60
    assert not schedule.due()
