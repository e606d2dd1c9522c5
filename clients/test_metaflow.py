"""Metaflow: steps with @batch, artifacts in S3."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients.conftest import Client

pytestmark = pytest.mark.timeout(900)

FLOW = """
from metaflow import FlowSpec, batch, environment, step

class Squares(FlowSpec):
    @step
    def start(self):
        self.numbers = [1, 2, 3]
        self.next(self.square, foreach="numbers")

    @environment(vars={"METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1"})
    @batch(cpu=1, memory=512, image="IMAGE")
    @step
    def square(self):
        self.squared = self.input ** 2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.squared for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        print("total", self.total)

if __name__ == "__main__":
    Squares()
"""


def test_steps_run_as_jobs(client: Callable[[str], Client]) -> None:
    metaflow = client("metaflow")
    variables = {
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{metaflow.bucket}/metaflow",
        "METAFLOW_S3_ENDPOINT_URL": metaflow.stage.cloud.endpoint_url,
        "METAFLOW_BATCH_JOB_QUEUE": metaflow.queue,
        "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": metaflow.role,
        "METAFLOW_DEFAULT_METADATA": "local",
    }
    files = {"flow.py": FLOW.replace("IMAGE", metaflow.image)}
    said = metaflow.run(
        "python", "flow.py", "run", "--max-workers", "3", files=files, variables=variables
    )
    assert "total 14" in said, said
    listed = metaflow.stage.batch.list_jobs(jobQueue=metaflow.queue, jobStatus="SUCCEEDED")[
        "jobSummaryList"
    ]
    assert len(listed) == 3, said
