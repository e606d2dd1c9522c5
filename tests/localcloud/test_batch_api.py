"""The Batch API as clients meet it: shapes of all answers, pages, filters, limits, refusals; and
ten thousand jobs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.batch import listing, submission
from tests.localcloud.conftest import BATCH_LOGS, Stage
from tests.localcloud.shapes import differences


class Checked:
    """A client whose every answer is held to the model, and that sends whatever it is given."""

    def __init__(self, stage: Stage) -> None:
        make: Any = boto3.client
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        keys = stage.cloud.deployer.credentials
        self.client = make(
            "batch",
            endpoint_url=stage.cloud.endpoint_url,
            region_name="us-east-1",
            config=config,
            **keys,
        )
        self.client.meta.events.register("before-parse.batch", self._check)
        self.seen: set[str] = set()
        self.wrong: list[str] = []

    def _check(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        status, body = response_dict["status_code"], response_dict["body"]
        if status == 200:
            self.seen.add(operation_model.name)
            self.wrong += differences(
                operation_model.output_shape, json.loads(body), operation_model.name
            )
        elif status >= 500:
            self.wrong.append(f"{operation_model.name}: {status} {body.decode()}")

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """The answer; raises what boto3 raises."""
        found = dict(getattr(self.client, operation)(**params))
        assert self.wrong == []
        return found


@pytest.fixture(scope="module")
def checked(stage: Stage) -> Checked:
    return Checked(stage)


@pytest.fixture(scope="module")
def queue(stage: Stage) -> str:
    return stage.queue(stage.environment(max_vcpus=64))


def ecs(stage: Stage, command: list[str]) -> str:
    log = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": BATCH_LOGS, "awslogs-stream-prefix": "test"},
    }
    sizes = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    container = {
        "name": "main",
        "image": "repo/test:1",
        "command": command,
        "resourceRequirements": sizes,
        "logConfiguration": log,
    }
    answer = stage.batch.register_job_definition(
        jobDefinitionName=stage.name("ecs"),
        type="container",
        ecsProperties={
            "taskProperties": [
                {"containers": [container], "taskRoleArn": stage.role("ecs-tasks.amazonaws.com")}
            ]
        },
    )
    return str(answer["jobDefinitionArn"])


def nodes(stage: Stage, command: list[str], count: int = 2) -> str:
    groups = [{"targetNodes": "0:", "container": stage.container(command)}]
    answer = stage.batch.register_job_definition(
        jobDefinitionName=stage.name("nodes"),
        type="multinode",
        nodeProperties={"numNodes": count, "mainNode": 0, "nodeRangeProperties": groups},
    )
    return str(answer["jobDefinitionArn"])


@pytest.fixture(scope="module")
def jobs(stage: Stage, queue: str) -> dict[str, str]:
    """Ended jobs of every kind."""
    plain, failing = stage.definition(["true"]), stage.definition(["false"])
    made = {
        "plain": stage.submit(queue, plain, tags={"a": "b"}),
        "failed": stage.submit(queue, failing, retryStrategy={"attempts": 2}),
        "ecs": stage.submit(queue, ecs(stage, ["true"])),
        "array": stage.submit(queue, plain, arrayProperties={"size": 3}),
        "nodes": stage.submit(queue, nodes(stage, ["sleep", "0.2"])),
    }
    made["waits"] = stage.submit(queue, plain, dependsOn=[{"jobId": made["failed"]}])
    for each in made.values():
        stage.wait(each, seconds=60)
    return made


def test_every_answer_has_the_models_shape(
    stage: Stage, checked: Checked, queue: str, jobs: dict[str, str]
) -> None:
    described = checked.call(
        "describe_jobs",
        jobs=[*jobs.values(), f"{jobs['array']}:1", f"{jobs['nodes']}#0", f"{jobs['nodes']}#1"],
    )["jobs"]
    assert len(described) == len(jobs) + 3
    for operation in (
        "describe_compute_environments",
        "describe_job_queues",
        "describe_job_definitions",
        "list_scheduling_policies",
    ):
        checked.call(operation)
    policy = checked.call(
        "create_scheduling_policy",
        name=stage.name("policy"),
        fairsharePolicy={"shareDecaySeconds": 60},
    )["arn"]
    checked.call("describe_scheduling_policies", arns=[policy])
    checked.call("update_scheduling_policy", arn=policy, fairsharePolicy={"shareDecaySeconds": 70})
    checked.call("tag_resource", resourceArn=policy, tags={"k": "v"})
    assert checked.call("list_tags_for_resource", resourceArn=policy)["tags"] == {"k": "v"}
    checked.call("untag_resource", resourceArn=policy, tagKeys=["k"])
    checked.call("delete_scheduling_policy", arn=policy)
    checked.call("get_job_queue_snapshot", jobQueue=queue)
    for status in (
        "SUBMITTED",
        "PENDING",
        "RUNNABLE",
        "STARTING",
        "RUNNING",
        "SUCCEEDED",
        "FAILED",
    ):
        checked.call("list_jobs", jobQueue=queue, jobStatus=status)
        checked.call("list_jobs", arrayJobId=jobs["array"], jobStatus=status)
        checked.call("list_jobs", multiNodeJobId=jobs["nodes"], jobStatus=status)
    running = stage.submit(queue, stage.definition(["sleep", "30"]))
    stage.wait(running, "RUNNING")
    checked.call("describe_jobs", jobs=[running])
    checked.call("terminate_job", jobId=running, reason="enough")
    checked.call("cancel_job", jobId=running, reason="enough")
    checked.call(
        "submit_job", jobName="x", jobQueue=queue, jobDefinition=stage.definition(["true"])
    )


def test_a_job_of_ecs_properties_is_described_as_one(stage: Stage, jobs: dict[str, str]) -> None:
    found = stage.job(jobs["ecs"])
    assert "container" not in found
    (task,) = found["ecsProperties"]["taskProperties"]
    (container,) = task["containers"]
    assert (container["name"], container["exitCode"], task["taskArn"][:12]) == (
        "main",
        0,
        "arn:aws:ecs:",
    )
    assert task["taskRoleArn"].startswith("arn:aws:iam:")
    assert "jobRoleArn" not in container
    (attempt,) = found["attempts"]
    assert (
        attempt["taskProperties"][0]["containers"][0]["logStreamName"] == container["logStreamName"]
    )
    assert stage.log(container["logStreamName"]) == []


VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            "x",
            "0",
            "-1",
            "RUNNING",
            "FOO",
            "abc",
            "arn:aws:batch:us-east-1:123456789012:job-queue/x",
        ]
    ),
    st.integers(-2, 200),
    st.lists(st.sampled_from(["x", "y#0", "z:1", "q#x"]), max_size=3),
    st.dictionaries(
        st.sampled_from(["name", "values", "k", "size", "command"]),
        st.sampled_from(["JOB_NAME", "v", ["v"], 3]),
        max_size=2,
    ),
)
OPERATIONS = {
    "ListJobs": [
        "jobQueue",
        "arrayJobId",
        "multiNodeJobId",
        "jobStatus",
        "maxResults",
        "nextToken",
        "filters",
    ],
    "DescribeJobs": ["jobs"],
    "DescribeJobQueues": ["jobQueues", "maxResults", "nextToken"],
    "DescribeJobDefinitions": [
        "jobDefinitions",
        "jobDefinitionName",
        "status",
        "maxResults",
        "nextToken",
    ],
    "DescribeComputeEnvironments": ["computeEnvironments", "maxResults", "nextToken"],
    "SubmitJob": [
        "jobName",
        "jobQueue",
        "jobDefinition",
        "arrayProperties",
        "dependsOn",
        "parameters",
        "containerOverrides",
        "tags",
    ],
    "CancelJob": ["jobId", "reason"],
    "TerminateJob": ["jobId", "reason"],
    "TagResource": ["tags"],
    "DescribeSchedulingPolicies": ["arns"],
    "CreateSchedulingPolicy": ["name", "tags"],
    "GetJobQueueSnapshot": ["jobQueue"],
    "RegisterJobDefinition": [
        "jobDefinitionName",
        "type",
        "containerProperties",
        "retryStrategy",
        "tags",
        "platformCapabilities",
    ],
    "CreateJobQueue": ["jobQueueName", "priority", "computeEnvironmentOrder", "state", "tags"],
    "CreateComputeEnvironment": [
        "computeEnvironmentName",
        "type",
        "state",
        "computeResources",
        "tags",
    ],
    "UpdateJobQueue": ["jobQueue", "priority", "state"],
    "ListConsumableResources": ["maxResults"],
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(OPERATIONS)))
    members = draw(st.lists(st.sampled_from(OPERATIONS[name]), unique=True))
    return name, {member: draw(VALUES) for member in members}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
@given(calls())
def test_whatever_is_asked_is_answered_in_the_models_shape_or_refused(
    checked: Checked, call: tuple[str, dict[str, Any]]
) -> None:
    from botocore import xform_name
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    name, params = call
    model = checked.client.meta.service_model.operation_model(name)
    credentials = checked.client._request_signer._credentials
    url = checked.client.meta.endpoint_url + model.http["requestUri"].replace(
        "{resourceArn}", "arn%3Anowhere"
    )
    request = AWSRequest(
        "POST", url, data=json.dumps(params), headers={"Content-Type": "application/json"}
    )
    SigV4Auth(credentials, "batch", "us-east-1").add_auth(request)
    answer = checked.client._endpoint.http_session.send(request.prepare())
    body = json.loads(answer.content or b"{}")
    if answer.status_code == 200:
        assert differences(model.output_shape, body, name) == []
    else:
        assert answer.status_code in (400, 404, 501), body
        assert answer.status_code != 501 or name == "ListConsumableResources", (
            xform_name(name),
            params,
            body,
        )
        assert "Traceback" not in body["message"]
        assert body["__type"]


def refused(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**params)
    assert error.value.response["Error"]["Code"] == "ClientException"
    assert error.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    return str(error.value.response["Error"]["Message"])


def test_pages_and_filters(
    stage: Stage, checked: Checked, queue: str, jobs: dict[str, str]
) -> None:
    ask = checked.client.list_jobs
    assert "nextToken" in refused(ask, jobQueue=queue, nextToken="x")
    assert "nextToken" in refused(ask, jobQueue=queue, nextToken="99999")
    assert "maxResults" in refused(ask, jobQueue=queue, maxResults=0)
    assert "maxResults" in refused(ask, jobQueue=queue, maxResults=101)
    assert "jobStatus" in refused(ask, jobQueue=queue, jobStatus="FOO")
    assert "milliseconds" in refused(
        ask, jobQueue=queue, filters=[{"name": "AFTER_CREATED_AT", "values": ["abc"]}]
    )
    assert "one of JOB_NAME" in refused(
        ask, jobQueue=queue, filters=[{"name": "COLOUR", "values": ["x"]}]
    )
    two = [{"name": "JOB_NAME", "values": ["a*"]}, {"name": "JOB_NAME", "values": ["b*"]}]
    assert "Only one filter" in refused(ask, jobQueue=queue, filters=two)
    assert ask(multiNodeJobId=jobs["nodes"])["jobSummaryList"] == [], (
        "without a status those that run, of which there are none"
    )
    assert len(ask(multiNodeJobId=jobs["nodes"], jobStatus="SUCCEEDED")["jobSummaryList"]) >= 1
    everything = [{"name": "AFTER_CREATED_AT", "values": ["0"]}]
    pages = [
        page["jobSummaryList"]
        for page in stage.batch.get_paginator("list_jobs").paginate(
            jobQueue=queue, filters=everything, maxResults=2
        )
    ]
    assert {len(page) for page in pages[:-1]} == {2}
    created = [job["createdAt"] for page in pages for job in page]
    assert created == sorted(created, reverse=True)
    assert {job["jobId"] for page in pages for job in page} >= set(jobs.values())


def test_a_share_and_a_status_count_together(stage: Stage) -> None:
    policy = stage.batch.create_scheduling_policy(
        name=stage.name("policy"), fairsharePolicy={"shareDecaySeconds": 60}
    )["arn"]
    queue = stage.queue(stage.environment(), schedulingPolicyArn=policy)
    for share, command in (("a", "true"), ("a", "false"), ("b", "true")):
        job = stage.submit(
            queue,
            stage.definition([command], definition={"schedulingPriority": 1}),
            shareIdentifier=share,
        )
        stage.wait(job)
    mine = [{"name": "SHARE_IDENTIFIER", "values": ["a"]}]
    assert len(stage.batch.list_jobs(jobQueue=queue, filters=mine)["jobSummaryList"]) == 2
    assert (
        len(
            stage.batch.list_jobs(jobQueue=queue, filters=mine, jobStatus="FAILED")[
                "jobSummaryList"
            ]
        )
        == 1
    )


def test_limits(stage: Stage, checked: Checked, queue: str) -> None:
    client = checked.client
    assert "at most 100" in refused(client.describe_jobs, jobs=["x"] * 101)
    common = {"jobName": "x", "jobQueue": queue, "jobDefinition": stage.definition(["true"])}
    assert "aws:" in refused(client.submit_job, **common, tags={"aws:mine": "x"})
    assert "at most 50" in refused(
        client.submit_job, **common, tags={f"k{n}": "v" for n in range(51)}
    )
    assert "eksPropertiesOverride" in refused(
        client.submit_job, **common, eksPropertiesOverride={"podProperties": {"containers": []}}
    )
    assert "ecsPropertiesOverride" in refused(
        client.submit_job, **common, ecsPropertiesOverride={"taskProperties": [{"containers": []}]}
    )


def test_old_fields_override_old_fields(stage: Stage, queue: str) -> None:
    old = {"image": "repo/test:1", "command": ["true"], "vcpus": 1, "memory": 512}
    definition = stage.batch.register_job_definition(
        jobDefinitionName=stage.name("old"), type="container", containerProperties=old
    )
    job = stage.job(
        stage.submit(
            queue, definition["jobDefinitionArn"], containerOverrides={"vcpus": 2, "memory": 700}
        )
    )
    assert (job["container"]["vcpus"], job["container"]["memory"]) == (2, 700)
    new = stage.job(
        stage.submit(queue, stage.definition(["true"]), containerOverrides={"vcpus": 2})
    )
    assert {"type": "VCPU", "value": "1"} in new["container"]["resourceRequirements"]


def test_a_pending_job_that_is_cancelled_waits_for_what_it_depends_on(
    stage: Stage, queue: str
) -> None:
    first = stage.submit(queue, stage.definition(["sleep", "60"]))
    second = stage.submit(queue, stage.definition(["true"]), dependsOn=[{"jobId": first}])
    stage.wait(second, "PENDING")
    stage.wait(first, "RUNNING")
    stage.batch.cancel_job(jobId=second, reason="not needed")
    time.sleep(0.3)
    pending = stage.job(second)
    assert (pending["status"], pending["isCancelled"]) == ("PENDING", True)
    stage.batch.terminate_job(jobId=first, reason="enough")
    ended = stage.wait(second)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "not needed")


def test_the_tagging_api_knows_batch(stage: Stage, jobs: dict[str, str]) -> None:
    tagging = stage.client("resourcegroupstaggingapi")
    found = tagging.get_resources(
        TagFilters=[{"Key": "a", "Values": ["b"]}], ResourceTypeFilters=["batch:job"]
    )["ResourceTagMappingList"]
    assert [each["ResourceARN"].rsplit("/", 1)[1] for each in found] == [jobs["plain"]]
    assert (
        tagging.get_resources(ResourceTypeFilters=["batch:job-queue"], TagFilters=[{"Key": "a"}])[
            "ResourceTagMappingList"
        ]
        == []
    )


@pytest.fixture
def stopped(stage: Stage) -> Iterator[str]:
    """A queue whose jobs stay RUNNABLE."""
    stage.cloud.batch.withhold_capacity("*")
    yield stage.queue(stage.environment())
    stage.cloud.batch.withhold_capacity()


@pytest.mark.timeout(120)
def test_ten_thousand_jobs_are_listed_quickly(stage: Stage, stopped: str) -> None:
    plane, definition = stage.cloud.batch, stage.definition(["true"])
    with plane.store.lock:
        for number in range(10_000):
            params = {"jobName": f"job-{number}", "jobQueue": stopped, "jobDefinition": definition}
            plane.states.add(submission.build(plane.store, params, plane.now()))
    mine = {"jobQueue": stopped, "filters": [{"name": "JOB_NAME", "values": ["job-*"]}]}
    pages = list(stage.batch.get_paginator("list_jobs").paginate(**mine))
    assert sum(len(page["jobSummaryList"]) for page in pages) == 10_000
    asked: tuple[dict[str, Any], ...] = (
        {**mine, "nextToken": "9900"},
        {"jobQueue": stopped, "jobStatus": "RUNNABLE"},
    )
    for each in asked:
        began = time.thread_time()
        assert len(listing.list_jobs(plane.store, each)["jobSummaryList"]) == 100
        taken = time.thread_time() - began
        assert taken < 0.1, f"a page takes {taken * 1000:.0f} ms of a processor"
