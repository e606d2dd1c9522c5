"""Cases of the rules on how runs are ordered: orchestrators, fallback, shards, the day; see
rule_cases.py.
"""

from __future__ import annotations

from tests.config.prod_changes import FALLBACK, FARGATE, ONE_GPU, Case, postprocess_on
from tests.config.stacks import REMOVED, sections

CASES: dict[str, list[Case]] = {
    "FALLBACK-ORCHESTRATOR": [
        Case(
            {"jobs.fallback": FALLBACK, "pipeline": {}},
            "pipeline.orchestrator",
            ("nothing would ever start it",),
            {"jobs.fallback": FALLBACK},
        )
    ],
    "SHARDS-NODES": [
        Case(
            {"jobs.analysis.shards": 8},
            "jobs.analysis.shards",
            ("nodes is 4", "a job of one node"),
            {**ONE_GPU, "jobs.analysis.shards": 8},
        )
    ],
    "SHARDS-MODE": [
        Case(
            {**ONE_GPU, "jobs.analysis.shards": 2, "jobs.analysis.anomaly_mode": "off"},
            "jobs.analysis.shards",
            ("nothing else is shared out",),
            {**ONE_GPU, "jobs.analysis.shards": 2, "jobs.analysis.anomaly_mode": "full"},
        ),
        Case(
            {"jobs.fallback": {**FALLBACK, "shards": 2, "anomaly_mode": "off"}},
            "jobs.fallback.shards",
            ("set anomaly_mode to top or full",),
            {"jobs.fallback": {**FALLBACK, "shards": 2}},
        ),
    ],
    "FALLBACK-NODES": [
        Case(
            {"jobs.fallback": {**sections()["jobs"]["analysis"], "nodes": 2}},
            "jobs.fallback.nodes",
            ("one node",),
            {"jobs.fallback": FALLBACK},
        )
    ],
    "POLL-HISTORY": [
        Case(
            {"pipeline.deadline_hours": 36, "pipeline.poll_seconds": 48},
            "pipeline.poll_seconds",
            ("raise it to 49",),
            {"pipeline.deadline_hours": 36},
        ),
        Case(
            {"pipeline.poll_seconds": 10},
            "pipeline.poll_seconds",
            ("24 h",),
            {"pipeline": {"poll_seconds": 10}},
        ),
        Case(
            {
                "pipeline.deadline_hours": 1,
                "pipeline.poll_seconds": 10,
                "pipeline.daily": {"file_by": "01:00", "finished_by": "22:00"},
            },
            "pipeline.poll_seconds",
            ("the day may wait 21 h", "raise it to 29"),
            {
                "pipeline.deadline_hours": 1,
                "pipeline.poll_seconds": 10,
                "pipeline.daily": {"file_by": "01:00", "finished_by": "05:00"},
            },
        ),
    ],
    "DAILY-ORDER": [
        Case(
            {"pipeline.daily": {"file_by": "06:00", "finished_by": "06:00"}},
            "pipeline.daily.finished_by",
            ("file_by is 06:00",),
            {"pipeline.daily": {"file_by": "06:00", "finished_by": "06:01"}},
        )
    ],
    "GROWTH-STEPS": [
        Case(
            {"jobs.preprocess.memory_growth_mib": [4096]},
            "jobs.preprocess.memory_growth_mib.0",
            ("memory_mib is 4096 MiB", "raise it above 4096"),
            {"jobs.preprocess.memory_growth_mib": [4097]},
        ),
        Case(
            {"jobs.postprocess.memory_growth_mib": [4096, 6144, 6144]},
            "jobs.postprocess.memory_growth_mib.2",
            ("the step before it is 6144 MiB",),
            {"jobs.postprocess.memory_growth_mib": [4096, 6144, 6145]},
        ),
    ],
    "GROWTH-SIZE": [
        Case(
            {"jobs.preprocess.memory_growth_mib": [6144, 9_000_000]},
            "jobs.preprocess.memory_growth_mib.1",
            ("no instance type of environment", "ask for less"),
            {"jobs.preprocess.memory_growth_mib": [6144]},
        ),
        Case(
            {
                **postprocess_on(FARGATE),
                "jobs.postprocess.memory_growth_mib": [5000],
            },
            "jobs.postprocess.memory_growth_mib.0",
            ("Fargate pairs 1 vCPUs with 2048 to 8192 MiB in steps of 1024",),
            {
                **postprocess_on(FARGATE),
                "jobs.postprocess.memory_growth_mib": [5120],
            },
        ),
    ],
    "GROWTH-FALLBACK": [
        Case(
            {"jobs.fallback": FALLBACK, "jobs.analysis.memory_growth_mib": [1_100_000]},
            "jobs.analysis.memory_growth_mib",
            ("whatever it failed of", "give the fallback more memory_mib"),
            {"jobs.fallback": FALLBACK, "jobs.preprocess.memory_growth_mib": [6144]},
        )
    ],
    "DAILY-ENABLED": [
        Case(
            {"pipeline.enabled": False},
            "pipeline.enabled",
            ("begins runs all the same",),
            {"pipeline.enabled": False, "pipeline.daily": REMOVED},
        )
    ],
}
