"""Job definitions: registration with AWS's checks, and description.

Rules: Batch API reference (RegisterJobDefinition, ContainerProperties, NodeProperties,
RetryStrategy, JobTimeout) and Fargate's size table in the User Guide.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any, Final

from localcloud.batch.node_ranges import check_ranges
from localcloud.batch.records import JobDefinition, Store, client_error

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_LARGEST_BYTES: Final = 24 * 1024
"""Largest size of a job definition (User Guide, service_limits), counted by its properties alone:
AWS does not say what it counts.
"""
_ON_EXIT_PATTERN: Final = re.compile(r"[A-Za-z0-9.:\s]*\*?")
_EXIT_CODE_PATTERN: Final = re.compile(r"[0-9]*\*?")
_LOG_DRIVERS: Final = (
    "json-file",
    "syslog",
    "journald",
    "gelf",
    "fluentd",
    "awslogs",
    "splunk",
    "awsfirelens",
)
_FARGATE_LOG_DRIVERS: Final = ("awslogs", "splunk", "awsfirelens")
_EC2_ONLY_LINUX: Final = ("devices", "sharedMemorySize", "tmpfs", "maxSwap", "swappiness")

FARGATE_MEMORY: Final[dict[str, range | tuple[int, ...]]] = {
    "0.25": (512, 1024, 2048),
    "0.5": range(1024, 4097, 1024),
    "1": range(2048, 8193, 1024),
    "2": range(4096, 16385, 1024),
    "4": range(8192, 30721, 1024),
    "8": range(16384, 61441, 4096),
    "16": range(32768, 122881, 8192),
}
"""vCPU -> memory sizes in MiB that Fargate offers."""


def register(store: Store, params: dict[str, Any]) -> JobDefinition:
    """RegisterJobDefinition: checks, and adds the next revision. Raises ClientException."""
    name = params.get("jobDefinitionName", "")
    if not _NAME.fullmatch(name):
        raise client_error(
            "jobDefinitionName should match valid pattern: letters, digits, hyphens and"
            " underscores, at most 128 characters"
        )
    spec = deepcopy(params)
    kind = spec.get("type")
    if kind not in ("container", "multinode"):
        raise client_error(f"Job definition type must be container or multinode, found {kind!r}")
    platforms = spec.setdefault("platformCapabilities", ["EC2"])
    if len(platforms) != 1 or platforms[0] not in ("EC2", "FARGATE"):
        raise client_error(
            f"platformCapabilities must be one of EC2 and FARGATE, found {platforms}"
        )
    present = [
        key
        for key in ("containerProperties", "nodeProperties", "ecsProperties", "eksProperties")
        if spec.get(key)
    ]
    allowed = (
        ("nodeProperties",) if kind == "multinode" else ("containerProperties", "ecsProperties")
    )
    if len(present) != 1 or present[0] not in allowed:
        raise client_error(
            f"A job definition of type {kind} needs exactly {' or '.join(allowed)}, found"
            f" {', '.join(present) or 'none'}"
        )
    size = len(json.dumps(spec[present[0]], separators=(",", ":")).encode())
    if size > _LARGEST_BYTES:
        raise client_error(
            f"Job definition size of {size} bytes exceeds the limit of {_LARGEST_BYTES} bytes"
        )
    if kind == "multinode":
        if platforms == ["FARGATE"]:
            raise client_error("Multi-node parallel jobs are not supported on FARGATE")
        _check_nodes(store, spec["nodeProperties"])
    elif "containerProperties" in present:
        check_container(store, spec["containerProperties"], fargate=platforms == ["FARGATE"])
    else:
        _check_ecs(store, spec["ecsProperties"], fargate=platforms == ["FARGATE"])
    check_retry(spec.get("retryStrategy"))
    check_timeout(spec.get("timeout"))
    _check_priority(spec.get("schedulingPriority"))
    revisions = store.definitions.setdefault(name, [])
    number = len(revisions) + 1
    arn = store.state.arn("batch", f"job-definition/{name}:{number}")
    definition = JobDefinition(name=name, revision=number, arn=arn, spec=spec)
    revisions.append(definition)
    return definition


def describe(definition: JobDefinition) -> dict[str, Any]:
    """As DescribeJobDefinitions shows it."""
    detail = {
        **deepcopy(definition.spec),
        "jobDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": definition.status,
        "containerOrchestrationType": "ECS",
    }
    detail.setdefault("parameters", {})
    detail.setdefault("tags", {})
    return detail


def select(store: Store, params: dict[str, Any]) -> list[JobDefinition]:
    """The definitions that a DescribeJobDefinitions request asks for."""
    wanted, name, status = (
        params.get("jobDefinitions"),
        params.get("jobDefinitionName"),
        params.get("status"),
    )
    if wanted:
        return [
            each
            for each in (store.definition(reference) for reference in wanted)
            if each is not None
        ]
    revisions = [
        each
        for name_, group in store.definitions.items()
        if name in (None, name_)
        for each in group
    ]
    return [each for each in revisions if status in (None, each.status)]


def resource_value(container: dict[str, Any], kind: str) -> str | None:
    """The container's VCPU, MEMORY or GPU requirement; the deprecated members count where no
    requirement is given.
    """
    for requirement in container.get("resourceRequirements", []):
        if requirement.get("type") == kind:
            return str(requirement.get("value"))
    legacy = container.get({"VCPU": "vcpus", "MEMORY": "memory"}.get(kind, ""))
    return None if legacy is None else str(legacy)


def containers_of_ecs(properties: dict[str, Any]) -> dict[str, Any]:
    """Container properties that mean the same as the only container of ecsProperties."""
    task = properties["taskProperties"][0]
    container = dict(task["containers"][0])
    for ours, theirs in (
        ("jobRoleArn", "taskRoleArn"),
        ("executionRoleArn", "executionRoleArn"),
        ("volumes", "volumes"),
    ):
        if task.get(theirs):
            container[ours] = task[theirs]
    return container


def _check_ecs(store: Store, properties: dict[str, Any], *, fargate: bool) -> None:
    tasks = properties.get("taskProperties") or []
    if len(tasks) != 1:
        raise client_error(
            f"ecsProperties needs exactly one taskProperties element, found {len(tasks)}"
        )
    containers = tasks[0].get("containers") or []
    if len(containers) != 1:
        raise client_error(
            f"this local Batch runs ecsProperties with one container, found {len(containers)}"
        )
    check_container(store, containers_of_ecs(properties), fargate=fargate)


def check_container(store: Store, container: dict[str, Any], *, fargate: bool) -> None:
    """Checks container properties. Raises ClientException."""
    if not container.get("image"):
        raise client_error("Container image must be provided")
    vcpu, memory, gpu = _sizes(container)
    _check_roles_and_variables(store, container)
    driver = container.get("logConfiguration", {}).get("logDriver", "awslogs")
    if driver not in (_FARGATE_LOG_DRIVERS if fargate else _LOG_DRIVERS):
        raise client_error(
            f"logDriver {driver!r} is not supported on {'FARGATE' if fargate else 'EC2'}"
        )
    mounts = {mount.get("sourceVolume") for mount in container.get("mountPoints", [])}
    missing = mounts - {volume.get("name") for volume in container.get("volumes", [])}
    if missing:
        raise client_error(f"Unknown volume {', '.join(sorted(map(str, missing)))} in mountPoints")
    for volume in container.get("volumes", []):
        _check_volume(volume)
    if fargate:
        _check_fargate(container, vcpu, int(memory), gpu)
    else:
        _check_ec2(container, vcpu, gpu)


def _sizes(container: dict[str, Any]) -> tuple[str, str, str | None]:
    """VCPU, MEMORY and GPU requirement."""
    for requirement in container.get("resourceRequirements", []):
        if requirement.get("type") not in ("VCPU", "MEMORY", "GPU"):
            raise client_error(
                f"resourceRequirements type {requirement.get('type')!r} is not one of VCPU,"
                " MEMORY, GPU"
            )
    vcpu, memory, gpu = (resource_value(container, kind) for kind in ("VCPU", "MEMORY", "GPU"))
    if vcpu is None or memory is None:
        raise client_error(
            "Container properties must specify VCPU and MEMORY resource requirements"
        )
    if not memory.isdigit() or int(memory) < 4:
        raise client_error(f"MEMORY must be at least 4 MiB, found {memory}")
    return vcpu, memory, gpu


def _check_roles_and_variables(store: Store, container: dict[str, Any]) -> None:
    for role in ("jobRoleArn", "executionRoleArn"):
        arn = container.get(role)
        if arn and (not str(arn).startswith("arn:") or store.state.role(arn) is None):
            raise client_error(f"{role} {arn} is not the ARN of an existing role")
    for entry in container.get("environment", []):
        if str(entry.get("name", "")).startswith("AWS_BATCH"):
            raise client_error(
                f"Environment variables cannot start with AWS_BATCH, found {entry['name']}"
            )
    secrets = [entry.get("name") for entry in container.get("secrets", [])]
    clash = set(secrets) & {entry.get("name") for entry in container.get("environment", [])}
    if clash:
        raise client_error(
            "The secret name must be unique and not shared with any environment variables:"
            f" {', '.join(sorted(map(str, clash)))}"
        )
    if secrets and not container.get("executionRoleArn"):
        raise client_error("executionRoleArn is required for containers with secrets")


def _check_volume(volume: dict[str, Any]) -> None:
    """AWS Batch API, EFSVolumeConfiguration and EFSAuthorizationConfig."""
    name, efs = volume.get("name"), volume.get("efsVolumeConfiguration")
    if efs is None:
        return
    if volume.get("host"):
        raise client_error(f"Volume {name} has both host and efsVolumeConfiguration")
    authorization = efs.get("authorizationConfig") or {}
    point, iam = authorization.get("accessPointId"), authorization.get("iam") == "ENABLED"
    if (point or iam) and efs.get("transitEncryption") != "ENABLED":
        raise client_error(
            f"transitEncryption must be ENABLED where volume {name} uses an access point or IAM"
        )
    if point and efs.get("rootDirectory", "/") != "/":
        raise client_error(
            f"rootDirectory of volume {name} must be omitted or / where it uses an access point"
        )


def _check_ec2(container: dict[str, Any], vcpu: str, gpu: str | None) -> None:
    if not vcpu.isdigit() or int(vcpu) < 1:
        raise client_error(f"VCPU must be a whole number of at least 1 on EC2, found {vcpu}")
    if gpu is not None and (not gpu.isdigit() or int(gpu) < 1):
        raise client_error(f"GPU must be a whole number of at least 1, found {gpu}")
    for member in ("fargatePlatformConfiguration", "networkConfiguration", "ephemeralStorage"):
        if container.get(member):
            raise client_error(f"{member} is only applicable to jobs on Fargate resources")


def _check_fargate(container: dict[str, Any], vcpu: str, memory: int, gpu: str | None) -> None:
    sizes = FARGATE_MEMORY.get(vcpu.removesuffix(".0"))
    if sizes is None:
        raise client_error(f"Fargate VCPU must be one of {', '.join(FARGATE_MEMORY)}, found {vcpu}")
    if memory not in sizes:
        raise client_error(
            f"Fargate resource requirements ({vcpu} vCPU, {memory} MiB) not valid; allowed memory:"
            f" {', '.join(map(str, sizes))}"
        )
    if not container.get("executionRoleArn"):
        raise client_error("executionRoleArn is required for jobs on Fargate resources")
    linux = container.get("linuxParameters") or {}
    forbidden = [name for name in _EC2_ONLY_LINUX if linux.get(name)]
    forbidden += [name for name in ("privileged", "ulimits", "instanceType") if container.get(name)]
    if gpu is not None:
        forbidden.append("GPU")
    if any((volume.get("host") or {}).get("sourcePath") for volume in container.get("volumes", [])):
        forbidden.append("host volumes")
    if forbidden:
        raise client_error(f"{', '.join(forbidden)} not applicable to jobs on Fargate resources")
    size = (container.get("ephemeralStorage") or {}).get("sizeInGiB", 21)
    if not 21 <= size <= 200:
        raise client_error(f"ephemeralStorage must be between 21 and 200 GiB, found {size}")


def _check_nodes(store: Store, properties: dict[str, Any]) -> None:
    count, main = properties.get("numNodes", 0), properties.get("mainNode", -1)
    if not 1 <= count <= 1000:
        raise client_error(f"numNodes must be between 1 and 1000, found {count}")
    if not 0 <= main < count:
        raise client_error(f"mainNode {main} must be less than numNodes {count}")
    groups = properties.get("nodeRangeProperties") or []
    if not 1 <= len(groups) <= 5:
        raise client_error(f"A multi-node job has 1 to 5 node ranges, found {len(groups)}")
    check_ranges([str(group.get("targetNodes", "")) for group in groups], count)
    types = set()
    for group in groups:
        container = group.get("container") or (
            containers_of_ecs(group["ecsProperties"]) if group.get("ecsProperties") else None
        )
        if container is None:
            raise client_error(f"Node range {group.get('targetNodes')} has no container")
        check_container(store, container, fargate=False)
        listed = group.get("instanceTypes") or []
        if len(listed) > 1:
            raise client_error(
                f"instanceTypes of a node range is limited to one element, found {len(listed)}"
            )
        types |= {*listed, container.get("instanceType")} - {None}
    if len(types) > 1:
        raise client_error(
            "All node ranges must use the same instance type, found"
            f" {', '.join(sorted(map(str, types)))}"
        )


def check_retry(strategy: dict[str, Any] | None) -> None:
    """Checks a retry strategy. Raises ClientException."""
    if not strategy:
        return
    rules = strategy.get("evaluateOnExit") or []
    attempts = strategy.get("attempts")
    if attempts is None and rules:
        raise client_error("attempts is required where evaluateOnExit is given")
    if attempts is not None and not 1 <= attempts <= 10:
        raise client_error(f"Retry strategy attempts must be between 1 and 10, found {attempts}")
    if len(rules) > 5:
        raise client_error(f"evaluateOnExit takes at most 5 conditions, found {len(rules)}")
    for rule in rules:
        if str(rule.get("action", "")).upper() not in ("RETRY", "EXIT"):
            raise client_error(
                f"evaluateOnExit action must be RETRY or EXIT, found {rule.get('action')!r}"
            )
        for member, pattern in (
            ("onReason", _ON_EXIT_PATTERN),
            ("onStatusReason", _ON_EXIT_PATTERN),
            ("onExitCode", _EXIT_CODE_PATTERN),
        ):
            value = rule.get(member)
            if value is not None and (len(value) > 512 or not pattern.fullmatch(value)):
                raise client_error(
                    f"evaluateOnExit {member} {value!r} must match {pattern.pattern}"
                )


def check_timeout(timeout: dict[str, Any] | None) -> None:
    """Checks a job timeout. Raises ClientException."""
    seconds = (timeout or {}).get("attemptDurationSeconds")
    if seconds is not None and seconds < 60:
        raise client_error(f"attemptDurationSeconds must be at least 60 seconds, found {seconds}")


def _check_priority(priority: int | None) -> None:
    if priority is not None and not 0 <= priority <= 9999:
        raise client_error(f"schedulingPriority must be between 0 and 9999, found {priority}")
