"""Airflow's operators for AWS Batch and Step Functions, executed without a scheduler."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from clients.conftest import Client

pytestmark = pytest.mark.timeout(900)

PROGRAM = """
import sys
from unittest.mock import MagicMock
from airflow.providers.amazon.aws.operators.batch import BatchOperator
from airflow.providers.amazon.aws.operators.step_function import StepFunctionStartExecutionOperator

queue, definition, machine = sys.argv[1:]
context = {"ti": MagicMock(), "task_instance": MagicMock(), "task": MagicMock()}
batch = BatchOperator(
    task_id="batch", job_name="of-airflow", job_queue=queue, job_definition=definition, aws_conn_id=None, poll_interval=1,
    container_overrides={"command": ["sh", "-c", "echo from airflow"]},
)
batch.delay = lambda *_: None
print("job", batch.execute(context))
for _ in range(2):
    start = StepFunctionStartExecutionOperator(
        task_id="start", state_machine_arn=machine, aws_conn_id=None, waiter_delay=1, state_machine_input={"a": 1}
    )
    print("execution", start.execute(context))
"""
PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def test_operators(client: Callable[[str], Client]) -> None:
    airflow = client("airflow")
    stage = airflow.stage
    role = stage.role("states.amazonaws.com")
    made = stage.client("stepfunctions").create_state_machine(
        name="m", definition=json.dumps(PASS), roleArn=role
    )
    definition = stage.batch.register_job_definition(
        jobDefinitionName="of-airflow",
        type="container",
        containerProperties={
            "image": airflow.image,
            "command": ["false"],
            "vcpus": 1,
            "memory": 256,
        },
    )["jobDefinitionArn"]
    variables = {
        "AIRFLOW_HOME": str(airflow.directory),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    said = airflow.run(
        "python",
        "program.py",
        airflow.queue,
        definition,
        made["stateMachineArn"],
        files={"program.py": PROGRAM},
        variables=variables,
    )
    jobs = [line.split()[1] for line in said.splitlines() if line.startswith("job ")]
    executions = {line.split()[1] for line in said.splitlines() if line.startswith("execution ")}
    assert [stage.job(job)["status"] for job in jobs] == ["SUCCEEDED"], said
    assert len(executions) == 2, "each start is an execution of its own"
