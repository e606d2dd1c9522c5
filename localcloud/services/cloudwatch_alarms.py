"""Evaluates CloudWatch alarms, metric and composite ones, and tells SNS topics of changes.

Rules follow the CloudWatch User Guide (alarm evaluation, missing data, composite alarms,
notification format). Periods end at the moment of the evaluation instead of at round minutes.
Metric math, anomaly bands, percentiles and action suppressors are refused.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from localcloud.iam.access import Access
from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import WireError
from localcloud.services.metric_points import (
    STATISTICS,
    Dimensions,
    Point,
    by_metric,
    sorted_dimensions,
)

_CLOUDWATCH: Final = "cloudwatch.amazonaws.com"
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_TOKEN: Final = re.compile(
    r'\s*(?:(?P<word>ALARM|OK|INSUFFICIENT_DATA|TRUE|FALSE|AND|OR|NOT)\b|(?P<name>"[^"]*")|(?P<sign>[()]))'
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """An alarm that is now in another state."""

    alarm: str
    before: str
    after: str
    reason: str


class Alarms:
    """Decides on demand in which state every alarm is.

    Args:
        state: The in-memory AWS, which keeps the alarms and their states.
        access: Whether CloudWatch may publish to a topic.
        client: Service -> boto3 client of the deployer.
        now: The cloud's clock, seconds since 1970.
    """

    def __init__(
        self,
        state: AwsState,
        access: Access,
        client: Callable[[str], Any],
        now: Callable[[], float],
    ) -> None:
        self._state = state
        self._access = access
        self._client = client
        self._now = now

    def put_composite(self, params: dict[str, Any]) -> dict[str, Any]:
        """The PutCompositeAlarm operation.

        Raises WireError where the rule is none or names an alarm that does not exist.
        """
        names = {alarm.name for alarm in self._state.alarms()}
        try:
            used = set(_CompositeRule(params["AlarmRule"], lambda _: "OK").names())
        except ValueError as error:
            raise WireError("ValidationError", f"AlarmRule: {error}") from None
        if params.get("ActionsSuppressor"):
            raise WireError(
                "ValidationError", "the local CloudWatch does not suppress the actions of alarms"
            )
        if missing := sorted(used - names):
            raise WireError(
                "ValidationError",
                f"AlarmRule contains alarms that do not exist: {', '.join(missing)}",
            )
        self._state.put_composite_alarm(params)
        return {}

    def evaluate(self) -> list[Change]:
        """Decides on all alarms, composite ones last, and publishes the changes; returns them."""
        alarms = self._state.alarms()
        looked_at = {(alarm.namespace, alarm.metric_name) for alarm in alarms if alarm.rule is None}
        points = by_metric(
            each for each in self._state.metric_data() if (each.namespace, each.name) in looked_at
        )
        found = [
            self._decide(alarm, *self._metric_state(alarm, points))
            for alarm in alarms
            if alarm.rule is None
        ]
        states = {alarm.name: alarm.state_value for alarm in alarms}
        for alarm in (each for each in alarms if each.rule is not None):
            rule = _CompositeRule(alarm.rule, lambda name: states.get(name, "INSUFFICIENT_DATA"))
            triggering = [name for name in rule.names() if states.get(name) == "ALARM"]
            reason = f"alarms in state ALARM: {', '.join(triggering) or 'none'}"
            found.append(self._decide(alarm, "ALARM" if rule.holds() else "OK", reason, triggering))
        return [change for change in found if change is not None]

    def _metric_state(
        self, alarm: Any, of: Mapping[tuple[str, str, Dimensions], Sequence[Point]]
    ) -> tuple[str, str]:
        if (
            alarm.metric_data_queries
            or alarm.statistic not in STATISTICS
            or alarm.comparison_operator not in _COMPARISONS
        ):
            raise NotImplementedError(
                f"alarm {alarm.name}: the local CloudWatch evaluates one metric by a plain"
                " statistic only"
            )
        dimensions = sorted_dimensions((each.name, each.value) for each in alarm.dimensions)
        values = of.get((alarm.namespace, alarm.metric_name, dimensions), ())
        now = datetime.fromtimestamp(self._now(), UTC)
        periods = int(alarm.evaluation_periods)
        points: list[float] = []
        for index in range(periods):
            end = now - timedelta(seconds=alarm.period * index)
            inside = [
                each for each in values if end - timedelta(seconds=alarm.period) < each.at <= end
            ]
            if inside:
                points.append(STATISTICS[alarm.statistic](inside))
        wanted = int(alarm.datapoints_to_alarm or periods)
        threshold = float(alarm.threshold)
        breaching = sum(
            _COMPARISONS[alarm.comparison_operator](point, threshold) for point in points
        )
        absent = periods - len(points)
        treat = alarm.treat_missing_data or "missing"
        shown = ", ".join(f"{point:g}" for point in points)
        text = (
            f"{len(points)} of {periods} datapoints [{shown}], {alarm.comparison_operator}"
            f" {threshold:g}"
        )
        if breaching + (absent if treat == "breaching" else 0) >= wanted:
            return "ALARM", f"Threshold Crossed: {text}"
        if not points and treat == "missing":
            return "INSUFFICIENT_DATA", f"Insufficient Data: {text}"
        if not points and treat == "ignore":
            return str(alarm.state_value), f"Unchanged: {text}"
        return "OK", f"Threshold not crossed: {text}"

    def _decide(
        self, alarm: Any, after: str, reason: str, triggering: Sequence[str] = ()
    ) -> Change | None:
        # moto begins with OK, CloudWatch with INSUFFICIENT_DATA
        before = (
            "INSUFFICIENT_DATA"
            if alarm.state_reason.startswith("Unchecked")
            else str(alarm.state_value)
        )
        alarm.update_state(reason, "{}", after)
        if before == after:
            return None
        actions = {
            "ALARM": alarm.alarm_actions,
            "OK": alarm.ok_actions,
            "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
        }[after]
        if alarm.actions_enabled:
            for topic in actions or []:
                self._tell(alarm, topic, before, after, reason, triggering)
        return Change(alarm=alarm.name, before=before, after=after, reason=reason)

    def _tell(
        self,
        alarm: Any,
        topic: str,
        before: str,
        after: str,
        reason: str,
        triggering: Sequence[str],
    ) -> None:
        policy = self._state.topic_policy(topic)
        if not self._access.service_may(
            policy,
            service=_CLOUDWATCH,
            action="sns:Publish",
            resource=topic,
            source_arn=alarm.alarm_arn,
        ):
            return
        moment = (
            datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        )
        children = [
            {
                "Arn": self._state.arn("cloudwatch", f"alarm:{name}"),
                "State": {"Value": "ALARM", "Timestamp": moment},
            }
            for name in triggering
        ]
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": ACCOUNT_ID,
            "NewStateValue": after,
            "NewStateReason": reason,
            "StateChangeTime": moment,
            "Region": self._state.region,
            "AlarmArn": alarm.alarm_arn,
            "OldStateValue": before,
            **(
                {"AlarmRule": alarm.rule, "TriggeringChildren": children}
                if alarm.rule
                else {"Trigger": _trigger(alarm)}
            ),
        }
        self._client("sns").publish(
            TopicArn=topic, Subject=f'{after}: "{alarm.name}"'[:100], Message=json.dumps(message)
        )


def _trigger(alarm: Any) -> dict[str, Any]:
    """What a message says of a metric alarm's metric; its spelling is not that of the API."""
    return {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "StatisticType": "Statistic",
        "Statistic": str(alarm.statistic).upper(),
        "Unit": None,
        "Dimensions": [{"value": each.value, "name": each.name} for each in alarm.dimensions],
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "",
    }


class _CompositeRule:
    """A rule expression such as `ALARM("a") OR (OK("b") AND NOT ALARM("c"))`. Raises ValueError
    where it is none.

    Args:
        text: The expression; NOT binds closest, then AND, then OR.
        state_of: Name of an alarm -> its state.
    """

    def __init__(self, text: str, state_of: Callable[[str], str]) -> None:
        self._state_of = state_of
        self._tokens = list(_tokens(text))
        self._names: list[str] = []
        self._at = 0
        self._value = self._either()
        if self._at != len(self._tokens):
            raise ValueError(f"unexpected {self._tokens[self._at]}")

    def holds(self) -> bool:
        """Whether the expression is true."""
        return self._value

    def names(self) -> list[str]:
        """The alarms that it speaks of."""
        return list(self._names)

    def _take(self, *wanted: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in wanted:
            self._at += 1
            return True
        return False

    def _either(self) -> bool:
        value = self._both()
        while self._take("OR"):
            value = self._both() or value
        return value

    def _both(self) -> bool:
        value = self._one()
        while self._take("AND"):
            value = self._one() and value
        return value

    def _one(self) -> bool:
        if self._take("NOT"):
            return not self._one()
        if self._take("("):
            value = self._either()
            self._expect(")")
            return value
        if self._take("TRUE"):
            return True
        if self._take("FALSE"):
            return False
        state = self._next()
        self._expect("(")
        name = self._next()
        self._expect(")")
        if state not in ("ALARM", "OK", "INSUFFICIENT_DATA") or not name.startswith('"'):
            raise ValueError(f"expected a state and the name of an alarm, found {state}({name})")
        self._names.append(name.strip('"'))
        return self._state_of(name.strip('"')) == state

    def _next(self) -> str:
        if self._at == len(self._tokens):
            raise ValueError("it ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        found = self._next()
        if found != sign:
            raise ValueError(f"expected {sign}, found {found}")


def _tokens(text: str) -> Iterator[str]:
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"cannot read {text[at : at + 20]!r}")
        yield match["word"] or match["name"] or match["sign"]
        at = match.end()
