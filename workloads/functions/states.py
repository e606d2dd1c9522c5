"""The state item of a run in the metrics table: what makes a second event, a crash or a late
failure harmless.

    (none) ──claim──▶ CLAIMED ──submitted──▶ SUBMITTED ──▶ SUCCEEDED, FAILED or CANCELLED
    (none) ──wait──▶ WAITING ──claim──▶ CLAIMED; an end ──claim again──▶ CLAIMED

Every step is one conditional write. A run that was submitted by hand has no item before its end;
both ends create it. An ended run can be ended again only by a job that was created after that end
(somebody tried again), so a late or doubled event changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

from workloads.contract import Run, RunState, Stage, Upload
from workloads.functions import forms
from workloads.functions.state_items import (
    CLAIMED,
    ITEM,
    TELL_LEASE_MS,
    Claim,
    ClaimLostError,
    NotificationLeasedError,
    attempt_of,
    new_item,
)
from workloads.run_index import ENDED

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase
    from mypy_boto3_dynamodb.service_resource import Table

_OPEN: Final = ("WAITING", "CLAIMED", "SUBMITTED")
_SPENT: Final = ("seconds", "usd", "spent", "reclaimed", "replaced", "killed")
"""Attributes that say what a run took and cost, and of which jobs besides the last ones."""


@dataclass(frozen=True)
class RunStates:
    """The state items in the metrics table.

    Every method raises botocore's ClientError where DynamoDB refuses for another reason.
    """

    table: Table

    def claim(
        self,
        run: Run,
        upload: Upload,
        *,
        token: str,
        now_ms: int,
        expires_ms: int,
        again: bool = False,
    ) -> Claim | str:
        """Takes the claim, or takes over an expired one, or begins an ended run again.

        Args:
            run: the run of the upload.
            upload: written into the item for whoever reads it.
            token: unique to this invocation.
            now_ms: this moment, milliseconds since the epoch.
            expires_ms: when this invocation is certainly over.
            again: whether a run that has ended is to be begun again.

        Returns:
            The claim; or, where there is none to have, the run's state (`CLAIMED`: another
            invocation is at work).
        """
        item: dict[str, Any] = {
            **new_item(run, upload, "CLAIMED", now_ms),
            "claim_token": token,
            "claim_expires_ms": expires_ms,
            "jobs": {},
        }
        if self._put_new(item):
            return Claim.of(run, item, taken_over=False)
        found = self.get(run)
        state = str(found.get("state") or "CLAIMED")
        if state == "WAITING":
            return self._claim_waiting(run, item)
        if again and state in ENDED:
            return self._claim_again(run, item, found)
        if state != "CLAIMED" or int(found.get("claim_expires_ms") or now_ms) >= now_ms:
            return state
        forms.check(found, CLAIMED, what=f"the state item of run {run.run_id}")
        changes = {"claim_token": token, "claim_expires_ms": expires_ms}
        held = Attr("state").eq("CLAIMED") & Attr("claim_token").eq(found["claim_token"])
        if not self.update(run, changes, held):
            return "CLAIMED"
        return Claim.of(run, {**found, **changes}, taken_over=True)

    def wait(self, run: Run, upload: Upload, *, now_ms: int) -> str:
        """Notes an upload that a pause holds back, unless it has a run; returns the state of its
        run now.
        """
        if self._put_new(new_item(run, upload, "WAITING", now_ms)):
            return "WAITING"
        return str(self.get(run).get("state") or "CLAIMED")

    def _claim_waiting(self, run: Run, item: dict[str, Any]) -> Claim | str:
        changes = {name: value for name, value in item.items() if name not in run.state_key}
        if not self.update(run, changes, Attr("state").eq("WAITING")):
            return "CLAIMED"
        return Claim.of(run, item, taken_over=False)

    def _claim_again(self, run: Run, item: dict[str, Any], found: dict[str, Any]) -> Claim | str:
        forms.check(found, {"ended_ms": forms.WHOLE}, what=f"the state item of run {run.run_id}")
        # `ended_ms` stays, by which late events of the old jobs are told from those of the new ones
        names = (
            "run_id",
            "state",
            "claim_token",
            "first_claimed_ms",
            "claim_expires_ms",
            "jobs",
            "upload",
        )
        changes = {**{name: item[name] for name in names}, "attempt": attempt_of(found) + 1}
        taken = self.update(
            run,
            changes,
            Attr("state").eq(found["state"]) & Attr("ended_ms").eq(found["ended_ms"]),
            remove=(
                "failure",
                "told_at",
                "tell_until_ms",
                "submitted_at",
                "finished_at",
                "execution_arn",
                *_SPENT,
            ),
        )
        if not taken:
            return "CLAIMED"
        return Claim.of(run, changes, taken_over=False)

    def write_jobs(self, claim: Claim, jobs: dict[Stage, str], *, submitted_at: str = "") -> None:
        """Writes down the job ids, and with `submitted_at` that they are all there.

        Raises ClaimLostError.
        """
        changes: dict[str, Any] = {"jobs": jobs}
        if submitted_at:
            changes |= {"state": "SUBMITTED", "submitted_at": submitted_at}
        if not self.update(
            claim.run, changes, Attr("state").eq("CLAIMED") & Attr("claim_token").eq(claim.token)
        ):
            raise ClaimLostError(
                f"run {claim.run.run_id}: the claim was taken over or the run ended while its jobs"
                " were being submitted"
            )

    def write_execution(self, claim: Claim, execution_arn: str, *, submitted_at: str) -> None:
        """Writes down that the state machine is at work, which writes the job ids itself.

        Raises ClaimLostError.
        """
        changes = {
            "execution_arn": execution_arn,
            "state": "SUBMITTED",
            "submitted_at": submitted_at,
        }
        if not self.update(
            claim.run, changes, Attr("state").eq("CLAIMED") & Attr("claim_token").eq(claim.token)
        ):
            raise ClaimLostError(
                f"run {claim.run.run_id}: the claim was taken over or the run ended while it was"
                " being started"
            )

    def shorten(self, claim: Claim, *, expires_ms: int) -> None:
        """Lets a repeated event take the claim over sooner, because this invocation gives up."""
        self.update(
            claim.run, {"claim_expires_ms": expires_ms}, Attr("claim_token").eq(claim.token)
        )

    def fail(self, run: Run, failure: dict[str, Any], *, created_ms: int, now_ms: int) -> bool:
        """Ends the run as FAILED, once; the caller then holds the right to tell Slack.

        Args:
            run: the run.
            failure: stage, error, hint, job id: for people who read the item.
            created_ms: when the failed job was created, milliseconds since the epoch; compared with
                an end that the run already has.
            now_ms: this moment.

        Returns:
            False where the run has already ended, or where another invocation tells of this very
            failure.
        """
        return self._end(
            run,
            "FAILED",
            failure,
            Attr("ended_ms").not_exists() | Attr("ended_ms").lt(created_ms),
            now_ms=now_ms,
        )

    def cancel(self, run: Run, failure: dict[str, Any], *, attempt: int, now_ms: int) -> bool:
        """Ends the run as CANCELLED, once; the caller then holds the right to tell Slack.

        Args:
            run: the run.
            failure: who ended it and why, in the form of a failure; `job_id` tells this request
                from others.
            attempt: which time that the run was begun is meant: a request that comes late ends no
                later one.
            now_ms: this moment.

        Returns:
            False where the run has ended, was begun again, or where another invocation tells of
            this very request.
        """
        under_way = Attr("state").is_in(_OPEN) & Attr("attempt").eq(attempt)
        return self._end(run, "CANCELLED", failure, under_way, now_ms=now_ms)

    def _end(
        self,
        run: Run,
        state: RunState,
        failure: dict[str, Any],
        condition: ConditionBase,
        *,
        now_ms: int,
    ) -> bool:
        changes = {
            "run_id": run.run_id,
            "state": state,
            "failure": failure,
            "ended_ms": now_ms,
            "tell_until_ms": now_ms + TELL_LEASE_MS,
        }
        if self.update(
            run, changes, condition, remove=("told_at",), at_first={"first_claimed_ms": now_ms}
        ):
            return True
        untold = Attr("told_at").not_exists() & Attr("tell_until_ms").lt(now_ms)
        return self.update(
            run,
            {"tell_until_ms": now_ms + TELL_LEASE_MS},
            Attr("state").eq(state) & Attr("failure.job_id").eq(failure["job_id"]) & untold,
        )

    def spent(self, run: Run, failure: Mapping[str, Any], spent: Mapping[str, Any]) -> None:
        """Writes attributes that say what a run took and cost that this failure ended."""
        self.update(run, spent, Attr("failure.job_id").eq(failure["job_id"]))

    def tell_findings(self, run: Run, *, now_ms: int) -> bool:
        """Takes the right to tell Slack of a run that succeeded.

        Returns False where that is done, or the run did not succeed. Raises NotificationLeasedError
        where another one is at it.
        """
        lease_over = Attr("tell_until_ms").not_exists() | Attr("tell_until_ms").lt(now_ms)
        untold = Attr("state").eq("SUCCEEDED") & Attr("told_at").not_exists()
        if self.update(run, {"tell_until_ms": now_ms + TELL_LEASE_MS}, untold & lease_over):
            return True
        item = self.get(run)
        if item.get("state") == "SUCCEEDED" and "told_at" not in item:
            raise NotificationLeasedError(run)
        return False

    def told(self, run: Run, *, at: str, state: RunState = "FAILED") -> None:
        """Notes that Slack has the message on the end in this state, or that the stack has no
        Slack.
        """
        self.update(run, {"told_at": at}, Attr("state").eq(state))

    def release(self, run: Run, *, state: RunState = "FAILED") -> None:
        """Gives the right to tell Slack back, so that the next delivery of the event can try again
        at once.
        """
        self.update(run, {"tell_until_ms": 0}, Attr("state").eq(state))

    def replaced(self, run: Run, job_id: str) -> None:
        """Notes the job that the fallback takes the place of: what it took and cost is the
        run's.
        """
        self.update(run, {"replaced": job_id}, Attr("pk").exists())

    def succeed(
        self, run: Run, *, now_ms: int, finished_at: str, spent: Mapping[str, Any] | None = None
    ) -> bool:
        """Ends the run as SUCCEEDED, whatever it was before, unless somebody cancelled it: its
        results are whole.

        A run that succeeded before, and whose stage is run again, is not told of again. `spent`
        says what the run took and cost. Returns False where the run was cancelled.
        """
        changes = {
            "run_id": run.run_id,
            "state": "SUCCEEDED",
            "ended_ms": now_ms,
            "finished_at": finished_at,
            **(spent or {}),
        }
        state, at_first = Attr("state"), {"first_claimed_ms": now_ms}
        first = state.not_exists() | (state.ne("SUCCEEDED") & state.ne("CANCELLED"))
        over = ("failure", "told_at", "tell_until_ms")
        return self.update(run, changes, first, remove=over, at_first=at_first) or self.update(
            run, changes, state.eq("SUCCEEDED"), at_first=at_first
        )

    def get(self, run: Run) -> dict[str, Any]:
        """The item as it is now; empty where there is none.

        Raises ContractError where it is not of its form.
        """
        found: Any = self.table.get_item(Key=run.state_key, ConsistentRead=True).get("Item", {})
        forms.check(found, ITEM, what=f"the state item of run {run.run_id}")
        return dict(found)

    def _put_new(self, item: dict[str, Any]) -> bool:
        """Writes the first item of a run; False where there is one."""
        try:
            self.table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            _only_condition(error)
            return False
        return True

    def update(
        self,
        run: Run,
        changes: Mapping[str, Any],
        condition: ConditionBase | None = None,
        *,
        remove: tuple[str, ...] = (),
        at_first: Mapping[str, Any] | None = None,
    ) -> bool:
        """One conditional update; False where the condition does not hold.

        `at_first` are attributes that stay where they are there.
        """
        # `state` is a reserved word of DynamoDB's expressions, so every name gets a placeholder
        kept = at_first or {}
        sets = [f"#{name} = :{name}" for name in changes]
        sets += [f"#{name} = if_not_exists(#{name}, :{name})" for name in kept]
        expression = "SET " + ", ".join(sets)
        if remove:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in remove)
        request: dict[str, Any] = {
            "Key": run.state_key,
            "UpdateExpression": expression,
            "ExpressionAttributeNames": {f"#{name}": name for name in (*changes, *kept, *remove)},
            "ExpressionAttributeValues": {
                f":{name}": value for name, value in {**changes, **kept}.items()
            },
        }
        if condition is not None:
            request["ConditionExpression"] = condition
        try:
            self.table.update_item(**request)
        except ClientError as error:
            _only_condition(error)
            return False
        return True


def _only_condition(error: ClientError) -> None:
    """Raises the error again unless it says that a condition did not hold."""
    if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
        raise error
