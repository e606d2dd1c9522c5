from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from components.images import Images, ImagesArgs
from components.roles import Roles, RolesArgs
from components.secrets import Secrets, SecretsArgs
from components.storage import Storage, StorageArgs
from components.volumes import Volumes
from config.images import ImagesSection
from config.storage import StorageSection
from tests.components import mocks
from tests.components.program import config_of
from workloads import contract
from workloads.contract import STAGES, Run, Upload

ROLE, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
RUN = Run("20260131-sales-0123456789ab")
UPLOAD = Upload(bucket="b", key="data/20260131/sales.csv", etag="x")
PAGES = (contract.RUNS_PAGE_KEY, contract.month_page_key("202601"))
READ, WRITE = "s3:GetObject", "s3:PutObject"

# What the code of each stage does with objects: (action, bucket, key). Nothing else of a run may be
# within its reach.
OBJECTS = {
    "preprocess": {
        (READ, "ingest", UPLOAD.key),
        (WRITE, "intermediate", RUN.table_key),
        (WRITE, "intermediate", RUN.lines_key),
        (WRITE, "intermediate", RUN.rejected_key),
        (WRITE, "intermediate", RUN.cleaned_csv_key),
        (WRITE, "intermediate", RUN.manifest_key),
    },
    "analysis": {
        (READ, "intermediate", RUN.manifest_key),
        (READ, "intermediate", RUN.table_key),
        (READ, "intermediate", RUN.lines_key),
        (WRITE, "results", RUN.partials_prefix + "node.npz"),
        (WRITE, "results", RUN.scores_prefix + "unit.parquet"),
        (READ, "results", RUN.scores_prefix + "unit.parquet"),
        (WRITE, "results", RUN.checkpoints_prefix + "checkpoint.json"),
        (READ, "results", RUN.checkpoints_prefix + "checkpoint.json"),
        (WRITE, "results", RUN.success_key),
        (READ, "results", RUN.success_key),
    },
    "postprocess": {
        (READ, "intermediate", RUN.manifest_key),
        (READ, "intermediate", RUN.table_key),
        (READ, "intermediate", RUN.lines_key),
        (READ, "results", RUN.success_key),
        (READ, "results", RUN.partials_prefix + "node.npz"),
        (READ, "results", RUN.scores_prefix + "unit.parquet"),
        (READ, "results", RUN.profile_key),
        *((READ, "results", RUN.stage_record_key(stage)) for stage in STAGES),
        (WRITE, "results", RUN.profile_key),
        (WRITE, "results", RUN.report_key),
        (WRITE, "results", RUN.summary_key),
        (WRITE, "results", RUN.findings_key),
        (WRITE, "results", RUN.ddl_key),
        *((action, "results", key) for action in (READ, WRITE) for key in PAGES),
    },
}
for _stage in STAGES:
    OBJECTS[_stage] |= {
        (WRITE, "results", RUN.stage_record_key(_stage)),
        (WRITE, "results", RUN.error_key(_stage)),
    }
EVERY_OBJECT = {(bucket, key) for objects in OBJECTS.values() for _, bucket, key in objects}


def _args(context: Any, storage: Storage, secrets: Secrets, images: Images) -> RolesArgs:
    return RolesArgs(
        context=context,
        storage=storage,
        secrets=secrets,
        images=images,
        volumes=Volumes(config=config_of("dev"), efs=None, lustre=None),
        counts_reclaims=True,
    )


@pytest.fixture
def made(context) -> mocks.Recording:
    def program() -> Roles:
        storage = Storage("storage", StorageArgs(context=context, section=StorageSection()))
        images = Images("images", ImagesArgs(context=context, section=ImagesSection()))
        secrets = Secrets(
            "secrets",
            SecretsArgs(context=context, slack_webhook_url="https://hooks.slack.example/x"),
        )
        return Roles("roles", _args(context, storage, secrets, images))

    return mocks.deploy(program)


def statements(made: mocks.Recording, name: str) -> list[dict[str, Any]]:
    return made.policy(made.one(POLICY, f"roles-{name}"))


def allowed(made: mocks.Recording, name: str, action: str, resource: str) -> bool:
    found = statements(made, name)
    return any(
        any(fnmatchcase(action, a) for a in s["Action"])
        and any(fnmatchcase(resource, r) for r in s["Resource"])
        for s in found
    )


def object_arn(made: mocks.Recording, bucket: str, key: str) -> str:
    return f"{made.one('aws:s3/bucket:Bucket', f'storage-{bucket}').outputs['arn']}/{key}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reaches_the_objects_of_its_own_and_no_others(made, stage) -> None:
    assert len(EVERY_OBJECT) >= 15
    reach = {
        (action, *o)
        for action in (READ, WRITE)
        for o in EVERY_OBJECT
        if allowed(made, stage, action, object_arn(made, *o))
    }
    assert reach == OBJECTS[stage]


def test_checkpoints_are_removed_by_the_analysis_alone(made) -> None:
    key = RUN.checkpoints_prefix + "checkpoint.json"
    assert [
        stage
        for stage in STAGES
        if allowed(made, stage, "s3:DeleteObject", object_arn(made, "results", key))
    ] == ["analysis"]
    assert not allowed(
        made, "analysis", "s3:DeleteObject", object_arn(made, "results", RUN.success_key)
    )


def test_a_version_of_an_upload_can_be_read_and_a_big_table_given_up(made) -> None:
    assert allowed(
        made, "preprocess", "s3:GetObjectVersion", object_arn(made, "ingest", UPLOAD.key)
    )
    assert allowed(
        made,
        "preprocess",
        "s3:AbortMultipartUpload",
        object_arn(made, "intermediate", RUN.table_key),
    )


@pytest.mark.parametrize("stage", STAGES)
def test_the_table_belongs_to_postprocess_alone(made, stage) -> None:
    table = made.one("aws:dynamodb/table:Table").outputs["arn"]
    for action in (
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:Query",
    ):
        assert allowed(made, stage, action, table) == (stage == "postprocess")
        assert not allowed(made, stage, action, table + "-of-another-stack")


def test_nothing_is_wide_open_but_what_has_no_resources(made) -> None:
    policies = made.all(POLICY, count=1 + len(STAGES))
    wide = [
        (p.name, s["Sid"])
        for p in policies
        for s in made.policy(p)
        if "*" in s["Resource"] or any("*" in a for a in s["Action"])
    ]
    assert wide == [
        ("roles-execution", "EcrLogin"),
        ("roles-postprocess", "WhatAttemptsBecame"),
    ]
    sids = [s["Sid"] for p in policies for s in made.policy(p)]
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
    for policy in policies:
        # IAM holds at most 10,240 characters of inline policies for one role, white space not
        # counted
        assert len(re.sub(r"\s", "", policy.inputs["policy"])) < 10_240


def test_containers_take_their_roles_for_this_account_only(made) -> None:
    roles = {r.name: r for r in made.all(ROLE, count=2 + len(STAGES))}
    for name, role in roles.items():
        (trust,) = made.policy(role, "assumeRolePolicy")
        if name == "roles-instance":
            assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}
        else:
            assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": mocks.ACCOUNT}}
    outputs = made.component("Roles").outputs
    assert outputs["job_role_arns"] == {
        stage: roles[f"roles-{stage}"].outputs["arn"] for stage in STAGES
    }
    assert outputs["execution_role_arn"] == roles["roles-execution"].outputs["arn"]


def test_instances_can_join_their_cluster(made) -> None:
    role = made.one(ROLE, "roles-instance").outputs["name"]
    attached = {
        a.inputs["policyArn"]
        for a in made.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if a.inputs["role"] == role
    }
    assert attached == {
        "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role",
        "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
    }
    profile = made.one("aws:iam/instanceProfile:InstanceProfile")
    assert profile.inputs["role"] == role
    assert made.component("Roles").outputs["instance_profile_arn"] == profile.outputs["arn"]


def test_environments_can_wait_for_attachments_and_policies(made) -> None:
    assert {r._name for r in made.returned.ready} == {
        "roles-instance-ecs",
        "roles-instance-ssm",
        "roles-execution",
        *(f"roles-{stage}" for stage in STAGES),
    }


def test_the_execution_role_pulls_logs_and_reads_its_secrets_only(made, context) -> None:
    secrets = [s.outputs["arn"] for s in made.all("aws:secretsmanager/secret:Secret", count=2)]
    repositories = [r.outputs["arn"] for r in made.all("aws:ecr/repository:Repository", count=2)]
    by_sid = {s["Sid"]: s for s in statements(made, "execution")}
    assert sorted(by_sid["ReadSecrets"]["Resource"]) == sorted(secrets)
    assert sorted(by_sid["PullImages"]["Resource"]) == sorted(repositories)
    group = f"arn:aws:logs:{mocks.REGION}:{mocks.ACCOUNT}:log-group:{context.log_group_prefix}jobs/analysis:log-stream:analysis/default/0"
    assert allowed(made, "execution", "logs:PutLogEvents", group)
    assert not allowed(made, "execution", "logs:PutLogEvents", group.replace("/test/", "/prod/"))
    assert not allowed(made, "execution", "logs:CreateLogGroup", group)


def test_without_a_webhook_the_execution_role_reads_one_secret(context) -> None:
    def program() -> None:
        storage = Storage("storage", StorageArgs(context=context, section=StorageSection()))
        images = Images("images", ImagesArgs(context=context, section=ImagesSection()))
        secrets = Secrets("secrets", SecretsArgs(context=context, slack_webhook_url=None))
        Roles("roles", _args(context, storage, secrets, images))

    made = mocks.deploy(program)
    document = json.loads(made.one(POLICY, "roles-execution").inputs["policy"])
    (read,) = [s for s in document["Statement"] if s["Sid"] == "ReadSecrets"]
    assert read["Resource"] == [made.one("aws:secretsmanager/secret:Secret").outputs["arn"]]
