"""The state machine of a day, in Amazon States Language: look at the folder, then begin every run
that nobody began and wait for its end.

The Map is a distributed one: each file is an execution of its own, with a history of its own,
because thousands of looks at one file times hundreds of files pass the 25,000 events that one
history holds. A file that cannot be begun does not stop the others. The machine waits by reading
the run's state item, which says the same whoever runs the stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi

_GRACE_SECONDS: Final = 3600
"""Time from the deadline, at which the machine itself stops waiting, until Step Functions ends the
execution.
"""
_MOST_FAILED_PERCENT: Final = 100.0
"""Largest failed share of the files: each one's trouble is caught, and what is caught is told at
the deadline.
"""

_BROKEN: Final = "Broken"
"""State, and in small letters result, of a file that the machine itself failed on: that ends the
day's execution as failed, of which an alarm tells, after the others are done.
"""

State = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DayDefinitionArgs:
    """What day_definition needs."""

    partition: str
    look_function_arn: pulumi.Input[str]
    submit_function_arn: pulumi.Input[str]
    table_name: pulumi.Input[str]
    max_parallel: int
    poll_seconds: int
    wait_minutes: int
    """Minutes from the start to the deadline."""


def day_definition(args: DayDefinitionArgs) -> dict[str, Any]:
    """The state machine as an object that may hold outputs.

    Its input is {"at": ISO moment}; see workloads/functions/daily.py.
    """
    return {
        "Comment": "The runs of one day",
        "StartAt": "Look",
        "TimeoutSeconds": args.wait_minutes * 60 + _GRACE_SECONDS,
        "States": {
            "Look": {
                "Type": "Task",
                "Resource": _resource(args, "lambda:invoke"),
                "Parameters": {
                    "FunctionName": args.look_function_arn,
                    "Payload": {"at.$": "$.at", "begin": False},
                },
                "OutputPath": "$.Payload",
                "Retry": [_retry(attempts=6)],
                "Next": "Files",
            },
            "Files": {
                "Type": "Map",
                "ItemsPath": "$.work",
                "ItemSelector": {"event.$": "$$.Map.Item.Value", "deadline.$": "$.deadline"},
                "MaxConcurrency": args.max_parallel,
                "ToleratedFailurePercentage": _MOST_FAILED_PERCENT,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Begin",
                    "States": _file_states(args),
                },
                "ResultSelector": {
                    "words.$": "$",
                    "broken.$": f"States.ArrayContains($, '{_BROKEN.lower()}')",
                },
                "Next": "Whole",
            },
            "Whole": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.broken", "BooleanEquals": True, "Next": "NotFollowed"}],
                "Default": "Done",
            },
            "Done": {"Type": "Pass", "OutputPath": "$.words", "End": True},
            "NotFollowed": {
                "Type": "Fail",
                "Error": "FilesNotFollowed",
                "Cause": (
                    "Files of the day could not be begun or followed; the log of the machine"
                    " says why"
                ),
            },
        },
    }


def _file_states(args: DayDefinitionArgs) -> dict[str, State]:
    """One file. The result is one word: the files' results together have to fit into what one state
    hands on.
    """
    broken = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": _BROKEN}]
    return {
        "Begin": {
            "Type": "Task",
            "Resource": _resource(args, "lambda:invoke"),
            "Parameters": {"FunctionName": args.submit_function_arn, "Payload.$": "$.event"},
            "ResultSelector": {"answer.$": "$.Payload"},
            "ResultPath": "$.begun",
            "Retry": [_retry(attempts=6)],
            "Catch": broken,
            "Next": "Begun",
        },
        "Begun": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.begun.answer.state_key", "IsPresent": True, "Next": "Read"}
            ],
            "Default": "Refused",
        },
        "Read": {
            "Type": "Task",
            "Resource": _resource(args, "dynamodb:getItem"),
            "Parameters": {
                "TableName": args.table_name,
                "Key": {
                    "pk": {"S.$": "$.begun.answer.state_key.pk"},
                    "sk": {"S.$": "$.begun.answer.state_key.sk"},
                },
                "ConsistentRead": True,
                "ProjectionExpression": "#state",
                "ExpressionAttributeNames": {"#state": "state"},
            },
            "ResultSelector": {"state.$": "$.Item.state.S"},
            "ResultPath": "$.seen",
            "Retry": [_retry(attempts=20)],
            "Catch": broken,
            "Next": "Ended",
        },
        "Ended": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.seen.state", "StringEquals": "SUCCEEDED", "Next": "Succeeded"},
                {"Variable": "$.seen.state", "StringEquals": "FAILED", "Next": "Failed"},
                {"Variable": "$.seen.state", "StringEquals": "CANCELLED", "Next": "Failed"},
                {
                    "Variable": "$$.State.EnteredTime",
                    "TimestampGreaterThanPath": "$.deadline",
                    "Next": "Late",
                },
            ],
            "Default": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": args.poll_seconds, "Next": "Read"},
        **{
            word: {"Type": "Pass", "Result": word.lower(), "End": True}
            for word in ("Succeeded", "Failed", "Late", "Refused", _BROKEN)
        },
    }


def _resource(args: DayDefinitionArgs, action: str) -> str:
    return f"arn:{args.partition}:states:::{action}"


def _retry(*, attempts: int) -> dict[str, Any]:
    return {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxDelaySeconds": 60,
        "MaxAttempts": attempts,
        "JitterStrategy": "FULL",
    }
