"""The pause of a pipeline: while its item is there, uploads are noted as WAITING and no run begins.

Nothing is lost between a pause and its end: an invocation that has noted an upload looks at the
pause once more, and goes on where it is over. So either whoever ends the pause finds the upload
waiting, or the invocation itself begins the run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from workloads import operating
from workloads.contract import Run, Upload
from workloads.functions.states import RunStates

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

KEY: Final = {"pk": operating.PAUSE_KEY, "sk": operating.PAUSE_SORT_KEY}


def is_paused(table: Table) -> bool:
    """Whether new runs are held back. Raises botocore's ClientError."""
    return "Item" in table.get_item(Key=KEY, ConsistentRead=True)


def hold(states: RunStates, run: Run, upload: Upload, *, again: bool) -> str | None:
    """Holds an upload back while the pipeline is paused.

    Returns `WAITING` where it is noted, `PAUSED` where an ended run was to begin again, which
    nobody notes; None where nothing holds it. Raises botocore's ClientError.
    """
    if not is_paused(states.table):
        return None
    state = states.wait(run, upload, now_ms=int(time.time() * 1000))
    if state == "WAITING":
        return "WAITING" if is_paused(states.table) else None
    # a run that was begun before the pause goes on; whoever submits it may die, and the next one
    # takes over
    return "PAUSED" if again and state != "CLAIMED" else None
