"""Cases of the rules on capacity: jobs that fit, vCPUs, sizes on Fargate; see rule_cases.py."""

from __future__ import annotations

from tests.config.prod_changes import (
    ANALYSIS_ON_FARGATE,
    FARGATE,
    ON_DEMAND,
    ON_FARGATE,
    Case,
    postprocess_on,
)

CASES: dict[str, list[Case]] = {
    "JOB-FITS": [
        # r6i.2xlarge: 65536 MiB less 6 % and 32 MiB
        Case(
            {"jobs.preprocess.memory_mib": 61_572},
            "jobs.preprocess",
            (
                "environment spot-cpu",
                "r6i.2xlarge 8 vCPUs, 61571 MiB",
                "environment on-demand-cpu",
                "30769",
                "and 7 smaller",
            ),
            {"jobs.preprocess.memory_mib": 7668},
        ),
        Case(
            {"jobs.analysis.gpus": 9, "jobs.analysis.ranks_per_node": 9},
            "jobs.analysis",
            ("8 GPUs",),
            {},
        ),
        Case(
            {"jobs.analysis.memory_mib": 1_971_291},
            "jobs.analysis",
            ("1971290 MiB",),
            {"jobs.analysis.memory_mib": 1_971_290},
        ),
    ],
    "JOB-MAX-VCPUS": [
        Case(
            postprocess_on({**ON_DEMAND, "max_vcpus": 1}) | {"jobs.postprocess.vcpus": 2},
            "environments.own.max_vcpus",
            ("found 1", "needs 2"),
            postprocess_on({**ON_DEMAND, "max_vcpus": 4}) | {"jobs.postprocess.vcpus": 2},
        ),
        Case(
            postprocess_on({**FARGATE, "max_vcpus": 1})
            | {"jobs.postprocess.vcpus": 2, "jobs.postprocess.memory_mib": 4096},
            "environments.own.max_vcpus",
            ("raise max_vcpus to 2",),
            postprocess_on({**FARGATE, "max_vcpus": 2})
            | {"jobs.postprocess.vcpus": 2, "jobs.postprocess.memory_mib": 4096},
        ),
    ],
    "JOB-MIN-VCPUS": [
        Case(
            postprocess_on(
                {**ON_DEMAND, "instance_types": ["c6i.large", "c6i.xlarge"], "min_vcpus": 15}
            )
            | {"jobs.postprocess.vcpus": 4},
            "environments.own.min_vcpus",
            ("16 vCPUs of types too small", "the 4 that it needs", "max_vcpus 16"),
            postprocess_on({**ON_DEMAND, "min_vcpus": 15}) | {"jobs.postprocess.vcpus": 4},
        )
    ],
    "JOB-ENVIRONMENT": [
        Case(
            {
                "jobs.preprocess.vcpus": 3,
                "environments.on-demand-cpu.instance_types": ["c6i.large"],
            },
            "queues.main.environments",
            ("environment on-demand-cpu never runs jobs.preprocess", "c6i.large 2 vCPUs"),
            {"jobs.preprocess.vcpus": 3},
        )
    ],
    "JOB-TYPES": [
        # c6i.xlarge: 8192 MiB less 6 % and 32 MiB
        Case(
            {"environments.on-demand-cpu.instance_types": ["m6i.xlarge", "c6i.large"]},
            "environments.on-demand-cpu.instance_types",
            (
                "jobs.preprocess wants 2 vCPUs and 4096 MiB",
                "c6i.large (2 vCPUs, 3818 MiB usable, 0 GPUs)",
            ),
            {"environments.on-demand-cpu.instance_types": ["m6i.xlarge", "c6i.xlarge"]},
        )
    ],
    "MAX-VCPUS-INSTANCE": [
        Case(
            postprocess_on({**ON_DEMAND, "max_vcpus": 3}),
            "environments.own.max_vcpus",
            ("c6i.xlarge", "raise max_vcpus to 4"),
            postprocess_on({**ON_DEMAND, "max_vcpus": 4}),
        )
    ],
    "MIN-VCPUS": [
        Case(
            {"environments.on-demand-cpu.min_vcpus": 33},
            "environments.on-demand-cpu.min_vcpus",
            ("max_vcpus is 32",),
            {"environments.on-demand-cpu.min_vcpus": 32},
        )
    ],
    "JOB-VCPUS": [
        Case(
            {"jobs.preprocess.vcpus": 1.5},
            "jobs.preprocess.vcpus",
            ("1.5",),
            {"jobs.preprocess.vcpus": 1},
        )
    ],
    "JOB-SIZE": [
        Case(
            {**ON_FARGATE, "jobs.postprocess.memory_mib": 3000},
            "jobs.postprocess.memory_mib",
            ("2048 to 8192", "1024"),
            {**ON_FARGATE, "jobs.postprocess.memory_mib": 3072},
        ),
        Case(
            {**ON_FARGATE, "jobs.postprocess.vcpus": 3},
            "jobs.postprocess.vcpus",
            ("0.25",),
            {**ON_FARGATE, "jobs.postprocess.vcpus": 0.5},
        ),
    ],
    "FARGATE-GPU": [
        Case(
            {**ANALYSIS_ON_FARGATE, "jobs.analysis.array_backend": "cupy", "jobs.analysis.gpus": 1},
            "jobs.analysis.gpus",
            ("Fargate, which has no GPUs",),
            ANALYSIS_ON_FARGATE,
        )
    ],
    "FARGATE-RANKS": [
        Case(
            {**ANALYSIS_ON_FARGATE, "jobs.analysis.ranks_per_node": 2},
            "jobs.analysis.ranks_per_node",
            ("64 MiB",),
            ANALYSIS_ON_FARGATE,
        )
    ],
}
