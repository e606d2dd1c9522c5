"""How often to store: often enough to lose little, seldom enough to cost little."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

NODE_MTBF_HOURS: Final = 30 * 24.0
"""Mean time between failures of one node. Cautious: "The Llama 3 Herd of Models" (2024), section
3.3.4, counts 419 unexpected interruptions in 54 days on 2,048 nodes, one in 264 days per node.
"""


class CheckpointSchedule:
    """When the next checkpoint is due: after sqrt(2 C M), C being the cost of the last one and M
    the time between failures of the job.

    Young, CACM 17 (1974) 530; Daly, FGCS 22 (2006) 303, whose higher terms matter only where C
    comes near M.

    Args:
        nodes: Whose failure ends the job.
        floor_seconds: Least interval; also the first one.
        node_mtbf_hours: Between failures of one node.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        nodes: int,
        floor_seconds: float,
        node_mtbf_hours: float = NODE_MTBF_HOURS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mtbf = node_mtbf_hours * 3600 / nodes
        self._floor, self._clock = floor_seconds, clock
        self.interval_seconds = floor_seconds
        self._last = clock()

    def due(self) -> bool:
        """Whether it is time."""
        return self._clock() - self._last >= self.interval_seconds

    def stored(self, cost_seconds: float) -> None:
        """A checkpoint was just stored."""
        self._last = self._clock()
        self.interval_seconds = max(self._floor, math.sqrt(2.0 * cost_seconds * self._mtbf))
