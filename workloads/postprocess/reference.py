"""The reference of the drift: the newest earlier day of the same data set, and how this run
compares with it.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from boto3.dynamodb.conditions import Key

from workloads.analysis.arrays import pack, unpack
from workloads.analysis.profile.drift import drift
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.result import Profile
from workloads.contract import ContractError, Run
from workloads.runtime import s3
from workloads.runtime.errors import EXIT_REFUSED, StageError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the columns differ from the reference run's."""

    reference: Run | None
    note: str
    """Why there is no comparison; empty where there is one."""
    by_column: dict[str, dict[str, float]]
    """Number column of both runs -> the figures of profile.drift.Drift."""
    new_columns: tuple[str, ...] = ()
    gone_columns: tuple[str, ...] = ()

    @classmethod
    def none(cls, note: str) -> Comparison:
        """No comparison."""
        return cls(reference=None, note=note, by_column={})

    def to_json(self) -> dict[str, Any]:
        """The table's view of the drift; the columns' own stand with the columns."""
        ranked = sorted(self.by_column.items(), key=lambda item: (-_rank(item[1]["psi"]), item[0]))
        return {
            "reference_run_id": self.reference.run_id if self.reference else None,
            "reference_date": self.reference.date if self.reference else None,
            "note": self.note,
            "strongest": [{"column": name, **measures} for name, measures in ranked[:20]],
            "new_columns": list(self.new_columns),
            "gone_columns": list(self.gone_columns),
        }


def _rank(psi: float) -> float:
    return -1.0 if np.isnan(psi) else psi


def find(table: Table, run: Run) -> Run | None:
    """The run whose findings count for the newest date before this run's; the last one analysed
    where a date has several.

    Asks the summaries and not LATEST, so that the answer is the same when a run is repeated, or an
    old day filled in later.
    """
    start: dict[str, Any] = {}
    best: tuple[str, str] | None = None
    date = ""
    while True:
        page = table.query(
            KeyConditionExpression=Key("pk").eq(run.partition_key)
            & Key("sk").between("RUN#", f"RUN#{run.date}"),
            ScanIndexForward=False,
            ProjectionExpression="sk, run_id, analysed_at",
            **start,
        )
        for item in page["Items"]:
            sort_key = str(item["sk"])
            if best and not sort_key.startswith(f"RUN#{date}#"):
                return Run(best[1])
            if sort_key.endswith("#SUMMARY"):
                date = sort_key.split("#")[1]
                best = max(best or ("", ""), (str(item["analysed_at"]), str(item["run_id"])))
        if "LastEvaluatedKey" not in page:
            return Run(best[1]) if best else None
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def save(bucket: str, run: Run, profile: Profile) -> None:
    """Stores the merged profile for the days to come."""
    names = np.frombuffer("\0".join(profile.columns).encode(), np.uint8)
    arrays = {
        **ProfileNode(moments=profile.moments, sketch=profile.sketch).arrays(),
        "columns": names,
    }
    s3.put_bytes(bucket, run.profile_key, pack(arrays))


def load(bucket: str, run: Run) -> Profile:
    """The stored profile of a run.

    Raises StageError where it is gone, ContractError where it is of another version.
    """
    data = s3.get_bytes(bucket, run.profile_key)
    try:
        arrays = unpack(data)
        names = arrays.pop("columns").tobytes().decode()
        node = ProfileNode.from_arrays(arrays)
    except (ValueError, KeyError) as error:
        raise ContractError(
            f"{run.profile_key} is not a profile of this version ({error})"
        ) from error
    return Profile(
        columns=tuple(names.split("\0")) if names else (), moments=node.moments, sketch=node.sketch
    )


def compare(bucket: str, table: Table, run: Run, profile: Profile) -> Comparison:
    """The drift against the reference run.

    Without a reference there is a note instead: a first day is no failure.
    """
    reference = find(table, run)
    if reference is None:
        return Comparison.none("There is no earlier day of this data set to compare with.")
    try:
        earlier = load(bucket, reference)
    except (StageError, ContractError) as error:
        if isinstance(error, StageError) and error.exit_code != EXIT_REFUSED:
            raise
        log.warning(
            "reference profile not usable",
            extra={"fields": {"reference": reference.run_id, "reason": str(error)}},
        )
        return Comparison.none(
            f"The profile of the reference run {reference.run_id} is no longer there or of another"
            " version."
        )
    here = {name: index for index, name in enumerate(profile.columns)}
    there = {name: index for index, name in enumerate(earlier.columns)}
    return Comparison(
        reference=reference,
        note="",
        by_column={
            name: asdict(drift(earlier.sketch, there[name], profile.sketch, here[name]))
            for name in here
            if name in there
        },
        new_columns=tuple(name for name in here if name not in there),
        gone_columns=tuple(name for name in there if name not in here),
    )
