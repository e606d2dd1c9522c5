"""Volumes of EFS: whose folder is whose, who is let in, who may write, and what AWS says to those
whom it refuses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage

LOGS = {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
WRITE = "import sys; open(sys.argv[1] + '/' + sys.argv[2], 'w').write(sys.argv[2])"
READ = (
    "import os, sys; print(sorted(n for n in os.listdir(sys.argv[1]) if not n.startswith('.')),"
    " flush=True)"
)


@dataclass
class Files:
    """A file system with a mount target that lets the jobs in."""

    stage: Stage
    id: str
    arn: str
    group: str
    target: str

    @property
    def efs(self) -> Any:
        return self.stage.client("efs")

    def point(self, directory: str, *, created: bool = True) -> dict[str, Any]:
        owner = {"OwnerUid": 1, "OwnerGid": 1, "Permissions": "0750"}
        root = {"Path": directory, **({"CreationInfo": owner} if created else {})}
        made: dict[str, Any] = self.efs.create_access_point(
            ClientToken=self.stage.name("token"), FileSystemId=self.id, RootDirectory=root
        )
        return made

    def policy(self, *statements: dict[str, Any]) -> None:
        """What the file system says to its clients; nothing of it where there are none."""
        if not statements:
            self.efs.delete_file_system_policy(FileSystemId=self.id)
            return
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Principal": {"AWS": "*"}, "Resource": "*", **s} for s in statements],
        }
        self.efs.put_file_system_policy(FileSystemId=self.id, Policy=json.dumps(document))

    def job(
        self,
        queue: str,
        code: str,
        *arguments: str,
        point: dict[str, Any] | None,
        role: str,
        path: str = "/mnt/files",
        read_only: bool = False,
        fargate: bool = False,
    ) -> dict[str, Any]:
        """A job with one volume, when it has ended."""
        authorization = {} if point is None else {"accessPointId": point["AccessPointId"]}
        volume = {
            "fileSystemId": self.id,
            "transitEncryption": "ENABLED",
            "authorizationConfig": {**authorization, "iam": "ENABLED"},
        }
        container: dict[str, Any] = {
            "jobRoleArn": role,
            "volumes": [{"name": "files", "efsVolumeConfiguration": volume}],
            "mountPoints": [
                {"sourceVolume": "files", "containerPath": path, "readOnly": read_only}
            ],
        }
        if fargate:
            container |= {
                "memory": "2048",
                "executionRoleArn": self.stage.role("ecs-tasks.amazonaws.com", LOGS),
                "definition": {"platformCapabilities": ["FARGATE"]},
            }
        definition = self.stage.definition(["python", "-c", code, *arguments], **container)
        return self.stage.wait(self.stage.submit(queue, definition))

    def role(self, *actions: str, **condition: Any) -> str:
        mounting = [f"elasticfilesystem:Client{action}" for action in actions]
        statement = {"Action": mounting, "Resource": self.arn, **condition}
        return self.stage.role("ecs-tasks.amazonaws.com", *([statement] if actions else []))


@pytest.fixture(scope="module")
def files(stage: Stage) -> Files:
    efs, ec2 = stage.client("efs"), stage.client("ec2")
    made = efs.create_file_system(CreationToken="files", Encrypted=True)
    group = ec2.create_security_group(GroupName="nfs", Description="NFS", VpcId=stage.vpc)[
        "GroupId"
    ]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 2049,
                "ToPort": 2049,
                "UserIdGroupPairs": [{"GroupId": stage.group}],
            }
        ],
    )
    target = efs.create_mount_target(
        FileSystemId=made["FileSystemId"], SubnetId=stage.subnet, SecurityGroups=[group]
    )
    return Files(
        stage=stage,
        id=made["FileSystemId"],
        arn=made["FileSystemArn"],
        group=group,
        target=target["MountTargetId"],
    )


@pytest.fixture(scope="module")
def fargate(stage: Stage) -> str:
    return stage.queue(stage.environment("FARGATE"))


def said(stage: Stage, job: dict[str, Any]) -> list[str]:
    assert job["status"] == "SUCCEEDED", job
    return stage.log(job["container"]["logStreamName"])


def test_a_folder_is_shared_by_those_who_come_by_its_directory(
    stage: Stage, queue: str, fargate: str, files: Files
) -> None:
    role = files.role("Mount", "Write")
    here, also, elsewhere = files.point("/a"), files.point("/a"), files.point("/b")
    written = files.job(queue, WRITE, "/mnt/files", "one", point=here, role=role)
    assert written["status"] == "SUCCEEDED"
    for point, expected in ((also, "['one']"), (elsewhere, "[]")):
        read = files.job(fargate, READ, "/data", point=point, role=role, path="/data", fargate=True)
        assert said(stage, read) == [expected]


def test_who_may_only_read_cannot_write(stage: Stage, queue: str, files: Files) -> None:
    point = files.point("/read")
    files.policy({"Effect": "Deny", "Action": "elasticfilesystem:ClientRootAccess"})
    try:
        both = files.role("Mount", "Write")
        assert files.job(queue, WRITE, "/mnt/files", "kept", point=point, role=both)["status"] == (
            "SUCCEEDED"
        )
        for role, read_only in ((both, True), (files.role("Mount"), False)):
            refused = files.job(
                queue, WRITE, "/mnt/files", "no", point=point, role=role, read_only=read_only
            )
            log = stage.log(refused["container"]["logStreamName"])
            assert refused["status"] == "FAILED", (read_only, log)
            assert "Read-only file system" in log[-1]
        read = files.job(queue, READ, "/mnt/files", point=point, role=files.role("Mount"))
        assert said(stage, read) == ["['kept']"]
    finally:
        files.policy()


def test_a_folder_can_be_had_both_ways(stage: Stage, queue: str, files: Files) -> None:
    point = files.point("/both")
    configuration = {
        "fileSystemId": files.id,
        "transitEncryption": "ENABLED",
        "authorizationConfig": {"accessPointId": point["AccessPointId"], "iam": "ENABLED"},
    }
    code = (
        "import os, sys; source, target = sys.argv[1:]; open(target + '/x', 'w').write('here');"
        " print(open(source + '/x').read(), os.access(source + '/x', os.W_OK), flush=True);"
        " open(source + '/x', 'w')"
    )
    definition = stage.definition(
        ["python", "-c", code, "/mnt/in", "/mnt/out"],
        jobRoleArn=files.role("Mount", "Write"),
        volumes=[{"name": name, "efsVolumeConfiguration": configuration} for name in ("in", "out")],
        mountPoints=[
            {"sourceVolume": "in", "containerPath": "/mnt/in", "readOnly": True},
            {"sourceVolume": "out", "containerPath": "/mnt/out", "readOnly": False},
        ],
    )
    job = stage.wait(stage.submit(queue, definition))
    log = stage.log(job["container"]["logStreamName"])
    assert log[0] == "here False"
    assert "Read-only file system" in log[-1]


def _by(point: dict[str, Any]) -> dict[str, Any]:
    return {
        "Condition": {"ArnEquals": {"elasticfilesystem:AccessPointArn": point["AccessPointArn"]}}
    }


def test_the_policies_of_role_and_file_system_decide(
    stage: Stage, queue: str, fargate: str, files: Files
) -> None:
    own, other = files.point("/own"), files.point("/other")
    deny_others = {
        "Effect": "Deny",
        "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
        "Condition": {
            "ArnNotEquals": {"elasticfilesystem:AccessPointArn": [own["AccessPointArn"]]}
        },
    }
    nobody, mine = files.role(), files.role("Mount", "Write", **_by(own))
    reach = "mount.nfs4: access denied by server while mounting 127.0.0.1:/"
    files.policy(deny_others)
    try:
        assert files.job(queue, READ, "/mnt/files", point=own, role=mine)["status"] == "SUCCEEDED"
        everything = files.role("Mount", "Write")
        for point, role in ((own, nobody), (other, mine), (other, everything), (None, everything)):
            before = len(stage.cloud.denials)
            job = files.job(queue, READ, "/mnt/files", point=point, role=role)
            assert job["status"] == "FAILED"
            reason = job["container"]["reason"]
            assert reason.startswith("CannotStartContainerError: ")
            assert reach in reason
            (denial,) = stage.cloud.denials[before:]
            assert (denial.action, denial.resource) == (
                "elasticfilesystem:ClientMount",
                files.arn,
            )
        job = files.job(fargate, READ, "/mnt/files", point=own, role=nobody, fargate=True)
        assert job["statusReason"].startswith(
            "ResourceInitializationError: failed to invoke EFS utils commands"
        )
        assert reach in job["statusReason"]
        files.policy({"Effect": "Allow", "Action": "elasticfilesystem:ClientMount"})
        assert files.job(queue, READ, "/mnt/files", point=own, role=nobody)["status"] == (
            "SUCCEEDED"
        )
    finally:
        files.policy()
    # without a policy of its own a file system lets everybody in
    assert files.job(queue, READ, "/mnt/files", point=own, role=nobody)["status"] == "SUCCEEDED"


def test_a_file_system_that_is_not_reached_is_not_mounted(
    stage: Stage, queue: str, files: Files
) -> None:
    role, point, ec2 = files.role("Mount"), files.point("/net"), stage.client("ec2")
    nobodys = ec2.create_security_group(GroupName="none", Description="none", VpcId=stage.vpc)
    for groups, expected in (
        ([nobodys["GroupId"]], "mount.nfs4: Connection timed out"),
        ([files.group], ""),
    ):
        files.efs.modify_mount_target_security_groups(
            MountTargetId=files.target, SecurityGroups=groups
        )
        job = files.job(queue, READ, "/mnt/files", point=point, role=role)
        assert (job["status"] == "FAILED") == bool(expected)
        assert expected in job["container"].get("reason", "")
    alone = files.efs.create_file_system(CreationToken="alone")
    lonely = Files(
        stage=stage, id=alone["FileSystemId"], arn=alone["FileSystemArn"], group="", target=""
    )
    job = lonely.job(queue, READ, "/mnt/files", point=lonely.point("/a"), role=role)
    assert f'Failed to resolve "{lonely.id}.efs.us-east-1' in job["container"]["reason"]


def test_a_directory_that_nobody_makes_is_missing(stage: Stage, queue: str, files: Files) -> None:
    job = files.job(
        queue,
        READ,
        "/mnt/files",
        point=files.point("/absent", created=False),
        role=files.role("Mount"),
    )
    assert (
        f"mounting {files.id}:/absent failed, reason given by server: No such file"
        in (job["container"]["reason"])
    )


def test_files_go_with_their_file_system(stage: Stage, queue: str, files: Files) -> None:
    role = files.role("Mount", "Write")
    files.job(queue, WRITE, "/mnt/files", "x", point=files.point("/gone"), role=role)
    folder = stage.directory / "shared" / files.id
    assert (folder / "gone" / "x").read_text() == "x"
    with pytest.raises(ClientError, match="Must delete all mount targets"):
        files.efs.delete_file_system(FileSystemId=files.id)
    assert folder.is_dir()
    files.efs.delete_mount_target(MountTargetId=files.target)
    files.efs.delete_file_system(FileSystemId=files.id)
    assert not folder.exists()
    assert files.efs.describe_access_points(FileSystemId=files.id)["AccessPoints"] == []


@pytest.mark.parametrize(
    ("volume", "says"),
    [
        ({"authorizationConfig": {"iam": "ENABLED"}}, "transitEncryption must be ENABLED"),
        (
            {"authorizationConfig": {"accessPointId": "fsap-1"}, "transitEncryption": "DISABLED"},
            "transitEncryption must be ENABLED",
        ),
        (
            {
                "authorizationConfig": {"accessPointId": "fsap-1"},
                "transitEncryption": "ENABLED",
                "rootDirectory": "/deep",
            },
            "must be omitted or /",
        ),
    ],
)
def test_a_definition_that_aws_refuses(stage: Stage, volume: dict[str, Any], says: str) -> None:
    volumes = [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-12345678", **volume}}]
    with pytest.raises(ClientError, match=says):
        stage.python("", volumes=volumes)
