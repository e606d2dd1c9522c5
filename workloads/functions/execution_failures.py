"""What becomes of a run whose execution of the state machine did not succeed.

An execution that a failed job ended is passed over: AWS Batch sends an event of that job, whose
sentence is better. All others end here: a job that could not be submitted, the deadline, somebody
who stopped the execution. Whichever of several events comes first ends the run, and the others
change nothing (states.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from workloads import contract
from workloads.contract import Run
from workloads.functions import clients, forms, run_messages, slack
from workloads.functions.ending import fail_and_tell, has_ended, key_and_stack
from workloads.functions.reasons import AGAIN, STOP, Cause, for_run
from workloads.functions.spending import Spending, spending_of
from workloads.functions.states import RunStates
from workloads.variables import ENV_INPUT_KEY, ENV_STACK

_AGAIN: Final = f"then begin the run again ({AGAIN})"
_STOP_AND_AGAIN: Final = f"stop jobs of the run that are still there ({STOP}), {_AGAIN}"
_STATES: Final = {
    "TIMED_OUT": Cause(
        error=(
            "Step Functions ended the execution an hour after its deadline, which the state machine"
            " had not kept itself"
        ),
        hint=_STOP_AND_AGAIN,
    ),
    "ABORTED": Cause(
        error="somebody stopped the execution",
        hint=_STOP_AND_AGAIN,
    ),
}

_EXECUTION: Final = {
    "region?": forms.TEXT,
    "detail": {
        "status": forms.TEXT,
        "error?": forms.TEXT,
        "cause?": forms.TEXT,
        "input": forms.TEXT,
        "startDate": forms.WHOLE,
        "executionArn": forms.TEXT,
        "name": forms.TEXT,
    },
}
_INPUT: Final = {"run_id": forms.TEXT, "environment?": [{"Name": forms.TEXT, "Value": forms.TEXT}]}


def execution_ended(event: dict[str, Any]) -> dict[str, Any]:
    """Handles `Step Functions Execution Status Change`; returns what the notify function's handler
    does, and raises the same.
    """
    forms.check(event, _EXECUTION, what="the event")
    detail: dict[str, Any] = event["detail"]
    status, error = str(detail["status"]), str(detail.get("error") or "")
    asked = forms.parsed(detail["input"], what="the input of the execution")
    forms.check(asked, _INPUT, what="the input of the execution")
    run = Run(asked["run_id"])
    if status not in {"FAILED", "TIMED_OUT", "ABORTED"} or error == contract.JOB_FAILED_ERROR:
        return {"outcome": "ignored", "run_id": run.run_id}
    cause = _cause(status, error, str(detail.get("cause") or ""))
    states, created_ms = RunStates(clients.metrics_table()), int(detail["startDate"])
    cause = for_run(cause, **key_and_stack(states, run))
    if has_ended(states, run, str(detail["executionArn"]), created_ms=created_ms):
        return {"outcome": "ended already", "run_id": run.run_id}
    return fail_and_tell(
        states,
        run,
        cause,
        lambda spending: _message(
            run, cause, detail, _variables(asked), spending, region=str(event.get("region") or "")
        ),
        lambda: spending_of(states, run),
        created_ms=created_ms,
        stage="unknown",
        job_id=str(detail["executionArn"]),
        job_name=str(detail["name"]),
        status_reason=error,
        attempts=1,
    )


def _cause(status: str, error: str, cause: str) -> Cause:
    if status in _STATES:
        return _STATES[status]
    if error == contract.JOB_TERMINATED_ERROR:
        return Cause(error=cause, hint=f"if that was not meant, begin the run again ({AGAIN})")
    if "explicit deny" in cause:
        return Cause(
            error=f"AWS refused the next stage, by a policy that forbids it: {cause}",
            hint=(
                "if the budget is used up, lift the stop (docs/runbook.md, The budget is used up); "
            )
            + _AGAIN,
        )
    if error == contract.DEADLINE_ERROR:
        return Cause(
            error=cause,
            hint="look at the job's log for where the time went, or raise pipeline.deadline_hours; "
            + _AGAIN,
        )
    sentence = (
        f"the state machine could not go on ({error or 'no error named'}):"
        f" {cause or 'no cause given'}"
    )
    return Cause(
        error=sentence,
        hint="if AWS refused a call, mend what it names (queue disabled? permission?); " + _AGAIN,
    )


def _variables(asked: Mapping[str, Any]) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in asked.get("environment") or []}


def _message(
    run: Run,
    cause: Cause,
    detail: dict[str, Any],
    variables: Mapping[str, str],
    spending: Spending | None,
    *,
    region: str,
) -> slack.Message:
    key = variables.get(ENV_INPUT_KEY)
    title = run_messages.title(run, key, "the run failed")
    page = f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{quote(str(detail['executionArn']))}"
    blocks = (
        slack.header(title),
        *run_messages.explanation(cause),
        slack.fields(
            [
                ("Stack", slack.code(os.environ.get(ENV_STACK, "?"))),
                ("Run", slack.code(run.run_id)),
                ("Execution", slack.code(str(detail["name"]))),
                ("Cost so far", slack.escape(str(spending or "not known"))),
            ]
        ),
        *((slack.context(slack.link(page, "The execution in the AWS console")),) if region else ()),
    )
    return slack.Message(text=slack.escape(f"{title}: {cause.error}"), blocks=blocks)
