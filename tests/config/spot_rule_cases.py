"""Cases of the rules on an analysis that leaves Spot after some attempts; see rule_cases.py."""

from __future__ import annotations

from tests.config.prod_changes import FALLBACK, GPU_TYPES, ONE_GPU, Case
from tests.config.stacks import Changes

_ON_DEMAND = {
    "kind": "on-demand",
    "instance_types": GPU_TYPES,
    "image_type": "ECS_AL2023_NVIDIA",
    "max_vcpus": 64,
}
LEAVES_SPOT: Changes = {
    **ONE_GPU,
    "environments.other": _ON_DEMAND,
    "queues.other": {"environments": ["other"]},
    "jobs.analysis.attempts": 3,
    "jobs.analysis.spot_attempts": 2,
    "jobs.analysis.on_demand_queue": "other",
}
_ATTEMPTS, _QUEUE = "jobs.analysis.spot_attempts", "jobs.analysis.on_demand_queue"


def _without(*paths: str) -> Changes:
    return {path: value for path, value in LEAVES_SPOT.items() if path not in paths}


CASES: dict[str, list[Case]] = {
    "SPOT-COUNT": [
        Case(
            {**ONE_GPU, "network.nat": "none"},
            "network.interface_endpoints",
            ("jobs.analysis may run on Spot", "add batch"),
            {**ONE_GPU, "network.nat": "none", "network.interface_endpoints": ["batch"]},
        ),
        Case(
            {
                **LEAVES_SPOT,
                "network.nat": "none",
                "network.interface_endpoints": ["sts", "monitoring"],
            },
            "network.interface_endpoints",
            ('["sts", "monitoring"]',),
            {"network.nat": "none"},  # the base's analysis is On-Demand
        ),
    ],
    "SPOT-ATTEMPTS-QUEUE": [
        Case(_without(_QUEUE), _ATTEMPTS, ("nothing follows them", "name one of gpu, other"), {}),
        Case(_without(_ATTEMPTS), _QUEUE, ("nothing ever goes there",), LEAVES_SPOT),
    ],
    "SPOT-ATTEMPTS-PLACE": [
        Case(
            {
                **LEAVES_SPOT,
                "jobs.analysis.queue": "other",
                "queues.own": {"environments": ["own"]},
            },
            _ATTEMPTS,
            ("queue other", "has no Spot environment"),
            LEAVES_SPOT,
        )
    ],
    "ON-DEMAND-QUEUE": [
        Case(
            {**LEAVES_SPOT, "queues.other": {"environments": ["own", "other"], "priority": 2}},
            _QUEUE,
            ("its environment own is on Spot too",),
            LEAVES_SPOT,
        )
    ],
    "SPOT-ATTEMPTS-COUNT": [
        Case(
            {**LEAVES_SPOT, "jobs.analysis.attempts": 2},
            _ATTEMPTS,
            ("attempts is 2", "raise attempts to 3"),
            LEAVES_SPOT,
        )
    ],
    "SPOT-FALLBACK": [
        Case(
            {**LEAVES_SPOT, "jobs.fallback": FALLBACK},
            _ATTEMPTS,
            ("takes the place of the analysis already",),
            {**ONE_GPU, "jobs.fallback": FALLBACK},
        )
    ],
}
