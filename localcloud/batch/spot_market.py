"""The Spot market: EC2 says that it takes a machine back, and two minutes later it does.

The notice stands in the instance metadata service (EC2 user guide,
"spot-instance-termination-notices"). What the instance makes of it, its boot script has set up, and
is read from its text: whether the container agent takes no new tasks
(ECS_ENABLE_SPOT_INSTANCE_DRAINING, Amazon ECS developer guide), and whether a watch sends
containers the signal that they ask for. On Fargate the notice is a SIGTERM.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from localcloud.batch.attempts import RunningAttempt
from localcloud.batch.records import ComputeEnvironment, Instance, Store
from localcloud.moto.boot_script import script_of

NOTICE_SECONDS: Final = 120.0
"""How long before its end EC2 says so."""
INTERRUPTED: Final = "Your Spot Task was interrupted."
_DRAINS: Final = re.compile(r"ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\b")
_WATCH: Final = re.compile(
    r"meta-data/spot/instance-action.*\.Config\.Env"
    r".*s/\^(?P<variable>\w+)=//p.*docker kill --signal",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class _Market:
    every_seconds: float
    notice_seconds: float


class SpotMarket:
    """Who is taken back and when. The caller holds the lock of the store.

    Args:
        store: all records.
        now: the clock, seconds since 1970.
        running: attempts that run at present.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        running: Callable[[], Iterable[RunningAttempt]],
    ) -> None:
        self._store, self._now, self._running = store, now, running
        self._market: _Market | None = None
        self._seen: dict[str, float] = {}

    def set(self, every_seconds: float | None, notice_seconds: float) -> None:
        """Every Spot machine is taken back so long after its start; None ends that."""
        self._market = (
            None
            if every_seconds is None
            else _Market(every_seconds=every_seconds, notice_seconds=notice_seconds)
        )

    def announce(
        self, environment: ComputeEnvironment, instance: Instance, notice_seconds: float
    ) -> None:
        """EC2 says that it takes the machine back, and the machine does what it was set up to."""
        if instance.taken_at is not None:
            return
        instance.taken_at = self._now() + notice_seconds
        if environment.is_fargate:
            for attempt, _ in self.on(instance):
                attempt.interrupt(INTERRUPTED)
            return
        script = script_of(self._store.state, environment.resources)
        instance.draining = _DRAINS.search(script) is not None
        watch = _WATCH.search(script)
        if watch is None:
            return
        for attempt, node in self.on(instance):
            asked = _variable(attempt, node, watch["variable"])
            if asked in signal.Signals.__members__:
                attempt.signal(node, signal.Signals[asked])

    def on(self, instance: Instance) -> list[tuple[RunningAttempt, int]]:
        """The attempts that run there, each with its node."""
        return [
            (attempt, node)
            for attempt in self._running()
            for node, other in enumerate(attempt.instances)
            if other is instance
        ]

    def due(self) -> list[tuple[ComputeEnvironment, Instance]]:
        """Announces what the market takes back, and returns what goes now."""
        now = self._now()
        spot = [
            (environment, instance)
            for environment in self._store.environments.values()
            if environment.is_spot
            for instance in list(environment.instances.values())
        ]
        self._seen = {each.id: self._seen.get(each.id, now) for _, each in spot}
        if self._market is not None:
            for environment, instance in spot:
                at = self._seen[instance.id] + self._market.every_seconds
                if at - self._market.notice_seconds <= now:
                    self.announce(environment, instance, max(0.0, at - now))
        return [pair for pair in spot if (pair[1].taken_at or now + 1) <= now]

    def next(self) -> float:
        """Seconds until the next thing happens by itself."""
        now, moments = self._now(), [float("inf")]
        for environment in self._store.environments.values():
            for instance in environment.instances.values():
                if instance.taken_at is not None:
                    moments.append(instance.taken_at)
                elif self._market is not None and environment.is_spot:
                    begun = self._seen.get(instance.id, now)
                    moments.append(begun + self._market.every_seconds - self._market.notice_seconds)
        return max(0.0, min(moments) - now)


def _variable(attempt: RunningAttempt, node: int, name: str) -> str:
    for each in attempt.job.nodes[node].get("environment") or []:
        if each.get("name") == name:
            return str(each.get("value") or "")
    return ""
