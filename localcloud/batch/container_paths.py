"""Where on this machine a process that stands for a container finds the container's paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.batch.disks import Disk
from localcloud.batch.volumes import Mount


def of_mounts(mounts: Sequence[Mount], directory: Path) -> dict[str, Path]:
    """Where on this machine a process finds its mounts, by their paths: folders themselves, and of
    those that are read-only a place in the task's own directory.

    A folder may be mounted twice, once to be written to.
    """
    found = {}
    for number, mount in enumerate(mounts):
        found[mount.path] = mount.folder
        if mount.read_only:
            found[mount.path] = directory / "mounts" / str(number)
            found[mount.path].mkdir(parents=True)
    return found


def of_disks(disks: Sequence[Disk], directory: Path) -> dict[str, Path]:
    """The same of disks other than the container's own; a file where there is no disk."""
    found = {}
    for number, disk in enumerate(disks):
        if disk.path:
            found[disk.path] = directory / "disks" / str(number)
            found[disk.path].parent.mkdir(exist_ok=True)
            if disk.size is None:
                found[disk.path].touch()
            else:
                found[disk.path].mkdir()
    return found


def on_machine(text: str, places: Mapping[str, Path]) -> str:
    """A path at or below a mount as a path of this machine; any other text as it is."""
    for path, place in places.items():
        if text == path or text.startswith(f"{path}/"):
            return f"{place}{text.removeprefix(path)}"
    return text
