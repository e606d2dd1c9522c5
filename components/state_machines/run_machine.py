"""The state machine of a run, in Amazon States Language: preprocess, analysis (with a fallback
where there is one), postprocess.

Jobs are submitted through the AWS SDK integration and waited for by looking at them: the optimised
integration (`batch:submitJob.sync`) takes no node overrides and no share identifier, and sets
container overrides, which AWS Batch refuses for multi-node jobs.

SubmitJob is not idempotent. What AWS Batch's model names is known by its name,
`Batch.ClientException`; everything else that the service answers, throttling and missing permission
among it, is `Batch.BatchException` with the HTTP status in its cause (Step Functions developer
guide, "AWS SDK service integrations"). A call that was refused ends the run; after throttling and
any doubtful end the job is looked for by its name, among those since the run was claimed, before it
is submitted again.

Somebody who terminates the analysis or a part of it, the guard among them, does not want it
elsewhere: a fallback follows failures alone. An execution that ends as failed carries `JobFailed`,
of which the failed job's own event tells, or another error, of which its own event tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.state_machines.ended_jobs import FailedJob
from components.state_machines.submitted_jobs import JOB_FAILED, MachineJob, submit_parameters
from workloads import contract

SETTLE_SECONDS: Final = (20, 60)
"""Time from a SubmitJob whose answer was lost until ListJobs surely shows the job, and the end of
the range that a random wait is taken from: runs that were throttled together do not come back
together.
"""
_MOST_SUBMISSIONS: Final = 8
"""Most submissions of each job beyond the first."""
_GRACE_SECONDS: Final = 3600
"""Time from the deadline, at which the machine itself stops the job and says so, until Step
Functions ends the execution.
"""
_THROTTLED: Final = ("Batch.TooManyRequestsException", "Batch.ThrottlingException")
"""Names under which others have met throttling; without a name it is one of _UNNAMED."""
_REFUSED: Final = ("Batch.ClientException",)
_UNNAMED: Final = ("Batch.BatchException",)
DONE: Final = "Done"
_BROKEN: Final = "Broken"
_BEGIN: Final = "Begin"
"""Where a run that is begun again skips what is done."""

State = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DefinitionArgs:
    """What definition needs."""

    partition: str
    table_name: pulumi.Input[str]
    jobs: Sequence[MachineJob]
    """Jobs in their order; the first one is started first."""
    poll_seconds: int
    deadline_hours: int


def definition(args: DefinitionArgs) -> dict[str, Any]:
    """The state machine as an object that may hold outputs.

    Its input is what workloads/functions/executions.py sends.
    """
    begins = {
        job.stage: f"{job.label}Submit" for job in reversed(args.jobs)
    }  # the first job of a stage, not its fallback
    choices = [
        {"Variable": "$.from", "StringEquals": stage, "Next": state}
        for stage, state in begins.items()
    ]
    states: dict[str, State] = {_BEGIN: {"Type": "Choice", "Choices": choices}}
    for job in args.jobs:
        states |= _states_of(job, args)
    states |= {
        DONE: {"Type": "Succeed"},
        JOB_FAILED: {
            "Type": "Fail",
            "Error": contract.JOB_FAILED_ERROR,
            "Cause": "A job of the run failed; AWS Batch tells why",
        },
        _BROKEN: {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    }
    return {
        "Comment": "One run: preprocess, analysis, postprocess",
        "StartAt": _BEGIN,
        "TimeoutSeconds": args.deadline_hours * 3600 + _GRACE_SECONDS,
        "States": states,
    }


def _states_of(job: MachineJob, args: DefinitionArgs) -> dict[str, State]:
    label = job.label
    stopped = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": f"{label}Stop"}]
    broken = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": _BROKEN}]
    return {
        f"{label}Submit": {
            "Type": "Task",
            "Resource": _resource(args, "aws-sdk:batch:submitJob"),
            "Parameters": submit_parameters(job),
            "ResultSelector": {"JobId.$": "$.JobId"},
            "ResultPath": "$.job",
            "Retry": [_retry(_THROTTLED, attempts=8)],
            "Catch": [
                {"ErrorEquals": list(_REFUSED), "ResultPath": "$.error", "Next": _BROKEN},
                {
                    "ErrorEquals": list(_UNNAMED),
                    "ResultPath": "$.error",
                    "Next": f"{label}Answered",
                },
                {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": f"{label}Settle"},
            ],
            "Next": f"{label}Record",
        },
        f"{label}Answered": {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.error.Cause",
                    "StringMatches": "*Status Code: 429*",
                    "Next": f"{label}Settle",
                },
                {
                    "Variable": "$.error.Cause",
                    "StringMatches": "*Too Many Requests*",
                    "Next": f"{label}Settle",
                },
                {"Variable": "$.error.Cause", "StringMatches": "*Status Code: 4*", "Next": _BROKEN},
            ],
            "Default": f"{label}Settle",
        },
        f"{label}Settle": {
            "Type": "Pass",
            "Parameters": {
                "seconds.$": f"States.MathRandom({SETTLE_SECONDS[0]}, {SETTLE_SECONDS[1]})"
            },
            "ResultPath": "$.pause",
            "Next": f"{label}Pause",
        },
        f"{label}Pause": {"Type": "Wait", "SecondsPath": "$.pause.seconds", "Next": f"{label}Find"},
        f"{label}Find": {
            "Type": "Task",
            "Resource": _resource(args, "aws-sdk:batch:listJobs"),
            "Parameters": {
                "JobQueue": job.queue_arn,
                "Filters": [
                    {"Name": "JOB_NAME", "Values.$": f"States.Array($.jobs.{job.name_key})"}
                ],
            },
            # with a filter the newest comes first (AWS Batch API reference, ListJobs)
            "ResultSelector": {
                "ids.$": "$.JobSummaryList[*].JobId",
                "created.$": "$.JobSummaryList[*].CreatedAt",
            },
            "ResultPath": "$.found",
            "Retry": [_retry(("States.ALL",), attempts=8)],
            "Catch": broken,
            "Next": f"{label}Found",
        },
        f"{label}Found": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.found.created[0]", "IsPresent": True},
                        {
                            "Variable": "$.found.created[0]",
                            "NumericGreaterThanEqualsPath": "$.since_ms",
                        },
                    ],
                    "Next": f"{label}Adopt",
                },
                {
                    "Variable": f"$.lost.{job.name_key}",
                    "NumericGreaterThanEquals": _MOST_SUBMISSIONS,
                    "Next": _BROKEN,
                },
            ],
            "Default": f"{label}Again",
        },
        f"{label}Adopt": {
            "Type": "Pass",
            "Parameters": {"JobId.$": "States.ArrayGetItem($.found.ids, 0)"},
            "ResultPath": "$.job",
            "Next": f"{label}Record",
        },
        f"{label}Again": {
            "Type": "Pass",
            "Parameters": {"count.$": f"States.MathAdd($.lost.{job.name_key}, 1)"},
            "ResultPath": "$.again",
            "Next": f"{label}Count",
        },
        f"{label}Count": {
            "Type": "Pass",
            "InputPath": "$.again.count",
            "ResultPath": f"$.lost.{job.name_key}",
            "Next": f"{label}Submit",
        },
        f"{label}Record": {
            "Type": "Task",
            "Resource": _resource(args, "dynamodb:updateItem"),
            "Parameters": _record_parameters(job, args),
            "ResultPath": None,
            "Retry": [
                {"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"], "MaxAttempts": 0},
                _retry(("States.ALL",), attempts=8),
            ],
            "Catch": stopped,
            "Next": f"{label}Wait",
        },
        f"{label}Wait": {"Type": "Wait", "Seconds": args.poll_seconds, "Next": f"{label}Look"},
        f"{label}Look": {
            "Type": "Task",
            "Resource": _resource(args, "aws-sdk:batch:describeJobs"),
            "Parameters": {"Jobs.$": "States.Array($.job.JobId)"},
            "ResultSelector": {
                "status.$": "States.ArrayGetItem($.Jobs[*].Status, 0)",
                # lists, for a job need not have these
                "reasons.$": "$.Jobs[*].StatusReason",
                "terminated.$": "$.Jobs[*].IsTerminated",
                "cancelled.$": "$.Jobs[*].IsCancelled",
                "codes.$": "$.Jobs[*].Container.ExitCode",
            },
            "ResultPath": "$.seen",
            # the job costs more than patience does
            "Retry": [_retry(("States.ALL",), attempts=20)],
            "Catch": stopped,
            "Next": f"{label}Ended",
        },
        f"{label}Ended": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.seen.status", "StringEquals": "SUCCEEDED", "Next": job.next},
                *_failed(job, args).choices(),
                {
                    "Variable": "$$.State.EnteredTime",
                    "TimestampGreaterThanPath": "$.deadline",
                    "Next": f"{label}Late",
                },
            ],
            "Default": f"{label}Wait",
        },
        **_failed(job, args).states(),
        f"{label}Late": {
            "Type": "Pass",
            "Parameters": {
                "Error": contract.DEADLINE_ERROR,
                "Cause.$": (
                    "States.Format('the run was not done by its deadline, {}; it was in the"
                    f" stage {job.stage}', $.deadline)"
                ),
            },
            "ResultPath": "$.error",
            "Next": f"{label}Stop",
        },
        f"{label}Stop": {
            "Type": "Task",
            "Resource": _resource(args, "aws-sdk:batch:terminateJob"),
            "Parameters": {
                "JobId.$": "$.job.JobId",
                "Reason.$": (
                    f"States.Format('{contract.OWN_STOP}state machine: {{}}', $.error.Error)"
                ),
            },
            "ResultPath": None,
            "Retry": [_retry(("States.ALL",), attempts=8)],
            "Catch": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "ResultPath": "$.notStopped",
                    "Next": f"{label}GoesOn",
                }
            ],
            "Next": _BROKEN,
        },
        f"{label}GoesOn": {
            "Type": "Pass",
            "Parameters": {
                "Error.$": "$.error.Error",
                "Cause.$": (
                    "States.Format('{}; the job {} goes on, it could not be stopped: {}',"
                    " $.error.Cause, $.job.JobId, $.notStopped.Cause)"
                ),
            },
            "ResultPath": "$.error",
            "Next": _BROKEN,
        },
    }


def _failed(job: MachineJob, args: DefinitionArgs) -> FailedJob:
    def task(action: str, parameters: dict[str, Any]) -> State:
        return {
            "Type": "Task",
            "Resource": _resource(args, f"aws-sdk:batch:{action}"),
            "Parameters": parameters,
            "Retry": [_retry(("States.ALL",), attempts=8)],
            # who cannot say that nobody ended it spends nothing more
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": _BROKEN}],
        }

    return FailedJob(
        label=job.label,
        stage=job.stage,
        on_failure=job.on_failure,
        falls_back=job.on_failure != JOB_FAILED,
        after_loss=job.after_loss,
        job_failed=JOB_FAILED,
        is_array=job.shards > 1,
        broken=_BROKEN,
        task=task,
    )


def _record_parameters(job: MachineJob, args: DefinitionArgs) -> dict[str, Any]:
    """The job's id goes into the state item, unless the run is being done again already, by another
    execution.
    """
    return {
        "TableName": args.table_name,
        "Key": {"pk": {"S.$": "$.key.pk"}, "sk": {"S.$": "$.key.sk"}},
        "UpdateExpression": "SET #jobs.#stage = :id",
        "ConditionExpression": "#attempt = :attempt",
        "ExpressionAttributeNames": {"#jobs": "jobs", "#stage": job.stage, "#attempt": "attempt"},
        "ExpressionAttributeValues": {
            ":id": {"S.$": "$.job.JobId"},
            ":attempt": {"N.$": "$.attempt"},
        },
    }


def _resource(args: DefinitionArgs, action: str) -> str:
    return f"arn:{args.partition}:states:::{action}"


def _retry(errors: Sequence[str], *, attempts: int) -> dict[str, Any]:
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxDelaySeconds": 60,
        "MaxAttempts": attempts,
        "JitterStrategy": "FULL",
    }
