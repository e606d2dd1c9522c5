"""A deployed stack as `doctor` sees it, and how findings are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from cli.questions import Finding
from cli.why.account import AbsentError, Account

_DAY: Final = timedelta(days=1)
_SKEW: Final = timedelta(minutes=5)
"""Between the clock here and that of CloudWatch."""
_DEFAULT_FOLDER: Final = "/aws/lambda"
UP: Final = "pulumi up puts back what the stack owns"
"""What mends most of what is missing."""


@dataclass(frozen=True)
class Patient:
    """A deployed stack: what the checks ask."""

    account: Account

    @cached_property
    def functions(self) -> list[dict[str, Any]]:
        """The stack's functions, by the folder of their log groups."""
        name = str(self.account.outputs.get("submit_function", ""))
        found = self.account.listed("lambda", "list_functions", "Functions")
        groups = {each["FunctionName"]: log_group(each) for each in found}
        folder = groups.get(name, "").rpartition("/")[0]
        if folder in ("", _DEFAULT_FOLDER):
            # the folder of everybody's functions: only those that the outputs name are the stack's
            queues = (self.account.outputs.get("dead_letter_queues") or {}).values()
            known = {name, *(queue["function"] for queue in queues)}
            return [each for each in found if each["FunctionName"] in known]
        return [each for each in found if log_group(each).startswith(f"{folder}/")]

    @cached_property
    def environments(self) -> list[dict[str, Any]]:
        """The stack's compute environments."""
        names = set((self.account.outputs.get("environments") or {}).values())
        found = self.account.listed("batch", "describe_compute_environments", "computeEnvironments")
        return [each for each in found if each["computeEnvironmentName"] in names]

    def sum_of_day(self, namespace: str, metric: str, **dimensions: str) -> float:
        """Sum of a metric over the last 24 hours; 0 where it has no data."""
        end = datetime.fromtimestamp(self.account.now(), UTC)
        points = self.account.listed(
            "cloudwatch",
            "get_metric_statistics",
            "Datapoints",
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=end - _DAY,
            EndTime=end + _SKEW,
            Period=3600,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in points))


def asked(patient: Patient, service: str, operation: str, **params: Any) -> dict[str, Any]:
    """The answer; empty where AWS does not tell, or where what was asked for does not exist."""
    try:
        return patient.account.ask(service, operation, **params) or {}
    except AbsentError:
        return {}


def log_group(function: Mapping[str, Any]) -> str:
    """The log group of a function."""
    return str(
        (function.get("LoggingConfig") or {}).get("LogGroup")
        or f"/aws/lambda/{function['FunctionName']}"
    )


def ok(check: str, what: str) -> Finding:
    """A finding that all is well."""
    return Finding(level="ok", check=check, what=what)


def warning(check: str, what: str, fix: str) -> Finding:
    """A finding that may be meant so, or will matter later."""
    return Finding(level="warning", check=check, what=what, fix=fix)


def error(check: str, what: str, fix: str) -> Finding:
    """A finding of something that does not work."""
    return Finding(level="error", check=check, what=what, fix=fix)
