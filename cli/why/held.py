"""What an operator has stopped or holds back: cancelled runs, and pauses of the pipeline or of a
queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.pausing import Pause, asked, of_items
from cli.why.account import Account
from cli.why.model import Cause, Diagnosis


def pauses(account: Account) -> list[Pause]:
    """What is paused now."""
    table = str(account.outputs.get("table", ""))
    return of_items(account.listed("dynamodb", "query", "Items", **asked(table))) if table else []


def pause_of(account: Account, environment: str) -> Cause | None:
    """The pause for which an environment is disabled; None where it is for none."""
    for pause in pauses(account):
        if environment in pause.environments:
            return Cause(
                code="PAUSED",
                what=f"{pause}; its environments take no jobs",
                setting=f"pause of queue {pause.queue}",
                found="DISABLED",
                needed="ENABLED",
                fix=f"batchref resume --queue {pause.queue}",
            )
    return None


def held(account: Account, item: Mapping[str, Any], subject: str, state: str) -> Diagnosis:
    """The diagnosis of a run that is WAITING or CANCELLED."""
    causes: tuple[Cause, ...] = ()
    if state == "WAITING":
        pause = next((each for each in pauses(account) if not each.queue), None)
        verdict = str(pause) if pause else "it waited for the end of a pause, which is over"
        causes = (
            Cause(
                code="PAUSED",
                what=verdict,
                setting="pause of the pipeline",
                found="WAITING",
                needed="CLAIMED",
                fix="batchref resume",
            ),
        )
    else:
        verdict = str((item.get("failure") or {}).get("error") or "somebody cancelled it")
    return Diagnosis(
        subject=subject,
        state=state,
        verdict=verdict,
        causes=causes,
        unseen=tuple(account.unseen),
    )
