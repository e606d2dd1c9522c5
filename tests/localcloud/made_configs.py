"""Configs made from random numbers: of the right shape, and mostly sound."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from config.facts import ec2_facts
from localcloud.batch.definitions import FARGATE_MEMORY
from tests.config.stacks import sections

TYPES = ["c6i.large", "c6i.xlarge", "c6i.2xlarge", "m6i.4xlarge", "r6i.2xlarge", "c5n.9xlarge"]
GPU_TYPES = ["g5.xlarge", "g5.2xlarge", "g5.8xlarge", "g5.12xlarge", "p4d.24xlarge", "p5.48xlarge"]
ODD_TYPES = ["c7g.xlarge", "hpc6a.48xlarge", "p3dn.24xlarge"]
VCPUS = [0.25, 0.5, 1, 1.5, 2, 3, 4, 8, 16, 32, 36, 96, 192]
CEILINGS = [1, 2, 3, 4, 7, 8, 16, 35, 36, 64, 72, 192, 384, 768, 1000]
BASE = sections()
FACTS = ec2_facts().types
FREELY = 0.06
"""Share of the choices that are made without looking at the others, so that one or two things are
wrong in most configs.
"""


class Maker:
    """Sections of the right shape, and mostly sound, from one stream of random numbers."""

    def __init__(self, random: Random) -> None:
        self.random, self.environments, self.queues = random, dict[str, Any](), dict[str, Any]()

    def rarely(self, value: Any, otherwise: Any, chance: float = FREELY) -> Any:
        return value if self.random.random() < chance else otherwise

    def some(self, of: Sequence[Any], most: int) -> list[Any]:
        return self.random.sample(list(of), min(len(of), self.random.randint(1, most)))

    def sections(self) -> dict[str, Any]:
        choose = self.random.choice
        for index in range(self.random.randint(1, 4)):
            self.environments[f"e{index}"] = self.environment(
                choose(["on-demand", "spot", "hpc", "hpc", "fargate", "fargate-spot"])
            )
        for index in range(self.random.randint(1, 3)):
            self.queues[f"q{index}"] = self.queue()
        stages = {stage: self.job() for stage in ("preprocess", "postprocess")}
        stages["analysis"] = self.analysis()
        zones = choose([1, 2])
        return BASE | {
            "environments": self.environments,
            "queues": self.queues,
            "jobs": stages,
            "network": {
                "cidr_block": choose(["10.0.0.0/16", "10.0.0.0/24"]),
                "az_count": zones,
                "nat": choose(["none", "single"]),
            },
            "pipeline": {"enabled": self.rarely(False, True)},
        }

    def environment(self, kind: str) -> dict[str, Any]:
        choose = self.random.choice
        made: dict[str, Any] = {
            "kind": kind,
            "max_vcpus": choose(CEILINGS),
            "enabled": self.rarely(False, True),
        }
        if kind.startswith("fargate"):
            return made
        of = choose([TYPES, GPU_TYPES])
        made["image_type"] = self.rarely(
            "ECS_AL2023", "ECS_AL2023_NVIDIA" if of is GPU_TYPES else "ECS_AL2023"
        )
        of = self.rarely(
            ["c6i.xlarge", "c7g.xlarge"], self.rarely(TYPES + GPU_TYPES + ODD_TYPES, of)
        )
        if kind == "hpc":
            name = choose(of)
            made["max_vcpus"] = self.rarely(
                made["max_vcpus"], FACTS[name].vcpus * choose([1, 2, 4]), 0.2
            )
            efa = FACTS[name].efa_interfaces > 0
            return made | {
                "instance_type": name,
                "efa": self.rarely(not efa, efa),
                "placement_group": self.rarely(False, True),
                "zone_index": self.rarely(1, 0),
            }
        made["instance_types"] = self.some(of, 4)
        made["min_vcpus"] = self.rarely(
            choose([c for c in CEILINGS if c <= made["max_vcpus"]] + [1000]), 0, 0.35
        )
        return made

    def queue(self) -> dict[str, Any]:
        names = list(self.environments)
        alike = [n for n in names if self.environments[n]["kind"].startswith("fargate")]
        alike = self.random.choice([alike or names, [n for n in names if n not in alike] or names])
        made = {
            "environments": self.some(self.rarely(names, alike, 0.3), self.random.choice([1, 2])),
            "enabled": self.rarely(False, True),
        }
        if self.random.random() < 0.2:
            weights = self.random.choice(
                [
                    ["a*"],
                    ["a*", "b"],
                    ["ab", "a"],
                    ["ab", "a", "b*"],
                    self.rarely(["a*", "ab"], ["a", "ab*"], 0.4),
                ]
            )
            reserved = self.random.choice([0, 10, 50, 90])
            made["fair_share"] = {
                "weights": dict.fromkeys(weights, 1),
                "compute_reservation_percent": reserved,
            }
        return made

    def job(self) -> dict[str, Any]:
        choose = self.random.choice
        name = choose(sorted(self.queues))
        made = {
            "queue": name,
            "timeout_minutes": 60,
            **self.size(self.environments[choose(self.queues[name]["environments"])]),
        }
        if self.rarely("fair_share" not in self.queues[name], "fair_share" in self.queues[name]):
            made |= {"share_identifier": choose(["a", "ab"]), "scheduling_priority": 1}
        return made

    def size(self, environment: dict[str, Any]) -> dict[str, Any]:
        choose = self.random.choice
        if environment["kind"].startswith("fargate"):
            vcpus = choose([v for v in FARGATE_MEMORY if float(v) <= environment["max_vcpus"]])
            fitting = {"vcpus": float(vcpus), "memory_mib": choose(list(FARGATE_MEMORY[vcpus]))}
        else:
            facts = FACTS[
                choose(environment.get("instance_types") or [environment["instance_type"]])
            ]
            edge = facts.usable_memory_mib
            whole = [
                v
                for v in VCPUS
                if v == int(v)
                and v <= min(facts.vcpus, self.rarely(1000, environment["max_vcpus"], 0.2))
            ]
            fitting = {
                "vcpus": choose(whole),
                "memory_mib": choose(
                    [512, 2048, edge // 2, edge - 1, edge, self.rarely(edge + 1, edge)]
                ),
            }
        return dict(
            self.rarely(
                {"vcpus": choose(VCPUS), "memory_mib": choose([256, 512, 3072, 100_000])}, fitting
            )
        )

    def analysis(self) -> dict[str, Any]:
        made, choose = self.job(), self.random.choice
        kinds = [self.environments[n] for n in self.queues[made["queue"]]["environments"]]
        types = {
            t: FACTS[t]
            for e in kinds
            for t in e.get("instance_types") or [e.get("instance_type")]
            if t is not None
        }
        most = max((facts.gpus for facts in types.values()), default=0)
        gpus = self.rarely(choose([1, 8, 9]), choose(range(most + 1)))
        several = self.rarely(True, all(e["kind"] == "hpc" for e in kinds)) and choose(
            [True, False]
        )
        backend = "cupy" if self.rarely(not gpus, gpus) else "numpy"
        return made | {
            "nodes": choose([2, 4]) if several else 1,
            "gpus": gpus,
            "array_backend": backend,
            "shared_memory_mib": 64,
        }
