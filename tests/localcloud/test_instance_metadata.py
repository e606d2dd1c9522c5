"""The instance metadata service: answers as EC2's does, and the program's instances keep jobs away
from it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.user_data import user_data
from config.disks import InstanceStore
from tests.localcloud.conftest import Stage

TAKE = """
import json, os, urllib.error, urllib.request
base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")

def ask(path, method="GET", **headers):
    request = urllib.request.Request(f"{base}/latest/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""

plain, _ = ask("meta-data/instance-id")
status, token = ask("api/token", "PUT", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})
given = {"X-aws-ec2-metadata-token": token}
_, role = ask("meta-data/iam/security-credentials/", **given)
_, text = ask(f"meta-data/iam/security-credentials/{role}", **given)
import boto3
found = boto3.Session().get_credentials()
try:
    who = boto3.client("sts", region_name="us-east-1").get_caller_identity()["Arn"] if found else None
except Exception as error:
    who = type(error).__name__
print(json.dumps({"plain": plain, "token": status, "role": role, "key": json.loads(text or "{}").get("Code"), "who": who}))
"""
CLOSED = {"plain": 0, "token": 0, "role": "", "key": None, "who": None}


def template(stage: Stage, script: str, **options: Any) -> dict[str, str]:
    data = {"MetadataOptions": options, "UserData": script, "SecurityGroupIds": [stage.group]}
    made = stage.client("ec2").create_launch_template(
        LaunchTemplateName=stage.name("lt"), LaunchTemplateData=data
    )
    return {"launchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "version": "1"}


def told(
    stage: Stage, script: str, *, nodes: int = 1, user: str | None = None, **options: Any
) -> dict[str, Any]:
    """What a job finds on instances with this boot script."""
    launch = template(stage, script, **options)
    queue = stage.queue(stage.environment(launchTemplate=launch, securityGroupIds=[]))
    container = stage.container(["python", "-c", TAKE], **({} if user is None else {"user": user}))
    kind: dict[str, Any] = {"type": "container", "containerProperties": container}
    if nodes > 1:
        ranges = [{"targetNodes": "0:", "container": container}]
        kind = {
            "type": "multinode",
            "nodeProperties": {"numNodes": nodes, "mainNode": 0, "nodeRangeProperties": ranges},
        }
    definition = stage.batch.register_job_definition(jobDefinitionName=stage.name("def"), **kind)[
        "jobDefinitionArn"
    ]
    job = stage.wait(stage.submit(queue, definition))
    assert job["status"] == "SUCCEEDED", job
    if nodes > 1:
        job = stage.job(f"{job['jobId']}#0")
    answer: dict[str, Any] = json.loads(stage.log(job["container"]["logStreamName"])[0])
    return answer


@pytest.mark.parametrize("nodes", [1, 2])
def test_on_bare_instances_a_job_takes_the_role(stage: Stage, nodes: int) -> None:
    found = told(stage, "", nodes=nodes)
    assert (found["plain"], found["token"], found["key"]) == (401, 200, "Success")
    assert f":assumed-role/{found['role']}/i-" in found["who"]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("efa", [False, True])
def test_on_the_programs_instances_it_does_not(stage: Stage, nodes: int, efa: bool) -> None:
    assert (
        told(
            stage,
            user_data(scratch=InstanceStore(kind="instance-store"), efa=efa, spot=False),
            nodes=nodes,
        )
        == CLOSED
    )


def test_each_way_in_needs_its_own_lock(stage: Stage) -> None:
    import base64

    text = base64.b64decode(user_data(scratch=None, efa=False, spot=False)).decode()
    for line, open_to in (("ECS_AWSVPC_BLOCK_IMDS=true", 2), ("iptables", 1)):
        script = "\n".join(each for each in text.splitlines() if line not in each)
        encoded = base64.b64encode(script.encode()).decode()
        found = {nodes: told(stage, encoded, nodes=nodes)["key"] for nodes in (1, 2)}
        assert found == {open_to: "Success", 3 - open_to: None}


def test_the_firewall_lets_root_pass_and_options_count(stage: Stage) -> None:
    script = user_data(scratch=None, efa=False, spot=False)
    assert (
        told(stage, script, user="root")["key"] == "Success"
    )  # as the container agent, which needs it
    assert told(stage, "", HttpEndpoint="disabled") == CLOSED
    assert told(stage, "", HttpTokens="optional")["plain"] == 200
