"""The Batch jobs that executions wait for, which end with them.

Where an execution is stopped, fails or runs out of time, Step Functions stops the job of a task that waits for it, as far as the
machine's role lets it (Step Functions developer guide, "Run a Job (.sync)"). moto leaves it running.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch import (
    StateTaskServiceBatch,
)

from localcloud.access import AssumeRoleError

_log = logging.getLogger(__name__)
_ENDED = ("SUCCEEDED", "FAILED")


class ExecutionJobs:
    """Remembers which jobs each execution waits for.

    Args:
        batch_client: Role ARN -> boto3 client of Batch under that role.
    """

    def __init__(self, batch_client: Callable[[str], Any]) -> None:
        self._batch_client = batch_client
        self._jobs: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def replacements(self) -> list[tuple[Any, str, Any]]:
        """(class, name of the method, function in its place)."""
        build: Any = StateTaskServiceBatch._build_sync_resolver  # noqa: SLF001 - no hook

        def build_sync_resolver(
            task: Any,
            env: Any,
            resource_runtime_part: Any,
            normalised_parameters: Any,
            state_credentials: Any,
        ) -> Any:
            execution = env.states.context_object.context_object_data["Execution"]["Id"]
            with self._lock:
                self._jobs.setdefault(execution, []).append(env.stack[-1]["JobId"])
            return build(task, env, resource_runtime_part, normalised_parameters, state_credentials)

        return [(StateTaskServiceBatch, "_build_sync_resolver", build_sync_resolver)]

    def end(self, execution: Any) -> None:
        """The execution has ended; whatever it still waits for ends too."""
        with self._lock:
            jobs = self._jobs.pop(execution.exec_arn, [])
        if execution.exec_status == ExecutionStatus.SUCCEEDED or not jobs:
            return
        reason = f"Step Functions execution {execution.exec_arn} is {execution.exec_status}"
        try:
            batch = self._batch_client(execution.role_arn)
            for start in range(0, len(jobs), 100):
                for job in batch.describe_jobs(jobs=jobs[start : start + 100])["jobs"]:
                    if job["status"] not in _ENDED:
                        batch.terminate_job(jobId=job["jobId"], reason=reason)
        except (ClientError, BotoCoreError, AssumeRoleError) as error:
            _log.warning("the jobs of %s go on: %s", execution.exec_arn, error)
