"""Section `jobs`: the three stages, what they need and how they behave."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from config.base import (
    ColumnName,
    ContainerPath,
    DatasetName,
    FrozenMap,
    ResourceName,
    Section,
    ShareIdentifier,
    WordOrWhole,
    setting,
)
from config.volumes import Volume

MemoryMib = Annotated[int, Field(ge=256)]
Neighbours = Annotated[int | Literal["auto"], WordOrWhole("auto", 1, 256)]


class _Job(Section):
    queue: ResourceName = setting(about="Name from the section queues.", change="in place")
    vcpus: float = setting(
        about="vCPUs of the container; fractions only on Fargate.",
        change="new revision",
        ge=0.25,
        le=448,
    )
    memory_mib: int = setting(
        about=(
            "Memory of the container, a hard limit; instances offer less than their nominal size."
        ),
        change="new revision",
        ge=256,
    )
    memory_growth_mib: tuple[MemoryMib, ...] = setting(
        (),
        about=(
            "What it asks for in place of memory_mib after it was killed for its memory, one after"
            " the other: the run begins again at this stage by itself."
        ),
        change="in place",
        max_length=3,
    )
    timeout_minutes: int = setting(
        about="Limit of one attempt; AWS Batch has no default.",
        change="new revision",
        ge=1,
        le=20_160,
    )
    attempts: int = setting(
        3,
        about="Attempts in all; only the loss of the host and trouble with the image are retried.",
        change="new revision",
        ge=1,
        le=10,
    )
    ephemeral_storage_gib: int | None = setting(
        None,
        about="Disk of the container on Fargate, which has 20 GiB otherwise.",
        change="new revision",
        ge=21,
        le=200,
    )
    share_identifier: ShareIdentifier | None = setting(
        None, about="Share on a queue with a fair-share policy.", change="in place"
    )
    scheduling_priority: int | None = setting(
        None,
        about="Order within the share identifier, the higher first; the AWS provider sends no 0.",
        change="new revision",
        ge=1,
        le=9999,
    )
    volumes: tuple[Volume, ...] = setting(
        (), about="Directories of shared file systems that it mounts.", change="new revision"
    )


class ColumnSetting(Section):
    """What is known of a column of a data set; what is left out is found from its cells."""

    type: Literal["number", "date", "timestamp", "boolean", "text"] | None = setting(
        None, about="What the cells are; one that is not has no value.", change="new revision"
    )
    use: Literal["compare", "describe", "keep"] | None = setting(
        None,
        about=(
            "Of numbers: part of the comparison of rows whatever its gaps cost, described only, or"
            " neither."
        ),
        change="new revision",
    )
    required: bool = setting(
        False,
        about=(
            "Whether a row without a value here is incomplete, and a file without the column"
            " refused."
        ),
        change="new revision",
    )


class PreprocessJob(_Job):
    """Cleans the CSV and writes the analysis units."""

    unit_rows: int = setting(
        65_536, about="Rows of one analysis unit.", change="new revision", ge=256, le=1_048_576
    )
    incomplete_rows: Literal["reject", "keep"] = setting(
        "reject",
        about="What becomes of a row that lacks a value in a compared or required column.",
        change="new revision",
    )
    max_rejected_percent: float = setting(
        20,
        about=(
            "Share of rejected rows above which the whole file is refused. Columns whose gaps would"
            " cost more rows are described and not compared."
        ),
        change="new revision",
        ge=0,
        le=100,
    )
    columns: FrozenMap[DatasetName, FrozenMap[ColumnName, ColumnSetting]] = setting(
        {},
        about="What is known of columns, by data set and by the name in the file's header.",
        change="new revision",
    )
    write_cleaned_csv: bool = setting(
        False, about="Whether the cleaned table is also written as CSV.", change="new revision"
    )
    tables_path: ContainerPath | None = setting(
        None,
        about=(
            "Directory on one of its volumes into which the cleaned table is written too, for an"
            " analysis that reads it there."
        ),
        change="new revision",
    )

    @property
    def columns_text(self) -> str:
        """`columns` as JSON, as the job's code gets it; empty where nothing is known."""
        declared = {
            dataset: {
                name: column.model_dump(exclude_defaults=True) for name, column in columns.items()
            }
            for dataset, columns in self.columns.items()
        }
        return json.dumps(declared, sort_keys=True) if declared else ""


class AnalysisJob(_Job):
    """The analysis: a multi-node job, one container on each of several instances of one type; or an
    array of jobs of one node each.
    """

    nodes: int = setting(
        about=(
            "Instances that work together; one makes it a plain container job, which may run on"
            " Spot."
        ),
        change="new revision",
        ge=1,
        le=1000,
    )
    shards: int = setting(
        1,
        about=(
            "Jobs of one node that share out the search, as one array job; each is started and"
            " retried by itself, so it may be on Spot."
        ),
        change="new revision",
        ge=1,
        le=10_000,
    )
    gpus: int = setting(
        0,
        about="GPUs of each node; a container without this request sees none.",
        change="new revision",
        ge=0,
        le=16,
    )
    ranks_per_node: int = setting(
        1,
        about="MPI ranks on each node: one per GPU, or per core group.",
        change="new revision",
        ge=1,
        le=192,
    )
    array_backend: Literal["numpy", "cupy"] = setting(
        "cupy", about="On what the analysis computes.", change="new revision"
    )
    exchange: Literal["host", "cuda-aware", "nccl"] = setting(
        "host",
        about=(
            "How ranks hand rows to one another: through the host's memory, or from GPU to GPU by a"
            " CUDA-aware MPI or NCCL, which are used only where a self-test at the start passes."
        ),
        change="new revision",
    )
    shared_memory_mib: int = setting(
        1024,
        about="Size of /dev/shm, which MPI ranks of one node talk through.",
        change="new revision",
        ge=64,
    )
    exact_quantiles: bool = setting(
        False,
        about=(
            "Whether quantiles are exact, at the cost of two more reads of the table; else each is"
            " off by at most 1/64 of its value."
        ),
        change="new revision",
    )
    anomaly_mode: Literal["off", "top", "full"] = setting(
        "top",
        about=(
            "Search for remote rows: none, the most remote ones (exact, near linear), or a score"
            " for every row (all pairs)."
        ),
        change="new revision",
    )
    anomaly_neighbours: Neighbours = setting(
        "auto",
        about=(
            "A row's score is the distance to its neighbour of this number; auto: the root of the"
            " number of rows, from 10 to 200."
        ),
        change="new revision",
    )
    anomaly_top: int = setting(
        100, about="Most remote rows that are reported.", change="new revision", ge=1, le=10_000
    )
    anomaly_scaling: Literal["robust", "standard"] = setting(
        "robust",
        about=(
            "Units of the columns: median and interquartile range, or mean and standard deviation."
        ),
        change="new revision",
    )
    anomaly_metric: Literal["euclidean", "mahalanobis", "cosine"] = setting(
        "euclidean",
        about=(
            "Distance of rows: of the scaled columns, the same without their correlations, or of"
            " their directions from the centre."
        ),
        change="new revision",
    )
    max_dollars: float | None = setting(
        None,
        about="Mode full is refused where it is predicted to cost more; none: no limit.",
        change="new revision",
        ge=0,
    )
    block_memory_mib: int | None = setting(
        None,
        about=(
            "Memory of a node for rows and their neighbours, what does not fit is read again; by"
            " default 60 % of memory_mib."
        ),
        change="new revision",
        ge=16,
    )
    join_deadline_minutes: int = setting(
        15,
        about="How long the main node waits for the others before it gives up.",
        change="new revision",
        ge=1,
        le=120,
    )
    tables_path: ContainerPath | None = setting(
        None,
        about=(
            "Directory on one of its volumes where it reads cleaned tables; those that are not"
            " there it reads from S3."
        ),
        change="new revision",
    )
    checkpoints_path: ContainerPath | None = setting(
        None,
        about="Directory on one of its volumes for checkpoints, in place of the results bucket.",
        change="new revision",
    )


class FirstAnalysisJob(AnalysisJob):
    """The analysis as every run begins it, and what follows where Spot does not let it end."""

    spot_attempts: int | None = setting(
        None,
        about=(
            "Attempts on Spot, of all attempts; when so many have lost their machine, the others"
            " are made in on_demand_queue."
        ),
        change="new revision",
        ge=1,
        le=9,
    )
    on_demand_queue: ResourceName | None = setting(
        None,
        about="Queue without Spot where the analysis goes on after spot_attempts.",
        change="in place",
    )


class PostprocessJob(_Job):
    """Merges the partial results, writes the findings, tells people."""


class JobsSection(Section):
    """The three stages."""

    preprocess: PreprocessJob = setting(about="Cleaning.", change="new revision")
    analysis: FirstAnalysisJob = setting(about="Analysis.", change="new revision")
    postprocess: PostprocessJob = setting(about="Findings.", change="new revision")
    fallback: AnalysisJob | None = setting(
        None,
        about=(
            "Another analysis job, on one node, that the state machine runs where the first one"
            " failed."
        ),
        change="new revision",
    )
