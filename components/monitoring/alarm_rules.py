"""What the alarms of the stack are: the metric, the threshold, and what people are told.

Each is on a metric that somebody publishes. `what` and `todo` are the first two lines of its
description (components/monitoring/alarms.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from components.context import StackContext
from components.function import LambdaFunction
from components.monitoring.alarm_forms import FLOODS, Rule
from components.queues import Queues
from config.monitoring import MonitoringSection
from config.pipeline import DailySection
from config.stack import StackConfig
from workloads import metrics

_FIVE_MINUTES: Final = 300
_HOUR: Final = 3600


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """What Alarms needs."""

    context: StackContext
    config: StackConfig
    queues: Queues
    functions: Mapping[str, LambdaFunction]
    """Functions by a short name: their errors and dead letters are watched."""
    state_machine_arns: Mapping[str, pulumi.Output[str]]
    """`run` and `day`, each where there is one."""
    topic_arn: pulumi.Input[str]


def rules_of(args: AlarmsArgs) -> Iterator[Rule]:
    """All alarms that the stack has by itself; those in floods act through a composite one.

    Those of environments and queues come last: where one comes or goes the diff of what lists them
    by position, the dashboard, is short.
    """
    section, stack = args.config.monitoring, {metrics.STACK: args.context.stack}
    for label, function in args.functions.items():
        yield from _of_function(label, function)
    for machine, arn in args.state_machine_arns.items():
        yield from _of_machine(machine, arn)
    yield from _of_stages(section, stack)
    if args.config.pipeline.daily is not None:
        yield from _of_day(args.config.pipeline.daily, section, stack)
        yield _of_looks_at_the_day(section, stack)
    look_seconds = section.measure_minutes * 60
    yield Rule(
        label="not-measured",
        section="nothing-is-measured",
        what="Queues and environments are not being looked at",
        todo=(
            "Read the log of the measure function; until it works again, the alarms on queues,"
            " environments and cost are blind."
        ),
        metric=metrics.LOOKS,
        dimensions=stack,
        statistic="Sum",
        seconds=look_seconds,
        periods=3,
        below=1,
        missing="breaching",
    )
    if section.running_usd_per_hour is not None:
        yield Rule(
            label="running-cost",
            section="running-cost",
            what=(
                f"The running environments cost more than {section.running_usd_per_hour:g} USD an"
                " hour"
            ),
            todo=(
                "Find on the dashboard which environment is large, and whether its jobs do what"
                " they should; terminate those that do not."
            ),
            metric=metrics.USD_PER_HOUR,
            dimensions=stack,
            statistic="Maximum",
            seconds=look_seconds,
            above=section.running_usd_per_hour,
        )
    for environment, settings in args.config.environments.items():
        dimensions = {**stack, metrics.ENVIRONMENT: environment}
        yield from _of_environment(
            section, environment, dimensions, has_vcpus=not settings.kind.startswith("fargate")
        )
    for queue, queue_name in args.queues.names.items():
        yield from _of_queue(section, queue, queue_name, {**stack, metrics.QUEUE: queue})


def _of_function(label: str, function: LambdaFunction) -> Iterator[Rule]:
    yield Rule(
        label=f"{label}-dead-letters",
        section="dead-letters",
        what=f"An event that the {label} function could not handle lies in its dead-letter queue",
        todo=(
            "Read the function's log and mend the cause. Events of notify and alarm are tried again"
            " by themselves, others by `replay`."
        ),
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": function.dead_letters.name},
        statistic="Maximum",
        seconds=_FIVE_MINUTES,
        above=0,  # SQS sends no data for a queue that has long been empty
    )
    yield Rule(
        label=f"{label}-lost-letters",
        section="dead-letters",
        what=(
            f"An event that the {label} function could not handle was lost: Lambda could not send"
            " it to the dead-letter queue"
        ),
        todo=(
            "Look whether the queue is there and the function's role may send to it"
            " (sqs:SendMessage); begin again by hand what was lost."
        ),
        namespace="AWS/Lambda",
        metric="DeadLetterErrors",
        dimensions={"FunctionName": function.name},
        statistic="Sum",
        seconds=_FIVE_MINUTES,
        above=0,
    )
    yield Rule(
        label=f"{label}-errors",
        section="function-errors",
        what=f"The {label} function fails",
        todo=(
            "Read the function's log. Events are tried again for a while and then kept in the"
            " dead-letter queue."
        ),
        namespace="AWS/Lambda",
        metric="Errors",
        dimensions={"FunctionName": function.name},
        statistic="Sum",
        seconds=_FIVE_MINUTES,
        above=0,
    )


def _of_queue(
    section: MonitoringSection,
    queue: str,
    queue_name: pulumi.Output[str],
    dimensions: Mapping[str, pulumi.Input[str]],
) -> Iterator[Rule]:
    look_seconds = section.measure_minutes * 60
    yield Rule(
        label=f"failed-{queue}",
        section="jobs-fail",
        what=f"Jobs of queue {queue} fail",
        todo="Slack has a message with the cause for every failed run.",
        namespace="AWS/Batch",
        metric="JobsMovedToFailed",
        dimensions={"JobQueueName": queue_name},
        statistic="Sum",
        seconds=_FIVE_MINUTES,
        above=section.failed_jobs - 1,
        flood="failing",
    )
    yield Rule(
        label=f"stuck-{queue}",
        section="stuck-in-runnable",
        what=f"The line of queue {queue} has not moved for {section.stuck_minutes} minutes",
        todo=(
            "Look for a message that says why the queue is blocked; without one, compare what the"
            " job asks for with its environments."
        ),
        metric=metrics.FRONT_WAITED,
        dimensions=dimensions,
        statistic="Maximum",
        seconds=look_seconds,
        above=section.stuck_minutes * 60,
        missing="missing",
    )
    yield Rule(
        label=f"deep-{queue}",
        section="no-room",
        what=f"More than {section.deep_queue_jobs} jobs wait in queue {queue}",
        todo=FLOODS["full"].todo,
        metric=metrics.RUNNABLE_JOBS,
        dimensions=dimensions,
        statistic="Minimum",
        seconds=look_seconds,
        periods=max(1, section.deep_queue_minutes // section.measure_minutes),
        above=section.deep_queue_jobs,
        missing="missing",
        flood="full",
    )


def _of_environment(
    section: MonitoringSection,
    environment: str,
    dimensions: Mapping[str, pulumi.Input[str]],
    *,
    has_vcpus: bool,
) -> Iterator[Rule]:
    look_seconds = section.measure_minutes * 60
    yield Rule(
        label=f"invalid-{environment}",
        section="environment-invalid",
        what=f"AWS Batch calls the environment {environment} INVALID: none of its jobs can start",
        todo="batchref doctor shows the reason of AWS, and batchref why QUEUE what mends it.",
        metric=metrics.VALID,
        dimensions=dimensions,
        statistic="Minimum",
        seconds=look_seconds,
        below=1,
        missing="missing",
    )
    if has_vcpus:
        yield Rule(
            label=f"at-max-{environment}",
            section="no-room",
            what=(
                f"Environment {environment} has been at its max_vcpus for {section.at_max_minutes}"
                " minutes"
            ),
            todo=FLOODS["full"].todo,
            metric=metrics.AT_MAX,
            dimensions=dimensions,
            statistic="Minimum",
            seconds=look_seconds,
            periods=max(1, section.at_max_minutes // section.measure_minutes),
            above=0,
            missing="missing",
            flood="full",
        )


def _of_machine(machine: str, arn: pulumi.Output[str]) -> Iterator[Rule]:
    """Step Functions developer guide, "Execution metrics"; a throttled transition is tried again,
    so only lasting ones are news.
    """
    ends = {
        "ExecutionsFailed": ("failed", "fail"),
        "ExecutionsTimedOut": ("timed-out", "were ended an hour after their deadline"),
        "ExecutionsAborted": ("aborted", "were stopped by hand"),
        "ExecutionThrottled": (
            "throttled",
            "are held up: the account's state transitions are used up",
        ),
    }
    for metric, (label, what) in ends.items():
        # a run whose job failed is one cause, whoever counts it
        of_jobs = metric == "ExecutionsFailed" and machine == "run"
        flood = "failing" if of_jobs else "executions"
        yield Rule(
            label=f"{label}-{machine}",
            section="jobs-fail" if of_jobs else "executions",
            what=f"Executions of the state machine of the {machine} {what}",
            todo=FLOODS[flood].todo,
            namespace="AWS/States",
            metric=metric,
            dimensions={"StateMachineArn": arn},
            statistic="Sum",
            seconds=_FIVE_MINUTES,
            periods=3 if metric == "ExecutionThrottled" else 1,
            above=0,
            flood=flood,
        )


def _of_day(
    daily: DailySection, section: MonitoringSection, stack: Mapping[str, pulumi.Input[str]]
) -> Iterator[Rule]:
    """Each look publishes both; without one the alarms stay as they are, and those on the daily
    function speak.
    """
    yield Rule(
        label="no-file",
        section="no-file",
        what=f"A file of the day has not come by {daily.file_by} ({daily.time_zone})",
        todo="Ask its sender. When it comes it is analysed as always, and this alarm is over.",
        metric=metrics.MISSING_FILES,
        dimensions=stack,
        statistic="Minimum",
        seconds=section.measure_minutes * 60,
        above=0,
        missing="ignore",
    )
    yield Rule(
        label="day-unfinished",
        section="day-unfinished",
        what=f"Runs of the day have not succeeded by {daily.finished_by} ({daily.time_zone})",
        todo=(
            "A run that failed has a message of its own, with the cause; one that waits or runs is"
            " on the dashboard."
        ),
        metric=metrics.UNFINISHED_RUNS,
        dimensions=stack,
        statistic="Minimum",
        seconds=section.measure_minutes * 60,
        above=0,
        missing="ignore",
    )


def _of_looks_at_the_day(
    section: MonitoringSection, stack: Mapping[str, pulumi.Input[str]]
) -> Rule:
    """The metrics of the day leave by the log of the daily function: where it cannot write one,
    both alarms above stay as they are.
    """
    return Rule(
        label="day-not-looked",
        section="nothing-is-measured",
        what="The files and runs of the day are not being looked at",
        todo=(
            "Read the log of the daily function; where it has none, its role may not write it."
            " Until then nobody hears of missing files."
        ),
        metric=metrics.FILES,
        dimensions=stack,
        statistic="Minimum",
        seconds=section.measure_minutes * 60,
        periods=3,
        below=0,  # a count is never; what sets it off is that there is none
        missing="breaching",
    )


def _of_stages(
    section: MonitoringSection, stack: Mapping[str, pulumi.Input[str]]
) -> Iterator[Rule]:
    yield Rule(
        label="analysis-fails-again",
        section="analysis-fails-again",
        what=f"The analysis failed {section.failed_analyses} times within a day",
        todo=(
            "Compare the causes in Slack: the same one every time is a bug or a setting, not bad"
            " luck. Each attempt costs."
        ),
        metric=metrics.FAILED,
        dimensions={**stack, metrics.STAGE: "analysis"},
        statistic="Sum",
        seconds=24 * _HOUR,
        above=section.failed_analyses - 1,
    )
    yield Rule(
        label="postprocess-failed",
        section="postprocess-failed",
        what=(
            "A postprocess job failed or ran out of time: an analysis is done, and nobody has its"
            " findings"
        ),
        todo="The analysis need not run again: batchref retry KEY.",
        metric=metrics.FAILED,
        dimensions={**stack, metrics.STAGE: "postprocess"},
        statistic="Sum",
        seconds=_FIVE_MINUTES,
        above=0,
    )
    if section.no_success_hours is not None:
        yield Rule(
            label="no-success",
            section="nothing-succeeds",
            what=f"No run has finished for {section.no_success_hours} hours",
            todo="Did a file come at all? If so, its state item in the table says how far it got.",
            metric=metrics.SUCCEEDED,
            dimensions={**stack, metrics.STAGE: "postprocess"},
            statistic="Sum",
            seconds=_HOUR,
            periods=section.no_success_hours,
            below=1,
            missing="breaching",
        )
