"""Amazon FSx for Lustre: file systems, and their links to buckets.

moto has names of file systems and no more. A file system is there at once, where AWS takes
minutes. What a link does on AWS all the time is done here when a container that mounts the file
system starts (objects become files) and ends (files become objects).
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from localcloud.moto.backends import ACCOUNT_ID
from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError
from localcloud.services.lustre_links import Link

Params = dict[str, Any]
_SMALLEST_GIB: Final = 1200
_STEP_GIB: Final = 2400
_THROUGHPUTS: Final = {
    "SCRATCH_1": (None,),
    "SCRATCH_2": (None,),
    "PERSISTENT_1": (50, 100, 200),
    "PERSISTENT_2": (125, 250, 500, 1000),
}
"""PerUnitStorageThroughput of SSD storage (FSx API, CreateFileSystemLustreConfiguration)."""
_UNLINKED: Final = "SCRATCH_1"
"""The one deployment type without associations."""


class Fsx:
    """The operations on them (FSx API reference). Thread safe.

    Args:
        state: The AWS in memory.
        client: Returns a boto3 client of the deployer, for the links.
        root: Holds a folder for each file system that was mounted, by its id.
    """

    def __init__(self, state: AwsState, client: Callable[[str], Any], root: Path) -> None:
        self._state, self._client, self._root = state, client, root
        self._file_systems: dict[str, Params] = {}
        self._associations: dict[str, Params] = {}
        self._links: dict[str, Link] = {}
        self._lock = threading.RLock()
        self.operations: dict[str, Callable[[Params], Params]] = {
            "CreateFileSystem": self._create,
            "DescribeFileSystems": self._describe,
            "UpdateFileSystem": self._update,
            "DeleteFileSystem": self._delete,
            "CreateDataRepositoryAssociation": self._associate,
            "DescribeDataRepositoryAssociations": self._describe_associations,
            "UpdateDataRepositoryAssociation": self._update_association,
            "DeleteDataRepositoryAssociation": self._dissociate,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": lambda params: {"Tags": self._tagged(params)["Tags"]},
        }

    # ---- what containers see ---------------------------------------------------------------------

    def mounted(self, dns_name: str, mount_name: str) -> Params | None:
        """The file system that a mount names; None where there is none."""
        with self._lock:
            return next(
                (
                    each
                    for each in self._file_systems.values()
                    if each["DNSName"] == dns_name
                    and each["LustreConfiguration"]["MountName"] == mount_name
                ),
                None,
            )

    def bring(self, file_system: Params, root: Path) -> None:
        """Makes the objects of linked buckets files below `root`."""
        for link in self._links_of(file_system["FileSystemId"]):
            link.bring(root)

    def take_back(self, file_system_id: str, root: Path) -> None:
        """Makes what has changed below `root` objects of linked buckets."""
        for link in self._links_of(file_system_id):
            link.take_back(root)

    def _links_of(self, file_system_id: str) -> list[Link]:
        with self._lock:
            return [
                self._links[name]
                for name, association in self._associations.items()
                if association["FileSystemId"] == file_system_id
            ]

    def tags(self) -> list[tuple[str, dict[str, str]]]:
        """ARN and tags of everything."""
        with self._lock:
            both = [*self._file_systems.values(), *self._associations.values()]
            return [
                (each["ResourceARN"], {tag["Key"]: tag["Value"] for tag in each["Tags"]})
                for each in both
            ]

    # ---- file systems ----------------------------------------------------------------------------

    def _create(self, params: Params) -> Params:
        if params["FileSystemType"] != "LUSTRE":
            raise _bad(
                f"the local FSx has file systems of type LUSTRE, not {params['FileSystemType']}"
            )
        given = dict(params.get("LustreConfiguration") or {})
        kind = given.setdefault("DeploymentType", "SCRATCH_1")
        _check_size(params.get("StorageCapacity"))
        throughput = given.get("PerUnitStorageThroughput")
        if throughput not in _THROUGHPUTS[kind]:
            allowed = ", ".join(str(each) for each in _THROUGHPUTS[kind] if each) or "none"
            raise _bad(
                f"PerUnitStorageThroughput {throughput} is not one of {kind}; allowed: {allowed}"
            )
        if len(params["SubnetIds"]) != 1:
            raise _bad("a file system of Lustre lies in one subnet")
        subnet = self._state.subnet(params["SubnetIds"][0])
        if subnet is None:
            raise WireError(
                "InvalidNetworkSettings", f"subnet {params['SubnetIds'][0]} does not exist"
            )
        groups = list(params.get("SecurityGroupIds") or [])
        if missing := [each for each in groups if self._state.security_group(each) is None]:
            raise WireError("InvalidNetworkSettings", f"security group {missing[0]} does not exist")
        name = f"fs-0{secrets.token_hex(8)}"
        mount = "fsx" if kind == "SCRATCH_1" else secrets.token_hex(4)
        found: Params = {
            "OwnerId": ACCOUNT_ID,
            "CreationTime": time.time(),
            "FileSystemId": name,
            "FileSystemType": "LUSTRE",
            "FileSystemTypeVersion": params.get("FileSystemTypeVersion") or "2.10",
            "Lifecycle": "AVAILABLE",
            "StorageCapacity": params["StorageCapacity"],
            "StorageType": params.get("StorageType") or "SSD",
            "VpcId": subnet.vpc_id,
            "SubnetIds": list(params["SubnetIds"]),
            "NetworkInterfaceIds": [f"eni-0{secrets.token_hex(8)}"],
            "SecurityGroupIds": groups,
            "DNSName": f"{name}.fsx.{self._state.region}.amazonaws.com",
            "ResourceARN": self._state.arn("fsx", f"file-system/{name}"),
            "Tags": list(params.get("Tags") or []),
            "LustreConfiguration": {
                "DataCompressionType": "NONE",
                **given,
                "MountName": mount,
            },
        }
        if params.get("KmsKeyId"):
            found["KmsKeyId"] = params["KmsKeyId"]
        with self._lock:
            self._file_systems[name] = found
        return {"FileSystem": _shown(found)}

    def _found(self, params: Params) -> Params:
        with self._lock:
            found = self._file_systems.get(params["FileSystemId"])
        if found is None:
            raise WireError(
                "FileSystemNotFound", f"File system '{params['FileSystemId']}' does not exist."
            )
        return found

    def _describe(self, params: Params) -> Params:
        names = params.get("FileSystemIds")
        if names:
            chosen = [self._found({"FileSystemId": name}) for name in names]
        else:
            with self._lock:
                chosen = list(self._file_systems.values())
        return {"FileSystems": [_shown(each) for each in chosen]}

    def _update(self, params: Params) -> Params:
        found = self._found(params)
        size = params.get("StorageCapacity")
        if size is not None:
            _check_size(size)
            if size < found["StorageCapacity"]:
                raise _bad(f"StorageCapacity is {found['StorageCapacity']} and only grows")
            found["StorageCapacity"] = size
        found["LustreConfiguration"] |= params.get("LustreConfiguration") or {}
        return {"FileSystem": _shown(found)}

    def _delete(self, params: Params) -> Params:
        found = self._found(params)
        name = found["FileSystemId"]
        with self._lock:
            del self._file_systems[name]
            for each in list(self._associations.values()):
                if each["FileSystemId"] == name:
                    del self._associations[each["AssociationId"]]
        shutil.rmtree(self._root / name, ignore_errors=True)
        return {"FileSystemId": name, "Lifecycle": "DELETING", "LustreResponse": {}}

    # ---- associations ----------------------------------------------------------------------------

    def _associate(self, params: Params) -> Params:
        file_system = self._found(params)
        kind = file_system["LustreConfiguration"]["DeploymentType"]
        if kind == _UNLINKED or file_system["FileSystemTypeVersion"] < "2.12":
            raise _bad(
                "data repository associations need Lustre 2.12 or newer and another deployment"
                f" type than {_UNLINKED}"
            )
        bucket, _, prefix = params["DataRepositoryPath"].removeprefix("s3://").partition("/")
        path = params.get("FileSystemPath") or "/"
        if self._state.bucket(bucket) is None:
            raise _bad(f"bucket {bucket} does not exist")
        with self._lock:
            taken = [
                each["FileSystemPath"]
                for each in self._associations.values()
                if each["FileSystemId"] == file_system["FileSystemId"]
            ]
            if any(f"{path}/".startswith(f"{o}/") or f"{o}/".startswith(f"{path}/") for o in taken):
                raise _bad(f"{path} overlaps the path of another association: {', '.join(taken)}")
            name = f"dra-0{secrets.token_hex(8)}"
            found: Params = {
                "AssociationId": name,
                "ResourceARN": self._state.arn(
                    "fsx", f"association/{file_system['FileSystemId']}/{name}"
                ),
                "FileSystemId": file_system["FileSystemId"],
                "Lifecycle": "AVAILABLE",
                "FileSystemPath": path,
                "DataRepositoryPath": params["DataRepositoryPath"],
                "BatchImportMetaDataOnCreate": bool(params.get("BatchImportMetaDataOnCreate")),
                "ImportedFileChunkSize": params.get("ImportedFileChunkSize") or 1024,
                "S3": dict(params.get("S3") or {}),
                "Tags": list(params.get("Tags") or []),
                "CreationTime": time.time(),
            }
            self._associations[name] = found
            self._links[name] = Link(
                lambda: self._client("s3"), bucket, prefix, path.strip("/"), found["S3"]
            )
        return {"Association": dict(found)}

    def _association(self, name: str) -> Params:
        with self._lock:
            found = self._associations.get(name)
        if found is None:
            raise WireError(
                "DataRepositoryAssociationNotFound", f"Association '{name}' does not exist."
            )
        return found

    def _describe_associations(self, params: Params) -> Params:
        names = params.get("AssociationIds")
        if names:
            return {"Associations": [dict(self._association(name)) for name in names]}
        asked = {each.get("Name"): each.get("Values") or [] for each in params.get("Filters") or []}
        if None in asked:
            raise _bad("A filter has no name")
        wanted = asked.get("file-system-id")
        with self._lock:
            return {
                "Associations": [
                    dict(each)
                    for each in self._associations.values()
                    if wanted is None or each["FileSystemId"] in wanted
                ]
            }

    def _update_association(self, params: Params) -> Params:
        found = self._association(params["AssociationId"])
        if params.get("ImportedFileChunkSize"):
            found["ImportedFileChunkSize"] = params["ImportedFileChunkSize"]
        found["S3"] |= params.get("S3") or {}
        return {"Association": dict(found)}

    def _dissociate(self, params: Params) -> Params:
        found = self._association(params["AssociationId"])
        with self._lock:
            del self._associations[found["AssociationId"]]
        return {"AssociationId": found["AssociationId"], "Lifecycle": "DELETING"}

    # ---- tags ------------------------------------------------------------------------------------

    def _tagged(self, params: Params) -> Params:
        with self._lock:
            for each in (*self._file_systems.values(), *self._associations.values()):
                if each["ResourceARN"] == params["ResourceARN"]:
                    return each
        raise WireError("ResourceNotFound", f"{params['ResourceARN']} does not exist.")

    def _tag(self, params: Params) -> Params:
        found, new = self._tagged(params), {each["Key"] for each in params["Tags"]}
        kept = [each for each in found["Tags"] if each["Key"] not in new]
        found["Tags"] = [*kept, *params["Tags"]]
        return {}

    def _untag(self, params: Params) -> Params:
        found = self._tagged(params)
        found["Tags"] = [each for each in found["Tags"] if each["Key"] not in params["TagKeys"]]
        return {}


def _shown(file_system: Params) -> Params:
    """As FSx describes it: it does not name the security groups."""
    return {name: value for name, value in file_system.items() if name != "SecurityGroupIds"}


def _check_size(size: int | None) -> None:
    if size is None or (size != _SMALLEST_GIB and (size < _STEP_GIB or size % _STEP_GIB)):
        raise _bad(f"StorageCapacity {size} is not 1200, 2400 or a multiple of 2400")


def _bad(message: str) -> WireError:
    return WireError("BadRequest", message)
