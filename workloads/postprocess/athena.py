"""Statements by which Amazon Athena knows the cleaned tables and the findings of a data set.

Partition projection names the folders, so that no partition has to be added after a run (Athena
user guide, "Partition projection", and "Dynamic ID partitioning" for the injected type, whose value
a query has to give).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from workloads.contract import FINDINGS_PREFIX, Run
from workloads.postprocess import findings_table
from workloads.records import Manifest

_TYPES: Final = {
    "int64": "bigint",
    "double": "double",
    "date32[day]": "date",
    "timestamp[us]": "timestamp",
    "timestamp[us, tz=UTC]": "timestamp",
    "bool": "boolean",
    "string": "string",
}
"""Arrow type of a column -> type of Athena for Parquet."""
_FIRST_DAY: Final = "20200101"


def statements(
    run: Run, manifest: Manifest, *, intermediate_bucket: str, results_bucket: str
) -> str:
    """Two CREATE TABLE statements, for columns as this run has them.

    Athena finds the columns of Parquet by their names, in lower case: a column that other runs lack
    is null there.
    """
    suffix = re.sub(r"[^a-z0-9]+", "_", run.dataset)
    own = [(column.name, _TYPES[column.type]) for column in manifest.columns]
    taken = {name.lower() for name, _ in own}
    day, identity = (_free(name, taken) for name in ("run_date", "run_id"))
    cleaned = _table(
        f"cleaned_{suffix}",
        own,
        (day, identity),
        location=f"s3://{intermediate_bucket}/data/",
        properties={
            "projection.enabled": "true",
            f"projection.{day}.type": "injected",
            f"projection.{identity}.type": "injected",
            "storage.location.template": (
                f"s3://{intermediate_bucket}/data/${{{day}}}/${{{identity}}}/table/"
            ),
        },
    )
    renamed = findings_table.column_names(name for name, _ in own)
    fixed = [(field.name, _TYPES[str(field.type)]) for field in findings_table.fields()]
    place = f"s3://{results_bucket}/{FINDINGS_PREFIX}dataset_id={run.dataset}/"
    findings = _table(
        f"findings_{suffix}",
        [*fixed, *zip(renamed, (kind for _, kind in own), strict=True)],
        ("run_date",),
        location=place,
        properties={
            "projection.enabled": "true",
            "projection.run_date.type": "date",
            "projection.run_date.format": "yyyyMMdd",
            "projection.run_date.range": f"{_FIRST_DAY},NOW+2DAYS",
            "storage.location.template": f"{place}run_date=${{run_date}}/",
        },
    )
    return (
        f"-- the cleaned tables of {run.dataset}: a query names the run, WHERE {day} = '{run.date}'"
        f" AND {identity} = '{run.run_id}'\n{cleaned}\n\n-- the most remote rows of all its"
        f" runs\n{findings}\n"
    )


def _free(name: str, taken: set[str]) -> str:
    """The name of a partition: no column of the table has it."""
    while name in taken:
        name = f"pipeline_{name}"
    return name


def _table(
    name: str,
    columns: Iterable[tuple[str, str]],
    partitions: Iterable[str],
    *,
    location: str,
    properties: dict[str, str],
) -> str:
    listed = ",\n".join(f"  `{column.replace('`', '``')}` {kind}" for column, kind in columns)
    by = ", ".join(f"`{partition}` string" for partition in partitions)
    given = ",\n".join(f"  '{key}' = '{value}'" for key, value in properties.items())
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {name} (\n{listed}\n)\nPARTITIONED BY ({by})\nSTORED"
        f" AS PARQUET\nLOCATION '{location}'\nTBLPROPERTIES (\n{given}\n);"
    )
