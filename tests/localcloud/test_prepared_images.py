"""The life of an AMI with the stack's images: the real program in the rehearsal's Image Builder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.doctor.batch_checks import environments
from cli.doctor.patient import Patient
from cli.why.account import Account
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import Deployment, DeploymentError, deploy, destroy
from tests.config.stacks import sections
from tests.localcloud.conftest import until
from tests.support.program import write_part

FIRST, SECOND, GPU = (f"sha256:{digit * 64}" for digit in "123")
BASE = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
KEEP = 2


class Stack:
    """The stack local as far as its environments, one of which boots an AMI of its own."""

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self.program = write_part(folder, "local", "environments")
        with (self.program / "__main__.py").open("a") as file:
            file.write('pulumi.export("environments", environments.names)\n')
        self.cloud = cloud
        self.state: Any = None

    def up(
        self,
        cpu: str = FIRST,
        network: Mapping[str, Any] | None = None,
        **prepared: Any,
    ) -> Deployment:
        given = sections("local")
        environments = given["environments"]
        environments["on-demand-cpu"]["prepared_image"] = {"keep": KEEP, **prepared}
        changed = {
            "environments": environments,
            "images": {"cpu_digest": cpu, "gpu_digest": GPU},
            "network": {**given.get("network", {}), **(network or {})},
        }
        config = {f"batch-reference:{name}": json.dumps(each) for name, each in changed.items()}
        done = deploy(self.program, "local", self.cloud.client, config=config, previous=self.state)
        self.state = done.state
        return done

    def booted(self) -> str:
        """The AMI of the environment."""
        (found,) = [
            each["computeResources"]["ec2Configuration"][0]["imageIdOverride"]
            for each in self.cloud.client("batch").describe_compute_environments()[
                "computeEnvironments"
            ]
            if "on-demand-cpu" in each["computeEnvironmentName"]
        ]
        return str(found)

    def amis(self) -> list[dict[str, Any]]:
        """AMIs of the stack, the newest last."""
        found = self.cloud.client("ec2").describe_images(
            Owners=["self"], Filters=[{"Name": "tag:stack", "Values": ["local"]}]
        )["Images"]
        return sorted(found, key=lambda each: each["CreationDate"])

    def pipeline(self) -> str:
        return str(self.of("imagePipeline:ImagePipeline").id)

    def of(self, kind: str) -> Any:
        (found,) = [
            each for each in self.state.resources if each.type == f"aws:imagebuilder/{kind}"
        ]
        return found


def doctor(stack: Stack, outputs: Mapping[str, Any]) -> list[str]:
    """What the doctor says of the environments, the good left out."""
    account = Account(client=stack.cloud.client, outputs=outputs, now=stack.cloud.now)
    return [each.what for each in environments(Patient(account)) if each.level != "ok"]


def _operations(done: Deployment, kind: str) -> set[str]:
    return {step.operation for step in done.steps if f"{kind}::" in step.urn}


def _a_second_later() -> None:
    """EC2 tells in which second an image was made, and the newest is that of the latest."""
    now = int(time.time())
    until(lambda: int(time.time()) > now)


@pytest.mark.timeout(240)
def test_an_ami_is_built_renewed_replaced_and_in_the_end_forgotten(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "cloud", images={}) as cloud:
        builder, stack = cloud.client("imagebuilder"), Stack(cloud, tmp_path / "program")
        stack.up()
        (first,) = stack.amis()
        assert stack.booted() == first["ImageId"]
        tags = {each["Key"]: each["Value"] for each in first["Tags"]}
        assert tags["prepared-for"] == "on-demand-cpu"
        assert tags["CreatedBy"] == "EC2 Image Builder"
        assert not first["Public"]
        again = stack.up()
        assert {step.operation for step in again.steps} == {"same"}

        # AWS has published another base, and the schedule was due
        _a_second_later()
        builder.start_image_pipeline_execution(imagePipelineArn=stack.pipeline())
        assert stack.booted() == first["ImageId"], "nothing changes behind the program's back"
        (told,) = doctor(stack, again.outputs)
        assert "its renewal" in told
        assert first["ImageId"] in told
        renewal = stack.up()
        renewed = stack.amis()[-1]["ImageId"]
        assert stack.booted() == renewed != first["ImageId"]
        assert _operations(renewal, "ComputeEnvironment") >= {"update"}
        assert "replace" not in _operations(renewal, "ComputeEnvironment")

        # an AMI whose test fails never boots, and says why
        cloud.image_builds.broken = "GpuComputes failed"
        with pytest.raises(DeploymentError, match=r"Image.*GpuComputes failed"):
            stack.up(SECOND)
        assert stack.booted() == renewed
        cloud.image_builds.broken = ""
        _a_second_later()
        outputs = stack.up(SECOND).outputs
        assert doctor(stack, outputs) == []
        latest = stack.amis()[-1]["ImageId"]
        assert stack.booted() == latest not in (first["ImageId"], renewed)

        # the policy keeps the newest and what was launched
        assert len(stack.amis()) == KEEP
        remaining = {each["ImageId"] for each in stack.amis()}
        snapshots = {
            each["SnapshotId"]
            for each in cloud.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
        }
        gone = first["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        assert first["ImageId"] not in remaining
        assert gone not in snapshots

        cloud.client("ec2").deregister_image(ImageId=latest)
        assert doctor(stack, outputs) == [
            f"environment on-demand-cpu boots AMI {latest}, which does not exist"
        ]
        remaining.discard(latest)
        destroy(stack.program, "local", cloud.client, previous=stack.state)
        assert {each["ImageId"] for each in stack.amis()} == remaining, "leftovers tells of them"
