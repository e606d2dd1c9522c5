"""Multi-node jobs: addresses, order, whose exit counts, retries, overrides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage, until

MEETING = """
import json, os, socket, sys, time, urllib.request
me, main, count = (int(os.environ['AWS_BATCH_JOB_' + each]) for each in ('NODE_INDEX', 'MAIN_NODE_INDEX', 'NUM_NODES'))
metadata = json.load(urllib.request.urlopen(os.environ['ECS_CONTAINER_METADATA_URI_V4']))
address = metadata['Networks'][0]['IPv4Addresses'][0]
print('node', me, os.environ['AWS_BATCH_JOB_ID'], flush=True)
if me == main:
    assert 'AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS' not in os.environ
    server = socket.create_server((address, 7000))
    seen = {address}
    for _ in range(count - 1):
        connection, peer = server.accept()
        seen.add(connection.makefile().readline().strip())
    print(json.dumps(sorted(seen)), flush=True)
else:
    main = os.environ['AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS']
    while True:
        try:
            connection = socket.create_connection((main, 7000))
            break
        except ConnectionRefusedError:  # its process runs, and does not listen yet
            time.sleep(0.05)
    connection.sendall(address.encode() + b'\\n')
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def queue(stage: Stage) -> str:
    return stage.queue(stage.environment(max_vcpus=48))


def multinode(stage: Stage, code: str, nodes: int = 3, **more: Any) -> str:
    group = {"targetNodes": "0:", "container": stage.container(["python", "-c", code])}
    answer = stage.batch.register_job_definition(
        jobDefinitionName=stage.name("mnp"),
        type="multinode",
        nodeProperties={"numNodes": nodes, "mainNode": 0, "nodeRangeProperties": [group]},
        **more,
    )
    return str(answer["jobDefinitionArn"])


def test_nodes_meet_and_the_main_node_ends_the_job(stage: Stage, queue: str) -> None:
    definition = multinode(stage, MEETING)
    # two at once: their main nodes listen on the same port and do not collide
    pair = [stage.submit(queue, definition) for _ in range(2)]
    addresses: set[str] = set()
    for job_id in pair:
        job = stage.wait(job_id)
        assert (job["status"], job["attempts"][0]["container"]["exitCode"]) == ("SUCCEEDED", 0)
        assert "container" not in job
        assert job["nodeProperties"]["numNodes"] == 3
        assert stage.batch.list_jobs(multiNodeJobId=job_id)["jobSummaryList"] == [], (
            "without a status: the running ones"
        )
        summaries = sorted(
            (
                node
                for status in ("SUCCEEDED", "FAILED")
                for node in stage.batch.list_jobs(multiNodeJobId=job_id, jobStatus=status)[
                    "jobSummaryList"
                ]
            ),
            key=lambda node: str(node["jobId"]),
        )
        assert [(each["jobId"], each["nodeProperties"]["isMainNode"]) for each in summaries] == [
            (f"{job_id}#0", True),
            (f"{job_id}#1", False),
            (f"{job_id}#2", False),
        ]
        nodes = [stage.job(each["jobId"]) for each in summaries]
        logs = [stage.log(node["container"]["logStreamName"]) for node in nodes]
        assert [log[0] for log in logs] == [f"node {n} {job_id}#{n}" for n in range(3)]
        met = json.loads(logs[0][1])
        assert len(met) == 3
        assert [node["container"]["exitCode"] for node in nodes] == [0, 143, 143]
        assert nodes[0]["startedAt"] <= min(node["startedAt"] for node in nodes[1:])
        addresses |= set(met)
    assert len(addresses) == 6
    assert all(address.startswith("127.") and address != "127.0.0.1" for address in addresses)


def test_only_the_main_node_counts(stage: Stage, queue: str) -> None:
    child_dies = (
        "import os, sys, time; me = os.environ['AWS_BATCH_JOB_NODE_INDEX']\n"
        "time.sleep(0.7 if me == '0' else 0); sys.exit(5 if me == '1' else 0)"
    )
    survived = stage.wait(stage.submit(queue, multinode(stage, child_dies)))
    assert (survived["status"], len(survived["attempts"])) == ("SUCCEEDED", 1)
    assert stage.job(f"{survived['jobId']}#1")["status"] == "FAILED"
    main_dies = (
        "import os, sys, time\nif os.environ['AWS_BATCH_JOB_NODE_INDEX'] != '0': time.sleep(60)\n"
        "sys.exit(0 if os.environ['AWS_BATCH_JOB_ATTEMPT'] == '2' else 4)"
    )
    retried = stage.wait(
        stage.submit(queue, multinode(stage, main_dies, retryStrategy={"attempts": 2}))
    )
    assert (retried["status"], [each["container"]["exitCode"] for each in retried["attempts"]]) == (
        "SUCCEEDED",
        [4, 0],
    )


def test_losing_a_childs_host_leaves_the_job_alone_and_the_mains_ends_it(
    stage: Stage, queue: str
) -> None:
    job_id = stage.submit(queue, multinode(stage, "import time; time.sleep(60)"))
    until(lambda: all(stage.job(f"{job_id}#{node}")["status"] == "RUNNING" for node in range(3)))
    stage.cloud.batch.lose_host(job_id, node=2)
    until(lambda: stage.job(f"{job_id}#2")["status"] == "FAILED")
    assert stage.job(job_id)["status"] == "RUNNING"
    instance = stage.cloud.batch.lose_host(job_id)
    assert stage.wait(job_id)["statusReason"] == f"Host EC2 (instance {instance}) terminated."


def test_node_overrides(stage: Stage, queue: str) -> None:
    definition = multinode(stage, "import os; print(os.environ.get('X'))")
    override = {
        "targetNodes": "0:",
        "containerOverrides": {"environment": [{"name": "X", "value": "1"}]},
    }
    job = stage.wait(
        stage.submit(
            queue, definition, nodeOverrides={"numNodes": 2, "nodePropertyOverrides": [override]}
        )
    )
    assert job["nodeProperties"]["numNodes"] == 2
    assert stage.log(job["attempts"][0]["container"]["logStreamName"]) == ["1"]
    refused: dict[str, dict[str, Any]] = {
        "NodeOverride targets should match job definition. Non matching targets - 0:1": {
            "nodeOverrides": {"nodePropertyOverrides": [{**override, "targetNodes": "0:1"}]}
        },
        "Container overrides cannot be set for multi-node": {
            "containerOverrides": {"command": ["true"]}
        },
        "cannot be array jobs": {"arrayProperties": {"size": 2}},
    }
    for message, request in refused.items():
        with pytest.raises(ClientError) as error:
            stage.submit(queue, definition, **request)
        assert message in str(error.value)


def test_waits_for_all_nodes_and_never_runs_on_spot(stage: Stage) -> None:
    environment = stage.environment(max_vcpus=12)  # three instances of four vCPUs
    queue = stage.queue(environment)
    sleeping = multinode(stage, "import time; time.sleep(60)", nodes=2)
    first, second = stage.submit(queue, sleeping), stage.submit(queue, sleeping)
    stage.wait(first, "RUNNING")
    behind = stage.submit(queue, stage.definition(["true"]))
    assert stage.wait(second, "RUNNABLE")
    assert stage.wait(behind, "RUNNABLE")  # head of the line blocks, though one instance is free
    stage.batch.terminate_job(jobId=first, reason="done")
    stage.wait(second, "RUNNING")
    assert stage.wait(behind)["status"] == "SUCCEEDED"
    stage.batch.terminate_job(jobId=second, reason="done")
    on_spot = stage.submit(stage.queue(stage.environment("SPOT", max_vcpus=48)), sleeping)
    until(
        lambda: (
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
            in stage.job(on_spot).get("statusReason", "")
        )
    )
