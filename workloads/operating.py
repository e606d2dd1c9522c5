"""What the operator's commands and the functions agree on: indexes over runs, pauses, requests.
Standard library alone.

Indexes. Only the state items of runs have all the keys of an index, so that an index holds runs and
nothing else, those of a table among them that is older than the index. Both have the state as
partition key: the runs that somebody has to do with at night are few, and found without those that
are over.
"""

from __future__ import annotations

from typing import Final

RUNS_BY_CLAIM: Final = "runs-by-claim"
"""Partition key `state`, sort key `first_claimed_ms`: the runs that were begun last."""
RUNS_BY_ID: Final = "runs-by-id"
"""Partition key `state`, sort key `run_id`: the runs of some days, and those whose id begins so."""
KEYS: Final = {"state": "S", "first_claimed_ms": "N", "run_id": "S"}
"""Attributes that are keys of an index, with their types."""
SORT_KEYS: Final = {RUNS_BY_CLAIM: "first_claimed_ms", RUNS_BY_ID: "run_id"}
ATTRIBUTES: Final = (
    "attempt",
    "submitted_at",
    "ended_ms",
    "seconds",
    "usd",
    "upload",
    "failure",
)
"""What an index holds of a run besides keys: what a list of runs shows."""


def projected(index: str) -> list[str]:
    """Attributes of an index besides its keys and those of the table, which DynamoDB adds
    itself.
    """
    others = [key for key in KEYS if key not in ("state", SORT_KEYS[index])]
    return [*others, *ATTRIBUTES]


PAUSE_KEY: Final = "PAUSE#"
"""`pk` of the one item that holds new runs back while it is there, `sk` PAUSE_SORT_KEY: {"since",
"by", "reason"}.
"""
PAUSE_SORT_KEY: Final = "PIPELINE"

RUN_CANCELLED_EVENT: Final = "Run Cancelled"
"""Detail type of the request that a run end as CANCELLED (notify function): {"run_id", "attempt",
"request", "by", "reason"}; `request` tells one from the other. Whoever sends it stops execution and
jobs afterwards, so that their ends find the run ended.
"""

PSI_SHIFTED: Final = 0.25
"""The usual reading of the population stability index: below 0.1 stable, above 0.25 shifted."""
