"""A standard state machine with its role and its log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.json_text import json_text
from components.policies import document, statement, trust

_LOG_DELIVERY: Final = tuple(
    f"logs:{action}"
    for action in (
        "CreateLogDelivery",
        "GetLogDelivery",
        "UpdateLogDelivery",
        "DeleteLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "DescribeResourcePolicies",
        "DescribeLogGroups",
    )
)
"""Log delivery knows no resources (Step Functions developer guide, "Logging using CloudWatch
Logs"). The guide also lists two actions on log streams; the delivery writes those itself, and the
roles that AWS CDK makes for state machines have these eight alone.
"""

VENDED_LOGS: Final = "/aws/vendedlogs/states"
"""For groups below it AWS needs no entry in the account's log resource policy, which holds 5,120
characters for all state machines together (Step Functions developer guide, "Avoiding CloudWatch log
resource policy size limits"). The group has its stack's name below.
"""


@dataclass(frozen=True, kw_only=True)
class MachineArgs:
    """What Machine needs."""

    context: StackContext
    definition: Mapping[str, Any]
    """Amazon States Language as an object that may hold outputs."""
    statements: Sequence[Mapping[str, Any]]
    """What the machine may do besides writing its log."""
    distributes: bool = False
    """Whether a Map of it runs as executions of their own, which the machine has to start
    itself.
    """
    log_retention_days: int


class Machine(Component):
    """A state machine with its role and its log group."""

    arn: pulumi.Output[str]
    role_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        context = args.context
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"{VENDED_LOGS}{context.log_group_prefix}{name}",
            retention_in_days=args.log_retention_days,
            tags=context.tags,
            opts=self.child(),
        )
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=trust("states.amazonaws.com", context),
            tags=context.tags,
            opts=self.child(),
        )
        deliver_logs = statement("DeliverLogs", actions=_LOG_DELIVERY, resources=["*"])
        policy = aws.iam.RolePolicy(
            f"{name}-role",
            role=role.name,
            policy=document(*args.statements, deliver_logs),
            opts=self.child(),
        )
        machine = aws.sfn.StateMachine(
            f"{name}-machine",
            type="STANDARD",
            role_arn=arn_of(role, context),
            definition=json_text(args.definition, sort_keys=True),
            logging_configuration=aws.sfn.StateMachineLoggingConfigurationArgs(
                # input and output say nothing that the state item and the jobs do not
                level="ERROR",
                include_execution_data=False,
                log_destination=pulumi.Output.concat(arn_of(logs, context), ":*"),
            ),
            tracing_configuration=aws.sfn.StateMachineTracingConfigurationArgs(enabled=False),
            tags=context.tags,
            # Step Functions checks on creation that the role may write to the log group
            opts=self.child(depends_on=[policy]),
        )
        self.arn, self.role_name = arn_of(machine, context), role.name
        if args.distributes:
            # a policy of its own, for it names the machine
            executions = self.arn.apply(
                lambda arn: f"{arn.replace(':stateMachine:', ':execution:')}:*"
            )
            aws.iam.RolePolicy(
                f"{name}-distribute",
                role=role.name,
                policy=document(
                    # Step Functions developer guide, "IAM policies for using Distributed Map
                    # states"
                    statement(
                        "StartParts", actions=["states:StartExecution"], resources=[self.arn]
                    ),
                    statement(
                        "FollowParts",
                        actions=["states:DescribeExecution", "states:StopExecution"],
                        resources=[executions],
                    ),
                ),
                opts=self.child(),
            )
        self.register_outputs({"state_machine_arn": self.arn})
