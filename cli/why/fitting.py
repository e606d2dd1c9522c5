"""Which instance types of an environment hold a job, and what all of them may run at one time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cli.why.account import Account
from cli.why.demand import Demand
from cli.why.model import Cause
from config.facts import usable_memory_mib
from config.quotas import VCPU_QUOTAS, Quota, increase_command, quota_of

_GROUPS: Final = {
    "optimal": ("m6i", "c6i", "r6i", "c7i"),
    "default_x86_64": ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
"""AWS Batch API reference, ComputeResource instanceTypes."""
_AGENT_MIB: Final = 32
_REGISTERED: Final = 7985 / 8192
"""Share of the nominal memory that the ECS agent registers of an m4.large, and what Batch keeps for
it (AWS Batch user guide, memory management): the most that a job was ever promised.
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """An instance type as DescribeInstanceTypes tells of it."""

    name: str
    vcpus: int
    nominal_mib: int
    gpus: int

    @property
    def memory_mib(self) -> int:
        """What jobs can count on."""
        return usable_memory_mib(self.nominal_mib)

    @property
    def most_memory_mib(self) -> int:
        """What jobs may get with luck."""
        return int(self.nominal_mib * _REGISTERED) - _AGENT_MIB

    def holds(self, demand: Demand) -> bool:
        """Whether one node fits in an empty instance."""
        return (
            self.vcpus >= demand.vcpus
            and self.memory_mib >= demand.memory_mib
            and self.gpus >= demand.gpus
            and demand.instance_type in ("", self.name)
        )


def sizes_of(account: Account, resources: dict[str, Any]) -> list[Size]:
    """The types that an environment may start, smallest first; empty where AWS does not tell."""
    names = [
        each for name in resources.get("instanceTypes") or [] for each in _GROUPS.get(name, (name,))
    ]
    patterns = [name if "." in name else f"{name}.*" for name in names]
    if not patterns:
        return []
    found = account.listed(
        "ec2",
        "describe_instance_types",
        "InstanceTypes",
        Filters=[{"Name": "instance-type", "Values": sorted(patterns)}],
    )
    sizes = [
        Size(
            name=each["InstanceType"],
            vcpus=each["VCpuInfo"]["DefaultVCpus"],
            nominal_mib=each["MemoryInfo"]["SizeInMiB"],
            gpus=sum(gpu.get("Count", 0) for gpu in (each.get("GpuInfo") or {}).get("Gpus") or []),
        )
        for each in found
    ]
    return sorted(sizes, key=lambda size: (size.vcpus, size.nominal_mib, size.name))


def too_large(
    account: Account, environment: dict[str, Any], sizes: Sequence[Size], demand: Demand
) -> Cause | None:
    """The cause where no type holds one node of the job."""
    if not sizes or any(size.holds(demand) for size in sizes):
        return None
    name = str(environment["computeEnvironmentName"])
    shown, setting = (
        account.shown("environments", name),
        account.setting("environments", name, "instance_types", "instanceTypes"),
    )
    if demand.instance_type and demand.instance_type not in {size.name for size in sizes}:
        return Cause(
            code="JOB-INSTANCE-TYPE",
            what=(
                f"the job insists on {demand.instance_type}, which environment {shown} "
                "may not start"
            ),
            setting=setting,
            found=", ".join(size.name for size in sizes[:5]),
            needed=demand.instance_type,
            fix=(
                f"add {demand.instance_type} to {setting}, or take instanceType out of "
                "the job definition"
            ),
        )
    wanted = (
        ("memory", "MiB of memory", demand.memory_mib, max(size.memory_mib for size in sizes)),
        ("vcpus", "vCPUs", demand.vcpus, max(size.vcpus for size in sizes)),
        ("gpus", "GPUs", demand.gpus, max(size.gpus for size in sizes)),
    )
    for what, unit, needed, most in wanted:
        if needed > most:
            note = (
                " (of its nominal memory an instance has about 94 % for jobs)"
                if what == "memory"
                else ""
            )
            unsure = what == "memory" and needed <= max(size.most_memory_mib for size in sizes)
            return Cause(
                code=f"JOB-{what.upper()}",
                weight="suspect" if unsure else "blocks",
                what=(
                    f"the job asks for {needed:g} {unit} a node, and no instance type "
                    f"of environment {shown} has more than {most:g}{note}"
                ),
                setting=setting,
                found=f"{most:g} {unit}",
                needed=f"{needed:g} {unit}",
                fix=(
                    f"lower {'memory_mib' if what == 'memory' else what} of the stage "
                    f"to {most:g} or less, or add a larger type to {setting}"
                ),
            )
    return Cause(
        code="JOB-SHAPE",
        what=(
            f"no single instance type of environment {shown} has all that one node "
            f"asks for: {demand.text}"
        ),
        setting=setting,
        found=", ".join(
            f"{s.name} {s.vcpus} vCPUs, {s.memory_mib} MiB, {s.gpus} GPUs" for s in sizes[-3:]
        ),
        needed=demand.text,
        fix=f"ask for less, or add a type to {setting} that has it all",
    )


def least_vcpus(sizes: Sequence[Size], demand: Demand) -> float:
    """VCPUs that the environment has to run for the job: whole instances for a multi-node job, the
    job's own for others.
    """
    holding = [size.vcpus for size in sizes if size.holds(demand)]
    return demand.nodes * min(holding, default=demand.vcpus) if demand.multi_node else demand.vcpus


# ---- quotas --------------------------------------------------------------------------------------


def quotas(
    account: Account,
    environment: dict[str, Any],
    sizes: Sequence[Size],
    demand: Demand,
    environments: Sequence[dict[str, Any]],
) -> Iterator[Cause]:
    """The cause where the quotas of all types that hold the job are too small for it."""
    kind = str(environment["computeResources"]["type"])
    if kind.startswith("FARGATE"):
        quota = VCPU_QUOTAS["fargate-spot" if kind == "FARGATE_SPOT" else "fargate"]
        value = _value(account, quota)
        if value is not None and value < demand.vcpus:
            yield _too_small(account, environment, quota, value, 0.0, demand.vcpus)
        return
    purchase = "spot" if kind == "SPOT" else "on-demand"
    causes = []
    for size in (size for size in sizes if size.holds(demand)):
        quota_here = quota_of(size.name, purchase)
        value = None if quota_here is None else _value(account, quota_here)
        if quota_here is None or value is None:
            return
        used, needed = (
            _in_use(account, quota_here, purchase, environments),
            float(demand.nodes * size.vcpus),
        )
        if used + needed <= value:
            return
        causes.append(_too_small(account, environment, quota_here, value, used, needed))
    yield from causes[:1]


def _value(account: Account, quota: Quota) -> float | None:
    try:
        answer = account.ask(
            "service-quotas", "get_service_quota", ServiceCode=quota.service, QuotaCode=quota.code
        )
    except LookupError:
        return None  # a quota that was never changed may be unknown to the API in that region
    return None if answer is None else float(answer["Quota"]["Value"])


def _in_use(
    account: Account, quota: Quota, purchase: str, environments: Sequence[dict[str, Any]]
) -> float:
    """VCPUs of Batch's environments that count against the quota.

    What else runs in the account is not seen here.
    """
    used = 0.0
    for each in environments:
        resources = each.get("computeResources") or {}
        if resources.get("type") != ("SPOT" if purchase == "spot" else "EC2"):
            continue
        sizes = sizes_of(account, resources)
        if sizes and quota_of(sizes[0].name, purchase) == quota:
            used += float(resources.get("desiredvCpus") or 0)
    return used


def _too_small(
    account: Account,
    environment: dict[str, Any],
    quota: Quota,
    value: float,
    used: float,
    needed: float,
) -> Cause:
    name = str(environment["computeEnvironmentName"])
    family = next(name for name, each in VCPU_QUOTAS.items() if each == quota)
    beside = f", of which environments of AWS Batch run {used:g}" if used else ""
    return Cause(
        code="QUOTA",
        weight="blocks" if needed > value else "waits",
        what=(
            f"the account may run {value:g} vCPUs of {family} ({quota.code}){beside}, "
            f"and the job needs {needed:g} in environment "
            f"{account.shown('environments', name)}"
        ),
        setting=f"quota {quota.code}",
        found=f"{value:g} vCPUs",
        needed=f"{used + needed:g} vCPUs",
        fix=increase_command(quota, used + needed),
    )
