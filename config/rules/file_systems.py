"""File systems that jobs share: what AWS sells, and the ways to it."""

from __future__ import annotations

from collections.abc import Iterator

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig
from config.topology import mounting
from config.volumes import CreatedLustre, ExistingLustre, FileSystem


class FileSystemsAreMounted(Rule):
    """Some job mounts a file system that the stack has."""

    code = "VOLUME-UNUSED"
    level = "warning"
    reason = "It is paid for, and no job ever sees it."
    source = "Amazon EFS and Amazon FSx pricing"
    reads = frozenset({"jobs", "storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each file system without a volume."""
        declared: tuple[FileSystem, ...] = ("efs", "lustre")
        for name in declared:
            section = getattr(config.storage, name)
            if section is not None and not mounting(config, name):
                fix = f"name {name} in jobs.<stage>.volumes, or remove it"
                yield self.problem(
                    f"storage.{name}", section.kind, "no job has a volume of it", fix
                )


class LustreZoneExists(Rule):
    """The zone of a Lustre file system is one of the network's."""

    code = "LUSTRE-ZONE"
    reason = "The file system would have no subnet."
    source = "this program's network: one private subnet per zone"
    reads = frozenset({"network", "storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An index beyond the zones."""
        lustre = config.storage.lustre
        if isinstance(lustre, CreatedLustre) and lustre.zone_index >= config.network.az_count:
            yield self.problem(
                "storage.lustre.zone_index",
                lustre.zone_index,
                f"network.az_count is {config.network.az_count}, so indexes go from 0 to"
                f" {config.network.az_count - 1}",
                "lower zone_index, or raise az_count",
            )


class LustreSizeIsSold(Rule):
    """FSx offers the size of a Lustre file system."""

    code = "LUSTRE-SIZE"
    reason = "CreateFileSystem refuses any other StorageCapacity."
    source = "Amazon FSx API, CreateFileSystem StorageCapacity"
    reads = frozenset({"storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A size between the steps."""
        lustre = config.storage.lustre
        if not isinstance(lustre, CreatedLustre):
            return
        size = lustre.size_gib
        if size != 1200 and size % 2400:
            low, high = max(size // 2400 * 2400, 1200), (size // 2400 + 1) * 2400
            yield self.problem(
                "storage.lustre.size_gib",
                size,
                "FSx for Lustre offers 1200, 2400 and multiples of 2400 GiB",
                f"write {low} or {high}",
            )


class LustreThroughputIsSold(Rule):
    """A persistent Lustre file system has a throughput, a scratch one has its own."""

    code = "LUSTRE-THROUGHPUT"
    reason = "CreateFileSystem demands PerUnitStorageThroughput of the one and refuses the other."
    source = "Amazon FSx API, CreateFileSystemLustreConfiguration PerUnitStorageThroughput"
    reads = frozenset({"storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """None where one is needed, and one where none is taken."""
        lustre = config.storage.lustre
        if not isinstance(lustre, CreatedLustre):
            return
        path, throughput = "storage.lustre.throughput_mbps_per_tib", lustre.throughput_mbps_per_tib
        if lustre.deployment == "persistent_2" and throughput is None:
            message = "a file system of persistent_2 is bought with a throughput"
            yield self.problem(path, throughput, message, "write 125, 250, 500 or 1000")
        elif lustre.deployment == "scratch_2" and throughput is not None:
            message = "a file system of scratch_2 has 200 MB/s for each TiB, and no other"
            yield self.problem(path, throughput, message, "remove it, or use persistent_2")


class EfsThroughputIsOfItsMode(Rule):
    """A provisioned throughput goes with the mode provisioned."""

    code = "EFS-THROUGHPUT"
    reason = "CreateFileSystem demands ProvisionedThroughputInMibps of the one and refuses others."
    source = "Amazon EFS API, CreateFileSystem ThroughputMode"
    reads = frozenset({"storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """The mode without the number, and the number without the mode."""
        efs = config.storage.efs
        if efs is None or efs.kind == "existing":
            return
        path = "storage.efs.provisioned_mibps"
        if efs.throughput_mode == "provisioned" and efs.provisioned_mibps is None:
            message = "throughput_mode is provisioned, which is bought as a number of MiB/s"
            yield self.problem(path, None, message, "write how many, or use elastic")
        elif efs.throughput_mode != "provisioned" and efs.provisioned_mibps is not None:
            message = f"throughput_mode is {efs.throughput_mode}, which takes no number"
            yield self.problem(
                path, efs.provisioned_mibps, message, "remove it, or use provisioned"
            )


class EfsIsFoundWithoutNat(Rule):
    """The mount helper of EFS reaches its API where there is no NAT."""

    code = "VOLUME-NAT"
    level = "warning"
    reason = (
        "The mount helper asks the EFS API for a mount target's address where DNS does not answer;"
        " without a way there the job fails before it starts."
    )
    source = "Amazon EFS user guide, mount-fs-auto-mount-update-helper; AWS PrivateLink for EFS"
    reads = frozenset({"jobs", "network"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A closed network without the endpoint, where a job mounts EFS."""
        network = config.network
        if network.nat == "none" and "elasticfilesystem" not in network.endpoint_services:
            mounts = list(mounting(config, "efs"))
            if mounts:
                yield self.problem(
                    "network.interface_endpoints",
                    list(network.interface_endpoints),
                    f"jobs.{mounts[0]} mounts EFS, and network.nat is none",
                    "add elasticfilesystem",
                )


class ForeignLustreIsReached(Rule):
    """A Lustre file system of another network is reached from this one."""

    code = "LUSTRE-REACH"
    level = "warning"
    reason = (
        "It lies in a VPC of its own, and the stack makes no way there: instances fail to mount it."
    )
    source = "Amazon FSx for Lustre user guide, accessing file systems from other VPCs"
    reads = frozenset({"jobs", "storage"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """An existing one that a job mounts."""
        lustre = config.storage.lustre
        if isinstance(lustre, ExistingLustre) and mounting(config, "lustre"):
            yield self.problem(
                "storage.lustre.id",
                lustre.id,
                "it is in another VPC than this stack's, which is made anew",
                "peer the two VPCs, and let TCP 988 and 1018 to 1023 of this one into its security"
                " group",
            )
