"""What an instance mounts when it boots, as its user data says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_LUSTRE: Final = re.compile(
    r"mount\s+-t\s+lustre\s+(?:-o\s+\S+\s+)?(?P<dns>[\w.-]+)@tcp:/(?P<name>[\w-]+)\s+"
    r"(?P<path>/[\w./-]*)"
)


@dataclass(frozen=True, kw_only=True)
class InstanceMount:
    """A file system of FSx for Lustre at a path of the instance."""

    dns_name: str
    mount_name: str
    path: str

    def below(self, host_path: str) -> str | None:
        """A path of the instance as one of the file system; None where it lies elsewhere."""
        path = PurePosixPath(host_path)
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else None


def lustre_mount(user_data: str) -> InstanceMount | None:
    """The mount that an instance's user data makes; None for none."""
    found = _LUSTRE.search(user_data)
    if found is None:
        return None
    return InstanceMount(
        dns_name=found["dns"], mount_name=found["name"], path=found["path"].rstrip("/") or "/"
    )
