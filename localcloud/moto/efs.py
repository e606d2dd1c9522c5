"""Amazon EFS as far as the other parts need to know of moto's."""

from __future__ import annotations

from typing import Any

from localcloud.moto.backends import Backends
from localcloud.moto.identity import document


class Efs(Backends):
    """The part of `AwsState` about EFS."""

    def efs_file_system(self, file_system_id: str) -> Any | None:
        """Moto's file system object, or None."""
        return self._regional("efs").file_systems_by_id.get(file_system_id)

    def efs_access_point(self, access_point_id: str) -> Any | None:
        """Moto's access point object, or None."""
        return self._regional("efs").access_points.get(access_point_id)

    def efs_forget_points(self, file_system_id: str) -> None:
        """Takes the access points of a file system away, which go with it."""
        points = self._regional("efs").access_points
        for each in list(points.values()):
            if each.file_system_id == file_system_id:
                points.pop(each.access_point_id, None)

    def efs_mount_target(self, file_system_id: str, zone: str) -> Any | None:
        """Moto's mount target of a file system in a zone, or None."""
        return next(
            (
                each
                for each in list(self._regional("efs").mount_targets_by_id.values())
                if each.file_system_id == file_system_id and each.availability_zone_name == zone
            ),
            None,
        )

    def efs_policy(self, file_system_id: str) -> dict[str, Any] | None:
        """The policy of a file system; None where it has none."""
        file_system = self.efs_file_system(file_system_id)
        text = None if file_system is None else file_system.file_system_policy
        return None if not text else document(text)
