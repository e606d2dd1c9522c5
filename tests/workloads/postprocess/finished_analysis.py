"""A finished analysis made from a pandas frame, as the stages before postprocess leave it in the
buckets.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workloads.analysis.knn.block import prepare
from workloads.analysis.outliers.record import AnomalyRecord
from workloads.analysis.outliers.result import (
    TopRows,
    combined_digest,
    encode_top,
    parameters_of,
    result_digest,
)
from workloads.analysis.pipeline import partials
from workloads.analysis.pipeline.success import Success
from workloads.analysis.profile import node as nodes
from workloads.analysis.profile.exact import PROBABILITIES, exact_quantiles
from workloads.analysis.profile.leaf_numpy import NumpyProfile
from workloads.analysis.profile.node import ProfileNode
from workloads.analysis.profile.result import Profile
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import Space
from workloads.analysis.tree import Forest, NodeId
from workloads.contract import Run
from workloads.parameters import AnalysisParameters, Metric
from workloads.preprocess.units import UnitWriter
from workloads.records import Column, Manifest, StageRecord

INTERMEDIATE, RESULTS, TABLE = "intermediate", "results", "metrics"
GAP_AT, GAP = 50, 7
DIALECT = {"encoding": "utf-8", "delimiter": ";", "decimal": ",", "header": True, "preamble": []}
Put = Callable[[str, str, bytes], object]


def leaf(block: np.ndarray) -> ProfileNode:
    """The profile of one unit: `block` is float32 (rows, d)."""
    backend = NumpyProfile()
    backend.begin_counting(block.shape[1])
    moments = backend.unit(np.ascontiguousarray(block.T))
    return ProfileNode(moments=moments, sketch=backend.counted())


def profile_of(
    frame: pd.DataFrame, unit_rows: int
) -> tuple[Profile, list[tuple[NodeId, ProfileNode]]]:
    """The profile of a frame's number columns and its leaves, one for each unit."""
    values = np.ascontiguousarray(frame.select_dtypes("number").to_numpy(np.float64))
    starts = range(0, len(values), unit_rows)
    leaves = [
        (NodeId(0, unit), leaf(values[start : start + unit_rows]))
        for unit, start in enumerate(starts)
    ]
    forest = Forest(len(leaves), nodes.merge)
    for position, node in leaves:
        forest.add(position, node)
    root = forest.root()
    return (
        Profile(
            columns=tuple(frame.select_dtypes("number").columns),
            moments=root.moments,
            sketch=root.sketch,
        ),
        leaves,
    )


def line_of(row: int) -> int:
    """Line of a row in the file: below the header, with GAP rejected rows before row GAP_AT."""
    return row + 2 + (GAP if row >= GAP_AT else 0)


def cleaned_table(
    put: Put, run: Run, frame: pd.DataFrame, unit_rows: int
) -> tuple[UnitWriter, bytes]:
    """Writes the cleaned table of a frame and where its rows came from, as preprocess does."""
    fields = [
        (name, pa.float64() if dtype.kind in "fi" else pa.string())
        for name, dtype in frame.dtypes.items()
    ]
    schema = pa.schema(fields)
    sink = io.BytesIO()
    with UnitWriter(sink, schema, unit_rows=unit_rows) as writer:
        if len(frame):
            writer.add(
                pa.Table.from_pandas(
                    frame, schema=schema, preserve_index=False
                ).replace_schema_metadata(None)
            )
        writer.finish()
    put(INTERMEDIATE, run.table_key, sink.getvalue())
    starts = [0, GAP_AT] if len(frame) > GAP_AT else [0]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"row": starts, "line": [line_of(row) for row in starts]}), buffer)
    put(INTERMEDIATE, run.lines_key, buffer.getvalue())
    return writer, sink.getvalue()


def manifest_of(
    run: Run,
    frame: pd.DataFrame,
    unit_rows: int,
    rejected: dict[str, int],
    table: UnitWriter,
    data: bytes,
) -> Manifest:
    """The manifest of the cleaned table."""
    numbers = set(frame.select_dtypes("number").columns)
    return Manifest(
        run_id=run.run_id,
        source={
            "bucket": "ingest",
            "key": f"data/{run.date}/{run.dataset}.csv",
            "bytes": 123_456,
            "dialect": DIALECT,
        },
        rows_read=len(frame) + sum(rejected.values()),
        rows=len(frame),
        rejected=rejected,
        columns=tuple(
            Column(
                name=name,
                source_name=name.title(),
                kind="number" if name in numbers else "text",
                type="double" if name in numbers else "string",
                missing=int(frame[name].isna().sum()),
                use="compare" if name in numbers else "keep",
                reason="numbers" if name in numbers else "text",
            )
            for name in frame.columns
        ),
        remarks=(),
        unit_rows=unit_rows,
        lines_key=run.lines_key,
        table_key=run.table_key,
        table_bytes=len(data),
        footer_offset=table.footer_offset,
        units=tuple(table.units),
    )


def remote_rows(
    put: Put,
    run: Run,
    frame: pd.DataFrame,
    profile: Profile,
    *,
    metric: Metric,
    wanted: int = 12,
    k: int = 3,
) -> AnomalyRecord:
    """Writes the most remote rows of the frame by brute force in float64, and returns their
    record.
    """
    values = frame.select_dtypes("number").to_numpy(np.float64)
    chosen = scaling(profile, "robust")
    space = Space.of(profile, chosen, metric)
    prepared = prepare(space, 0, values.T)
    ids, rows = prepared.block.ids, prepared.block.rows.astype(np.float64)
    distance = np.sqrt(np.square(rows[:, None] - rows).sum(axis=2))
    np.fill_diagonal(distance, np.inf)
    scores, by_distance = (
        np.sort(distance, axis=1)[:, k - 1],
        np.argsort(distance, axis=1, kind="stable"),
    )
    order = np.lexsort((ids, -scores))[:wanted]
    nearest, kth = (ids[by_distance[order, place]] for place in (0, k - 1))
    no_rests = np.zeros((order.size, values.shape[1]))
    top = TopRows(
        ids=ids[order],
        scores=space.score(scores[order]),
        kth_ids=kth,
        nearest_ids=nearest,
        values=values[ids[order]],
        rests=no_rests,
        nearest_values=values[nearest],
        nearest_rests=no_rests,
        kth_values=values[kth],
        kth_rests=no_rests,
    )
    stored, data = encode_top(top)
    put(RESULTS, run.partials_prefix + stored.name, data)
    record = AnomalyRecord(
        asked=AnalysisParameters(
            anomaly_mode="top", anomaly_neighbours=k, anomaly_top=wanted, anomaly_metric=metric
        ),
        neighbours_used=k,
        columns=chosen.columns,
        excluded={one.column: one.reason for one in chosen.excluded},
        complete_rows=ids.size,
        incomplete_rows=prepared.incomplete.size,
        undirected_rows=prepared.zero_norm.size,
        certified_fraction=1.0,
        fallback_rows=0,
        evaluations=ids.size**2,
        rows_left=0,
        precision="fp64",
        top=stored,
        scores=(),
        digest="",
        nothing="",
    )
    return replace(record, digest=result_digest(parameters_of(record), top, ()))


def store(
    put: Put,
    run: Run,
    frame: pd.DataFrame,
    *,
    unit_rows: int = 40,
    rejected: dict[str, int] | None = None,
    remote: bool = False,
    metric: Metric = "euclidean",
    exact: bool = False,
    **changes: Any,
) -> Profile:
    """Writes table, manifest, partial results, `_SUCCESS.json` and stage records; returns the
    profile that they merge to.

    `remote`: the most remote rows were looked for as well. `exact`: quantiles are exact. `changes`:
    to the manifest's fields.
    """
    table, data = cleaned_table(put, run, frame, unit_rows)
    manifest = replace(manifest_of(run, frame, unit_rows, rejected or {}, table, data), **changes)
    profile, leaves = profile_of(frame, unit_rows)
    named = []
    for position, node in leaves:
        partial, data = partials.encode(position, node)
        named.append(partial)
        put(RESULTS, run.partials_prefix + partial.name, data)
    quantiles = None
    if exact:
        values = np.ascontiguousarray(frame.select_dtypes("number").to_numpy(np.float64).T)
        found = exact_quantiles(profile.sketch, PROBABILITIES, lambda: [values])
        profile = replace(profile, exact=found)
        quantiles, data = partials.encode_quantiles(found)
        put(RESULTS, run.partials_prefix + quantiles.name, data)
    anomaly = remote_rows(put, run, frame, profile, metric=metric) if remote else None
    success = Success(
        run_id=run.run_id,
        manifest_sha256=hashlib.sha256(manifest.to_json()).hexdigest(),
        digest=combined_digest(profile.digest, anomaly),
        columns=profile.columns,
        compared=tuple(range(len(profile.columns))),
        partials=tuple(named),
        quantiles=quantiles,
        unit_rows=unit_rows,
        units=len(manifest.units),
        rows=len(frame),
        complete_rows=profile.complete_rows,
        ranks=4,
        nodes=2,
        backend="numpy",
        precision="fp64",
        seconds={"profile": 0.4, "pairs": 1.25, "checkpoint": 0.02, "total": 2.5},
        bytes_read=1,
        peak_memory_bytes=210 << 20,
        bytes_moved={"read": 1, "checkpoint": 4900},
        percent_of_limit={"pairs": 61.6},
        peak_device_bytes=3 << 29,
        checkpoint={"count": 2, "seconds": 0.02, "bytes": 4900, "objects_resumed": 0},
        code_version="test",
        anomaly=anomaly,
    )
    put(INTERMEDIATE, run.manifest_key, manifest.to_json())
    put(RESULTS, run.success_key, success.to_json())
    put(
        RESULTS,
        run.stage_record_key("preprocess"),
        record(run, "preprocess", "2026-01-31T02:00:00+00:00", 36.0).to_json(),
    )
    put(
        RESULTS,
        run.stage_record_key("analysis"),
        record(run, "analysis", f"{run.date[:4]}-01-31T02:05:00+00:00", 72.0).to_json(),
    )
    return profile


def record(run: Run, stage: str, started_at: str, seconds: float) -> StageRecord:
    """A stage record."""
    return StageRecord(
        stage=stage,  # type: ignore[arg-type]
        run_id=run.run_id,
        started_at=started_at,
        seconds=seconds,
        attempt=1,
        job_id=f"job-{stage}",
        details={},
    )
