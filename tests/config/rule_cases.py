"""For every rule: small changes of the prod stack that break it and nothing else, each with one
beside it that breaks nothing.
"""

from __future__ import annotations

from tests.config.prod_changes import DISABLED, FARGATE, LIMITS, ON_DEMAND, Case
from tests.config.stacks import NAMING, REMOVED, Changes

NAMED_SHORT: Changes = {NAMING: {"pattern": "br-re-${name}-${hex(5)}"}}


def many_environments(count: int) -> Changes:
    return {f"environments.e{i}": {**ON_DEMAND, **DISABLED} for i in range(count)}


def many_queues(count: int) -> Changes:
    return {f"queues.q{i}": {"environments": ["gpu"], "priority": i + 100} for i in range(count)}


def many_columns(count: int, letter: str = "c") -> Changes:
    columns = {f"{letter * 20}{i:04}": {"required": True} for i in range(count)}
    return {"jobs.preprocess.columns": {"sales": columns}}


def many_shares(count: int) -> Changes:
    shares = {f"s{i:03}": 1 for i in range(count)}
    return {"queues.main.fair_share.weights": {"pipeline": 1, **shares}}


def many_tags(count: int) -> Changes:
    return {"tags": {f"t{i}": "x" for i in range(count)}}


CASES: dict[str, list[Case]] = {
    # ---- names, secrets, quotas, tags ------------------------------------------------------------
    "STACK-NAME": [
        Case({}, "stack", ('"Prod_EU"', "name the stack prod-eu"), {}, ("Prod_EU", "prod-eu")),
        Case({}, "stack", ("name the stack a-b",), {}, ("a--b", "a-b")),
        Case({}, "stack", ("name the stack a-b-c",), {}, ("a_b.c", "a-b-c")),
        Case(
            {},
            "stack",
            ("has 14 characters", "room for 12", "name the stack research-in"),
            {},
            ("research-in-eu", "research-eu"),
        ),
        Case({}, "stack", ("runbook.md",), NAMED_SHORT, ("research-in-eu", "research-in-eu")),
        Case(
            {NAMING: {"pattern": "${stack}-${name}-${hex(4)}"}},
            "stack",
            ("room for 12",),
            NAMED_SHORT,
            ("research-in-eu", "a" * 100),
        ),
        Case(NAMED_SHORT, "stack", ("at most 100",), NAMED_SHORT, ("Prod", "prod")),
        Case(NAMED_SHORT, "stack", ("room for 100",), {}, ("a" * 101, "prod")),
    ],
    "REGION-CHINA": [
        Case(
            {"aws:region": "cn-north-1"},
            "aws:region",
            ("cn-north-1", "outside of China"),
            {"aws:region": "us-gov-west-1"},
        ),
        Case(
            {"aws:region": "cn-northwest-1"},
            "aws:region",
            ("another region",),
            {"aws:region": "eu-central-1"},
        ),
    ],
    "SECRET-PLAIN": [
        Case(
            {"slack-webhook-url": "https://x"},
            "slack-webhook-url",
            ("revoke it", "--secret slack-webhook-url"),
            {"slack-webhook-url": {"secure": "v1:x"}},
        )
    ],
    "QUOTA": [
        Case(many_environments(48), "environments", ("found 51", "50"), many_environments(47)),
        Case(many_queues(49), "queues", ("found 51",), many_queues(48)),
    ],
    "COLUMNS-SIZE": [
        Case(
            many_columns(394),
            "jobs.preprocess.columns",
            ('"20503 bytes"', "24 KiB", "20480"),
            many_columns(393),
        ),
        Case(many_columns(220, "ö"), "jobs.preprocess.columns", ("bytes",), many_columns(220)),
    ],
    "TAG-COUNT": [Case(many_tags(47), "tags", ("found 47", "46"), many_tags(46))],
    "TAG-OWN": [
        Case({"tags.Stack": "x"}, "tags.Stack", ("the tag stack itself",), {"tags.stacks": "x"}),
        Case({"tags.pipeline-stage": "x"}, "tags.pipeline-stage", ("itself",), {}),
    ],
    "TAG-CASE": [
        Case(
            {"tags.Cost-Center": "x"},
            "tags.Cost-Center",
            ("cost-center",),
            {"tags.Cost-Centers": "x"},
        )
    ],
    # ---- references ------------------------------------------------------------------------------
    "REF-ENVIRONMENT": [
        Case(
            {"queues.gpu.environments": ["gpu", "gpus"]},
            "queues.gpu.environments.1",
            ("gpu, on-demand-cpu, spot-cpu",),
            {"queues.gpu.environments": ["gpu"]},
        ),
        Case(
            {"queues.main.environments": ["spot-cpu", "on-demand-cpu", "spot-cpu"]},
            "queues.main.environments.2",
            ("twice",),
            {"queues.main.environments": ["spot-cpu", "on-demand-cpu"]},
        ),
    ],
    "REF-QUEUE": [
        Case({"jobs.preprocess.queue": "mian"}, "jobs.preprocess.queue", ("gpu, main",), {})
    ],
    "QUEUE-DISABLED": [
        Case(
            {"queues.gpu.enabled": False},
            "queues.gpu.enabled",
            ("analysis would be refused",),
            {"queues.gpu.enabled": False, "pipeline": DISABLED},
        ),
        Case(
            {"environments.gpu.enabled": False},
            "environments.gpu.enabled",
            ("queue gpu, where analysis run",),
            {"environments.spot-cpu.enabled": False},
        ),
    ],
    "ENVIRONMENT-UNUSED": [
        Case(
            {"environments.own": ON_DEMAND},
            "environments.own",
            ("no queue names",),
            {"environments.own": {**ON_DEMAND, **DISABLED}},
        ),
    ],
    # ---- queues ----------------------------------------------------------------------------------
    "QUEUE-MIX": [
        Case(
            {
                "environments.fargate": FARGATE,
                "queues.main.environments": ["spot-cpu", "on-demand-cpu", "fargate"],
            },
            "queues.main.environments",
            ("split the queue",),
            {"environments.fargate": FARGATE, "queues.cheap": {"environments": ["fargate"]}},
        )
    ],
    "QUEUE-ARCHITECTURE": [
        Case(
            {"environments.on-demand-cpu.instance_types": ["c6i.xlarge", "c7g.xlarge"]},
            "queues.main.environments",
            ("arm64: c7g.xlarge", "x86_64: c6i.xlarge, c6i.2xlarge, c7i.xlarge and 7 more"),
            {
                "environments.arm": {**ON_DEMAND, "instance_types": ["c7g.xlarge"]},
                "queues.arm": {"environments": ["arm"]},
            },
        ),
        Case(
            {
                "environments.own": {
                    **ON_DEMAND,
                    **DISABLED,
                    "instance_types": ["c6i.xlarge", "c7g.xlarge"],
                }
            },
            "environments.own.instance_types",
            ("arm64",),
            {"environments.own": {**ON_DEMAND, **DISABLED, "instance_types": ["c7g.xlarge"]}},
        ),
    ],
    "QUEUE-ORDER": [
        Case(
            {"queues.main.environments": ["on-demand-cpu", "spot-cpu"]},
            "queues.main.environments",
            ("write [spot-cpu, on-demand-cpu]",),
            {"queues.main.environments": ["spot-cpu"], "environments.on-demand-cpu.enabled": False},
        )
    ],
    "QUEUE-PRIORITY": [
        Case(
            {"queues.adhoc": {"environments": ["on-demand-cpu"], "priority": 10}},
            "queues.adhoc.priority",
            ("queue main", "on-demand-cpu"),
            {"queues.adhoc": {"environments": ["on-demand-cpu"], "priority": 9}},
        )
    ],
    "RUNNABLE-REASON": [
        Case(
            {"queues.main.runnable_limits": LIMITS * 2},
            "queues.main.runnable_limits.1.reason",
            ("already",),
            {"queues.main.runnable_limits": LIMITS},
        )
    ],
    "RUNNABLE-LIMIT": [
        Case(
            {"queues.gpu.runnable_limits.0.max_minutes": 19},
            "queues.gpu.runnable_limits.0.max_minutes",
            ("found 19", "20"),
            {"queues.gpu.runnable_limits.0.max_minutes": 20},
        )
    ],
    "RUNNABLE-NONE": [
        Case(
            {"queues.gpu.runnable_limits": []},
            "queues.gpu.runnable_limits",
            ("for ever",),
            {"queues.main.runnable_limits": []},
        ),
    ],
    # ---- fair share ------------------------------------------------------------------------------
    "FAIR-SHARE-IDENTIFIER": [
        Case(
            {"jobs.preprocess.share_identifier": REMOVED},
            "jobs.preprocess.share_identifier",
            ("adhoc, pipeline",),
            {},
        ),
        Case(
            {"jobs.analysis.share_identifier": "pipeline"},
            "jobs.analysis.share_identifier",
            ("queue gpu has no fair_share",),
            {},
        ),
        Case(
            {"jobs.preprocess.share_identifier": "nightly"},
            "jobs.preprocess.share_identifier",
            ("adhoc, pipeline",),
            {"queues.main.fair_share.weights": {"pipe*": 1}},
        ),
        Case(
            {"jobs.preprocess.share_identifier": "pipeline*"},
            "jobs.preprocess.share_identifier",
            ("one share",),
            {},
        ),
        Case(
            {"jobs.preprocess.scheduling_priority": REMOVED},
            "jobs.preprocess.scheduling_priority",
            ("queue main",),
            {"jobs.preprocess.scheduling_priority": 1},
        ),
    ],
    "FAIR-SHARE-COUNT": [
        Case(
            many_shares(500),
            "queues.main.fair_share.weights",
            ("found 501", "500 identifiers"),
            many_shares(499),
        )
    ],
    "FAIR-SHARE-OVERLAP": [
        Case(
            {"queues.main.fair_share.weights.pipe*": 3},
            "queues.main.fair_share.weights",
            ('["pipe*", "pipeline"]',),
            {"queues.main.fair_share.weights.pipes*": 3},
        ),
        Case(
            {"queues.main.fair_share.weights": {"p*": 1, "pipe*": 2}},
            "queues.main.fair_share.weights",
            ("covers",),
            {"queues.main.fair_share.weights": {"p*": 1, "q*": 2}},
        ),
    ],
    "FAIR-SHARE-MNP": [
        Case(
            {
                "queues.gpu.fair_share": {"weights": {"a": 1}},
                "jobs.analysis.share_identifier": "a",
                "jobs.analysis.scheduling_priority": 1,
            },
            "jobs.analysis.queue",
            ("4 nodes",),
            {},
        )
    ],
    "FAIR-SHARE-RESERVATION": [
        # 3 % of 64 is less than two vCPUs, 4 % more
        Case(
            {
                "queues.main.fair_share.compute_reservation_percent": 97,
                "environments.on-demand-cpu.max_vcpus": 64,
            },
            "queues.main.fair_share.compute_reservation_percent",
            ("leaves 1.92 of the 64", "jobs.preprocess needs 2"),
            {
                "queues.main.fair_share.compute_reservation_percent": 96,
                "environments.on-demand-cpu.max_vcpus": 64,
            },
        )
    ],
    "SCHEDULING-PRIORITY": [
        Case(
            {"jobs.analysis.scheduling_priority": 1},
            "jobs.analysis.scheduling_priority",
            ("no effect",),
            {},
        ),
    ],
}
