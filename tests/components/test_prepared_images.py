"""AMIs with the stack's container images: what is made of them, who may do what, and what boots."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from components.context import StackContext
from components.prepared_document import component_document
from components.prepared_plan import plans
from tests.components import mocks
from tests.components.program import config_of, deploy

BUILDER = "aws:imagebuilder"
IMAGE = f"{BUILDER}/image:Image"
RECIPE = f"{BUILDER}/imageRecipe:ImageRecipe"
COMPONENT = f"{BUILDER}/component:Component"
ENVIRONMENT = "aws:batch/computeEnvironment:ComputeEnvironment"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CPU, GPU, OTHER = (f"sha256:{digit * 64}" for digit in "123")
PUBLISHED = {"images": {"cpu_digest": CPU, "gpu_digest": GPU}}


@cache
def made(
    environment: str = "on-demand-cpu", cpu: str = CPU, *, published: bool = True, **prepared: Any
) -> mocks.Recording:
    """The stack prod, one of whose environments has an AMI of its own."""
    return deploy(
        "prod",
        changes={
            "images": {"cpu_digest": cpu, "gpu_digest": GPU} if published else {},
            "environments": {environment: {"prepared_image": prepared}},
        },
        until="environments",
    )


def booted(recording: mocks.Recording, environment: str) -> Any:
    inputs = recording.one(ENVIRONMENT, f"environments-{environment}").inputs
    return inputs["computeResources"]["ec2Configurations"][0].get("imageIdOverride")


def test_an_environment_boots_the_newest_ami_with_its_images_and_others_do_not() -> None:
    recording = made()
    assert booted(recording, "on-demand-cpu") == mocks.AMIS[0]
    assert booted(recording, "spot-cpu") is None
    environment = recording.one(ENVIRONMENT, "environments-on-demand-cpu")
    assert recording.depends_on(environment, recording.one(IMAGE))


def test_without_published_images_nothing_is_made_and_the_image_of_aws_boots() -> None:
    recording = made(published=False)
    recording.none(IMAGE)
    recording.none(RECIPE)
    assert booted(recording, "on-demand-cpu") is None
    assert "PREPARED-DIGEST" in " ".join(recording.doubts)


def test_nothing_is_known_before_the_first_build() -> None:
    preview = deploy(
        "prod",
        changes={
            **PUBLISHED,
            "environments": {"gpu": {"prepared_image": {"builder_type": "g4dn.xlarge"}}},
        },
        preview=True,
        until="environments",
    )
    assert "aws:ec2/getAmiIds:getAmiIds" not in preview.invoked
    assert booted(preview, "gpu") not in mocks.AMIS


def test_other_images_are_another_build_of_the_same_recipe() -> None:
    """Images of one recipe are what its life cycle policy counts: none may get out of its sight."""
    before, after = made(), made(cpu=OTHER)
    for kind in (RECIPE, COMPONENT, f"{BUILDER}/lifecyclePolicy:LifecyclePolicy"):
        assert before.one(kind).inputs == after.one(kind).inputs
    parameter = "aws:ssm/parameter:Parameter"
    assert OTHER in after.one(parameter).inputs["value"]
    assert CPU not in after.one(parameter).inputs["value"]
    triggers = [each.one(IMAGE).options.replacement_trigger for each in (before, after)]
    assert len(set(triggers)) == 2
    assert all(each.one(IMAGE).options.retain_on_delete for each in (before, after))
    assert after.depends_on(after.one(IMAGE), after.one(parameter))


def test_another_recipe_has_another_version_so_that_it_may_be_made_beside_the_old_one() -> None:
    before, after = made().one(RECIPE).inputs, made(volume_gib=40).one(RECIPE).inputs
    assert before["name"] == after["name"]
    assert before["version"] != after["version"]
    assert all(int(part) < 2**30 for part in after["version"].split("."))
    assert after["blockDeviceMappings"][0]["ebs"]["volumeSize"] == 40
    assert after["blockDeviceMappings"][0]["ebs"]["encrypted"] == "true"


@pytest.mark.parametrize(
    ("environment", "base", "images", "builder"),
    [
        ("on-demand-cpu", "amazon-linux-2023/recommended", ("/cpu@",), "c6i.xlarge"),
        ("gpu", "amazon-linux-2023/gpu/recommended", ("/gpu@",), "p5.48xlarge"),
    ],
)
def test_the_base_and_the_images_are_those_of_the_environment(
    environment: str, base: str, images: tuple[str, ...], builder: str
) -> None:
    recording = made(environment)
    recipe = recording.one(RECIPE).inputs
    assert recipe["parentImage"] == f"ssm:/aws/service/ecs/optimized-ami/{base}/image_id"
    value = recording.one("aws:ssm/parameter:Parameter").inputs["value"]
    assert [part in value for part in ("/cpu@", "/gpu@")] == [
        part in images for part in ("/cpu@", "/gpu@")
    ]
    machines = recording.one(f"{BUILDER}/infrastructureConfiguration:InfrastructureConfiguration")
    assert machines.inputs["instanceTypes"] == [builder]
    assert machines.inputs["instanceMetadataOptions"]["httpTokens"] == "required"
    assert machines.inputs["terminateInstanceOnFailure"] is True
    assert ("nvidia-smi" in recording.one(COMPONENT).inputs["data"]) is (environment == "gpu")


def test_the_ami_is_tagged_and_shared_with_nobody() -> None:
    (given,) = (
        made()
        .one(f"{BUILDER}/distributionConfiguration:DistributionConfiguration")
        .inputs["distributions"]
    )
    ami = given["amiDistributionConfiguration"]
    assert "launchPermission" not in ami
    assert "{{ imagebuilder:buildDate }}" in ami["name"]
    assert ami["amiTags"]["stack"] == "prod"
    assert ami["amiTags"]["prepared-for"] == "on-demand-cpu"


def test_it_is_renewed_when_the_base_has_changed_and_old_ones_go() -> None:
    recording = made(renewal_days=1, keep=4)
    schedule = recording.one(f"{BUILDER}/imagePipeline:ImagePipeline").inputs["schedule"]
    assert schedule == {
        "scheduleExpression": "rate(1 day)",
        "pipelineExecutionStartCondition": "EXPRESSION_MATCH_AND_DEPENDENCY_UPDATES_AVAILABLE",
    }
    policy = recording.one(f"{BUILDER}/lifecyclePolicy:LifecyclePolicy").inputs
    (detail,) = policy["policyDetails"]
    assert detail["action"] == {
        "type": "DELETE",
        "includeResources": {"amis": True, "snapshots": True},
    }
    assert detail["filter"] == {"type": "COUNT", "value": 4}
    assert detail["exclusionRules"]["amis"]["lastLaunched"] == {"unit": "DAYS", "value": 90}
    recipe = recording.one(RECIPE).inputs
    assert policy["resourceSelection"]["recipes"] == [
        {"name": recipe["name"], "semanticVersion": recipe["version"]}
    ]


def test_names_are_such_as_image_builder_takes() -> None:
    config = config_of("prod", {**PUBLISHED, "environments": {"gpu": {"prepared_image": {}}}})
    context = StackContext(
        project="batch-reference",
        stack="Prod_EU.1",
        region="eu-west-1",
        account_id="123456789012",
        partition="aws",
        tags={},
    )
    assert plans(config, context)["gpu"].name == "batch-reference-prod-eu-1-gpu"


def test_roles_are_narrow() -> None:
    recording = made()
    name = "prepared-roles"
    builder = recording.policy(recording.one("aws:iam/rolePolicy:RolePolicy", f"{name}-builder"))
    wide = {s["Sid"] for s in builder if s["Resource"] == ["*"]}
    assert wide == {"DecryptComponents", "EcrLogin"}
    (deny,) = recording.policy(recording.one("aws:iam/rolePolicy:RolePolicy", f"{name}-cleaner"))
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"StringNotEquals": {"aws:ResourceTag/stack": "prod"}}


def test_a_boot_with_a_prepared_image_pulls_nothing_that_is_there() -> None:
    recording = made(initialization_mibps=300)
    scripts = {
        key: base64.b64decode(
            recording.one(TEMPLATE, f"environments-{key}-template").inputs["userData"]
        ).decode()
        for key in ("on-demand-cpu", "spot-cpu")
    }
    assert "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached" in scripts["on-demand-cpu"]
    assert "ECS_IMAGE_PULL_BEHAVIOR" not in scripts["spot-cpu"]
    volume = recording.one(TEMPLATE, "environments-on-demand-cpu-template").inputs[
        "blockDeviceMappings"
    ][0]["ebs"]
    assert volume["volumeInitializationRate"] == 300


def test_documents_have_scripts_that_bash_reads_and_no_braces_of_toe() -> None:
    document = json.loads(component_document(region="eu-west-1", parameter="/a/b", gpu=True))
    phases = {phase["name"]: phase["steps"] for phase in document["phases"]}
    assert list(phases) == ["build", "validate", "test"]
    scripts = [
        command
        for steps in phases.values()
        for step in steps
        for command in step["inputs"]["commands"]
    ]
    for script in scripts:
        assert "{{" not in script
        subprocess.run(["bash", "-n", "-c", script], check=True)
    pull = phases["build"][0]["inputs"]["commands"][0]
    assert "--name /a/b" in pull
    assert 'docker login --username AWS --password-stdin "${image%%/*}"' in pull


@pytest.mark.parametrize("home", [True, False])
def test_no_login_stays_where_images_were_pulled(home: bool, tmp_path: Path) -> None:
    """As Docker's CLI does, by a stand-in: a login lies in DOCKER_CONFIG, or in the home directory."""
    binaries, homes, log = (tmp_path / name for name in ("bin", "home", "log"))
    binaries.mkdir()
    homes.mkdir()
    stubs = {
        "systemctl": "exit 0",
        "aws": 'case "$1" in ssm) echo "one.example/cpu two.example/gpu";; ecr) echo secret;; esac',
        "docker": f"""config=${{DOCKER_CONFIG:-${{HOME:-{homes}}}/.docker}}
case "$1" in
login) mkdir -p "$config"; cat >> "$config/config.json"; echo "$config" >> {log}.folders;;
pull) grep -q secret "$config/config.json" && echo "$*" >> {log};;
esac""",
    }
    bash = shutil.which("bash") or "bash"
    for name, body in stubs.items():
        (binaries / name).write_text(f"#!{bash}\n{body}\n")
        (binaries / name).chmod(0o755)
    document = json.loads(component_document(region="eu-west-1", parameter="/a/b", gpu=True))
    pull = document["phases"][0]["steps"][0]["inputs"]["commands"][0]
    given = {"HOME": str(homes)} if home else {}
    subprocess.run(
        [bash, "-c", pull.replace("/var/lib/ecs", str(tmp_path / "ecs"))],
        check=True,
        env={"PATH": f"{binaries}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), **given},
    )
    assert log.read_text() == "pull --quiet one.example/cpu\npull --quiet two.example/gpu\n"
    remembered = (tmp_path / "ecs" / "prepared-images").read_text()
    assert remembered == "one.example/cpu\ntwo.example/gpu\n"
    folders = (tmp_path / "log.folders").read_text().splitlines()
    assert not [folder for folder in folders if Path(folder).exists()]
    assert not list(homes.iterdir())
