"""redun: tasks on AWS Batch, with its scratch space in S3."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients.conftest import Client

pytestmark = pytest.mark.timeout(900)

WORKFLOW = """
from redun import task
redun_namespace = "clients"

@task(executor="batch", memory=1, vcpus=1)
def square(x: int) -> int:
    return x * x

@task()
def add(numbers: list) -> int:
    return sum(numbers)

@task()
def main(n: int = 3) -> int:
    return add([square(x) for x in range(n)])
"""
SETTINGS = """
[executors.batch]
type = aws_batch
image = {image}
queue = {queue}
s3_scratch = s3://{bucket}/redun/
role = {role}
job_name_prefix = redun
job_monitor_interval = 0.5
min_array_size = 0
"""


def test_tasks_run_as_jobs(client: Callable[[str], Client]) -> None:
    redun = client("redun")
    settings = SETTINGS.format(
        image=redun.image, queue=redun.queue, bucket=redun.bucket, role=redun.role
    )
    said = redun.run(
        "redun",
        "run",
        "workflow.py",
        "main",
        "--n",
        "3",
        files={"workflow.py": WORKFLOW, ".redun/redun.ini": settings},
    )
    assert said.splitlines()[0] == "5", said
    listed = redun.stage.batch.list_jobs(jobQueue=redun.queue, jobStatus="SUCCEEDED")[
        "jobSummaryList"
    ]
    assert len(listed) == 3, said
