"""The alarms of the stack, each on a metric that somebody publishes, with what to do in its
description.

A description has three lines: what happened, what to do, where the runbook says more.
workloads/functions/alarm.py makes a message of them. Alarms that come in floods (one for each queue
or environment) act through a composite alarm, so that one cause gives one message.
"""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component
from components.monitoring.alarm_forms import FLOODS, Flood, Rule
from components.monitoring.alarm_rules import AlarmsArgs, rules_of

_RUNBOOK: Final = "docs/runbook.md"


class Alarms(Component):
    """All alarms of the stack; the topic is their only action."""

    arns: dict[str, pulumi.Output[str]]
    """ARNs of the alarms by a short name."""

    def __init__(
        self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._args = args
        rules = list(rules_of(args))
        made = {rule.label: self._alarm(f"{name}-{rule.label}", rule) for rule in rules}
        self.arns = {}
        for label, flood in FLOODS.items():
            names = [made[rule.label].name for rule in rules if rule.flood == label]
            if names:
                self.arns[label] = self._composite(f"{name}-{label}", flood, names)
        self.arns |= {label: arn_of(alarm, args.context) for label, alarm in made.items()}
        self.register_outputs({"arns": self.arns})

    def _description(self, what: str, todo: str, section: str) -> str:
        base = self._args.config.monitoring.runbook_url or _RUNBOOK
        return f"{what}\n{todo}\nRunbook: {base}#{section}"

    def _alarm(self, name: str, rule: Rule) -> aws.cloudwatch.MetricAlarm:
        threshold, operator = (
            (rule.above, "GreaterThanThreshold")
            if rule.above is not None
            else (rule.below, "LessThanThreshold")
        )
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

    def _composite(
        self, name: str, flood: Flood, names: list[pulumi.Output[str]]
    ) -> pulumi.Output[str]:
        # a line each: a diff then shows which one comes or goes
        terms = pulumi.Output.all(*names).apply(
            lambda found: " OR\n".join(f'ALARM("{each}")' for each in found)
        )
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
        return arn_of(alarm, self._args.context)
