"""The metrics that AWS services publish by themselves, as far as the program's alarms use them, and
those that log lines carry.

AWS Batch (User Guide, "Using CloudWatch metrics": counters of transitions by queue), Lambda
(Developer Guide: Invocations, Errors, Duration), SQS (depth of a queue, sampled), Step Functions
(ends of executions, transitions held up), and CloudWatch's embedded metric format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from localcloud.moto.state import AwsState


class Metrics:
    """Writes metrics into the in-memory CloudWatch.

    Args:
        state: The in-memory AWS.
        now: The cloud's clock, seconds since 1970.
    """

    def __init__(self, state: AwsState, now: Callable[[], float]) -> None:
        self._state = state
        self._now = now
        state.on_log_line = self.take_log_line

    def put(
        self,
        namespace: str,
        dimensions: Mapping[str, str],
        values: Mapping[str, float],
        *,
        at: float | None = None,
    ) -> None:
        """Adds one value to each of some metrics that share their dimensions; `at` in seconds since
        1970, now without it.
        """
        moment = datetime.fromtimestamp(self._now() if at is None else at, UTC).replace(tzinfo=None)
        named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        data = [
            {"MetricName": name, "Value": value, "Dimensions": named, "Timestamp": moment}
            for name, value in values.items()
        ]
        self._state.put_metrics(namespace, data)

    def take_log_line(self, line: str) -> None:
        """Extracts the metrics of a line in the embedded metric format; other lines have none."""
        if '"_aws"' not in line:
            return
        try:
            entry = json.loads(line)
            metadata = entry["_aws"]
            for directive in metadata["CloudWatchMetrics"]:
                values = {
                    metric["Name"]: float(entry[metric["Name"]]) for metric in directive["Metrics"]
                }
                for names in directive["Dimensions"]:
                    dimensions = {name: str(entry[name]) for name in names}
                    self.put(
                        directive["Namespace"], dimensions, values, at=metadata["Timestamp"] / 1000
                    )
        except (ValueError, TypeError, KeyError):
            return  # CloudWatch too keeps such a line as a line and makes no metric of it

    def job_moved(self, detail: Mapping[str, Any]) -> None:
        """Counts a job's transition, by the detail of its event."""
        queue, status = str(detail["jobQueue"]).rsplit("/", 1)[-1], str(detail["status"])
        self.put("AWS/Batch", {"JobQueueName": queue}, {f"JobsMovedTo{status.capitalize()}": 1})

    def function_invoked(self, name: str, *, failed: bool, milliseconds: float) -> None:
        """Counts an invocation of a function that has just ended, at its beginning (Lambda
        developer guide, "Viewing metrics").
        """
        self.put(
            "AWS/Lambda",
            {"FunctionName": name},
            {"Invocations": 1, "Errors": float(failed), "Duration": milliseconds},
            at=self._now() - milliseconds / 1000,
        )

    def function_letter_lost(self, name: str, *, dead: bool) -> None:
        """Counts an event that Lambda could not give to a dead-letter queue, or to a
        destination.
        """
        metric = "DeadLetterErrors" if dead else "DestinationDeliveryFailures"
        self.put("AWS/Lambda", {"FunctionName": name}, {metric: 1})

    def execution_counted(self, machine_arn: str, metric: str) -> None:
        """Counts one in a metric of a state machine."""
        self.put("AWS/States", {"StateMachineArn": machine_arn}, {metric: 1})

    def sample_queues(self) -> None:
        """Takes the depth of every SQS queue."""
        for name, depth in self._state.queue_depths().items():
            self.put("AWS/SQS", {"QueueName": name}, {"ApproximateNumberOfMessagesVisible": depth})
