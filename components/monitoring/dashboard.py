"""One picture of the stack for an operator, and the saved queries that go with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.function import LambdaFunction
from components.json_text import json_text
from components.queues import Queues
from config.stack import StackConfig
from workloads import metrics
from workloads.contract import STAGES, Stage

_WIDTH: Final = 24
_HEIGHT: Final = 6
_FIVE_MINUTES: Final = 300
_ALARMS_PER_WIDGET: Final = 100  # CloudWatch API reference, dashboard body structure

_QUERIES: Final[dict[str, tuple[str, str, str]]] = {
    "one-run": ("stages", "stage, node, rank, level, message", 'run_id = "put the run id here"'),
    "errors-of-stages": (
        "stages",
        "run_id, stage, node, rank, message, traceback, @logStream",
        "level = 'ERROR' or level = 'CRITICAL'",
    ),
    "errors-of-functions": (
        "functions",
        "@message, @log",
        "@message like /Traceback|errorMessage|Task timed out/",
    ),
    "failed-runs": ("functions", "run_id, stage, error, hint, job_id", "event = 'run failed'"),
    "blocked-queues": ("functions", "queue, job_id, reason", "event = 'queue blocked'"),
    "days": ("functions", "day, files, missing, unfinished, begun", "event = 'day looked at'"),
    "dead-letters": ("functions", "event, function, said", "event like /^dead letter/"),
    "alarms": ("functions", "alarm, state, reason", "event = 'alarm changed'"),
}
"""Name -> which log groups, what is shown besides the moment, and of which lines; in the language
of CloudWatch Logs Insights.
"""


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What Dashboard needs."""

    context: StackContext
    config: StackConfig
    queues: Queues
    functions: Mapping[str, LambdaFunction]
    """Functions by a short name."""
    stage_logs: Mapping[Stage, pulumi.Input[str]]
    """Names of the stages' log groups."""
    state_machine_arns: Mapping[str, pulumi.Output[str]]
    """`run` and `day`, each where there is one."""
    alarm_arns: Mapping[str, pulumi.Output[str]]


class Dashboard(Component):
    """Runs, stages, queues, environments, cost, functions and alarms; queries for a run's log and
    for errors.
    """

    dashboard_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        context = args.context
        made = aws.cloudwatch.Dashboard(
            f"{name}-picture",
            dashboard_name=f"{context.project}-{context.stack}",
            dashboard_body=json_text({"widgets": _placed(list(_widgets(args)))}, sort_keys=True),
            opts=self.child(),
        )
        self.dashboard_name = made.dashboard_name
        groups: dict[str, list[pulumi.Input[str]]] = {
            "stages": list(args.stage_logs.values()),
            "functions": [function.log_group_name for function in args.functions.values()],
        }
        for label, (kind, fields, which) in _QUERIES.items():
            aws.cloudwatch.QueryDefinition(
                f"{name}-{label}",
                name=f"{context.project}/{context.stack}/{label}",
                log_group_names=groups[kind],
                query_string=(
                    f"fields @timestamp, {fields}\n| filter {which}\n| sort @timestamp desc\n|"
                    " limit 1000"
                ),
                opts=self.child(),
            )
        self.register_outputs({"dashboard_name": self.dashboard_name})


def _placed(widgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Three in a row; before them the alarms, over the whole width."""
    whole = [widget for widget in widgets if widget["type"] == "alarm"]
    others = [widget for widget in widgets if widget["type"] != "alarm"]
    width = _WIDTH // 3
    return [
        *(
            {**widget, "x": 0, "y": _HEIGHT * row, "width": _WIDTH, "height": _HEIGHT}
            for row, widget in enumerate(whole)
        ),
        *(
            {
                **widget,
                "x": index % 3 * width,
                "y": _HEIGHT * (len(whole) + index // 3),
                "width": width,
                "height": _HEIGHT,
            }
            for index, widget in enumerate(others)
        ),
    ]


def _widgets(args: DashboardArgs) -> Iterator[dict[str, Any]]:
    context, stages, queues, environments = (
        args.context,
        list(STAGES),
        list(args.config.queues),
        list(args.config.environments),
    )
    alarms = list(args.alarm_arns.values())
    for start in range(0, len(alarms), _ALARMS_PER_WIDGET):
        yield {
            "type": "alarm",
            "properties": {"title": "Alarms", "alarms": alarms[start : start + _ALARMS_PER_WIDGET]},
        }

    def graph(
        title: str, rows: list[list[Any]], *, stat: str = "Maximum", **more: Any
    ) -> dict[str, Any]:
        properties = {
            "title": title,
            "region": context.region,
            "view": "timeSeries",
            "stat": stat,
            "period": _FIVE_MINUTES,
            "metrics": rows,
        }
        return {"type": "metric", "properties": {**properties, **more}}

    def own(metric: str, dimension: str = "", value: str = "", label: str = "") -> list[Any]:
        by = [dimension, value] if dimension else []
        return [
            metrics.NAMESPACE,
            metric,
            metrics.STACK,
            context.stack,
            *by,
            {"label": label or value or metric},
        ]

    ends = [
        own(metric, metrics.STAGE, stage, f"{stage} {metric.lower()}")
        for stage in stages
        for metric in (metrics.SUCCEEDED, metrics.FAILED)
    ]
    yield graph("Stages that ended", ends, stat="Sum", period=3600)
    yield graph(
        "Run time of stages, seconds",
        [own(metrics.SECONDS, metrics.STAGE, stage) for stage in stages],
        period=3600,
    )
    costs = [
        own(metrics.USD_PER_HOUR, label="stack"),
        *(own(metrics.USD_PER_HOUR, metrics.ENVIRONMENT, each) for each in environments),
    ]
    yield graph("Running cost, USD an hour", costs)
    if args.config.pipeline.daily is not None:
        yield graph(
            "Files of the day",
            [
                own(metric)
                for metric in (metrics.FILES, metrics.MISSING_FILES, metrics.UNFINISHED_RUNS)
            ],
        )
    if args.state_machine_arns:
        executions = [
            [
                "AWS/States",
                f"Executions{end}",
                "StateMachineArn",
                arn,
                {"label": f"{machine} {end.lower()}"},
            ]
            for machine, arn in args.state_machine_arns.items()
            for end in ("Succeeded", "Failed", "TimedOut", "Aborted")
        ]
        yield graph("Executions of the state machines", executions, stat="Sum", period=3600)
    yield graph(
        "Front of the line has waited, seconds",
        [own(metrics.FRONT_WAITED, metrics.QUEUE, queue) for queue in queues],
    )
    yield graph(
        "Environment is valid",
        [own(metrics.VALID, metrics.ENVIRONMENT, environment) for environment in environments],
        stat="Minimum",
    )
    counters = ("JobsSubmitted", "JobsMovedToSucceeded", "JobsMovedToFailed", "JobsRetried")
    transitions = [
        ["AWS/Batch", counter, "JobQueueName", queue_name, {"label": f"{queue} {counter}"}]
        for queue, queue_name in args.queues.names.items()
        for counter in counters
    ]
    yield graph("Jobs by AWS Batch's own counters", transitions, stat="Sum", period=3600)
    errors = [
        ["AWS/Lambda", "Errors", "FunctionName", function.name, {"label": label}]
        for label, function in args.functions.items()
    ]
    yield graph("Errors of functions", errors, stat="Sum")
    letters = [
        [
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            "QueueName",
            function.dead_letters.name,
            {"label": label},
        ]
        for label, function in args.functions.items()
    ]
    yield graph("Dead letters", letters)
    # last, so that the others stay where they are when one comes or goes
    for environment in environments:
        rows = [
            own(metric, metrics.ENVIRONMENT, environment, metric)
            for metric in (metrics.DESIRED_VCPUS, metrics.MAX_VCPUS)
        ]
        yield graph(f"vCPUs of environment {environment}", rows)
    for queue in queues:
        rows = [
            own(metrics.jobs_metric(status), metrics.QUEUE, queue, status)
            for status in metrics.QUEUE_STATES
        ]
        yield graph(f"Jobs of queue {queue}", rows, view="timeSeries", stacked=True)
