"""Container properties of AWS Batch as flags of `docker create`, which podman takes too.

RegisterJobDefinition (AWS Batch API reference) names the flag of each member.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from localcloud.batch.disks import Disk
from localcloud.batch.placement import Need
from localcloud.batch.tasks import StartError
from localcloud.batch.volumes import Mount

_SHARES_OF_A_CPU: Final = 1024
_SWAPPINESS: Final = 60
"""ECS's default where a container may swap."""


def flags(
    spec: Mapping[str, Any],
    *,
    fargate: bool,
    cpus: int,
    left_out: Collection[str],
    mounts: Sequence[Mount] = (),
    disks: Sequence[Disk] = (),
) -> list[str]:
    """The flags of a container's size, user, file system and limits.

    Volumes of shared file systems are folders of this machine, which everybody may write to, for
    the container has a user of its own. Volumes of the host are empty ones of the container's own:
    an instance is new, and this machine's files are no instance's.

    Args:
        spec: Container properties.
        fargate: Whether vCPUs are a limit (`--cpus`) or a share (`--cpu-shares`).
        cpus: Of this machine; no limit is above it.
        left_out: Flags that this machine cannot set.
        mounts: Volumes of shared file systems.
        disks: Of the instance.

    Raises StartError for what could only be had by letting the container out of its box.
    """
    refused = _refused(spec)
    if refused:
        raise StartError(
            f"CannotCreateContainerError: {refused} is not given to containers on this machine"
        )
    need = Need.of(dict(spec))
    found: list[str] = []
    if "--memory" not in left_out:
        found += [f"--memory={need.memory_mib}m", *_swap(spec, need.memory_mib)]
    if fargate and "--cpus" not in left_out:
        found.append(f"--cpus={min(need.vcpus, cpus):g}")
    if not fargate and "--cpu-shares" not in left_out:
        found.append(f"--cpu-shares={round(need.vcpus * _SHARES_OF_A_CPU)}")
    if spec.get("user"):
        found.append(f"--user={spec['user']}")
    if spec.get("readonlyRootFilesystem"):
        found.append("--read-only")
    for limit in spec.get("ulimits") or []:
        found.append(f"--ulimit={limit['name']}={limit['softLimit']}:{limit['hardLimit']}")
    found += _mounts(spec, mounts, disks)
    return found + _linux(spec.get("linuxParameters") or {})


def _mounts(spec: Mapping[str, Any], mounts: Sequence[Mount], disks: Sequence[Disk]) -> list[str]:
    shared = {mount.path: mount for mount in mounts}
    sizes = {disk.path: disk.size for disk in disks if disk.path and disk.held}
    found = []
    for point in spec.get("mountPoints") or []:
        path, mount = point["containerPath"], shared.get(point["containerPath"])
        read_only = mount.read_only if mount is not None else point.get("readOnly")
        options = f"destination={path}{',readonly' if read_only else ''}"
        if mount is not None:
            mount.folder.chmod(0o777)
            found.append(f"--mount=type=bind,source={mount.folder},{options}")
        elif path in sizes:
            found.append(f"--mount=type=tmpfs,{options},tmpfs-size={sizes[path]},tmpfs-mode=1777")
        else:
            found.append(f"--mount=type=volume,{options}")
    return found


def _refused(spec: Mapping[str, Any]) -> str:
    if spec.get("privileged"):
        return "privileged"
    if (spec.get("linuxParameters") or {}).get("devices"):
        return "linuxParameters.devices"
    return ""


def _swap(spec: Mapping[str, Any], memory_mib: int) -> list[str]:
    """No swap beyond `maxSwap`, which is none; `--memory-swap` is the sum of both."""
    linux = spec.get("linuxParameters") or {}
    swap = int(linux.get("maxSwap") or 0)
    found = [f"--memory-swap={memory_mib + swap}m"]
    if swap:
        found.append(f"--memory-swappiness={linux.get('swappiness', _SWAPPINESS)}")
    return found


def _linux(linux: Mapping[str, Any]) -> list[str]:
    found = ["--init"] if linux.get("initProcessEnabled") else []
    if linux.get("sharedMemorySize"):
        found.append(f"--shm-size={linux['sharedMemorySize']}m")
    for each in linux.get("tmpfs") or []:
        options = ",".join([f"size={each['size']}m", *(each.get("mountOptions") or [])])
        found.append(f"--tmpfs={each['containerPath']}:{options}")
    return found
