"""Job definitions: valid for the API to the last key, and what the workloads find in their
containers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from components import jobs
from components.containers import container_properties
from config.disks import InstanceStore
from config.environments import HpcEnvironment
from localcloud.deployment.deploy import DeploymentError
from localcloud.deployment.engine import Resource
from tests.components.mocks import Recording
from tests.components.program import STACKS, config_of, deploy, deployed
from workloads.contract import STAGES
from workloads.parameters import AnalysisParameters

DEFINITION = "aws:batch/jobDefinition:JobDefinition"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def _as_far_as_jobs(stack: str, changes: Mapping[str, Any]) -> Recording:
    return deploy(stack, changes=changes, until="jobs")


def _container(definition: Resource) -> dict[str, Any]:
    if definition.inputs["type"] == "container":
        return dict(json.loads(definition.inputs["containerProperties"]))
    ranges = json.loads(definition.inputs["nodeProperties"])["nodeRangeProperties"]
    assert len(ranges) == 1
    return dict(ranges[0]["container"])


def _environment(container: dict[str, Any]) -> dict[str, str]:
    names = [pair["name"] for pair in container["environment"]]
    assert len(names) == len(set(names)) > 0
    return {pair["name"]: pair["value"] for pair in container["environment"]}


@pytest.mark.parametrize("stack", STACKS)
def test_the_api_knows_every_key(stack: str) -> None:
    """The provider drops a misspelt key in silence, botocore's model does not."""
    shape = Session().get_service_model("batch").shape_for("RegisterJobDefinitionRequest")
    for definition in deployed(stack).all(DEFINITION, count=3):
        inputs = definition.inputs
        request: dict[str, Any] = {
            "jobDefinitionName": definition.name,
            "type": inputs["type"],
            "timeout": inputs["timeout"],
            "retryStrategy": {
                "attempts": inputs["retryStrategy"]["attempts"],
                "evaluateOnExit": inputs["retryStrategy"]["evaluateOnExits"],
            },
            "propagateTags": inputs["propagateTags"],
            "tags": inputs["tags"],
        }
        for key in ("containerProperties", "nodeProperties"):
            if key in inputs:
                request[key] = json.loads(inputs[key])
                assert len(inputs[key]) < 24 * 1024
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        assert len({"containerProperties", "nodeProperties"} & inputs.keys()) == 1
        assert "vcpus" not in _container(definition), (
            "deprecated, and not overridden by resource requirements"
        )


@pytest.mark.parametrize("stack", STACKS)
def test_every_stage_has_its_command_role_log_group_and_limits(stack: str) -> None:
    made, config = deployed(stack), config_of(stack)
    execution = made.one("aws:iam/role:Role", "roles-execution").outputs["arn"]
    for stage in STAGES:
        job = getattr(config.jobs, stage)
        definition = made.one(DEFINITION, f"jobs-{stage}")
        container = _container(definition)
        assert container["command"] == ["python", "-m", f"workloads.{stage}"]
        assert (
            container["jobRoleArn"]
            == made.one("aws:iam/role:Role", f"roles-{stage}").outputs["arn"]
        )
        assert container["executionRoleArn"] == execution
        repository = "gpu" if stage == "analysis" else "cpu"
        assert (
            container["image"]
            == f"123456789012.dkr.ecr.us-east-1.amazonaws.com/batch-reference-{stack}/{repository}:unpublished"
        )
        group = made.one(LOG_GROUP, f"jobs-{stage}")
        assert group.inputs["retentionInDays"] == config.monitoring.log_retention_days
        options = {
            "awslogs-group": f"/batch-reference/{stack}/{stage}",
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": stage,
        }
        assert container["logConfiguration"] == {"logDriver": "awslogs", "options": options}
        assert group.outputs["name"] == options["awslogs-group"]
        assert definition.inputs["timeout"] == {"attemptDurationSeconds": job.timeout_minutes * 60}
        assert (
            definition.inputs["tags"].items() >= {"stack": stack, "pipeline-stage": stage}.items()
        )
        assert definition.inputs["propagateTags"] is True
        # jobs that wait keep the revision that they were submitted with
        assert definition.inputs["deregisterOnNewRevision"] is False
        assert definition.inputs.get("schedulingPriority") == job.scheduling_priority
        wanted = {"VCPU": f"{job.vcpus:g}", "MEMORY": str(job.memory_mib)} | (
            {"GPU": str(job.gpus)} if getattr(job, "gpus", 0) else {}
        )
        assert {r["type"]: r["value"] for r in container["resourceRequirements"]} == wanted


def test_multi_node_analysis_on_p5() -> None:
    made = deployed("prod")
    definition = made.one(DEFINITION, "jobs-analysis")
    properties, container = json.loads(definition.inputs["nodeProperties"]), _container(definition)
    assert (definition.inputs["type"], properties["numNodes"], properties["mainNode"]) == (
        "multinode",
        4,
        0,
    )
    assert properties["nodeRangeProperties"][0]["targetNodes"] == "0:", (
        "an open range, so that a submission may name another number"
    )
    assert container["instanceType"] == "p5.48xlarge"
    devices = container["linuxParameters"]["devices"]
    assert [d["hostPath"] for d in devices] == [f"/dev/infiniband/uverbs{n}" for n in range(32)]
    assert all(
        d["containerPath"] == d["hostPath"] and d["permissions"] == ["READ", "WRITE", "MKNOD"]
        for d in devices
    )
    assert container["linuxParameters"]["sharedMemorySize"] == 49_152
    assert {u["name"]: (u["softLimit"], u["hardLimit"]) for u in container["ulimits"]} == {
        "memlock": (-1, -1),
        "stack": (67_108_864, 67_108_864),
        "nofile": (1_024_000, 1_024_000),
    }
    assert container["volumes"] == [{"name": "scratch", "host": {"sourcePath": "/scratch"}}]
    assert container["mountPoints"] == [
        {"sourceVolume": "scratch", "containerPath": "/scratch", "readOnly": False}
    ]
    assert "platformCapabilities" not in definition.inputs


@pytest.mark.parametrize(
    ("instance_type", "devices"),
    [("p4d.24xlarge", 4), ("g5.48xlarge", 1), ("p6-b300.48xlarge", 16)],
)
def test_one_device_per_adapter(instance_type: str, devices: int) -> None:
    changes = {
        "environments": {"gpu": {"instance_type": instance_type}},
        "jobs": {"analysis": {"vcpus": 96, "memory_mib": 524_288, "gpus": 8}},
        "monitoring": {"running_usd_per_hour": None},  # the price of one of them is not known
    }
    container = _container(_as_far_as_jobs("prod", changes).one(DEFINITION, "jobs-analysis"))
    assert len(container["linuxParameters"]["devices"]) == devices


def test_without_efa_there_are_no_devices() -> None:
    changes = {"environments": {"nodes": {"efa": False}}}
    container = _container(_as_far_as_jobs("local", changes).one(DEFINITION, "jobs-analysis"))
    assert container["linuxParameters"]["devices"] == []


def test_analysis_of_one_node_is_a_plain_container_job_which_may_run_on_spot() -> None:
    analysis = {"queue": "main", "nodes": 1, "vcpus": 4, "memory_mib": 8192, "ranks_per_node": 4}
    made = deploy("local", changes={"jobs": {"analysis": analysis}})
    definition = made.one(DEFINITION, "jobs-analysis")
    assert (definition.inputs["type"], definition.inputs["platformCapabilities"]) == (
        "container",
        ["EC2"],
    )
    container = _container(definition)
    assert "instanceType" not in container
    assert container["linuxParameters"]["sharedMemorySize"] == 1024
    assert container["secrets"] == [], "one node has nobody to prove itself to"
    assert made.exports["analysis_is_multi_node"] is False


def test_the_disk_of_a_fargate_job() -> None:
    made = _as_far_as_jobs("dev", {"jobs": {"preprocess": {"ephemeral_storage_gib": 40}}})
    containers = {
        stage: _container(made.one(DEFINITION, f"jobs-{stage}"))
        for stage in ("preprocess", "postprocess")
    }
    assert containers["preprocess"]["ephemeralStorage"] == {"sizeInGiB": 40}
    assert "ephemeralStorage" not in containers["postprocess"]


def test_fargate_jobs_have_nothing_of_instances() -> None:
    made = deployed("dev")
    for stage in ("preprocess", "postprocess"):
        definition = made.one(DEFINITION, f"jobs-{stage}")
        container = _container(definition)
        assert definition.inputs["platformCapabilities"] == ["FARGATE"]
        assert container["networkConfiguration"] == {"assignPublicIp": "DISABLED"}
        assert container["runtimePlatform"] == {
            "operatingSystemFamily": "LINUX",
            "cpuArchitecture": "X86_64",
        }
        assert (
            not {
                "linuxParameters",
                "ulimits",
                "volumes",
                "mountPoints",
                "privileged",
                "instanceType",
            }
            & container.keys()
        )


@pytest.mark.parametrize("stack", STACKS)
def test_every_container_is_told_its_region(stack: str) -> None:
    """ECS sets it on Fargate alone, and boto3 without a region finds no DynamoDB and another
    region's S3.
    """
    for definition in deployed(stack).all(DEFINITION, count=3):
        variables = _environment(_container(definition))
        assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-east-1", (
            definition.name
        )


def test_a_job_is_told_which_setting_makes_room_on_its_disk() -> None:
    changes = {
        "environments": {"gpu": {"scratch": {"kind": "gp3", "size_gib": 70}}},
        "jobs": {"preprocess": {"ephemeral_storage_gib": 40}},
    }
    made = _as_far_as_jobs("dev", changes)
    found = {
        stage: _environment(_container(made.one(DEFINITION, f"jobs-{stage}")))
        for stage in ("preprocess", "analysis", "postprocess")
    }
    told = {stage: one["PIPELINE_DISK_HINT"] for stage, one in found.items()}
    assert told == {
        "preprocess": "raise jobs.preprocess.ephemeral_storage_gib, which is 40 (at most 200)",
        "analysis": "raise environments.gpu.scratch.size_gib, which is 70",
        "postprocess": "raise jobs.postprocess.ephemeral_storage_gib, which is 20 (at most 200)",
    }
    scratch = {stage: one.get("PIPELINE_SCRATCH_PATH") for stage, one in found.items()}
    assert scratch == {"preprocess": None, "analysis": "/scratch", "postprocess": None}


def test_variables_of_the_stages() -> None:
    made = deployed("prod")
    buckets = {
        b.name.removeprefix("storage-"): b.outputs["bucket"]
        for b in made.all("aws:s3/bucket:Bucket", count=3)
    }
    table = made.one("aws:dynamodb/table:Table").outputs["name"]
    everywhere = {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PIPELINE_STACK": "prod",
        "PIPELINE_INTERMEDIATE_BUCKET": buckets["intermediate"],
        "PIPELINE_RESULTS_BUCKET": buckets["results"],
        "PIPELINE_SHOW_VALUES": "true",
    }
    assert _environment(_container(made.one(DEFINITION, "jobs-preprocess"))) == everywhere | {
        "PIPELINE_INGEST_BUCKET": buckets["ingest"],
        "PIPELINE_DISK_HINT": (
            "raise environments.on-demand-cpu.root_volume_gib, which is 50, and"
            " environments.spot-cpu.root_volume_gib, which is 50"
        ),
        "PIPELINE_UNIT_ROWS": "65536",
        "PIPELINE_INCOMPLETE_ROWS": "reject",
        "PIPELINE_MAX_REJECTED_PERCENT": "20",
        "PIPELINE_WRITE_CLEANED_CSV": "false",
    }
    analysis = _environment(_container(made.one(DEFINITION, "jobs-analysis")))
    assert json.loads(analysis.pop("PIPELINE_STAGE_PRICES"))["analysis"] == pytest.approx(4 * 55.04)
    assert analysis.pop("PIPELINE_SCRATCH_PATH") == "/scratch"
    assert "environments.gpu" in analysis.pop("PIPELINE_DISK_HINT")
    assert analysis == everywhere | {
        "PIPELINE_ARRAY_BACKEND": "cupy",
        "PIPELINE_EXCHANGE": "host",
        "PIPELINE_RANKS_PER_NODE": "8",
        "PIPELINE_JOIN_DEADLINE_SECONDS": "900",
        **AnalysisParameters(anomaly_mode="top").to_env(),
        "PIPELINE_BLOCK_MEMORY_MIB": str(round(config_of("prod").jobs.analysis.memory_mib * 0.6)),
    }
    limited = {
        "anomaly_mode": "full",
        "anomaly_metric": "cosine",
        "max_dollars": 12.5,
        "block_memory_mib": 4096,
        "exact_quantiles": True,
    }
    other = _as_far_as_jobs("prod", {"jobs": {"analysis": limited}})
    full = _environment(_container(other.one(DEFINITION, "jobs-analysis")))
    hidden = _as_far_as_jobs("prod", {"pipeline": {"show_values": False}})
    for stage in STAGES:
        assert (
            _environment(_container(hidden.one(DEFINITION, f"jobs-{stage}")))[
                "PIPELINE_SHOW_VALUES"
            ]
            == "false"
        )
    names = ("ANOMALY_MODE", "ANOMALY_METRIC", "MAX_DOLLARS", "BLOCK_MEMORY_MIB", "EXACT_QUANTILES")
    assert [full[f"PIPELINE_{name}"] for name in names] == [
        "full",
        "cosine",
        "12.5",
        "4096",
        "true",
    ]
    postprocess = _environment(_container(made.one(DEFINITION, "jobs-postprocess")))
    assert "environments.spot-cpu.root_volume_gib" in postprocess.pop("PIPELINE_DISK_HINT")
    prices = json.loads(postprocess.pop("PIPELINE_STAGE_PRICES"))
    assert prices["analysis"] == pytest.approx(4 * 55.04)
    assert postprocess == everywhere | {
        "PIPELINE_TABLE": table,
        "PIPELINE_CONSOLE_URL": (
            f"https://us-east-1.console.aws.amazon.com/s3/object/{buckets['results']}?region=us-east-1&prefix="
        ),
    }


def test_secrets_come_by_reference() -> None:
    made = deployed("prod")

    def secrets(made: Recording, stage: str) -> dict[str, str]:
        return {
            s["name"]: s["valueFrom"]
            for s in _container(made.one(DEFINITION, f"jobs-{stage}"))["secrets"]
        }

    secret = "aws:secretsmanager/secret:Secret"
    assert secrets(made, "preprocess") == {}
    assert secrets(made, "analysis") == {
        "PIPELINE_LAUNCH_TOKEN": made.one(secret, "secrets-launch-token").outputs["arn"]
    }
    assert secrets(made, "postprocess") == {
        "PIPELINE_SLACK_WEBHOOK_URL": made.one(secret, "secrets-slack-webhook").outputs["arn"]
    }
    assert secrets(deploy("dev", secrets={}, until="jobs"), "postprocess") == {}


def test_a_definition_beyond_the_limit_of_the_api_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("components.jobs._LARGEST_DEFINITION_BYTES", 4000)
    with pytest.raises(
        Exception, match=r"job definition of analysis has \d+ bytes, and AWS Batch takes 4000"
    ) as failure:
        deploy("prod")
    assert not isinstance(failure.value, DeploymentError), "the program itself says so"


def test_whatever_columns_check_passes_fit_the_definition() -> None:
    """The rule COLUMNS-SIZE keeps 4 KiB for all else, which is never so much."""
    columns = {"sales": {f"{'c' * 20}{i:04}": {"required": True} for i in range(393)}}
    changes = {"jobs": {"preprocess": {"columns": columns}}}
    assert (
        20_000 < len(json.dumps(config_of("prod", changes).jobs.preprocess.columns_text)) <= 20_480
    )
    text = (
        _as_far_as_jobs("prod", changes)
        .one(DEFINITION, "jobs-preprocess")
        .inputs["containerProperties"]
    )
    assert 20_000 < len(text) < 22_600


def test_config_of_prod_is_what_these_tests_think_it_is() -> None:
    gpu = config_of("prod").environments["gpu"]
    assert isinstance(gpu, HpcEnvironment)
    scratch = InstanceStore(kind="instance-store")
    assert (gpu.instance_type, gpu.efa, gpu.scratch) == ("p5.48xlarge", True, scratch)


def test_properties_that_aws_batch_does_not_know_are_refused_before_they_are_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        jobs,
        "container_properties",
        lambda args: {**container_properties(args), "linuxParameter": {}},
    )
    with pytest.raises(
        pulumi.RunError,
        match=(
            r"preprocess is not one of AWS Batch: linuxParameter is not known .*; it knows"
            r" linuxParameters"
        ),
    ):
        deploy("dev", preview=True)
