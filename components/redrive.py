"""The redrive function: dead letters of the functions that tell people are tried again.

See workloads/functions/redrive.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from components.context import Component, StackContext
from components.function import (
    EventTrigger,
    EventTriggerArgs,
    LambdaFunction,
    LambdaFunctionArgs,
    rate,
)
from components.json_text import json_text
from components.policies import statement
from workloads.variables import ENV_REDRIVEN

_MINUTES: Final = 4
"""Minutes between two passes. Shorter than the five minutes of the alarms on errors and dead
letters (components/monitoring/alarms.py): an alarm then lasts as long as Slack is down, and does
not come and go, with messages of its own, after each pass.
"""
_TIMEOUT_SECONDS: Final = 180
_EVENT_MAX_AGE_HOURS: Final = 1


@dataclass(frozen=True, kw_only=True)
class RedriveArgs:
    """What Redrive needs."""

    context: StackContext
    functions: Mapping[str, LambdaFunction]
    """Functions by a short name; they may be called with an event twice, and take less than
    redrive.SECONDS_FOR_ONE.
    """
    log_retention_days: int


class Redrive(Component):
    """The function, called on a schedule.

    It may read these queues, call these functions, and nothing else.
    """

    function: LambdaFunction

    def __init__(
        self, name: str, args: RedriveArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        letters = {
            label: {"url": each.dead_letters.url, "function": each.name}
            for label, each in args.functions.items()
        }
        self.function = LambdaFunction(
            f"{name}-pass",
            LambdaFunctionArgs(
                context=args.context,
                description="Gives the functions that tell people their dead letters again",
                handler="workloads.functions.redrive.handler",
                environment={ENV_REDRIVEN: json_text(letters, sort_keys=True)},
                statements=[
                    statement(
                        "DeadLetters",
                        actions=[
                            "sqs:ReceiveMessage",
                            "sqs:DeleteMessage",
                            "sqs:ChangeMessageVisibility",
                        ],
                        resources=[each.dead_letters_arn for each in args.functions.values()],
                    ),
                    statement(
                        "CallFunctions",
                        actions=["lambda:InvokeFunction"],
                        resources=[each.arn for each in args.functions.values()],
                    ),
                ],
                timeout_seconds=_TIMEOUT_SECONDS,
                event_max_age_hours=_EVENT_MAX_AGE_HOURS,
                log_retention_days=args.log_retention_days,
            ),
            opts=self.child(),
        )
        EventTrigger(
            f"{name}-clock",
            EventTriggerArgs(
                context=args.context,
                description="Time to try dead letters again",
                schedule=rate(_MINUTES),
                enabled=True,
                function=self.function,
            ),
            opts=self.child(),
        )
        self.register_outputs({"function": self.function.name})
