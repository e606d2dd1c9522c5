"""FSx for Lustre: what FSx sells, instances that mount it, and its link to a bucket."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.batch.instance_mounts import lustre_mount
from localcloud.protocol.wire import Call, WireError
from tests.localcloud.conftest import Stage

EVENTS = {"Events": ["NEW", "CHANGED", "DELETED"]}
USER_DATA = """#!/bin/bash
mkdir -p /lustre
mount -t lustre -o relatime,flock {dns}@tcp:/{name} /lustre
"""


def let_in(stage: Stage, group: str, port: int) -> None:
    pairs = [{"GroupId": stage.group}]
    stage.client("ec2").authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": pairs}
        ],
    )


def group(stage: Stage, name: str) -> str:
    made = stage.client("ec2").create_security_group(
        GroupName=name, Description=name, VpcId=stage.vpc
    )
    return str(made["GroupId"])


def create(stage: Stage, **given: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "FileSystemType": "LUSTRE",
        "StorageCapacity": 1200,
        "SubnetIds": [stage.subnet],
        "FileSystemTypeVersion": "2.15",
        "LustreConfiguration": {"DeploymentType": "SCRATCH_2"},
        **given,
    }
    return dict(stage.client("fsx").create_file_system(**request)["FileSystem"])


def instances(stage: Stage, file_system: dict[str, Any]) -> str:
    """A queue of instances that mount a file system when they boot."""
    text = USER_DATA.format(
        dns=file_system["DNSName"], name=file_system["LustreConfiguration"]["MountName"]
    )
    template = stage.client("ec2").create_launch_template(
        LaunchTemplateName=stage.name("template"),
        LaunchTemplateData={"UserData": base64.b64encode(text.encode()).decode()},
    )["LaunchTemplate"]["LaunchTemplateId"]
    launch = {"launchTemplateId": template, "version": "1"}
    return stage.queue(stage.environment(launchTemplate=launch))


def run(
    stage: Stage, queue: str, code: str, host: str, *, read_only: bool = False
) -> dict[str, Any]:
    """A job with a path of its instance at /data, when it has ended."""
    definition = stage.definition(
        ["python", "-c", code, "/data"],
        volumes=[{"name": "files", "host": {"sourcePath": host}}],
        mountPoints=[{"sourceVolume": "files", "containerPath": "/data", "readOnly": read_only}],
    )
    return stage.wait(stage.submit(queue, definition))


def _no_bucket(call: Call, _: Any) -> None:
    if call.service == "s3" and call.operation == "PutObject":
        raise WireError("NoSuchBucket", "gone", status=404)


def test_instances_share_it_and_the_bucket_is_a_directory_of_it(stage: Stage) -> None:
    own, s3, fsx = group(stage, "servers"), stage.client("s3"), stage.client("fsx")
    let_in(stage, own, 988)
    file_system = create(stage, SecurityGroupIds=[own])
    s3.create_bucket(Bucket="linked")
    s3.put_object(Bucket="linked", Key="data/a.txt", Body=b"first")
    fsx.create_data_repository_association(
        FileSystemId=file_system["FileSystemId"],
        FileSystemPath="/bucket",
        DataRepositoryPath="s3://linked",
        S3={"AutoImportPolicy": EVENTS, "AutoExportPolicy": EVENTS},
    )
    queue = instances(stage, file_system)
    read = "import sys, pathlib; print((pathlib.Path(sys.argv[1]) / 'data/a.txt').read_text())"
    for content in (b"first", b"second"):
        s3.put_object(Bucket="linked", Key="data/a.txt", Body=content)
        job = run(stage, queue, read, "/lustre/bucket", read_only=True)
        assert stage.log(job["container"]["logStreamName"]) == [content.decode()]
    write = (
        "import sys, pathlib; p = pathlib.Path(sys.argv[1]); (p / 'b.txt').write_text('mine');"
        " (p / 'data/a.txt').unlink()"
    )
    assert run(stage, queue, write, "/lustre/bucket")["status"] == "SUCCEEDED"
    keys = {each["Key"] for each in s3.list_objects_v2(Bucket="linked")["Contents"]}
    assert keys == {"b.txt"}
    refused = run(stage, queue, write, "/lustre/bucket", read_only=True)
    assert refused["status"] == "FAILED"
    elsewhere = run(stage, queue, "import os, sys; print(os.listdir(sys.argv[1]))", "/lustre/own")
    assert stage.log(elsewhere["container"]["logStreamName"]) == ["[]"]
    s3.delete_objects(Bucket="linked", Delete={"Objects": [{"Key": "b.txt"}]})
    late = (
        "import sys, pathlib; (pathlib.Path(sys.argv[1]) / 'b.txt').write_text('mine');"
        " sys.stdin.close()"
    )
    stage.cloud.faults.append(_no_bucket)
    try:
        assert run(stage, queue, late, "/lustre/bucket")["status"] == "SUCCEEDED", (
            "what the link cannot do is no matter of the job"
        )
    finally:
        stage.cloud.faults.remove(_no_bucket)
    folder = stage.directory / "shared" / file_system["FileSystemId"]
    assert (folder / "bucket" / "b.txt").read_text() == "mine"
    fsx.delete_file_system(FileSystemId=file_system["FileSystemId"])
    assert not folder.exists()


def test_a_job_does_not_start_where_the_instance_could_not_mount_it(stage: Stage) -> None:
    closed = group(stage, "closed")
    let_in(stage, closed, 1018)
    job = run(stage, instances(stage, create(stage, SecurityGroupIds=[closed])), "", "/lustre/a")
    assert job["container"]["reason"].startswith("CannotStartContainerError: ")
    assert "mkdir /lustre: not a directory" in job["container"]["reason"]
    assert "TCP 988 is not let in" in job["container"]["reason"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"StorageCapacity": 1201}, "1200, 2400 or a multiple of 2400"),
        ({"StorageCapacity": 3600}, "1200, 2400 or a multiple of 2400"),
        (
            {
                "LustreConfiguration": {
                    "DeploymentType": "PERSISTENT_2",
                    "PerUnitStorageThroughput": 200,
                }
            },
            "allowed: 125, 250, 500, 1000",
        ),
        (
            {
                "LustreConfiguration": {
                    "DeploymentType": "SCRATCH_2",
                    "PerUnitStorageThroughput": 125,
                }
            },
            "allowed: none",
        ),
        ({"SubnetIds": ["subnet-00000000"]}, "does not exist"),
        ({"FileSystemType": "WINDOWS"}, "of type LUSTRE"),
    ],
)
def test_what_fsx_does_not_sell(stage: Stage, given: dict[str, Any], says: str) -> None:
    with pytest.raises(ClientError, match=says):
        create(stage, **given)


def test_sizes_grow_links_do_not_overlap_and_tags_change(stage: Stage) -> None:
    fsx = stage.client("fsx")
    made = create(stage, Tags=[{"Key": "a", "Value": "1"}])
    name, arn = made["FileSystemId"], made["ResourceARN"]
    grown = fsx.update_file_system(FileSystemId=name, StorageCapacity=4800)["FileSystem"]
    assert grown["StorageCapacity"] == 4800
    with pytest.raises(ClientError, match="only grows"):
        fsx.update_file_system(FileSystemId=name, StorageCapacity=2400)
    stage.client("s3").create_bucket(Bucket="twice")
    link = {"FileSystemId": name, "DataRepositoryPath": "s3://twice"}
    fsx.create_data_repository_association(**link, FileSystemPath="/one")
    with pytest.raises(ClientError, match="overlaps"):
        fsx.create_data_repository_association(**link, FileSystemPath="/one/below")
    fsx.create_data_repository_association(**link, FileSystemPath="/oneself")
    old = create(stage, FileSystemTypeVersion="2.10")["FileSystemId"]
    with pytest.raises(ClientError, match=r"Lustre 2\.12 or newer"):
        fsx.create_data_repository_association(**{**link, "FileSystemId": old})
    fsx.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": "2"}])
    fsx.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert fsx.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    found = stage.client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "b", "Values": ["2"]}], ResourceTypeFilters=["fsx"]
    )["ResourceTagMappingList"]
    assert [each["ResourceARN"] for each in found] == [arn]


@pytest.mark.parametrize(
    ("line", "below"),
    [
        ("mount -t lustre -o relatime,flock fs-1.x.com@tcp:/abc /lustre", "a/b"),
        ("if mount -t lustre fs-1.x.com@tcp:/abc /lustre; then", "a/b"),
        ("mount -t lustre fs-1.x.com@tcp:/abc /lustre/a/", "b"),
        ("mount -t lustre fs-1.x.com@tcp:/abc /elsewhere", None),
    ],
)
def test_user_data_says_what_is_mounted(line: str, below: str | None) -> None:
    mount = lustre_mount(f"#!/bin/bash\n{line}\n")
    assert mount is not None
    assert (mount.dns_name, mount.mount_name) == ("fs-1.x.com", "abc")
    assert mount.below("/lustre/a/b") == below
    assert lustre_mount("mkfs.xfs /dev/nvme1n1") is None
