"""File systems that machines share: Amazon EFS, and FSx for Lustre with its links to buckets."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from localcloud.deployment.provider.calls import Call, handles
from localcloud.deployment.provider.lifecycle import Update
from localcloud.deployment.provider.reading import Described, Reading, readers

_LUSTRE_MEMBERS: Final = (
    "automaticBackupRetentionDays",
    "copyTagsToBackups",
    "dailyAutomaticBackupStartTime",
    "dataCompressionType",
    "deploymentType",
    "perUnitStorageThroughput",
    "weeklyMaintenanceStartTime",
)
"""Inputs that are members of LustreConfiguration."""


# ---- EFS -----------------------------------------------------------------------------------------


@handles("efs/fileSystem:FileSystem")
def file_system(call: Call) -> None:
    """File system; what becomes of files that nobody reads is a call of its own."""
    policies, token = call.take("lifecyclePolicies"), call.take("creationToken")
    created = call.create(
        "efs", "CreateFileSystem", CreationToken=token or f"terraform-{secrets.token_hex(13)}"
    )
    call.id = created["FileSystemId"]
    if policies:
        _put_policies(call, policies)
    call.outputs |= {
        "arn": created["FileSystemArn"],
        "creationToken": created["CreationToken"],
        "dnsName": f"{call.id}.efs.{call.aws.region}.amazonaws.com",
        "kmsKeyId": created.get("KmsKeyId", ""),
        "name": created.get("Name", ""),
        "numberOfMountTargets": created["NumberOfMountTargets"],
        "ownerId": created["OwnerId"],
        "performanceMode": created["PerformanceMode"],
    }


def _put_policies(call: Call, policies: list[dict[str, Any]]) -> None:
    call.send(
        "efs",
        "PutLifecycleConfiguration",
        FileSystemId=call.id,
        LifecyclePolicies=call.aws.part("efs", "LifecyclePolicies", policies),
    )


def change_file_system(update: Update) -> None:
    """Throughput and life cycle of a file system."""
    if update.has("lifecyclePolicies"):
        _put_policies(update, update.new_or_nothing("lifecyclePolicies") or [])
    if update.has("throughputMode") or update.has("provisionedThroughputInMibps"):
        mode, mibps = update.take("throughputMode"), update.take("provisionedThroughputInMibps")
        update.send(
            "efs",
            "UpdateFileSystem",
            FileSystemId=update.id,
            ThroughputMode=mode,
            ProvisionedThroughputInMibps=float(mibps) if mode == "provisioned" else None,
        )


def read_policies(reading: Reading, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """Life cycle of a file system."""
    return reading.send("efs", "DescribeLifecycleConfiguration", FileSystemId=reading.id)


@handles("efs/accessPoint:AccessPoint")
def access_point(call: Call) -> None:
    """Access point: root and identity of those who come by it."""
    created = call.create(
        "efs", "CreateAccessPoint", ClientToken=f"terraform-{secrets.token_hex(13)}"
    )
    call.id = created["AccessPointId"]
    call.outputs |= {
        "arn": created["AccessPointArn"],
        "fileSystemArn": _file_system_arn(call, created["FileSystemId"]),
        "ownerId": created["OwnerId"],
    }


@handles("efs/mountTarget:MountTarget")
def mount_target(call: Call) -> None:
    """Mount target: the address of a file system in a zone."""
    created = call.create("efs", "CreateMountTarget", tagged=None)
    call.id = created["MountTargetId"]
    file_system_id, zone = created["FileSystemId"], created["AvailabilityZoneName"]
    dns = f"{file_system_id}.efs.{call.aws.region}.amazonaws.com"
    call.outputs |= {
        "availabilityZoneId": created["AvailabilityZoneId"],
        "availabilityZoneName": zone,
        "dnsName": dns,
        "fileSystemArn": _file_system_arn(call, file_system_id),
        "ipAddress": created["IpAddress"],
        "mountTargetDnsName": f"{zone}.{dns}",
        "networkInterfaceId": created["NetworkInterfaceId"],
        "ownerId": created["OwnerId"],
    }


def change_mount_target(update: Update) -> None:
    """Who may come to a mount target."""
    update.send(
        "efs",
        "ModifyMountTargetSecurityGroups",
        MountTargetId=update.id,
        SecurityGroups=update.new("securityGroups"),
    )


def read_groups(reading: Reading, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """Security groups of a mount target."""
    return reading.send("efs", "DescribeMountTargetSecurityGroups", MountTargetId=reading.id)


@handles("efs/fileSystemPolicy:FileSystemPolicy")
def file_system_policy(call: Call) -> None:
    """Policy of a file system."""
    call.id = call.take("fileSystemId")
    call.send(
        "efs",
        "PutFileSystemPolicy",
        FileSystemId=call.id,
        Policy=call.take("policy"),
        BypassPolicyLockoutSafetyCheck=call.take("bypassPolicyLockoutSafetyCheck"),
    )


@handles("efs/backupPolicy:BackupPolicy")
def backup_policy(call: Call) -> None:
    """Whether AWS Backup keeps copies of a file system."""
    call.id = call.take("fileSystemId")
    policy = call.aws.part("efs", "BackupPolicy", call.take("backupPolicy"))
    call.send("efs", "PutBackupPolicy", FileSystemId=call.id, BackupPolicy=policy)


def _file_system_arn(call: Call, file_system_id: str) -> str:
    return call.aws.arn("elasticfilesystem", f"file-system/{file_system_id}")


# ---- FSx for Lustre ------------------------------------------------------------------------------


@handles("fsx/lustreFileSystem:LustreFileSystem")
def lustre(call: Call) -> None:
    """File system of FSx for Lustre."""
    configuration = {name: call.take(name) for name in _LUSTRE_MEMBERS}
    subnet = call.take("subnetIds")
    created = call.create(
        "fsx",
        "CreateFileSystem",
        FileSystemType="LUSTRE",
        SubnetIds=[subnet],
        LustreConfiguration=call.aws.part(
            "fsx",
            "CreateFileSystemLustreConfiguration",
            {name: value for name, value in configuration.items() if value is not None},
        ),
    )["FileSystem"]
    call.id = created["FileSystemId"]
    call.outputs |= {
        "arn": created["ResourceARN"],
        "dnsName": created["DNSName"],
        "mountName": created["LustreConfiguration"]["MountName"],
        "networkInterfaceIds": created["NetworkInterfaceIds"],
        "ownerId": created["OwnerId"],
        "vpcId": created["VpcId"],
    }


def smaller_or_first(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A file system does not shrink, and one of scratch_1 does not grow either
    (terraform-provider-aws, lustre_file_system.go).
    """
    before, after = old.get("storageCapacity") or 0, new.get("storageCapacity") or 0
    first = new.get("deploymentType", "SCRATCH_1") == "SCRATCH_1"
    return ["storageCapacity"] if after < before or (first and after != before) else []


def change_lustre(update: Update) -> None:
    """Size, compression and times of a file system."""
    members = {name: update.new_or_nothing(name) for name in _LUSTRE_MEMBERS if update.has(name)}
    update.send(
        "fsx",
        "UpdateFileSystem",
        FileSystemId=update.id,
        StorageCapacity=update.new("storageCapacity"),
        LustreConfiguration=(
            update.aws.part("fsx", "UpdateFileSystemLustreConfiguration", members)
            if members
            else None
        ),
    )


def read_lustre(_: Reading, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What stands in the configuration of Lustre, and the one subnet."""
    inner = found.get("LustreConfiguration", {})
    told = {name: inner.get(name[0].upper() + name[1:]) for name in _LUSTRE_MEMBERS}
    return {
        **{name: value for name, value in told.items() if value is not None},
        "subnetIds": found["SubnetIds"][0],
    }


@handles("fsx/dataRepositoryAssociation:DataRepositoryAssociation")
def data_repository_association(call: Call) -> None:
    """Link of a directory to a bucket."""
    call.ignore("deleteDataInFilesystem")
    created = call.create("fsx", "CreateDataRepositoryAssociation")["Association"]
    call.id = created["AssociationId"]
    call.outputs |= {"arn": created["ResourceARN"], "associationId": call.id}


readers(
    {
        "efs/accessPoint:AccessPoint": Described(
            service="efs",
            operation="DescribeAccessPoints",
            request={"AccessPointId": "{id}"},
            at="AccessPoints.0",
            rename={"arn": "AccessPointArn"},
        ),
        "efs/backupPolicy:BackupPolicy": Described(
            service="efs", operation="DescribeBackupPolicy", request={"FileSystemId": "{id}"}
        ),
        "efs/fileSystem:FileSystem": Described(
            service="efs",
            operation="DescribeFileSystems",
            request={"FileSystemId": "{id}"},
            at="FileSystems.0",
            rename={"arn": "FileSystemArn"},
            more=read_policies,
        ),
        "efs/fileSystemPolicy:FileSystemPolicy": Described(
            service="efs", operation="DescribeFileSystemPolicy", request={"FileSystemId": "{id}"}
        ),
        "efs/mountTarget:MountTarget": Described(
            service="efs",
            operation="DescribeMountTargets",
            request={"MountTargetId": "{id}"},
            at="MountTargets.0",
            more=read_groups,
        ),
        "fsx/dataRepositoryAssociation:DataRepositoryAssociation": Described(
            service="fsx",
            operation="DescribeDataRepositoryAssociations",
            request={"AssociationIds": ["{id}"]},
            at="Associations.0",
            rename={"arn": "ResourceARN"},
        ),
        "fsx/lustreFileSystem:LustreFileSystem": Described(
            service="fsx",
            operation="DescribeFileSystems",
            request={"FileSystemIds": ["{id}"]},
            at="FileSystems.0",
            rename={"arn": "ResourceARN"},
            more=read_lustre,
        ),
    }
)
