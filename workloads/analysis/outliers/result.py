"""What the search for remote rows leaves behind, and how a reader makes sure of it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workloads.analysis.arrays import digest, pack, unpack
from workloads.analysis.knn.contributions import Cells, Contribution, contributions
from workloads.analysis.knn.neighbours import NO_NEIGHBOUR
from workloads.analysis.outliers.record import AnomalyRecord, Stored
from workloads.analysis.profile.moments import Floats, Integers
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import Space
from workloads.contract import ContractError, Run
from workloads.decoding import DAMAGED, fault
from workloads.lines import Lines

_AGAIN: Final = "run the analysis stage again"


@dataclass(frozen=True, kw_only=True, eq=False)
class TopRows:
    """The most remote rows: by score, larger first, equal ones by row number."""

    ids: Integers
    """(n,) row numbers in the cleaned table, from 0."""
    scores: Floats
    """(n,) distance to the k-th neighbour, see `Space.score`; infinity where no other row was
    compared.
    """
    kth_ids: Integers
    """(n,) row number of the k-th neighbour, NO_NEIGHBOUR where there is none."""
    nearest_ids: Integers
    """(n,) row number of the nearest neighbour, NO_NEIGHBOUR where there is none."""
    values: Floats
    """(n, number columns) as they stand in the table."""
    rests: Floats
    """(n, number columns) what float64 takes from whole numbers beyond 2^53."""
    nearest_values: Floats
    """(n, number columns) of the nearest neighbour; NaN where there is none."""
    nearest_rests: Floats
    """(n, number columns)"""
    kth_values: Floats
    """(n, number columns) of the k-th neighbour; NaN where there is none."""
    kth_rests: Floats
    """(n, number columns)"""

    def cells(self, place: int) -> tuple[Cells, Cells, Cells]:
        """The values of one of them, of its nearest and of its k-th neighbour."""
        return (
            Cells(values=self.values[place], rests=self.rests[place]),
            Cells(values=self.nearest_values[place], rests=self.nearest_rests[place]),
            Cells(values=self.kth_values[place], rests=self.kth_rests[place]),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name -> array, for storage and digest."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """What arrays() gave. Raises ValueError where it is something else."""
        try:
            return cls(**arrays)
        except TypeError as error:
            raise ValueError(f"not a list of top rows ({error})") from error


@dataclass(frozen=True, kw_only=True)
class TopRow:
    """One of them, for people."""

    row: int
    score: float
    neighbour: int | None
    """Row number of the nearest neighbour."""
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, kw_only=True)
class Anomalies:
    """The checked result."""

    record: AnomalyRecord
    rows: tuple[TopRow, ...]


def result_digest(parameters: Mapping[str, Any], top: TopRows, scores: Sequence[str]) -> str:
    """Sha256 over parameters, top rows and the digests of all scores: equal for any number of
    ranks.
    """
    named = {"parameters": json.dumps(parameters, sort_keys=True), "scores": "\n".join(scores)}
    texts = {name: np.frombuffer(text.encode(), np.uint8) for name, text in named.items()}
    return digest({**top.arrays(), **texts})


def parameters_of(record: AnomalyRecord) -> dict[str, Any]:
    """What the result is a function of, besides the table."""
    return {
        **record.asked.identity(record.complete_rows),
        "neighbours": record.neighbours_used,
        "columns": list(record.columns),
    }


def combined_digest(profile_digest: str, anomaly: AnomalyRecord | None) -> str:
    """The digest of the run: the profile's alone where nothing else was asked for."""
    return (
        profile_digest
        if anomaly is None
        else hashlib.sha256(f"{profile_digest}\n{anomaly.digest}".encode()).hexdigest()
    )


# ---- scores as Parquet ---------------------------------------------------------------------------


def scores_name(unit: int) -> str:
    """Name of the scores of a unit's rows, below `Run.scores_prefix`."""
    return f"unit-{unit:06}.parquet"


def scores_digest(ids: Integers, scores: Floats, nearest_ids: Integers) -> str:
    """Of one unit."""
    return digest({"row": ids, "score": scores, "neighbour": nearest_ids})


def encode_scores(ids: Integers, scores: Floats, nearest_ids: Integers, lines: Lines) -> bytes:
    """Columns `row`, `line`, `score`, `neighbour` and `neighbour_line`.

    The neighbour is the nearest, by its row number; both are null where there is none. Lines are
    those of the file.
    """
    nobody = nearest_ids == NO_NEIGHBOUR
    table = pa.table(
        {
            "row": ids,
            "line": lines.of_rows(ids),
            "score": scores,
            "neighbour": pa.array(nearest_ids, mask=nobody),
            "neighbour_line": pa.array(
                lines.of_rows(np.where(nobody, ids, nearest_ids)), mask=nobody
            ),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


def decode_scores(data: bytes) -> tuple[Integers, Floats, Integers]:
    """Row numbers, scores and neighbours that encode_scores wrote.

    Raises ValueError where it is something else.
    """
    try:
        # read_table would load pyarrow's data sets first
        table = pq.ParquetFile(io.BytesIO(data)).read()
        neighbour = table.column("neighbour").combine_chunks().fill_null(NO_NEIGHBOUR)
        return (
            table.column("row").to_numpy(),
            table.column("score").to_numpy(),
            neighbour.to_numpy(),
        )
    except DAMAGED as error:
        raise ValueError(fault(error)) from error


# ---- reading -------------------------------------------------------------------------------------


def encode_top(rows: TopRows) -> tuple[Stored, bytes]:
    """The entry of the top rows and the bytes of their object, which is named by its content."""
    data = pack(rows.arrays())
    sha256 = hashlib.sha256(data).hexdigest()
    return Stored(name=f"anomaly/top-{sha256[:16]}.npz", sha256=sha256), data


def load_anomalies(
    get_bytes: Callable[[str], bytes], run: Run, record: AnomalyRecord, profile: Profile
) -> Anomalies:
    """The result of a run, its digest computed anew.

    Args:
        get_bytes: Reads an object of the results bucket by its key.
        run: The run.
        record: What `_SUCCESS.json` says.
        profile: Of the same table, from which the space follows in which rows were compared.

    Raises:
        ContractError: An object is damaged, or the whole has not the digest that the analysis
            found.
    """
    top_key = run.partials_prefix + record.top.name
    try:
        top = TopRows.from_arrays(unpack(checked(get_bytes, top_key, record.top.sha256)))
    except ValueError as error:
        raise ContractError(f"{top_key}: {error}; {_AGAIN}") from error
    digests = []
    for stored in record.scores:
        key = run.scores_prefix + stored.name
        try:
            digests.append(scores_digest(*decode_scores(checked(get_bytes, key, stored.sha256))))
        except ValueError as error:
            raise ContractError(f"{key}: {error}; {_AGAIN}") from error
    found = result_digest(parameters_of(record), top, digests)
    if found != record.digest:
        raise ContractError(
            f"the anomalies of {run.run_id} have digest {found[:12]}, but the analysis found"
            f" {record.digest[:12]}; {_AGAIN}"
        )
    chosen = scaling(profile, record.asked.anomaly_scaling)
    space = Space.of(profile, chosen, record.asked.anomaly_metric)
    return Anomalies(record=record, rows=tuple(_rows(top, space, profile.columns)))


def _rows(top: TopRows, space: Space, columns: tuple[str, ...]) -> list[TopRow]:
    return [
        TopRow(
            row=int(top.ids[place]),
            score=float(top.scores[place]),
            neighbour=(
                None if top.nearest_ids[place] == NO_NEIGHBOUR else int(top.nearest_ids[place])
            ),
            contributions=(
                ()
                if top.kth_ids[place] == NO_NEIGHBOUR
                else contributions(space, columns, *top.cells(place))
            ),
        )
        for place in range(top.ids.size)
    ]


def checked(get_bytes: Callable[[str], bytes], key: str, sha256: str) -> bytes:
    """An object's bytes. Raises ContractError where they are others than those that were stored."""
    data = get_bytes(key)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ContractError(
            f"{key} is not the object that the analysis wrote (its sha256 differs); {_AGAIN}"
        )
    return data
