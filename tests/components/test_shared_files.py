"""File systems that jobs share: what is made of them, and what each job gets to mount them."""

from __future__ import annotations

import base64
import json
import warnings
from functools import cache
from typing import Any

import pytest

from tests.components import mocks
from tests.components.program import deploy, deployed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import parliament

EFS = "aws:efs/fileSystem:FileSystem"
POINT = "aws:efs/accessPoint:AccessPoint"
LUSTRE = "aws:fsx/lustreFileSystem:LustreFileSystem"
DEFINITION = "aws:batch/jobDefinition:JobDefinition"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


def volume(file_system: str, path: str, **more: Any) -> dict[str, Any]:
    return {"file_system": file_system, "path": path, **more}


@cache
def on_efs(**section: Any) -> mocks.Recording:
    """The stack prod, whose first two stages have volumes."""
    return deploy(
        "prod",
        changes={
            "storage": {"efs": {"kind": "created", **section}},
            "jobs": {
                "preprocess": {
                    "volumes": [volume("efs", "/mnt/shared")],
                    "tables_path": "/mnt/shared/tables",
                },
                "analysis": {
                    "volumes": [
                        volume("efs", "/mnt/shared", read_only=True),
                        volume("efs", "/mnt/own", directory="/checkpoints"),
                    ],
                    "tables_path": "/mnt/shared/tables",
                    "checkpoints_path": "/mnt/own",
                },
            },
        },
        until="jobs",
    )


@cache
def on_lustre() -> mocks.Recording:
    return deploy(
        "prod",
        changes={
            "storage": {"lustre": {"kind": "created"}},
            "jobs": {
                "analysis": {
                    "volumes": [
                        volume("lustre", "/mnt/tables", directory="/intermediate"),
                        volume("lustre", "/mnt/own", directory="/checkpoints"),
                    ]
                }
            },
        },
        until="jobs",
    )


def container(made: mocks.Recording, stage: str) -> dict[str, Any]:
    (definition,) = (r for r in made.all(DEFINITION, count=3) if r.name == f"jobs-{stage}")
    if text := definition.inputs.get("containerProperties"):
        return dict(json.loads(text))
    (node_range,) = json.loads(definition.inputs["nodeProperties"])["nodeRangeProperties"]
    return dict(node_range["container"])


def test_efs_is_encrypted_kept_and_reached_in_every_zone() -> None:
    made = on_efs(infrequent_access_days=1)
    (found,) = made.all(EFS, count=1)
    assert found.inputs["encrypted"] is True
    assert found.inputs["throughputMode"] == "elastic"
    assert found.inputs["lifecyclePolicies"] == [
        {"transitionToIa": "AFTER_1_DAY"},
        {"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ]
    assert found.options.protect, "storage.protect"
    (backup,) = made.all("aws:efs/backupPolicy:BackupPolicy", count=1)
    assert backup.inputs["backupPolicy"] == {"status": "ENABLED"}
    targets = made.all("aws:efs/mountTarget:MountTarget", count=3)
    private = {
        r.id for r in made.all("aws:ec2/subnet:Subnet", count=6) if r.name.startswith("network-pr")
    }
    assert {target.inputs["subnetId"] for target in targets} == private
    (group,) = {tuple(target.inputs["securityGroups"]) for target in targets}
    rules = [r.inputs for r in made.all(RULE) if r.inputs["securityGroupId"] == group[0]]
    assert {(r["ipProtocol"], r["fromPort"], r["toPort"]) for r in rules} == {("tcp", 2049, 2049)}
    assert len({r["referencedSecurityGroupId"] for r in rules}) == 3


def test_each_volume_has_an_access_point_as_the_user_of_the_images() -> None:
    points = {p.name: p.inputs for p in on_efs().all(POINT, count=3)}
    assert {name: p["rootDirectory"]["path"] for name, p in points.items()} == {
        "efs-preprocess-0": "/shared",
        "efs-analysis-0": "/shared",
        "efs-analysis-1": "/checkpoints",
    }
    for point in points.values():
        assert point["posixUser"] == {"uid": 10001, "gid": 10001}
        assert point["rootDirectory"]["creationInfo"] == {
            "ownerUid": 10001,
            "ownerGid": 10001,
            "permissions": "0750",
        }


def test_jobs_mount_by_tls_and_by_their_role() -> None:
    made = on_efs()
    points = {p.name: p.id for p in made.all(POINT, count=3)}
    (file_system,) = made.all(EFS, count=1)
    analysis = container(made, "analysis")
    # the scratch disks of the instances stay where they were
    assert [v["name"] for v in analysis["volumes"]] == ["scratch", "analysis-0", "analysis-1"]
    for index in (0, 1):
        assert analysis["volumes"][1 + index]["efsVolumeConfiguration"] == {
            "fileSystemId": file_system.id,
            "transitEncryption": "ENABLED",
            "authorizationConfig": {
                "accessPointId": points[f"efs-analysis-{index}"],
                "iam": "ENABLED",
            },
        }
    assert [(p["containerPath"], p["readOnly"]) for p in analysis["mountPoints"][1:]] == [
        ("/mnt/shared", True),
        ("/mnt/own", False),
    ]
    told = {e["name"]: e["value"] for e in analysis["environment"]}
    assert told["PIPELINE_TABLES_PATH"] == "/mnt/shared/tables"
    assert told["PIPELINE_CHECKPOINTS_PATH"] == "/mnt/own"
    assert "volumes" not in container(made, "postprocess")


def test_roles_mount_by_their_own_access_points_alone() -> None:
    made = on_efs()
    arns = {p.name: p.outputs["arn"] for p in made.all(POINT, count=3)}
    for stage, mount, write in (
        ("preprocess", ["efs-preprocess-0"], ["efs-preprocess-0"]),
        ("analysis", ["efs-analysis-0", "efs-analysis-1"], ["efs-analysis-1"]),
        ("postprocess", [], []),
    ):
        policy = made.one("aws:iam/rolePolicy:RolePolicy", f"roles-{stage}")
        found = {
            action: s["Condition"]["ArnEquals"]["elasticfilesystem:AccessPointArn"]
            for s in made.policy(policy)
            for action in s["Action"]
            if action.startswith("elasticfilesystem:")
        }
        assert parliament.analyze_policy_string(policy.inputs["policy"]).findings == []
        expected = {"ClientMount": mount, "ClientWrite": write}
        assert found == {
            f"elasticfilesystem:{action}": [arns[name] for name in names]
            for action, names in expected.items()
            if names
        }


def test_the_file_system_refuses_all_others() -> None:
    made = on_efs()
    arns = {p.outputs["arn"] for p in made.all(POINT, count=3)}
    (policy,) = made.all("aws:efs/fileSystemPolicy:FileSystemPolicy", count=1)
    found = {s["Sid"]: s for s in made.policy(policy)}
    assert {s["Effect"] for s in found.values()} == {"Deny"}, "what roles are allowed is theirs"
    assert found["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    (key,) = found["ByOwnAccessPoints"]["Condition"]["ArnNotEquals"].values()
    assert set(key) == arns
    assert found["NobodyIsRoot"]["Action"] == ["elasticfilesystem:ClientRootAccess"]


def test_a_file_system_that_was_there_keeps_what_it_has() -> None:
    made = deploy(
        "prod",
        changes={
            "storage": {"efs": {"kind": "existing", "id": "fs-0123456789abcdef0"}},
            "jobs": {"preprocess": {"volumes": [volume("efs", "/mnt/shared")]}},
        },
        until="jobs",
    )
    for kind in ("fileSystem:FileSystem", "backupPolicy:BackupPolicy"):
        made.none(f"aws:efs/{kind}")
    made.none("aws:efs/fileSystemPolicy:FileSystemPolicy")
    (point,) = made.all(POINT, count=1)
    assert point.inputs["fileSystemId"] == "fs-0123456789abcdef0"
    assert len(made.all("aws:efs/mountTarget:MountTarget", count=3)) == 3


def test_lustre_lies_beside_its_machines_and_is_the_bucket() -> None:
    made = on_lustre()
    (found,) = made.all(LUSTRE, count=1)
    assert found.inputs["deploymentType"] == "SCRATCH_2"
    assert found.inputs["fileSystemTypeVersion"] == "2.15"
    assert found.inputs["storageCapacity"] == 1200
    subnet = made.one("aws:ec2/subnet:Subnet", "network-private-0")
    assert found.inputs["subnetIds"] == subnet.id
    (link,) = made.all("aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation", count=1)
    bucket = made.one("aws:s3/bucket:Bucket", "storage-intermediate").outputs["bucket"]
    assert link.inputs["dataRepositoryPath"] == f"s3://{bucket}"
    assert link.inputs["fileSystemPath"] == "/intermediate"
    events = ["NEW", "CHANGED", "DELETED"]
    assert link.inputs["s3"] == {
        "autoImportPolicy": {"events": events},
        "autoExportPolicy": {"events": events},
    }
    (group,) = found.inputs["securityGroupIds"]
    inwards = [r.inputs for r in made.all(RULE)]
    out = [
        r.inputs for r in made.all(RULE.replace("Ingress", "Egress").replace("ingress", "egress"))
    ]
    nodes = made.one("aws:ec2/securityGroup:SecurityGroup", "network-hpc").id
    for rules, here, there in (
        (inwards, group, group),
        (inwards, group, nodes),
        (inwards, nodes, group),  # servers call clients back
        (out, group, group),
        (out, group, nodes),
    ):
        assert {
            (r["fromPort"], r["toPort"])
            for r in rules
            if (r["securityGroupId"], r.get("referencedSecurityGroupId")) == (here, there)
        } == {(988, 988), (1018, 1023)}


def test_instances_mount_lustre_before_they_take_jobs() -> None:
    made = on_lustre()
    templates = {t.name: t.inputs for t in made.all("aws:ec2/launchTemplate:LaunchTemplate")}
    texts = {
        name: base64.b64decode(inputs["userData"]).decode() for name, inputs in templates.items()
    }
    mounting = {name for name, text in texts.items() if "mount -t lustre" in text}
    assert mounting == {"environments-gpu-template"}, (
        "those of the environment whose jobs have volumes"
    )
    text = texts["environments-gpu-template"]
    assert "dnf install -y lustre-client" in text
    (file_system,) = made.all(LUSTRE, count=1)
    outputs = file_system.outputs
    assert f"{outputs['dnsName']}@tcp:/{outputs['mountName']} /lustre" in text
    assert "for directory in /checkpoints; do" in text, "that of the bucket has its own rights"
    analysis = container(made, "analysis")
    assert [v["host"] for v in analysis["volumes"]] == [
        {"sourcePath": "/scratch"},
        {"sourcePath": "/lustre/intermediate"},
        {"sourcePath": "/lustre/checkpoints"},
    ]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_stack_without_file_systems_has_nothing_of_them(stack: str) -> None:
    made = deployed(stack)
    assert not [r for r in made.resources if r.type.startswith(("aws:efs/", "aws:fsx/"))]
