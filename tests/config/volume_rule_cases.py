"""Cases of the rules on file systems that jobs share; see rule_cases.py."""

from __future__ import annotations

from typing import Any

from tests.config.prod_changes import FARGATE, ON_DEMAND, Case, postprocess_on
from tests.config.stacks import REMOVED, Changes

EFS = {"kind": "created"}
LUSTRE = {"kind": "created"}
ELSEWHERE = {
    "kind": "existing",
    "id": "fs-0123456789abcdef0",
    "dns_name": "fs-0123456789abcdef0.fsx.us-east-1.amazonaws.com",
    "mount_name": "fsx",
}


def volume(file_system: str = "efs", path: str = "/mnt/shared", **more: Any) -> dict[str, Any]:
    return {"file_system": file_system, "path": path, **more}


ON_EFS: Changes = {"storage.efs": EFS, "jobs.analysis.volumes": [volume()]}
ON_LUSTRE: Changes = {"storage.lustre": LUSTRE, "jobs.analysis.volumes": [volume("lustre")]}
AMI = "ami-0123456789abcdef0"


CASES: dict[str, list[Case]] = {
    "VOLUME-FILE-SYSTEM": [
        Case(
            {**ON_EFS, "jobs.analysis.volumes": [volume(), volume("lustre", "/mnt/fast")]},
            "jobs.analysis.volumes.1.file_system",
            ("lustre", "no storage.lustre", "add storage.lustre"),
            ON_EFS,
        ),
    ],
    "VOLUME-UNUSED": [
        Case({"storage.efs": EFS}, "storage.efs", ("no job has a volume",), ON_EFS),
        Case({"storage.lustre": LUSTRE}, "storage.lustre", ("name lustre in",), ON_LUSTRE),
    ],
    "VOLUME-PATH": [
        Case(
            {**ON_EFS, "jobs.analysis.volumes": [volume(), volume(path="/mnt/shared/deep")]},
            "jobs.analysis.volumes.1.path",
            ("/mnt/shared is the path of volume 0",),
            {**ON_EFS, "jobs.analysis.volumes": [volume(), volume(path="/mnt/sharedtoo")]},
        ),
        Case(
            {**ON_EFS, "jobs.analysis.volumes": [volume(), volume(directory="/other")]},
            "jobs.analysis.volumes.1.path",
            ("/mnt/shared", "a path of its own"),
            {**ON_EFS, "jobs.analysis.volumes": [volume(), volume(path="/mnt/other")]},
        ),
        Case(
            {**ON_EFS, "jobs.analysis.volumes": [volume(path="/app/workloads")]},
            "jobs.analysis.volumes.0.path",
            ("/app is a directory of the image",),
            {**ON_EFS, "jobs.analysis.volumes": [volume(path="/application")]},
        ),
    ],
    "VOLUME-FARGATE": [
        Case(
            {
                **ON_LUSTRE,
                **postprocess_on(FARGATE),
                "jobs.postprocess.volumes": [volume("lustre")],
            },
            "jobs.postprocess.volumes.0.file_system",
            ("environment own of queue own is of Fargate", "use efs"),
            {
                **ON_LUSTRE,
                **postprocess_on(FARGATE),
                "storage.efs": EFS,
                "jobs.postprocess.volumes": [volume("efs")],
            },
        ),
    ],
    "LUSTRE-ZONE": [
        Case(
            {**ON_LUSTRE, "storage.lustre": {**LUSTRE, "zone_index": 3}},
            "storage.lustre.zone_index",
            ("az_count is 3", "from 0 to 2"),
            {
                **ON_LUSTRE,
                "storage.lustre": {**LUSTRE, "zone_index": 2},
                "environments.gpu.zone_index": 2,
            },
        ),
    ],
    "VOLUME-ZONE": [
        Case(
            {**ON_LUSTRE, "environments.gpu.zone_index": 1},
            "storage.lustre.zone_index",
            ("environment gpu", "is in zone 1", "write zone_index 1"),
            {
                **ON_LUSTRE,
                "environments.gpu.zone_index": 1,
                "storage.lustre": {**LUSTRE, "zone_index": 1},
            },
        ),
        Case(
            {
                **ON_LUSTRE,
                **postprocess_on(ON_DEMAND),
                "jobs.postprocess.volumes": [volume("lustre")],
            },
            "storage.lustre.zone_index",
            ("environment own", "in 3 zones"),
            {**ON_LUSTRE, **postprocess_on(ON_DEMAND)},
        ),
    ],
    "VOLUME-CLIENT": [
        Case(
            {**ON_EFS, "environments.gpu.image_id": AMI},
            "environments.gpu.image_id",
            ("job analysis mounts efs", "amazon-ecs-volume-plugin"),
            {**ON_EFS, "environments.spot-cpu.image_id": AMI},
        ),
        Case(
            {**ON_LUSTRE, "environments.gpu.image_id": AMI},
            "environments.gpu.image_id",
            ("lustre-client",),
            ON_LUSTRE,
        ),
    ],
    "LUSTRE-SIZE": [
        Case(
            {**ON_LUSTRE, "storage.lustre": {**LUSTRE, "size_gib": size}},
            "storage.lustre.size_gib",
            (f"write {low} or {high}",),
            {**ON_LUSTRE, "storage.lustre": {**LUSTRE, "size_gib": good}},
        )
        for size, low, high, good in (
            (1201, 1200, 2400, 1200),
            (3600, 2400, 4800, 2400),
            (4799, 2400, 4800, 4800),
        )
    ],
    "LUSTRE-THROUGHPUT": [
        Case(
            {**ON_LUSTRE, "storage.lustre": {**LUSTRE, "deployment": "persistent_2"}},
            "storage.lustre.throughput_mbps_per_tib",
            ("write 125, 250, 500 or 1000",),
            {
                **ON_LUSTRE,
                "storage.lustre": {
                    **LUSTRE,
                    "deployment": "persistent_2",
                    "throughput_mbps_per_tib": 125,
                },
            },
        ),
        Case(
            {**ON_LUSTRE, "storage.lustre": {**LUSTRE, "throughput_mbps_per_tib": 250}},
            "storage.lustre.throughput_mbps_per_tib",
            ("200 MB/s",),
            ON_LUSTRE,
        ),
    ],
    "EFS-THROUGHPUT": [
        Case(
            {**ON_EFS, "storage.efs": {**EFS, "throughput_mode": "provisioned"}},
            "storage.efs.provisioned_mibps",
            ("bought as a number",),
            {
                **ON_EFS,
                "storage.efs": {
                    **EFS,
                    "throughput_mode": "provisioned",
                    "provisioned_mibps": 10,
                },
            },
        ),
        Case(
            {**ON_EFS, "storage.efs": {**EFS, "provisioned_mibps": 10}},
            "storage.efs.provisioned_mibps",
            ("throughput_mode is elastic",),
            ON_EFS,
        ),
    ],
    "VOLUME-NAT": [
        Case(
            {**ON_EFS, "network.nat": "none"},
            "network.interface_endpoints",
            ("jobs.analysis mounts EFS", "add elasticfilesystem"),
            {
                **ON_EFS,
                "network.nat": "none",
                "network.interface_endpoints": ["elasticfilesystem"],
            },
        ),
    ],
    "LUSTRE-REACH": [
        Case(
            {**ON_LUSTRE, "storage.lustre": ELSEWHERE},
            "storage.lustre.id",
            ("another VPC", "TCP 988"),
            ON_LUSTRE,
        ),
    ],
    "VOLUME-DIRECTORY": [
        Case(
            {**ON_EFS, "jobs.analysis.checkpoints_path": "/mnt/share/checkpoints"},
            "jobs.analysis.checkpoints_path",
            ("on no volume", "/mnt/shared"),
            {**ON_EFS, "jobs.analysis.checkpoints_path": "/mnt/shared/checkpoints"},
        ),
        Case(
            {
                **ON_EFS,
                "jobs.analysis.volumes": [volume(read_only=True)],
                "jobs.analysis.checkpoints_path": "/mnt/shared",
            },
            "jobs.analysis.checkpoints_path",
            ("the job writes there", "read-only"),
            {**ON_EFS, "jobs.analysis.checkpoints_path": "/mnt/shared"},
        ),
        Case(
            {
                **ON_EFS,
                "jobs.preprocess.volumes": [volume(read_only=True)],
                "jobs.preprocess.tables_path": "/mnt/shared",
            },
            "jobs.preprocess.tables_path",
            ("the job writes there",),
            {
                **ON_EFS,
                "jobs.preprocess.volumes": [volume()],
                "jobs.preprocess.tables_path": "/mnt/shared",
            },
        ),
    ],
    "VOLUME-TABLES": [
        Case(
            {
                **ON_EFS,
                "jobs.analysis.tables_path": "/mnt/shared/tables",
                "jobs.preprocess.volumes": [volume(path="/mnt/out")],
                "jobs.preprocess.tables_path": "/mnt/out",
            },
            "jobs.analysis.tables_path",
            ("/shared/tables of efs",),
            {
                **ON_EFS,
                "jobs.analysis.tables_path": "/mnt/shared/tables",
                "jobs.preprocess.volumes": [volume(path="/mnt/out")],
                "jobs.preprocess.tables_path": "/mnt/out/tables",
            },
        ),
        Case(
            {
                **ON_LUSTRE,
                "environments.own": {
                    "kind": "hpc",
                    "instance_type": "c6i.xlarge",
                    "max_vcpus": 16,
                    "placement_group": False,
                },
                "queues.own": {"environments": ["own"]},
                "jobs.preprocess.queue": "own",
                "jobs.preprocess.share_identifier": REMOVED,
                "jobs.preprocess.scheduling_priority": REMOVED,
                "jobs.preprocess.volumes": [volume("lustre", directory="/intermediate")],
                "jobs.preprocess.tables_path": "/mnt/shared",
            },
            "jobs.preprocess.tables_path",
            ("the table comes by itself", "remove it"),
            ON_LUSTRE,
        ),
        Case(
            {**ON_LUSTRE, "jobs.analysis.tables_path": "/mnt/shared"},
            "jobs.analysis.tables_path",
            ("mount /intermediate",),
            {
                **ON_LUSTRE,
                "jobs.analysis.volumes": [volume("lustre", directory="/intermediate")],
                "jobs.analysis.tables_path": "/mnt/shared",
            },
        ),
    ],
}
