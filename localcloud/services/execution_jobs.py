"""The Batch jobs that executions wait for, which end with the wait.

Where an execution is stopped, fails or runs out of time, and where a state does (TimeoutSeconds),
Step Functions stops the job of a task that waits for it, as far as the machine's role lets it
(Step Functions developer guide, "Run a Job (.sync)"). moto leaves it running.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_batch,
    state_task_service_callback,
)

from localcloud.iam.access import AssumeRoleError

_log = logging.getLogger(__name__)
_ENDED = ("SUCCEEDED", "FAILED")


@dataclass
class _Wait:
    """A task's wait for its job; called again and again, as moto's resolver is, until that ends."""

    execution: str
    role: str
    job: str
    ask: Callable[[], Any]
    over: bool = False

    def __call__(self) -> Any:
        try:
            found = self.ask()
        except Exception:
            self.over = True  # the job has failed
            raise
        self.over = bool(found)
        return found


class ExecutionJobs:
    """Remembers which jobs each execution waits for.

    Args:
        batch_client: Role ARN -> boto3 client of Batch under that role.
    """

    def __init__(self, batch_client: Callable[[str], Any]) -> None:
        self._batch_client = batch_client
        self._jobs: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def replacements(self) -> list[tuple[Any, str, Any]]:
        """(class, name of the method, function in its place)."""
        task_class = state_task_service_batch.StateTaskServiceBatch
        callback_class = state_task_service_callback.StateTaskServiceCallback
        moto_build: Any = task_class._build_sync_resolver  # noqa: SLF001 - no hook
        moto_wait: Any = callback_class._eval_sync  # noqa: SLF001 - no hook

        def build_sync_resolver(
            task: Any,
            env: Any,
            resource_runtime_part: Any,
            normalised_parameters: Any,
            state_credentials: Any,
        ) -> Any:
            execution = env.states.context_object.context_object_data["Execution"]["Id"]
            job = env.stack[-1]["JobId"]
            with self._lock:
                self._jobs.setdefault(execution, []).append(job)
            return _Wait(
                execution=execution,
                role=state_credentials.role_arn,
                job=job,
                ask=moto_build(
                    task, env, resource_runtime_part, normalised_parameters, state_credentials
                ),
            )

        def eval_sync(
            task: Any, env: Any, sync_resolver: Any, *arguments: Any, **named: Any
        ) -> Any:
            try:
                return moto_wait(task, env, sync_resolver, *arguments, **named)
            finally:
                if isinstance(sync_resolver, _Wait) and not sync_resolver.over:
                    self._abandon(sync_resolver)

        return [
            (task_class, "_build_sync_resolver", build_sync_resolver),
            (callback_class, "_eval_sync", eval_sync),
        ]

    def close(self) -> None:
        """The cloud ends, and its jobs with it: nothing is stopped from now on."""
        self._closed = True

    def end(self, execution: Any) -> None:
        """The execution has ended; whatever it still waits for ends too."""
        with self._lock:
            jobs = self._jobs.pop(execution.exec_arn, [])
        if execution.exec_status != ExecutionStatus.SUCCEEDED:
            reason = f"Step Functions execution {execution.exec_arn} is {execution.exec_status}"
            self._terminate(execution.exec_arn, execution.role_arn, jobs, reason)

    def _abandon(self, wait: _Wait) -> None:
        """A task no longer waits, and its job has not ended."""
        reason = f"a state of Step Functions execution {wait.execution} no longer waits for it"
        self._terminate(wait.execution, wait.role, [wait.job], reason)

    def _terminate(self, execution: str, role: str, jobs: list[str], reason: str) -> None:
        if not jobs or self._closed:
            return
        try:
            batch = self._batch_client(role)
            for start in range(0, len(jobs), 100):
                for job in batch.describe_jobs(jobs=jobs[start : start + 100])["jobs"]:
                    if job["status"] not in _ENDED:
                        batch.terminate_job(jobId=job["jobId"], reason=reason)
        except (ClientError, BotoCoreError, AssumeRoleError) as error:
            _log.warning("the jobs of %s go on: %s", execution, error)
