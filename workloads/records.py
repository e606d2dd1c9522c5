"""The records that stages hand to one another as JSON: stage record and manifest.

Part of the data contract, as `contract` is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from workloads.contract import ContractError, Run, Stage
from workloads.reading import record


@dataclass(frozen=True, kw_only=True)
class Used:
    """What the container of a stage used: of a multi-node job the main node's, of an array job one
    child's.
    """

    source: str
    """`cgroup`: the kernel's figures of the container; `processes`: sums over the job's processes,
    in the rehearsal.
    """
    memory_mib: int
    """Most that was in use at one time and could not be dropped, as the page cache can."""
    cpu_seconds: float
    mean_cpus: float
    peak_cpus: float
    """Most over ten seconds."""
    disk_mib: int
    """By how much the disk of temporary files grew at most, whoever wrote it."""
    gpus: int
    gpu_percent: float | None
    """Mean share of time in which the GPUs were busy."""
    gpu_memory_mib: int | None
    """Most on one GPU."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """How a container began, before its work: of a multi-node job the main node's, of an array job
    one child's.
    """

    pull_started_at: str
    """ISO 8601, UTC: when the machine was there and the pull of the image began."""
    pull_seconds: float
    start_seconds: float
    """From the end of the pull to the first line of the program."""


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """What a finished stage says of itself: the source of durations, cost and the run record."""

    stage: Stage
    run_id: str
    started_at: str
    """ISO 8601, UTC."""
    seconds: float
    attempt: int
    """Attempt, counted from 1; AWS Batch counts attempts so."""
    job_id: str
    details: dict[str, Any]
    """Figures of the stage's own, JSON values only."""
    used: Used | None = None
    """None where nothing could be measured, and in records of older versions."""
    beginning: Beginning | None = None
    """None where the container agent does not say, and in records of older versions."""

    def to_json(self) -> bytes:
        """The object's bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The record that to_json wrote. Raises ContractError where it is not one."""
        return record(cls, data, what="the stage record", again="run the stage again")


ColumnKind = Literal["number", "date", "timestamp", "boolean", "text"]
ColumnUse = Literal["compare", "describe", "keep"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the cleaned table."""

    name: str
    """Unique in the table."""
    source_name: str
    """Name as in the file's header; empty where the file names no column."""
    kind: ColumnKind
    type: str
    """Arrow type in Parquet: `int64`, `double`, `date32[day]`, `timestamp[us]`,
    `timestamp[us, tz=UTC]`, `bool` or `string`.
    """
    missing: int
    """Cells without a value among the rows that were kept."""
    use: ColumnUse
    """`compare`: profiled, and part of the comparison of rows.

    `describe`: profiled only. `keep`: neither. Only numbers are profiled.
    """
    reason: str
    """One sentence: why the column has this kind and this use."""


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something that was decided about the file and that its owner may want to know."""

    code: str
    """Names the kind of remark, for programs: `many-gaps`."""
    column: str
    """Name of the column that it is about; empty where it is about the whole file."""
    sentence: str
    """Where there is a column, what follows its name; else a whole sentence, in lower case and
    without full stop.
    """
    sure: bool
    """False where the file could have meant something else: such remarks are sent with the
    findings.
    """


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A fixed run of rows in file order: one row group of the Parquet file, the atom of the
    analysis.
    """

    index: int
    rows: int
    row_offset: int
    byte_offset: int
    """First byte of the row group in the Parquet object."""
    byte_length: int
    sha256: str
    """SHA-256 of those bytes."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What preprocess hands to the analysis; its presence says that the cleaned table is whole."""

    run_id: str
    source: dict[str, Any]
    """Bucket, key, version id, ETag, bytes, and the dialect found (encoding, compression,
    delimiter, quote, decimal, header).
    """
    rows_read: int
    rows: int
    """Rows kept."""
    rejected: dict[str, int]
    """Reason -> rows."""
    columns: tuple[Column, ...]
    remarks: tuple[Remark, ...]
    unit_rows: int
    lines_key: str
    """Parquet object that tells which line of the file each row came from: see `Run.lines_key` in
    the contract.
    """
    table_key: str
    table_bytes: int
    footer_offset: int
    """First byte of the Parquet footer: what follows it lets a reader open the file without reading
    a row group.
    """
    units: tuple[Unit, ...]

    def to_json(self) -> bytes:
        """The object's bytes; their sha256 is the identity of the data that checkpoints are bound
        to.
        """
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The manifest that to_json wrote. Raises ContractError where it is not one."""
        again = "run the preprocess stage again"
        found = record(cls, data, what="manifest.json", again=again)
        problem = found.contradiction()
        if problem:
            raise ContractError(f"manifest.json contradicts itself: {problem}; {again}")
        return found

    def contradiction(self) -> str:
        """What in the numbers cannot be true together, in a few words; empty where all can."""
        try:
            Run(self.run_id)
        except ContractError as error:
            return str(error)
        row = byte = 0
        for index, unit in enumerate(self.units):
            if (unit.index, unit.row_offset) != (index, row) or not 0 < unit.rows <= self.unit_rows:
                return (
                    f"unit {index} does not follow the one before it, or has not 1 to"
                    f" {self.unit_rows} rows"
                )
            if (
                unit.byte_offset < byte
                or unit.byte_length < 0
                or unit.byte_offset + unit.byte_length > self.footer_offset
            ):
                return f"the bytes of unit {index} lie outside of the table's"
            row, byte = row + unit.rows, unit.byte_offset + unit.byte_length
        if row != self.rows:
            return f"the units have {row} rows, the table {self.rows}"
        if not 0 <= self.footer_offset <= self.table_bytes:
            return f"the footer begins at byte {self.footer_offset} of {self.table_bytes}"
        counts = (
            self.rows_read,
            *self.rejected.values(),
            *(column.missing for column in self.columns),
        )
        if min(counts, default=0) < 0 or self.rows_read < self.rows:
            return (
                f"a count is below 0, or more rows are kept than the {self.rows_read} that were"
                " read"
            )
        names = [column.name for column in self.columns]
        return "" if len(set(names)) == len(names) else "two columns have one name"
