"""The alarms of the stack, each on a metric that somebody publishes, with what to do in its description.

A description has three lines: what happened, what to do, where the runbook says more. workloads/functions/alarm.py makes a message of them.
Alarms that come in floods (one for each queue or environment) act through a composite alarm, so that one cause gives one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from components.context import Component, StackContext
from components.function import LambdaFunction
from components.queues import Queues
from config.monitoring import MonitoringSection
from config.pipeline import DailySection
from config.stack import StackConfig
from workloads import metrics

_RUNBOOK: Final = "docs/runbook.md"
_FIVE_MINUTES: Final = 300
_HOUR: Final = 3600

Missing = Literal["notBreaching", "breaching", "missing", "ignore"]


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """What Alarms needs."""

    context: StackContext
    config: StackConfig
    queues: Queues
    functions: Mapping[str, LambdaFunction]
    """By a short name: their errors and dead letters are watched."""
    state_machine_arns: Mapping[str, pulumi.Output[str]]
    """`run` and `day`, each where there is one."""
    topic_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """One alarm: the metric is above (or below) the threshold in each of so many periods."""

    label: str
    section: str
    """Of the runbook, as an anchor."""
    what: str
    todo: str
    namespace: str = metrics.NAMESPACE
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: Literal["Sum", "Maximum", "Minimum"]
    seconds: int
    """Length of a period."""
    periods: int = 1
    above: float | None = None
    below: float | None = None
    missing: Missing = "notBreaching"
    flood: str | None = None
    """The composite alarm that tells of this one."""


@dataclass(frozen=True, kw_only=True)
class _Flood:
    """A composite alarm over all rules that name it."""

    section: str
    what: str
    todo: str


_FLOODS: Final = {
    "failing": _Flood(
        section="jobs-fail", what="Jobs fail", todo="Slack has a message with the cause for every failed run: begin with the first."
    ),
    "executions": _Flood(
        section="executions",
        what="Executions of a state machine end without having said why, or cannot go on",
        todo="Look at the executions of the machine in the console, the newest first; what was under way has to be begun again by hand.",
    ),
    "full": _Flood(
        section="no-room",
        what="There is more work than the environments may do",
        todo="See on the dashboard whether the line gets shorter by itself; if not, raise max_vcpus or submit less.",
    ),
}


class Alarms(Component):
    """All alarms of the stack; the topic is their only action."""

    arns: dict[str, pulumi.Output[str]]
    """By a short name."""

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        rules = list(_rules(args))
        made = {rule.label: self._alarm(f"{name}-{rule.label}", rule) for rule in rules}
        self.arns = {label: alarm.arn for label, alarm in made.items()}
        for label, flood in _FLOODS.items():
            names = [made[rule.label].name for rule in rules if rule.flood == label]
            if names:
                self.arns[label] = self._composite(f"{name}-{label}", flood, names)
        self.register_outputs({"arns": self.arns})

    def _description(self, what: str, todo: str, section: str) -> str:
        base = self._args.config.monitoring.runbook_url or _RUNBOOK
        return f"{what}\n{todo}\nRunbook: {base}#{section}"

    def _alarm(self, name: str, rule: _Rule) -> aws.cloudwatch.MetricAlarm:
        threshold, operator = (rule.above, "GreaterThanThreshold") if rule.above is not None else (rule.below, "LessThanThreshold")
        actions = [self._args.topic_arn] if rule.flood is None else None
        return aws.cloudwatch.MetricAlarm(
            name,
            alarm_description=self._description(rule.what, rule.todo, rule.section),
            namespace=rule.namespace,
            metric_name=rule.metric,
            dimensions=dict(rule.dimensions),
            statistic=rule.statistic,
            period=rule.seconds,
            evaluation_periods=rule.periods,
            comparison_operator=operator,
            threshold=threshold,
            treat_missing_data=rule.missing,
            alarm_actions=actions,
            ok_actions=actions,
            tags=self._args.context.tags,
            opts=self.child(),
        )

    def _composite(self, name: str, flood: _Flood, names: list[pulumi.Output[str]]) -> pulumi.Output[str]:
        terms = pulumi.Output.all(*names).apply(lambda found: " OR ".join(f'ALARM("{each}")' for each in found))
        alarm = aws.cloudwatch.CompositeAlarm(
            name,
            alarm_name=f"{self._args.context.project}-{self._args.context.stack}-{name}",
            alarm_description=self._description(flood.what, flood.todo, flood.section),
            alarm_rule=terms,
            alarm_actions=[self._args.topic_arn],
            ok_actions=[self._args.topic_arn],
            tags=self._args.context.tags,
            opts=self.child(),
        )
        return alarm.arn


def _rules(args: AlarmsArgs) -> Iterator[_Rule]:
    section, stack = args.config.monitoring, {metrics.STACK: args.context.stack}
    for label, function in args.functions.items():
        yield from _of_function(label, function)
    for queue, queue_name in args.queues.names.items():
        yield from _of_queue(section, queue, queue_name, {**stack, metrics.QUEUE: queue})
    for environment, settings in args.config.environments.items():
        dimensions = {**stack, metrics.ENVIRONMENT: environment}
        yield from _of_environment(section, environment, dimensions, has_vcpus=not settings.kind.startswith("fargate"))
    for machine, arn in args.state_machine_arns.items():
        yield from _of_machine(machine, arn)
    yield from _of_stages(section, stack)
    if args.config.pipeline.daily is not None:
        yield from _of_day(args.config.pipeline.daily, section, stack)
    look_seconds = section.measure_minutes * 60
    yield _Rule(
        label="not-measured",
        section="nothing-is-measured",
        what="Queues and environments are not being looked at",
        todo="Read the log of the measure function; until it works again, the alarms on queues, environments and cost are blind.",
        metric=metrics.LOOKS,
        dimensions=stack,
        statistic="Sum",
        seconds=look_seconds,
        periods=3,
        below=1,
        missing="breaching",
    )
    if section.running_usd_per_hour is not None:
        yield _Rule(
            label="running-cost",
            section="running-cost",
            what=f"The running environments cost more than {section.running_usd_per_hour:g} USD an hour",
            todo="Find on the dashboard which environment is large, and whether its jobs do what they should; terminate those that do not.",
            metric=metrics.USD_PER_HOUR,
            dimensions=stack,
            statistic="Maximum",
            seconds=look_seconds,
            above=section.running_usd_per_hour,
        )


def _of_function(label: str, function: LambdaFunction) -> Iterator[_Rule]:
    yield _Rule(
        label=f"{label}-dead-letters",
        section="dead-letters",
        what=f"An event that the {label} function could not handle lies in its dead-letter queue",
        todo="Read the function's log and mend the cause. Events of notify and alarm are tried again by themselves, others by `replay`.",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": function.dead_letters.name},
        statistic="Maximum",
        seconds=_FIVE_MINUTES,
        above=0,  # SQS sends no data for a queue that has long been empty
    )
    yield _Rule(
        label=f"{label}-errors",
        section="function-errors",
        what=f"The {label} function fails",
        todo="Read the function's log. Events are tried again for a while and then kept in the dead-letter queue.",
        namespace="AWS/Lambda",
        metric="Errors",
        dimensions={"FunctionName": function.name},
        statistic="Sum",
        seconds=_FIVE_MINUTES,
        above=0,
    )


def _of_queue(
    section: MonitoringSection, queue: str, queue_name: pulumi.Output[str], dimensions: Mapping[str, pulumi.Input[str]]
) -> Iterator[_Rule]:
    look_seconds = section.measure_minutes * 60
    yield _Rule(
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
    yield _Rule(
        label=f"stuck-{queue}",
        section="stuck-in-runnable",
        what=f"The line of queue {queue} has not moved for {section.stuck_minutes} minutes",
        todo="Look for a message that says why the queue is blocked; without one, compare what the job asks for with its environments.",
        metric=metrics.FRONT_WAITED,
        dimensions=dimensions,
        statistic="Maximum",
        seconds=look_seconds,
        above=section.stuck_minutes * 60,
        missing="missing",
    )
    yield _Rule(
        label=f"deep-{queue}",
        section="no-room",
        what=f"More than {section.deep_queue_jobs} jobs wait in queue {queue}",
        todo=_FLOODS["full"].todo,
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
    section: MonitoringSection, environment: str, dimensions: Mapping[str, pulumi.Input[str]], *, has_vcpus: bool
) -> Iterator[_Rule]:
    look_seconds = section.measure_minutes * 60
    yield _Rule(
        label=f"invalid-{environment}",
        section="environment-invalid",
        what=f"AWS Batch calls the environment {environment} INVALID: none of its jobs can start",
        todo="aws batch describe-compute-environments shows the reason in statusReason.",
        metric=metrics.VALID,
        dimensions=dimensions,
        statistic="Minimum",
        seconds=look_seconds,
        below=1,
        missing="missing",
    )
    if has_vcpus:
        yield _Rule(
            label=f"at-max-{environment}",
            section="no-room",
            what=f"Environment {environment} has been at its max_vcpus for {section.at_max_minutes} minutes",
            todo=_FLOODS["full"].todo,
            metric=metrics.AT_MAX,
            dimensions=dimensions,
            statistic="Minimum",
            seconds=look_seconds,
            periods=max(1, section.at_max_minutes // section.measure_minutes),
            above=0,
            missing="missing",
            flood="full",
        )


def _of_machine(machine: str, arn: pulumi.Output[str]) -> Iterator[_Rule]:
    """Step Functions developer guide, "Execution metrics"; a throttled transition is tried again, so only lasting ones are news."""
    ends = {
        "ExecutionsFailed": ("failed", "fail"),
        "ExecutionsTimedOut": ("timed-out", "were ended an hour after their deadline"),
        "ExecutionsAborted": ("aborted", "were stopped by hand"),
        "ExecutionThrottled": ("throttled", "are held up: the account's state transitions are used up"),
    }
    for metric, (label, what) in ends.items():
        # a run whose job failed is one cause, whoever counts it
        of_jobs = metric == "ExecutionsFailed" and machine == "run"
        flood = "failing" if of_jobs else "executions"
        yield _Rule(
            label=f"{label}-{machine}",
            section="jobs-fail" if of_jobs else "executions",
            what=f"Executions of the state machine of the {machine} {what}",
            todo=_FLOODS[flood].todo,
            namespace="AWS/States",
            metric=metric,
            dimensions={"StateMachineArn": arn},
            statistic="Sum",
            seconds=_FIVE_MINUTES,
            periods=3 if metric == "ExecutionThrottled" else 1,
            above=0,
            flood=flood,
        )


def _of_day(daily: DailySection, section: MonitoringSection, stack: Mapping[str, pulumi.Input[str]]) -> Iterator[_Rule]:
    """Each look publishes both; without one the alarms stay as they are, and those on the daily function speak."""
    yield _Rule(
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
    yield _Rule(
        label="day-unfinished",
        section="day-unfinished",
        what=f"Runs of the day have not succeeded by {daily.finished_by} ({daily.time_zone})",
        todo="A run that failed has a message of its own, with the cause; one that waits or runs is on the dashboard.",
        metric=metrics.UNFINISHED_RUNS,
        dimensions=stack,
        statistic="Minimum",
        seconds=section.measure_minutes * 60,
        above=0,
        missing="ignore",
    )


def _of_stages(section: MonitoringSection, stack: Mapping[str, pulumi.Input[str]]) -> Iterator[_Rule]:
    yield _Rule(
        label="analysis-fails-again",
        section="analysis-fails-again",
        what=f"The analysis failed {section.failed_analyses} times within a day",
        todo="Compare the causes in Slack: the same one every time is a bug or a setting, not bad luck. Each attempt costs.",
        metric=metrics.FAILED,
        dimensions={**stack, metrics.STAGE: "analysis"},
        statistic="Sum",
        seconds=24 * _HOUR,
        above=section.failed_analyses - 1,
    )
    yield _Rule(
        label="postprocess-failed",
        section="postprocess-failed",
        what="A postprocess job failed or ran out of time: an analysis is done, and nobody has its findings",
        todo="The analysis need not run again: submit the postprocess job by hand.",
        metric=metrics.FAILED,
        dimensions={**stack, metrics.STAGE: "postprocess"},
        statistic="Sum",
        seconds=_FIVE_MINUTES,
        above=0,
    )
    if section.no_success_hours is not None:
        yield _Rule(
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
