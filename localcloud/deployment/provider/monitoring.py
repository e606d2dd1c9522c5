"""CloudWatch: log groups, metric filters, saved queries, alarms, dashboards; and resource
groups.
"""

from __future__ import annotations

from typing import Any, Final

from localcloud.deployment.provider.calls import Call, Naming, Row, handles, names, rows

names(
    {
        "cloudwatch/logGroup:LogGroup": Naming(longest=512),
        "cloudwatch/logMetricFilter:LogMetricFilter": Naming(longest=512),
        "cloudwatch/metricAlarm:MetricAlarm": Naming(),
        "cloudwatch/logResourcePolicy:LogResourcePolicy": Naming(property="policyName"),
        "resourcegroups/group:Group": Naming(longest=300),
    }
)
_ALARM_RENAME: Final = {
    "name": "AlarmName",
    "okActions": "OKActions",
    "metricQueries": "Metrics",
    "metricQueries.metric": "MetricStat",
    "metricQueries.metric.stat": "Stat",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
}
rows(
    {
        "cloudwatch/dashboard:Dashboard": Row(
            "cloudwatch",
            "PutDashboard",
            "{dashboardName}",
            {"dashboardArn": "arn:{partition}:cloudwatch::{account}:dashboard/{dashboardName}"},
            tagged=None,
        ),
        "cloudwatch/compositeAlarm:CompositeAlarm": Row(
            "cloudwatch",
            "PutCompositeAlarm",
            "{alarmName}",
            {"arn": "arn:{partition}:cloudwatch:{region}:{account}:alarm:{alarmName}"},
            {"okActions": "OKActions"},
        ),
        "cloudwatch/queryDefinition:QueryDefinition": Row(
            "logs",
            "PutQueryDefinition",
            "queryDefinitionId",
            {"queryDefinitionId": "queryDefinitionId"},
            tagged=None,
        ),
        "cloudwatch/logMetricFilter:LogMetricFilter": Row(
            "logs",
            "PutMetricFilter",
            "{name}",
            {},
            {
                "name": "filterName",
                "pattern": "filterPattern",
                "metricTransformation": "metricTransformations",
                "metricTransformation.name": "metricName",
                "metricTransformation.namespace": "metricNamespace",
                "metricTransformation.value": "metricValue",
            },
            tagged=None,
        ),
        "cloudwatch/logResourcePolicy:LogResourcePolicy": Row(
            "logs",
            "PutResourcePolicy",
            "resourcePolicy.policyName",
            {"revisionId": "resourcePolicy.revisionId"},
            tagged=None,
        ),
        "resourcegroups/group:Group": Row(
            "resource-groups", "CreateGroup", "Group.Name", {"arn": "Group.GroupArn"}
        ),
    }
)


@handles("cloudwatch/logGroup:LogGroup")
def log_group(call: Call) -> None:
    """Log group with its retention; 0 days mean for ever, which AWS says by no retention at all."""
    call.ignore("skipDestroy")
    name, days = call.take("name"), call.take("retentionInDays")
    call.create("logs", "CreateLogGroup", logGroupName=name)
    call.id = name
    if days:
        call.send("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=int(days))
    call.outputs |= {
        "arn": call.aws.arn("logs", f"log-group:{name}"),
        "retentionInDays": int(days or 0),
    }


@handles("cloudwatch/metricAlarm:MetricAlarm")
def metric_alarm(call: Call) -> None:
    """Alarm on one metric or on a formula of several."""
    queries = [_query(call, query) for query in call.take("metricQueries") or []]
    call.create("cloudwatch", "PutMetricAlarm", rename=_ALARM_RENAME, Metrics=queries or None)
    call.id = str(call.values["name"])
    call.outputs["arn"] = call.aws.arn("cloudwatch", f"alarm:{call.id}")


def _query(call: Call, query: dict[str, Any]) -> dict[str, Any]:
    metric = query.get("metric")
    values: dict[str, Any] = {name: value for name, value in query.items() if name != "metric"}
    found: dict[str, Any] = call.aws.part("cloudwatch", "MetricDataQuery", values)
    if metric:
        described = {"namespace": metric.get("namespace"), "metricName": metric["metricName"]}
        dimensions = [
            {"Name": name, "Value": str(value)}
            for name, value in sorted((metric.get("dimensions") or {}).items())
        ]
        stat = call.aws.part(
            "cloudwatch",
            "MetricStat",
            {name: metric.get(name) for name in ("period", "stat", "unit")},
        )
        stat["Metric"] = {
            **call.aws.part("cloudwatch", "Metric", described),
            "Dimensions": dimensions,
        }
        found["MetricStat"] = stat
    return found
