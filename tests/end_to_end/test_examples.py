"""The example stacks deploy, and a file goes through each: on Fargate, on Spot, on two
machines without a way out, and by file systems that the jobs share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.follow import follow
from cli.rehearsal import IMAGES
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from tests.config.stacks import EXAMPLES, load, program_with, sections
from tests.end_to_end.conftest import LOOK_SECONDS
from workloads.contract import Run, Upload

pytestmark = pytest.mark.timeout(600)

DIGESTS: dict[str, str] = {}
"""Of the same table on every example that has run: machines and mounts change no answer."""
SHARDS = 2
BY_MOUNTS = ("efs-fargate", "lustre-hpc")
TABLE = b"id,height\n" + b"".join(b"r%d,%d\n" % (row, 150 + row * 7 % 50) for row in range(500))


@pytest.mark.parametrize("stack", EXAMPLES)
def test_a_file_goes_through_an_example(stack: str, tmp_path: Path) -> None:
    program, directory = tmp_path / "program", tmp_path / "cloud"
    program.mkdir()
    jobs = sections(stack)["jobs"]
    assert (jobs["analysis"]["array_backend"] == "cupy") == bool(jobs["analysis"].get("gpus"))
    jobs["analysis"]["array_backend"] = (
        "numpy"  # the only thing that the machine of the tests lacks is a GPU
    )
    # two children show an array as well as four do
    jobs["analysis"]["shards"] = min(jobs["analysis"].get("shards", 1), SHARDS)
    with LocalCloud(directory, images=IMAGES) as cloud:
        secrets = (
            {} if stack == "private" else {"batch-reference:slack-webhook-url": cloud.slack.url}
        )
        config = {"batch-reference:jobs": json.dumps(jobs)}
        deployed = deploy(
            program_with(program, stack), stack, cloud.client, config=config, secrets=secrets
        )
        assert len([r for r in deployed.resources if r.custom and r.id]) > 80
        outputs = deployed.outputs
        assert outputs["analysis_is_multi_node"] == (stack in ("private", "lustre-hpc"))

        reply = cloud.client("s3").put_object(
            Bucket=outputs["ingest_bucket"], Key="data/20260101/a.csv", Body=TABLE
        )
        upload = Upload(
            bucket=outputs["ingest_bucket"],
            key="data/20260101/a.csv",
            etag=reply["ETag"],
            version_id=reply["VersionId"],
        )
        run = Run(upload.run_id)
        status = list(
            follow(
                cloud.client("dynamodb"),
                cloud.client("batch"),
                outputs["table"],
                run,
                poll_seconds=LOOK_SECONDS,
            )
        )[-1]
        assert status.state == "SUCCEEDED", status
        summary, success = (_result(cloud, outputs, k) for k in (run.summary_key, run.success_key))
        assert [column["name"] for column in summary["columns"]] == ["id", "height"]
        DIGESTS[stack] = success["digest"]
        assert len(set(DIGESTS.values())) == 1, DIGESTS
        read = "units are read from" in _log(cloud, outputs["log_groups"]["analysis"])
        assert read == (stack in BY_MOUNTS)
        assert len(cloud.slack.messages) == (0 if stack == "private" else 1)
        assert cloud.denials == []


def _result(cloud: LocalCloud, outputs: Mapping[str, Any], key: str) -> dict[str, Any]:
    reply = cloud.client("s3").get_object(Bucket=outputs["results_bucket"], Key=key)
    return dict(json.loads(reply["Body"].read()))


def _log(cloud: LocalCloud, group: str) -> str:
    events = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


def test_the_slack_secret_does_not_go_with_a_network_without_nat() -> None:
    with pytest.raises(ValueError, match=r"NAT-SLACK at network\.nat"):
        load({**sections("private"), "slack-webhook-url": {"secure": "v1:x"}})
