"""Names of the environment variables by which jobs and functions get their settings.

Whoever defines or submits a job writes them, the stages read them. Needs the standard library
alone, as `contract` does.
"""

from __future__ import annotations

from typing import Final

ENV_RUN_ID: Final = "PIPELINE_RUN_ID"
ENV_INPUT_KEY: Final = "PIPELINE_INPUT_KEY"
ENV_INPUT_VERSION_ID: Final = "PIPELINE_INPUT_VERSION_ID"
ENV_INGEST_BUCKET: Final = "PIPELINE_INGEST_BUCKET"
ENV_INTERMEDIATE_BUCKET: Final = "PIPELINE_INTERMEDIATE_BUCKET"
ENV_RESULTS_BUCKET: Final = "PIPELINE_RESULTS_BUCKET"
ENV_TABLE: Final = "PIPELINE_TABLE"
ENV_STACK: Final = "PIPELINE_STACK"
ENV_UNIT_ROWS: Final = "PIPELINE_UNIT_ROWS"
"""Rows of one analysis unit; a property of the data set, never of the rank count."""
ENV_INCOMPLETE_ROWS: Final = "PIPELINE_INCOMPLETE_ROWS"
"""`reject` or `keep`: what becomes of a row that lacks a value in a compared or required column."""
ENV_MAX_REJECTED_PERCENT: Final = "PIPELINE_MAX_REJECTED_PERCENT"
"""Share above which of rejected rows the file is refused as a whole; columns whose gaps would cost
more rows are not compared.
"""
ENV_COLUMNS: Final = "PIPELINE_COLUMNS"
"""JSON object, data set -> column -> {"type", "use", "required"}: what the owner of the data set
declares about its columns.
"""
ENV_WRITE_CLEANED_CSV: Final = "PIPELINE_WRITE_CLEANED_CSV"
ENV_SHOW_VALUES: Final = "PIPELINE_SHOW_VALUES"
"""`false`: no cell of the file stands in a message, a log or an item of the table; objects in the
buckets hold them.
"""
ENV_ARRAY_BACKEND: Final = "PIPELINE_ARRAY_BACKEND"
"""`numpy` or `cupy`; a job that is told `cupy` and finds no GPU fails."""
ENV_RANKS_PER_NODE: Final = "PIPELINE_RANKS_PER_NODE"
ENV_EXCHANGE: Final = "PIPELINE_EXCHANGE"
"""`host`, `cuda-aware` or `nccl`: how ranks hand rows to one another; the latter two only where a
self-test passes.
"""
ENV_SHARDS: Final = "PIPELINE_SHARDS"
"""Children of the array job that is the analysis; unset or 1 where it is no array job.

Whoever submits it gives both the same number.
"""
ENV_EXACT_QUANTILES: Final = "PIPELINE_EXACT_QUANTILES"
"""`true`: quantiles without error, at the cost of two more reads of the table."""
ENV_ANOMALY_MODE: Final = "PIPELINE_ANOMALY_MODE"
"""`off`, `top` (the most remote rows, exactly) or `full` (a score for every row)."""
ENV_ANOMALY_NEIGHBOURS: Final = "PIPELINE_ANOMALY_NEIGHBOURS"
"""k: a row's score is the distance to its k-th nearest neighbour."""
ENV_ANOMALY_TOP: Final = "PIPELINE_ANOMALY_TOP"
"""N: how many of the most remote rows are reported."""
ENV_ANOMALY_SCALING: Final = "PIPELINE_ANOMALY_SCALING"
"""`robust` (median and interquartile range) or `standard` (mean and standard deviation)."""
ENV_ANOMALY_METRIC: Final = "PIPELINE_ANOMALY_METRIC"
"""`euclidean` (of the scaled columns), `mahalanobis` (their correlations taken out) or `cosine`
(directions from the centre).
"""
ENV_MAX_DOLLARS: Final = "PIPELINE_MAX_DOLLARS"
"""The mode `full` is refused where it is predicted to cost more; unset: no limit."""
ENV_BLOCK_MEMORY_MIB: Final = "PIPELINE_BLOCK_MEMORY_MIB"
"""Memory of a node for rows and their neighbours; what does not fit is read again.

The interpreter and its libraries come on top.
"""
ENV_RECLAIM_SIGNAL: Final = "PIPELINE_RECLAIM_SIGNAL"
"""Name of the signal by which a container on Spot learns that its machine is taken back:
`SIGWINCH`, which the instance's own watch sends and a program that is not yet listening does not
mind, or on Fargate `SIGTERM`; unset: the container goes on until it is killed.
"""
ENV_COUNT_RECLAIMS: Final = "PIPELINE_COUNT_RECLAIMS"
"""`true`: postprocess asks AWS Batch how many attempts of the analysis lost their machine."""
ENV_CHECKPOINT_FLOOR_SECONDS: Final = "PIPELINE_CHECKPOINT_FLOOR_SECONDS"
"""Checkpoints are never closer together than this, but for the ends of stages and a SIGTERM."""
ENV_NODE_MTBF_HOURS: Final = "PIPELINE_NODE_MTBF_HOURS"
"""Mean time between failures of one node, from which the cadence of checkpoints follows."""
ENV_JOIN_DEADLINE_SECONDS: Final = "PIPELINE_JOIN_DEADLINE_SECONDS"
ENV_TABLES_PATH: Final = "PIPELINE_TABLES_PATH"
"""Directory on a volume where cleaned tables lie by the keys of their objects; unset: in S3
alone.
"""
ENV_CHECKPOINTS_PATH: Final = "PIPELINE_CHECKPOINTS_PATH"
"""Directory on a volume for checkpoints; unset: the results bucket."""
ENV_SCRATCH_PATH: Final = "PIPELINE_SCRATCH_PATH"
"""Directory on a disk of the instance for temporary files; unset: the container's own."""
ENV_DISK_HINT: Final = "PIPELINE_DISK_HINT"
"""What to change in the stack file where the job's disk is too small, one clause."""
ENV_LAUNCH_TOKEN: Final = "PIPELINE_LAUNCH_TOKEN"  # noqa: S105 - the name of a variable
"""Shared secret by which the nodes of one job know each other; comes from Secrets Manager."""
ENV_SLACK_WEBHOOK_URL: Final = "PIPELINE_SLACK_WEBHOOK_URL"
ENV_SLACK_WEBHOOK_SECRET_ARN: Final = "PIPELINE_SLACK_WEBHOOK_SECRET_ARN"  # noqa: S105 - the name of a variable
"""Functions read the webhook from Secrets Manager themselves; jobs get it as ENV_SLACK_WEBHOOK_URL.

Empty: nobody is told.
"""
ENV_STAGE_PRICES: Final = "PIPELINE_STAGE_PRICES"
"""JSON object, stage -> US dollars per hour of all the machines that the stage reserves; for the
notify function with `fallback` beside.
"""
ENV_CONSOLE_URL: Final = "PIPELINE_CONSOLE_URL"
"""Where a person can open an object of the results bucket: the URL prefix to which a key is
appended.
"""
ENV_JOB_QUEUES: Final = "PIPELINE_JOB_QUEUES"
"""JSON object, stage -> job queue ARN (submit function)."""
ENV_JOB_DEFINITIONS: Final = "PIPELINE_JOB_DEFINITIONS"
"""JSON object, stage -> {"name": job definition ARN without revision, "multi_node": whether it is
of type multinode, "shards": size of the array job, 1 for none} (submit function).
"""
ENV_SHARE_IDENTIFIERS: Final = "PIPELINE_SHARE_IDENTIFIERS"
"""JSON object, stage -> share identifier, for the stages whose queue has a fair-share policy
(submit function).
"""
ENV_STATE_MACHINE_ARN: Final = "PIPELINE_STATE_MACHINE_ARN"
"""State machine that runs the stages; unset where the submit function chains the jobs itself
(submit function).
"""
ENV_DEADLINE_HOURS: Final = "PIPELINE_DEADLINE_HOURS"
"""How long a run of the state machine may take (submit function)."""
ENV_SUBMIT_FUNCTION: Final = "PIPELINE_SUBMIT_FUNCTION"
"""ARN of the submit function (daily function; notify function, where a stage's memory may grow)."""
ENV_MEMORY_GROWTH: Final = "PIPELINE_MEMORY_GROWTH"
"""JSON object, stage -> list of MiB that it asks for, one after the other, when it was killed for
its memory (submit and notify function).
"""
ENV_REDRIVEN: Final = "PIPELINE_REDRIVEN"
"""JSON object, short name of a function -> {"url": of its dead-letter queue, "function": its name}
(redrive function).
"""
ENV_GUARD_QUEUE: Final = "PIPELINE_GUARD_QUEUE"
"""ARN of the job queue that the guard watches (guard function)."""
ENV_GUARD_LIMIT_USD: Final = "PIPELINE_GUARD_LIMIT_USD"
"""Cost so far of the queue's unfinished jobs above which the guard acts (guard function)."""
ENV_GUARD_RATES: Final = "PIPELINE_GUARD_RATES"
"""JSON list, one object of US dollars per hour for each environment of the queue (guard function):
{"instance", "vcpu", "gib", "gpu"}, the dearest of its types in each respect, or on Fargate {"vcpu",
"gib"}.
"""
