"""Disks of containers: their sizes by environment and instance, and that they are held."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from components.user_data import SCRATCH_DEVICE, SCRATCH_PATH, user_data
from config.disks import Gp3, InstanceStore, Scratch
from localcloud.batch.container_flags import flags
from localcloud.batch.disks import Disk
from tests.localcloud.conftest import Stage

GIB = 1 << 30
STORE = InstanceStore(kind="instance-store")
VOLUME = Gp3(kind="gp3", size_gib=1)
SAY = """
import os, sys, tempfile
for place in (tempfile.gettempdir(), *sys.argv[1:]):
    print(os.statvfs(place).f_blocks * os.statvfs(place).f_frsize if os.path.isdir(place) else "no")
"""
FILL = """
import sys
with open(sys.argv[1] + "/data", "wb") as file:
    try:
        while True:
            file.write(bytes(1 << 20))
    except OSError as error:
        print(error.strerror, file.tell() >> 20)
"""


@pytest.fixture
def left(stage: Stage) -> Iterator[None]:
    stage.cloud.batch.leave_on_disks(8 << 20)
    yield
    stage.cloud.batch.leave_on_disks(None)


def environment(stage: Stage, scratch: Scratch | None, *types: str) -> str:
    """A queue of instances as a stack has them."""
    script = user_data(scratch=scratch, efa=False, spot=False)
    disks = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 2}}]
    if isinstance(scratch, Gp3):
        disks.append({"DeviceName": SCRATCH_DEVICE, "Ebs": {"VolumeSize": scratch.size_gib}})
    template = stage.client("ec2").create_launch_template(
        LaunchTemplateName=stage.name("template"),
        LaunchTemplateData={"UserData": script, "BlockDeviceMappings": disks},
    )["LaunchTemplate"]["LaunchTemplateId"]
    assert base64.b64decode(script)
    more: dict[str, Any] = {"instanceTypes": list(types)} if types else {}
    launch = {"launchTemplateId": template, "version": "1"}
    return stage.queue(stage.environment(launchTemplate=launch, **more))


def said(stage: Stage, queue: str, code: str, *paths: str) -> list[str]:
    mounted = [path for path in paths if path.startswith(SCRATCH_PATH)]
    definition = stage.definition(
        ["python", "-c", code, *paths],
        volumes=[{"name": "scratch", "host": {"sourcePath": SCRATCH_PATH}}] if mounted else [],
        mountPoints=[{"sourceVolume": "scratch", "containerPath": path} for path in mounted],
    )
    job = stage.wait(stage.submit(queue, definition))
    assert job["status"] == "SUCCEEDED", job
    return stage.log(job["container"]["logStreamName"])


def test_a_job_finds_disks_of_the_sizes_of_its_instance(stage: Stage) -> None:
    assert said(stage, environment(stage, VOLUME), SAY, "/scratch") == [str(2 * GIB), str(GIB)]
    assert said(stage, environment(stage, None), SAY) == [str(2 * GIB)]


def test_without_the_disk_that_the_instance_should_mount_a_file_is_there(stage: Stage) -> None:
    queue = environment(stage, STORE, "c6i.xlarge")
    assert said(stage, queue, SAY, "/scratch") == [str(2 * GIB), "no"]


def test_a_full_disk_is_one_of_the_system(stage: Stage, left: None) -> None:
    queue = environment(stage, STORE, "c6id.xlarge")
    assert said(stage, queue, SAY, "/scratch") == [str(8 << 20)] * 2
    assert said(stage, queue, FILL, "/scratch") == ["No space left on device 8"]


def test_in_containers_of_an_engine_a_disk_is_in_memory_too() -> None:
    spec = {
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
        "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch"}],
    }
    disks = [
        Disk(path="", size=GIB, held=True),
        Disk(path="/scratch", size=4 * GIB, held=True),
    ]
    found = flags(spec, fargate=False, cpus=2, left_out=(), disks=disks)
    assert "--mount=type=tmpfs,destination=/scratch,tmpfs-size=4294967296,tmpfs-mode=1777" in found
