"""`why RUN` on a deployed stack: a run that is stuck, found and mended; and runs that have not
begun.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from rich.console import Console

from cli import paths
from cli.errors import CliError, ExitCode
from cli.rehearsal import IMAGES
from cli.schema import document_schema
from cli.target import Target
from cli.why import command
from cli.why.account import Account
from cli.why.model import Diagnosis
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from tests.localcloud.conftest import until
from workloads.contract import Run, Upload

ROOT = Path(__file__).parents[3]
SAMPLE = next(paths.SAMPLE.glob("*.csv"))
LATER = "20991231-never-0123456789ab"
LOOK_SECONDS = 0.5
"""A look costs a fifth of this, which the run that is waited for would have."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalCloud, Target]]:
    directory = tmp_path_factory.mktemp("cloud")
    with LocalCloud(directory, images=IMAGES) as cloud:
        secrets = {"batch-reference:slack-webhook-url": cloud.slack.url}
        deployment = deploy(ROOT, "local", cloud.client, secrets=secrets)
        yield (
            cloud,
            Target(
                outputs=deployment.outputs,
                endpoint_url=cloud.endpoint_url,
                credentials=cloud.deployer.credentials,
            ),
        )


def why(target: Target, word: str) -> Diagnosis:
    account = Account(client=target.client, outputs=target.outputs, now=lambda: 4e9)
    return command.diagnose(account, word, lambda name: command.run_of(target, name))


def test_a_stuck_run_is_found_and_mended(
    target: tuple[LocalCloud, Target], capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, at = target
    nodes = at.outputs["environments"]["nodes"]
    batch = cloud.client("batch")
    batch.update_compute_environment(computeEnvironment=nodes, computeResources={"maxvCpus": 36})
    bucket, key = at.outputs["ingest_bucket"], "data/20260131/sales.csv"
    # a few hundred rows are enough to get to the analysis
    body = b"\n".join(SAMPLE.read_bytes().split(b"\n")[:400])
    put = cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    run = Run(Upload(bucket=bucket, key=key, etag=put["ETag"]).run_id)
    found = until(
        lambda: (d := why(at, run.run_id)).causes and d.causes[0].code == "MAX-VCPUS" and d,
        what=lambda: why(at, run.run_id),
        pause=LOOK_SECONDS,
    )
    cause = found.causes[0]
    assert cause.setting == "environments.nodes.max_vcpus"
    assert (cause.found, cause.needed) == ("36", "72")
    assert found.verdict.startswith("analysis (")
    assert why(at, key).causes[0] == why(at, "last").causes[0] == cause
    assert why(at, "nodes").causes[0].code == "MAX-VCPUS"

    told = "AWS Batch sent an event that the job blocks its queue: MISCONFIGURATION:COMPUTE_"
    until(
        lambda: any(each.startswith(told) for each in why(at, run.run_id).seen), pause=LOOK_SECONDS
    )

    console = Console(file=io.StringIO(), width=80)
    assert command.run(console, at, "last", as_json=False) == ExitCode.NOT_READY
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "environments.nodes.max_vcpus: has 36, needs 72" in text
    command.run(console, at, "last", as_json=True)
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, document_schema("why"))
    assert document["stuck"] is True

    batch.update_compute_environment(computeEnvironment=nodes, computeResources={"maxvCpus": 72})
    until(
        lambda: why(at, run.run_id).state == "SUCCEEDED",
        what=lambda: why(at, run.run_id),
        pause=LOOK_SECONDS,
    )


def test_a_run_whose_file_never_came(target: tuple[LocalCloud, Target]) -> None:
    _, at = target
    found = why(at, LATER)
    assert (found.state, found.causes[0].code) == ("not begun", "NO-UPLOAD")


def test_a_pipeline_that_is_switched_off(target: tuple[LocalCloud, Target]) -> None:
    cloud, at = target
    function = cloud.client("lambda").get_function(FunctionName=at.outputs["submit_function"])
    arn, events = function["Configuration"]["FunctionArn"], cloud.client("events")
    rules = events.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    for rule in rules:
        events.disable_rule(Name=rule)
    try:
        (cause,) = why(at, LATER).causes
        assert (cause.code, cause.setting) == ("PIPELINE-DISABLED", "pipeline.enabled")
    finally:
        for rule in rules:
            events.enable_rule(Name=rule)


def test_the_budget_has_stopped_new_runs(target: tuple[LocalCloud, Target]) -> None:
    cloud, at = target
    function = cloud.client("lambda").get_function(FunctionName=at.outputs["submit_function"])
    role, iam = function["Configuration"]["Role"].rsplit("/", 1)[-1], cloud.client("iam")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "batch:SubmitJob", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName=role, PolicyName="stop", PolicyDocument=json.dumps(document))
    try:
        assert why(at, LATER).causes[0].code == "BUDGET-STOP"
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="stop")


def test_an_event_that_could_not_be_handled(target: tuple[LocalCloud, Target]) -> None:
    cloud, at = target
    url = at.outputs["dead_letter_queues"]["submit"]["url"]
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    (cause,) = why(at, LATER).causes
    assert (cause.code, cause.found) == ("DEAD-LETTERS", "1")
    cloud.client("sqs").purge_queue(QueueUrl=url)


def test_a_function_that_may_not_run(target: tuple[LocalCloud, Target]) -> None:
    cloud, at = target
    name = at.outputs["submit_function"]
    client = cloud.client("lambda")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        assert why(at, LATER).causes[0].code == "NO-CONCURRENCY"
    finally:
        client.delete_function_concurrency(FunctionName=name)


@pytest.mark.parametrize(
    "word", ["nothing", "0b7b2a5e-0000-4000-8000-000000000000", "data/20260131/none.csv"]
)
def test_what_is_not_there_is_one_sentence(target: tuple[LocalCloud, Target], word: str) -> None:
    with pytest.raises(CliError) as caught:
        why(target[1], word)
    assert caught.value.code == ExitCode.NOT_FOUND
