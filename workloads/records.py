"""The records that stages hand to one another as JSON: stage record and manifest. Part of the data contract, as `contract` is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from workloads.contract import ContractError, Stage


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """What a finished stage says of itself: the source of durations, cost and the run record."""

    stage: Stage
    run_id: str
    started_at: str
    """ISO 8601, UTC."""
    seconds: float
    attempt: int
    """From 1; AWS Batch counts attempts so."""
    job_id: str
    details: dict[str, Any]
    """Figures of the stage's own, JSON values only."""

    def to_json(self) -> bytes:
        """The object's bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The record that to_json wrote."""
        return cls(**json.loads(data))


ColumnKind = Literal["number", "timestamp", "boolean", "text"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the cleaned table. `number` columns are float32 in Parquet and the only ones that the analysis reads."""

    name: str
    source_name: str
    kind: ColumnKind
    missing: int
    """Cells without a value among the rows that were kept."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A fixed run of rows in file order: one row group of the Parquet file, the atom of the analysis."""

    index: int
    rows: int
    row_offset: int
    byte_offset: int
    """First byte of the row group in the Parquet object."""
    byte_length: int
    sha256: str
    """Of those bytes."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What preprocess hands to the analysis; its presence says that the cleaned table is whole."""

    run_id: str
    source: dict[str, Any]
    """Bucket, key, version id, ETag, bytes, and the dialect found (delimiter, quote, encoding, header)."""
    rows_read: int
    rows: int
    """Rows kept."""
    rejected: dict[str, int]
    """Reason -> rows."""
    columns: tuple[Column, ...]
    unit_rows: int
    table_key: str
    table_bytes: int
    footer_offset: int
    """First byte of the Parquet footer: what follows it lets a reader open the file without reading a row group."""
    units: tuple[Unit, ...]

    def to_json(self) -> bytes:
        """The object's bytes; their sha256 is the identity of the data that checkpoints are bound to."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The manifest that to_json wrote. Raises ContractError where it is not one."""
        try:
            fields = json.loads(data)
            fields["columns"] = tuple(Column(**c) for c in fields["columns"])
            fields["units"] = tuple(Unit(**u) for u in fields["units"])
            return cls(**fields)
        except (ValueError, TypeError, KeyError) as error:
            raise ContractError(f"manifest.json is not a manifest of this version ({error}); run the preprocess stage again") from error
