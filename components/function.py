"""A Lambda function with everything that belongs to it, and the rules that call it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.arns import arn_of
from components.context import Component, StackContext
from components.json_text import json_text
from components.policies import document, statement, tls_only, trust
from workloads import contract
from workloads.variables import ENV_STACK

_RUNTIME: Final = "python3.13"
_ARCHITECTURE: Final = "arm64"  # cheaper for the same work, and the functions are pure Python
_MEMORY_MIB: Final = 512  # CPU comes with memory: at less, importing the SDK takes seconds
_DEAD_LETTER_DAYS: Final = 14
_LAMBDA_RETRIES: Final = 2
_SHARED: Final = (
    "__init__.py",
    "contract.py",
    "formats.py",
    "metrics.py",
    "names.py",
    "operating.py",
    "run_index.py",
    "runtime/__init__.py",
    "runtime/errors.py",
    "runtime/quoting.py",
    "runtime/s3.py",
    "variables.py",
)
"""Modules of workloads/ that the functions need besides those of _FOLDERS."""
_FOLDERS: Final = {"functions": ("*.py",), "page": ("*.py", "*.css", "*.js")}
"""Folder of workloads/ -> what of it the functions need."""
_EVENTBRIDGE_RETRIES: Final = (
    185  # the most that EventBridge takes: the age of the event ends the attempts
)
_ARNS_PER_RULE: Final = 10
"""However long the names are, so many ARNs of AWS Batch and what stands beside them fit into a
pattern, which takes 2,048 characters (EventBridge user guide, quotas).
"""
_LONGEST_IN_ENVIRONMENT: Final = 2048
"""Bytes of one setting: half of what Lambda takes of all variables together (Lambda developer
guide, quotas).
"""
_LONGEST_ARN: Final = 200
"""Of AWS Batch, whose names have up to 128 characters, in any region."""


Pattern = Mapping[str, Any]
"""An event pattern; may hold outputs."""


@dataclass(frozen=True, kw_only=True)
class LambdaFunctionArgs:
    """What LambdaFunction needs."""

    context: StackContext
    description: str
    handler: str
    """Dotted path below the repository, for example `workloads.functions.submit.handler`."""
    environment: Mapping[str, pulumi.Input[str]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Variables whose texts grow with the stack, as the values of which they are the JSON, outputs
    among them ARNs; see workloads/functions/settings.py.
    """
    statements: Sequence[Mapping[str, Any]]
    """What the function may do besides writing its log and its dead letters."""
    timeout_seconds: int
    event_max_age_hours: int
    log_retention_days: int
    called_by_rules: bool = True
    """Whether an EventTrigger belongs to it, which then says who may send to its dead-letter
    queue.
    """


class LambdaFunction(Component):
    """A function of workloads/functions with role, log group and dead-letter queue.

    An event that the function fails on is delivered twice more by Lambda; then the event itself, as
    it came, lies in the queue, from where it can be sent to the function again.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    dead_letters: aws.sqs.Queue
    dead_letters_arn: pulumi.Output[str]
    event_max_age_hours: int

    def __init__(
        self, name: str, args: LambdaFunctionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        context = args.context
        self.event_max_age_hours = args.event_max_age_hours
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"{context.log_group_prefix}{name}",
            retention_in_days=args.log_retention_days,
            tags=context.tags,
            opts=self.child(),
        )
        self.log_group_name = logs.name
        self.dead_letters = aws.sqs.Queue(
            f"{name}-dead-letters",
            message_retention_seconds=_DEAD_LETTER_DAYS * 24 * 3600,
            sqs_managed_sse_enabled=True,
            tags=context.tags,
            opts=self.child(),
        )
        self.dead_letters_arn = arn_of(self.dead_letters, context)
        if not args.called_by_rules:
            aws.sqs.QueuePolicy(
                f"{name}-dead-letters",
                queue_url=self.dead_letters.url,
                policy=document(tls_only("sqs:*", [self.dead_letters_arn])),
                opts=self.child(),
            )
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=trust("lambda.amazonaws.com"),
            tags=context.tags,
            opts=self.child(),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-role",
            role=role.name,
            policy=document(
                statement(
                    "WriteLogs",
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    resources=[pulumi.Output.concat(arn_of(logs, context), ":log-stream:*")],
                ),
                statement(
                    "KeepDeadLetters",
                    actions=["sqs:SendMessage"],
                    resources=[self.dead_letters_arn],
                ),
                *args.statements,
            ),
            opts=self.child(),
        )
        function = aws.lambda_.Function(
            name,
            description=args.description,
            runtime=_RUNTIME,
            architectures=[_ARCHITECTURE],
            handler=args.handler,
            code=_with_settings(args.settings),
            role=arn_of(role, context),
            timeout=args.timeout_seconds,
            memory_size=_MEMORY_MIB,
            environment=aws.lambda_.FunctionEnvironmentArgs(
                variables={
                    ENV_STACK: args.context.stack,
                    **args.environment,
                    **{
                        variable: _in_environment(variable, value)
                        for variable, value in args.settings.items()
                    },
                }
            ),
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(
                log_format="Text", log_group=logs.name
            ),
            dead_letter_config=aws.lambda_.FunctionDeadLetterConfigArgs(
                target_arn=self.dead_letters_arn
            ),
            tags=context.tags,
            # Lambda checks on creation that the role may write to the dead-letter queue
            opts=self.child(depends_on=[policy], aliases=[f"{name}-function"]),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-delivery",
            function_name=function.name,
            maximum_retry_attempts=_LAMBDA_RETRIES,
            maximum_event_age_in_seconds=args.event_max_age_hours * 3600,
            opts=self.child(),
        )
        self.name, self.arn, self.role_name = function.name, arn_of(function, context), role.name
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "log_group_name": self.log_group_name,
                "dead_letter_queue_url": self.dead_letters.url,
            }
        )


@dataclass(frozen=True, kw_only=True)
class EventTriggerArgs:
    """What EventTrigger needs."""

    context: StackContext
    description: str
    pattern: Pattern | None = None
    schedule: str | None = None
    """Schedule expression in place of a pattern, for example `rate(5 minutes)`."""
    further: Mapping[str, Pattern] = field(default_factory=dict)
    """Further patterns by a short name, each in a rule of its own: a queue has one policy, so all
    rules of a function belong together.
    """
    enabled: bool
    function: LambdaFunction


class EventTrigger(Component):
    """The EventBridge rules that call a function.

    What cannot be delivered goes to the function's dead-letter queue.
    """

    def __init__(
        self, name: str, args: EventTriggerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._args = args
        rules = {name: self._rule(name, args.pattern, args.schedule)}
        rules |= {
            f"{name}-{label}": self._rule(f"{name}-{label}", pattern, None)
            for label, pattern in args.further.items()
        }
        letters_arn = args.function.dead_letters_arn
        dead_letters = aws.sqs.QueuePolicy(
            f"{name}-dead-letters",
            queue_url=args.function.dead_letters.url,
            policy=document(
                statement(
                    "UndeliveredEvents",
                    principal={"Service": "events.amazonaws.com"},
                    actions=["sqs:SendMessage"],
                    resources=[letters_arn],
                    conditions={
                        "ArnEquals": {
                            "aws:SourceArn": [arn_of(rule, args.context) for rule in rules.values()]
                        }
                    },
                ),
                tls_only("sqs:*", [letters_arn]),
            ),
            opts=self.child(),
        )
        for rule_name, rule in rules.items():
            self._target(rule_name, rule, dead_letters)
        self.register_outputs({"rule_names": [rule.name for rule in rules.values()]})

    def _rule(
        self, name: str, pattern: Pattern | None, schedule: str | None
    ) -> aws.cloudwatch.EventRule:
        args = self._args
        return aws.cloudwatch.EventRule(
            name,
            description=args.description,
            event_pattern=(json_text(pattern, sort_keys=True) if pattern is not None else None),
            schedule_expression=schedule,
            state="ENABLED" if args.enabled else "DISABLED",
            tags=args.context.tags,
            opts=self.child(aliases=[f"{name}-rule"]),
        )

    def _target(
        self, name: str, rule: aws.cloudwatch.EventRule, dead_letters: aws.sqs.QueuePolicy
    ) -> None:
        function = self._args.function
        permission = aws.lambda_.Permission(
            f"{name}-rule",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="events.amazonaws.com",
            source_arn=arn_of(rule, self._args.context),
            opts=self.child(),
        )
        aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=function.arn,
            retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=function.event_max_age_hours * 3600,
                maximum_retry_attempts=_EVENTBRIDGE_RETRIES,
            ),
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(
                arn=function.dead_letters_arn
            ),
            # an event that comes before both would be lost
            opts=self.child(depends_on=[permission, dead_letters], aliases=[f"{name}-target"]),
        )


def rate(minutes: int) -> str:
    """A schedule expression of EventBridge, which tells one minute from several."""
    return "rate(1 minute)" if minutes == 1 else f"rate({minutes} minutes)"


def in_rules(
    label: str,
    arns: Sequence[pulumi.Input[str]],
    pattern: Callable[[Sequence[pulumi.Input[str]]], Pattern],
) -> dict[str, Pattern]:
    """Patterns by short names that together let pass what one would for all the ARNs; each event
    fits one of them.
    """
    parts = [arns[start : start + _ARNS_PER_RULE] for start in range(0, len(arns), _ARNS_PER_RULE)]
    return {
        label if number == 0 else f"{label}-{number}": pattern(part)
        for number, part in enumerate(parts)
    }


def job_state_changes(statuses: Sequence[str], queue_arns: Sequence[pulumi.Input[str]]) -> Pattern:
    """Jobs of these queues that have come to one of the statuses."""
    detail = {"status": list(statuses), "jobQueue": list(queue_arns)}
    return {"source": ["aws.batch"], "detail-type": ["Batch Job State Change"], "detail": detail}


def _in_environment(variable: str, value: Any) -> pulumi.Input[str]:
    if _is_long(value):
        return contract.SETTING_FILE_MARK + contract.setting_file(variable)
    return json_text(value, sort_keys=True)


def _is_long(value: Any) -> bool:
    """Whether its text may be too long, whatever ARNs it gets: a preview does not know these, and
    would show other code where they decided.
    """
    text = json.dumps(value, default=lambda _: "x" * _LONGEST_ARN)
    return len(text) > _LONGEST_IN_ENVIRONMENT


def _code() -> pulumi.AssetArchive:
    """The functions and what they agree on, file by file: caches beside them would make every
    deployment a change.
    """
    workloads = Path(contract.__file__).parent
    shared = [workloads / name for name in _SHARED]
    folders = [
        file
        for folder, patterns in _FOLDERS.items()
        for pattern in patterns
        for file in sorted((workloads / folder).glob(pattern))
    ]
    files = [*shared, *folders]
    return pulumi.AssetArchive(
        {
            file.relative_to(workloads.parent).as_posix(): pulumi.FileAsset(str(file))
            for file in files
        }
    )


def _with_settings(values: Mapping[str, Any]) -> pulumi.Input[pulumi.Archive]:
    """The code, and beside it those settings that are too long for the environment."""
    long = {
        variable: json_text(value, sort_keys=True)
        for variable, value in values.items()
        if _is_long(value)
    }
    if not long:
        return _code()

    def archive(found: Mapping[str, str]) -> pulumi.Archive:
        beside = {
            f"workloads/functions/{contract.setting_file(variable)}": pulumi.StringAsset(text)
            for variable, text in found.items()
        }
        return pulumi.AssetArchive({**_code().assets, **beside})

    return pulumi.Output.all(**long).apply(archive)
