"""Every rule has a smallest change of the prod stack that breaks it, and nothing else, and one beside it that does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from config.rules import RULES, base
from config.stack import StackConfig
from tests.config.stacks import REMOVED, Changes, changed, load, problems_of

FARGATE = {"kind": "fargate", "max_vcpus": 16}
SECOND_HPC = {"kind": "hpc", "instance_type": "p5.48xlarge", "image_type": "ECS_AL2023_NVIDIA", "max_vcpus": 768}
ON_FARGATE: Changes = {
    "environments.cheap": FARGATE,
    "queues.cheap": {"environments": ["cheap"]},
    "jobs.postprocess.queue": "cheap",
    "jobs.postprocess.share_identifier": REMOVED,
}
ONE_NODE: Changes = {"jobs.analysis.nodes": 1, "jobs.analysis.queue": "one"}


@dataclass(frozen=True)
class Case:
    breaks: Changes
    path: str
    says: tuple[str, ...]
    passes: Changes


CASES: dict[str, list[Case]] = {
    "REF-ENVIRONMENT": [
        Case({"queues.gpu.environments.0": "gpus"}, "queues.gpu.environments.0", ("gpu, on-demand-cpu, spot-cpu",), {}),
        Case(
            {"queues.main.environments": ["spot-cpu", "spot-cpu"]},
            "queues.main.environments.1",
            ("twice",),
            {"queues.main.environments": ["on-demand-cpu", "spot-cpu"]},
        ),
    ],
    "REF-QUEUE": [Case({"jobs.preprocess.queue": "mian"}, "jobs.preprocess.queue", ("gpu, main",), {})],
    "QUEUE-MIX": [
        Case(
            {"environments.fargate": FARGATE, "queues.main.environments": ["spot-cpu", "fargate"]},
            "queues.main.environments",
            ("split the queue",),
            {"environments.fargate": FARGATE},
        )
    ],
    "QUEUE-ARCHITECTURE": [
        Case(
            {"environments.on-demand-cpu.instance_types": ["c6i.xlarge", "c7g.xlarge"]},
            "queues.main.environments",
            ("arm64: c7g.xlarge", "x86_64: c6i.xlarge, c6i.2xlarge, c7i.xlarge and 7 more"),
            {"environments.arm": {"kind": "on-demand", "instance_types": ["c7g.xlarge"], "max_vcpus": 4}},
        )
    ],
    "FAIR-SHARE-IDENTIFIER": [
        Case({"jobs.preprocess.share_identifier": REMOVED}, "jobs.preprocess.share_identifier", ("adhoc, pipeline",), {}),
        Case({"jobs.analysis.share_identifier": "pipeline"}, "jobs.analysis.share_identifier", ("queue gpu has no fair_share",), {}),
        Case(
            {"jobs.preprocess.share_identifier": "nightly"},
            "jobs.preprocess.share_identifier",
            ("adhoc, pipeline",),
            {"queues.main.fair_share.weights": {"pipe*": 1}},
        ),
        Case(
            {"jobs.preprocess.scheduling_priority": REMOVED},
            "jobs.preprocess.scheduling_priority",
            ("queue main",),
            {"jobs.preprocess.scheduling_priority": 0},
        ),
    ],
    "JOB-FITS": [
        # m6i.2xlarge: 32768 MiB less 6 % and 32 MiB
        Case({"jobs.preprocess.memory_mib": 30_770}, "jobs.preprocess", ("on-demand-cpu", "30769"), {"jobs.preprocess.memory_mib": 30_769}),
        Case({"jobs.analysis.gpus": 9}, "jobs.analysis", ("8 GPUs",), {"jobs.analysis.gpus": 4}),
    ],
    "JOB-SIZE": [
        Case({"jobs.preprocess.vcpus": 1.5}, "jobs.preprocess.vcpus", ("1.5",), {"jobs.preprocess.vcpus": 2}),
        Case(
            {**ON_FARGATE, "jobs.postprocess.memory_mib": 3000},
            "jobs.postprocess.memory_mib",
            ("2048 to 8192", "1024"),
            {**ON_FARGATE, "jobs.postprocess.memory_mib": 3072},
        ),
        Case(
            {**ON_FARGATE, "jobs.postprocess.vcpus": 3}, "jobs.postprocess.vcpus", ("0.25",), {**ON_FARGATE, "jobs.postprocess.vcpus": 0.5}
        ),
    ],
    "GPU-IMAGE": [
        Case(
            {"environments.gpu.image_type": "ECS_AL2023"},
            "environments.gpu.image_type",
            ("8 GPUs", "ECS_AL2023_NVIDIA"),
            {"environments.gpu.image_type": "ECS_AL2023", "environments.gpu.image_id": "ami-0123456789abcdef0"},
        ),
        Case({"jobs.analysis.gpus": 0}, "jobs.analysis.gpus", ("cupy",), {"jobs.analysis.gpus": 0, "jobs.analysis.array_backend": "numpy"}),
    ],
    "MNP-ENVIRONMENT": [
        Case(
            {"environments.gpu-2": SECOND_HPC, "queues.gpu.environments": ["gpu", "gpu-2"]},
            "queues.gpu.environments",
            ("one environment",),
            {"environments.gpu-2": SECOND_HPC, "queues.gpu.environments": ["gpu-2"]},
        ),
        Case(
            {
                "environments.one": {
                    "kind": "spot",
                    "instance_types": ["p5.48xlarge"],
                    "image_type": "ECS_AL2023_NVIDIA",
                    "max_vcpus": 768,
                },
                "queues.one": {"environments": ["one"]},
                "jobs.analysis.queue": "one",
            },
            "environments.one.kind",
            ("4 nodes", "hpc"),
            {
                "environments.one": {
                    "kind": "spot",
                    "instance_types": ["p5.48xlarge"],
                    "image_type": "ECS_AL2023_NVIDIA",
                    "max_vcpus": 768,
                },
                "queues.one": {"environments": ["one"]},
                **ONE_NODE,
            },
        ),
    ],
    "MNP-CAPACITY": [
        Case(
            {"environments.gpu.max_vcpus": 767},
            "environments.gpu.max_vcpus",
            ("767", "768", "4 x 192"),
            {"environments.gpu.max_vcpus": 769},
        )
    ],
    "EFA": [
        Case(
            {"environments.gpu.placement_group": False},
            "environments.gpu.placement_group",
            ("placement group",),
            {"environments.gpu.efa": False},
        ),
        Case(
            {"environments.small": {**SECOND_HPC, "instance_type": "c6i.xlarge", "efa": True}},
            "environments.small.efa",
            ("c6i.xlarge has no EFA",),
            {"environments.small": {**SECOND_HPC, "instance_type": "c5n.9xlarge", "efa": True}},
        ),
    ],
    "MNP-ADDRESSES": [
        # p5.48xlarge: 32 interfaces and one for the container; a third of a /24 is a /26
        Case(
            {"network.cidr_block": "10.20.0.0/24"},
            "network.cidr_block",
            ("59 addresses", "33 each, 132"),
            {"network.cidr_block": "10.20.0.0/22"},
        ),
    ],
    "HPC-ZONE": [
        Case({"environments.gpu.zone_index": 3}, "environments.gpu.zone_index", ("3", "0 to 2"), {"environments.gpu.zone_index": 2})
    ],
}


def test_every_rule_is_registered_once_and_has_cases() -> None:
    assert {type(rule) for rule in RULES} == set(base.Rule.__subclasses__())
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes)) > 10
    assert set(codes) == set(CASES), "a rule without cases, or cases without a rule"
    for rule in RULES:
        assert rule.reason.endswith(".")
        assert rule.source


@pytest.mark.parametrize(
    ("code", "case"), [(code, case) for code, cases in CASES.items() for case in cases], ids=lambda v: str(getattr(v, "path", v))
)
def test_the_smallest_change_breaks_this_rule_and_no_other(code, case) -> None:
    found = problems_of(changed(case.breaks))
    assert [(p.code, p.path) for p in found] == [(code, case.path)]
    text = str(found[0])
    assert all(part in text for part in case.says), text
    assert "Fix: " in text
    assert problems_of(changed(case.passes)) == ()


class _Seen:
    """Hands out a config's sections and notes which were asked for."""

    def __init__(self, config: StackConfig) -> None:
        self.config, self.names = config, set[str]()

    def __getattr__(self, name: str) -> object:
        self.names.add(name)
        return getattr(self.config, name)


def test_rules_declare_the_sections_that_they_read() -> None:
    seen: dict[str, set[str]] = {rule.code: set() for rule in RULES}
    for changes in [{}, *(case.breaks for cases in CASES.values() for case in cases)]:
        found = changed(changes)
        for rule in RULES:
            watched = _Seen(_unchecked(found))
            list(rule.check(watched))  # type: ignore[arg-type]
            seen[rule.code] |= watched.names
    assert seen == {rule.code: set(rule.reads) for rule in RULES}


def _unchecked(found: dict[str, Any]) -> StackConfig:
    from config import SECTIONS

    return StackConfig.model_construct(**{name: adapter.validate_python(found.get(name, {})) for name, adapter in SECTIONS.items()})


def test_a_rule_is_still_heard_where_other_sections_are_broken() -> None:
    found = changed({"environments.gpu.max_vcpus": 64, "budget.monthly_usd": -1, "monitoring.log_retention_days": 31})
    assert [p.code for p in problems_of(found)] == ["SHAPE-VALUE", "SHAPE-VALUE", "MNP-CAPACITY"]


def test_the_base_is_sound() -> None:
    assert load(changed({}))[1] == []
