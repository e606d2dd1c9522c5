"""What moto's EFS lacks: the policies that are taken away, backup, other throughput, and what AWS
refuses.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError

Params = dict[str, Any]
_LONGEST_POLICY: Final = 20_000


class EfsSettings:
    """Operations on file systems that moto has made (EFS API reference)."""

    def __init__(self, state: AwsState, root: Path) -> None:
        """`root` holds a folder for each file system that was mounted, by its id."""
        self._state, self._root = state, root
        self._backup: dict[str, str] = {}
        self.operations: dict[str, Callable[[Params], Params]] = {
            "DeleteFileSystemPolicy": self._delete_policy,
            "DescribeBackupPolicy": self._describe_backup,
            "PutBackupPolicy": self._put_backup,
            "PutFileSystemPolicy": self._put_policy,
            "UpdateFileSystem": self._update,
        }
        self.rules: dict[tuple[str, str], Callable[[Params], Any]] = {
            ("efs", "CreateFileSystem"): _check_throughput,
            ("efs", "CreateAccessPoint"): self._found,
            ("efs", "DescribeFileSystemPolicy"): self._found,
            ("efs", "DeleteFileSystem"): self._leave,
        }
        """What AWS checks, or does besides, before moto does the rest."""

    def _leave(self, params: Params) -> None:
        """A file system without mount targets goes with its access points and its files."""
        if self._found(params).number_of_mount_targets == 0:  # else moto refuses
            self._state.efs_forget_points(params["FileSystemId"])
            shutil.rmtree(self._root / params["FileSystemId"], ignore_errors=True)

    def _found(self, params: Params) -> Any:
        file_system = self._state.efs_file_system(params["FileSystemId"])
        if file_system is None:
            raise WireError(
                "FileSystemNotFound",
                f"File system '{params['FileSystemId']}' does not exist.",
                status=404,
            )
        return file_system

    def _put_policy(self, params: Params) -> Params:
        file_system, text = self._found(params), params["Policy"]
        try:
            document = json.loads(text)
        except ValueError as error:
            raise WireError(
                "InvalidPolicyException", f"The policy is no JSON document: {error}"
            ) from None
        statements = document.get("Statement") if isinstance(document, dict) else None
        listed = statements if isinstance(statements, list) else [statements]
        if not all(isinstance(each, dict) and "Principal" in each for each in listed):
            raise WireError(
                "InvalidPolicyException",
                "Every statement of a file system policy needs a Principal",
            )
        if len(text) > _LONGEST_POLICY:
            raise WireError(
                "InvalidPolicyException",
                f"The policy has {len(text)} characters; the limit is {_LONGEST_POLICY}",
            )
        file_system.file_system_policy = text
        return {"FileSystemId": params["FileSystemId"], "Policy": text}

    def _delete_policy(self, params: Params) -> Params:
        self._found(params).file_system_policy = None
        return {}

    def _put_backup(self, params: Params) -> Params:
        self._found(params)
        self._backup[params["FileSystemId"]] = params["BackupPolicy"]["Status"]
        return {"BackupPolicy": dict(params["BackupPolicy"])}

    def _describe_backup(self, params: Params) -> Params:
        found = self._found(params)
        status = self._backup.get(params["FileSystemId"])
        if status is None:
            if found.backup_policy is None:
                raise WireError("PolicyNotFound", "PolicyNotFound", status=404)
            status = found.backup_policy["Status"]
        return {"BackupPolicy": {"Status": status}}

    def _update(self, params: Params) -> Params:
        file_system = self._found(params)
        _check_throughput(params)
        file_system.throughput_mode = params.get("ThroughputMode", file_system.throughput_mode)
        file_system.provisioned_throughput_in_mibps = params.get("ProvisionedThroughputInMibps")
        described: Params = file_system.info_json()
        return described


def _check_throughput(params: Params) -> None:
    mibps = params.get("ProvisionedThroughputInMibps")
    if (params.get("ThroughputMode") == "provisioned") != (mibps is not None):
        raise WireError(
            "BadRequest",
            "ProvisionedThroughputInMibps goes with ThroughputMode provisioned, and with no other",
        )
