"""Launch templates, the layout of EFA interfaces, and what an instance does when it boots."""

from __future__ import annotations

import base64
import email
import os
import shutil
import subprocess
from email.message import Message
from pathlib import Path

import pytest

from components.efa import efa_device_count, efa_interfaces
from components.user_data import user_data
from config.disks import Gp3, InstanceStore, Scratch
from config.facts import ec2_facts, instance_type
from tests.components.program import STACKS, config_of, deploy, deployed

LT = "aws:ec2/launchTemplate:LaunchTemplate"


@pytest.mark.parametrize("stack", STACKS)
def test_instances_are_locked_down_and_carry_the_tags_of_the_stack(stack: str) -> None:
    made, config = deployed(stack), config_of(stack)
    for template in made.all(LT):
        name = template.name.removeprefix("environments-").removesuffix("-template")
        assert template.inputs["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }
        size = config.environments[name].root_volume_gib  # type: ignore[union-attr]
        root = {
            "volumeSize": size,
            "volumeType": "gp3",
            "encrypted": "true",
            "deleteOnTermination": "true",
        }
        assert template.inputs["blockDeviceMappings"] == [{"deviceName": "/dev/xvda", "ebs": root}]
        specifications = {
            s["resourceType"]: s["tags"] for s in template.inputs["tagSpecifications"]
        }
        assert specifications.keys() == {"volume", "network-interface"}
        assert all(tags["stack"] == stack for tags in specifications.values())
        # AWS Batch ignores these, or takes its own
        assert (
            not {"instanceType", "iamInstanceProfile", "imageId", "keyName", "vpcSecurityGroupIds"}
            & template.inputs.keys()
        )


LAYOUTS = {
    "c5n.9xlarge": [(0, 0, "efa")],
    "g5.8xlarge": [(0, 0, "efa")],
    "p4d.24xlarge": [(0, 0, "efa"), (1, 1, "efa"), (2, 2, "efa"), (3, 3, "efa")],
    "p5.48xlarge": [(0, 0, "efa"), *((card, 0, "efa-only") for card in range(1, 32))],
    "p5en.48xlarge": [(0, 0, "efa"), *((card, 0, "efa-only") for card in range(1, 16))],
    "p6-b200.48xlarge": [(0, 0, "efa"), *((card, 0, "efa-only") for card in range(1, 8))],
    "p6-b300.48xlarge": [(0, 0, "interface"), *((card, 0, "efa-only") for card in range(1, 17))],
    "hpc7a.96xlarge": [(0, 0, "efa"), (1, 1, "efa")],
    "x9.unheard-of": [(0, 0, "efa")],
}


@pytest.mark.parametrize(("type_name", "layout"), LAYOUTS.items())
def test_layout_of_efa_interfaces(type_name: str, layout: list[tuple[int, int, str]]) -> None:
    assert [
        (i.card, i.device, i.type) for i in efa_interfaces(type_name, instance_type(type_name))
    ] == layout


def test_layout_uses_every_adapter_and_leaves_room_for_the_interface_of_the_container() -> None:
    types = {name: facts for name, facts in ec2_facts().types.items() if facts.efa_interfaces}
    assert len(types) > 30
    for name, facts in types.items():
        interfaces = efa_interfaces(name, facts)
        assert efa_device_count(name, facts) == facts.efa_interfaces, name
        assert len({(i.card, i.device) for i in interfaces}) == len(interfaces), name
        assert sum(i.card == 0 for i in interfaces) < facts.interfaces_per_card, name


def test_interfaces_of_the_template_have_the_security_group_and_go_with_the_instance() -> None:
    made = deployed("prod")
    group = made.one("aws:ec2/securityGroup:SecurityGroup", "network-hpc").id
    interfaces = made.one(LT, "environments-gpu-template").inputs["networkInterfaces"]
    assert len(interfaces) == 32
    for card, interface in enumerate(interfaces):
        assert interface == {
            "networkCardIndex": card,
            "deviceIndex": 0,
            "interfaceType": "efa" if card == 0 else "efa-only",
            "securityGroups": [group],
            "deleteOnTermination": "true",
        }
    assert [t.name for t in made.all(LT, count=3) if "networkInterfaces" in t.inputs] == [
        "environments-gpu-template"
    ]


def test_reserved_capacity() -> None:
    block = {
        "capacity_reservation_id": "cr-0123456789abcdef0",
        "capacity_block": True,
        "placement_group": False,
    }
    template = deploy("prod", changes={"environments": {"gpu": block}}, until="environments").one(
        LT, "environments-gpu-template"
    )
    target = {"capacityReservationId": "cr-0123456789abcdef0"}
    assert template.inputs["capacityReservationSpecification"] == {
        "capacityReservationTarget": target
    }
    assert template.inputs["instanceMarketOptions"] == {"marketType": "capacity-block"}
    plain = deployed("prod").one(LT, "environments-gpu-template")
    assert not {"capacityReservationSpecification", "instanceMarketOptions"} & plain.inputs.keys()


def scripts_of(encoded: str) -> list[str]:
    archive: Message = email.message_from_bytes(base64.b64decode(encoded))
    assert archive.get_content_type() == "multipart/mixed"
    parts = archive.get_payload()
    assert isinstance(parts, list)
    assert all(
        isinstance(part, Message) and part.get_content_type() == "text/x-shellscript"
        for part in parts
    )
    return [str(part.get_payload()) for part in parts if isinstance(part, Message)]


STORE = InstanceStore(kind="instance-store")
VOLUME = Gp3(kind="gp3", size_gib=200, iops=6000, throughput_mibps=500)


def test_a_volume_for_scratch_is_encrypted_and_goes_with_the_instance() -> None:
    changes = {"environments": {"gpu": {"scratch": VOLUME.model_dump()}}}
    template = deploy("prod", changes=changes, until="environments").one(
        LT, "environments-gpu-template"
    )
    root, scratch = template.inputs["blockDeviceMappings"]
    assert root["deviceName"] == "/dev/xvda"
    assert scratch == {
        "deviceName": "/dev/sdf",
        "ebs": {
            "volumeSize": 200,
            "volumeType": "gp3",
            "iops": 6000,
            "throughput": 500,
            "encrypted": "true",
            "deleteOnTermination": "true",
        },
    }


@pytest.mark.parametrize(
    ("scratch", "efa", "count"),
    [
        (None, False, 1),
        (STORE, False, 2),
        (None, True, 2),
        (STORE, True, 3),
        (VOLUME, False, 2),
        (VOLUME, True, 3),
    ],
)
def test_user_data_is_a_multipart_archive_of_shellscripts_of(
    scratch: Scratch | None, efa: bool, count: int
) -> None:
    encoded = user_data(scratch=scratch, efa=efa, spot=False)
    scripts = scripts_of(encoded)
    assert len(scripts) == count
    assert len(base64.b64decode(encoded)) < 8 * 1024, (
        "EC2 takes 16 KiB, and AWS Batch adds a part of its own"
    )
    for script in scripts:
        assert script.startswith("#!/bin/bash\n")
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("stack", STACKS)
def test_every_instance_keeps_jobs_from_its_role(stack: str) -> None:
    for template in deployed(stack).all(LT):
        first = scripts_of(template.inputs["userData"])[0]
        assert "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config" in first
        assert (
            "iptables -I OUTPUT -d 169.254.169.254/32 -m owner ! --uid-owner 0 -j REJECT" in first
        )


@pytest.mark.parametrize("works", [True, False])
def test_metadata_script_sets_both_locks_and_says_where_one_fails(
    works: bool, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "iptables"
    stub.write_text(
        f'#!{shutil.which("bash")}\necho "$*" > {tmp_path}/rule\nexit {0 if works else 1}\n'
    )
    stub.chmod(0o755)
    script = (
        scripts_of(user_data(scratch=None, efa=False, spot=False))[0]
        .replace("/etc/ecs", f"{tmp_path}/ecs")
        .replace("/dev/kmsg", f"{tmp_path}/kmsg")
    )
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    subprocess.run(
        [shutil.which("bash") or "bash"],
        input=script,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
    )
    assert (tmp_path / "ecs" / "ecs.config").read_text() == "ECS_AWSVPC_BLOCK_IMDS=true\n"
    assert (
        tmp_path / "rule"
    ).read_text() == "-I OUTPUT -d 169.254.169.254/32 -m owner ! --uid-owner 0 -j REJECT\n"
    assert (tmp_path / "kmsg").exists() != works


MOUNTED = ["mkdir -p /scratch", "mkfs.xfs -f -K {0}", "mount -o noatime {0} /scratch"]
READY = [*MOUNTED, "chmod 1777 /scratch"]
NOT_READY = ["rmdir /scratch", "touch /scratch"]


def on(device: str, lines: list[str]) -> list[str]:
    return [line.format(device) for line in lines]


SCRATCH_CASES: dict[str, tuple[Scratch, str, str, list[str]]] = {
    # which disks there are, and which program is missing or fails
    "no disk": (STORE, "", "", NOT_READY),
    "one disk": (STORE, "/dev/nvme1n1", "", on("/dev/nvme1n1", READY)),
    "two disks, linked twice each": (
        STORE,
        r"/dev/nvme2n1\n/dev/nvme1n1\n/dev/nvme1n1\n/dev/nvme2n1",
        "mdadm",
        [
            "dnf install -y mdadm",
            "mdadm --create /dev/md0 --run --level=0 --raid-devices=2 /dev/nvme1n1 /dev/nvme2n1",
            *on("/dev/md0", READY),
        ],
    ),
    "a disk that cannot be mounted": (
        STORE,
        "/dev/nvme1n1",
        "mount",
        [*on("/dev/nvme1n1", MOUNTED), *NOT_READY],
    ),
    "a volume beside the system's own": (
        VOLUME,
        r"/dev/nvme0n1\n/dev/nvme0n1p1\n/dev/nvme1n1\n/dev/nvme1n1",
        "",
        on("/dev/nvme1n1", READY),
    ),
    "a volume of the AMI's own beside it": (
        VOLUME,
        r"/dev/nvme1n1\n/dev/nvme2n1",
        "",
        on("/dev/nvme2n1", READY),
    ),
    "a volume of a Xen instance": (VOLUME, "/dev/xvdf", "", on("/dev/xvdf", READY)),
    "a volume that does not come": (VOLUME, "/dev/nvme0n1", "", ["sleep 1"] * 30 + NOT_READY),
    "a system that does not say on which disk it runs": (
        VOLUME,
        "/dev/nvme1n1",
        "lsblk",
        NOT_READY,
    ),
}


@pytest.mark.parametrize("case", SCRATCH_CASES)
def test_scratch_script_mounts_the_disks_that_are_there(case: str, tmp_path: Path) -> None:
    scratch, disks, broken, expected = SCRATCH_CASES[case]
    log = tmp_path / "log"
    (tmp_path / "bin").mkdir()

    def stub(name: str, body: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
        path.chmod(0o755)

    recorded = f'echo "$(basename "$0") $*" >> {log}'
    for name in ("mkdir", "mkfs.xfs", "mount", "chmod", "rmdir", "touch", "sleep", "mdadm"):
        stub(name, recorded)
    stub("readlink", f"printf '{disks}\\n'")
    stub("tee", "cat > /dev/null")  # the real one would write to the kernel's log
    stub("findmnt", "echo /dev/nvme0n1p1")
    # nothing found ends with 2; an AMI's own volume has a file system
    own = "/dev/nvme1n1" if "of the AMI's own" in case else ""
    stub("blkid", f'[ "$2" = "{own}" ] || exit 2')
    stub("lsblk", r"printf 'nvme0n1p1 part\nnvme0n1 disk\n'")
    stub(
        "dnf",
        f"{recorded}\nprintf '#!{shutil.which('bash')}\\n{recorded}\\n' >"
        f" {tmp_path}/bin/mdadm\n/bin/chmod 755 {tmp_path}/bin/mdadm",
    )
    if broken == "mdadm":
        (tmp_path / "bin" / "mdadm").unlink()
    elif broken:
        stub(broken, f"{recorded if broken == 'mount' else ':'}\nexit 32")
    for name in ("grep", "sort", "cat", "basename", "sed", "seq", "head"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    script = scripts_of(user_data(scratch=scratch, efa=False, spot=False))[1]
    done = subprocess.run(
        [shutil.which("bash") or "bash"],
        input=script,
        text=True,
        check=False,
        env={**os.environ, "PATH": str(tmp_path / "bin")},
    )
    assert log.read_text().splitlines() == expected
    assert (done.returncode == 0) == (expected[-1] == "chmod 1777 /scratch")
