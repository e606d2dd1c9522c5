"""The disks of a container: their sizes, by its environment and its instance.

Temporary files lie on the container's own disk: on Fargate the task's, on instances the root
volume. Instances may mount another disk when they boot, as their user data says. A disk is taken as
if the job were alone on its instance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from localcloud.batch.records import ComputeEnvironment
from localcloud.moto.boot_script import script_of
from localcloud.moto.state import AwsState

_GIB: Final = 1 << 30
_FARGATE_GIB: Final = 20
"""Where the definition names no size (Amazon ECS developer guide, fargate-task-storage)."""
_ROOT_GIB: Final = 30
"""Of the AMIs of AWS Batch, where the launch template names no size."""
_MOUNT: Final = re.compile(
    r'\bmount\s+(?:-\w\s+\S+\s+)*"?(?:\$\{?\w+\}?|/dev/\S+?)"?\s+(?P<path>/[\w./-]+)'
)


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk that a container writes to."""

    path: str
    """Where the container finds it; empty for its own, where temporary files are."""
    size: int | None
    """Bytes; None where the instance has no such disk, and a file is in its place."""
    held: bool
    """Whether this machine holds it to its size."""


class Disks:
    """Disks of containers.

    Args:
        state: The AWS in memory.
    """

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self.left: int | None = None
        """Bytes that others have left of each disk; None where nobody else is there."""

    def of(
        self, spec: Mapping[str, Any], environment: ComputeEnvironment, instance_type: str
    ) -> list[Disk]:
        """The disks of a container, its own first.

        Args:
            spec: Its container properties.
            environment: Where it starts.
            instance_type: Of its instance; of no meaning on Fargate.
        """
        if environment.is_fargate:
            gib = (spec.get("ephemeralStorage") or {}).get("sizeInGiB") or _FARGATE_GIB
            return [self._disk("", gib * _GIB)]
        root, other = self._volumes(environment)
        found = [self._disk("", root)]
        at = _MOUNT.search(script_of(self._state, environment.resources))
        volumes = {each["name"]: each for each in spec.get("volumes") or []}
        for point in spec.get("mountPoints") or []:
            host = (volumes[point["sourceVolume"]].get("host") or {}).get("sourcePath", "")
            if at is not None and PurePosixPath(host).is_relative_to(at["path"]):
                size = other or self._state.instance_store_bytes(instance_type)
                found.append(self._disk(point["containerPath"], size or None))
        return found

    def _volumes(self, environment: ComputeEnvironment) -> tuple[int, int]:
        """Bytes of the root volume, and of other volumes of EBS."""
        template = self._state.launch_template_data(
            environment.resources.get("launchTemplate") or {}
        )
        sizes = {
            str(each["DeviceName"]): int((each.get("Ebs") or {}).get("VolumeSize") or 0) * _GIB
            for each in (template or {}).get("BlockDeviceMappings") or []
        }
        return sizes.pop("/dev/xvda", 0) or _ROOT_GIB * _GIB, sum(sizes.values())

    def _disk(self, path: str, size: int | None) -> Disk:
        if size is not None and self.left is not None:
            size = min(size, self.left)
        # it is held in memory
        return Disk(path=path, size=size, held=size is not None and size <= _most_bytes())


def _most_bytes() -> int:
    """Half of the memory that programs of this machine can have now (proc_meminfo(5)); 0 where
    nobody knows.
    """
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 // 2
    return 0
