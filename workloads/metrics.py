"""Names of the metrics that the measure function publishes: what it, the alarms and the dashboard
have to agree on.

AWS Batch publishes counters of transitions (`AWS/Batch`, dimension `JobQueueName`) and no gauges:
how deep a queue is, how long its front has waited, how full an environment is and what all of it
costs at this moment stands in these metrics alone.
"""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "BatchReference"
ENV_MEASURED: Final = "PIPELINE_MEASURED"
"""JSON object (measure function): {"queues": {name: ARN}, "environments": {name: {"arn",
"rates"}}}, the names being those of the config and `rates` US dollars per hour {"vcpu", "gib"}, or
null where a price is not known.
"""

STACK: Final = "Stack"
QUEUE: Final = "Queue"
ENVIRONMENT: Final = "Environment"
STAGE: Final = "Stage"
"""Dimensions. Every metric has `Stack`, and at most one of the others."""

QUEUE_STATES: Final = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
RUNNABLE_JOBS: Final = "RunnableJobs"
FRONT_WAITED: Final = "FrontOfQueueWaitedSeconds"
"""How long the RUNNABLE job that has stood longest at its place in the queue has stood there; 0
where none waits. By Queue.
"""
DESIRED_VCPUS: Final = "DesiredVcpus"
MAX_VCPUS: Final = "MaxVcpus"
AT_MAX: Final = "AtMax"
"""1 where the environment wants as many vCPUs as it may have.

By Environment; not on Fargate, of which AWS Batch tells no vCPUs.
"""
VALID: Final = "Valid"
"""0 where AWS Batch calls the environment INVALID. By Environment."""
USD_PER_HOUR: Final = "RunningUsdPerHour"
"""What the environments cost at this moment, at On-Demand prices: the vCPUs that they want, on
Fargate those of its running jobs. For the stack, and By Environment where it can be told apart,
which is not between two of Fargate.
"""
LOOKS: Final = "Looks"
"""1 for each time the measure function has looked."""
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
"""1 for each job of a stage that ended so; not for those that failed only because the job before
them did. By Stage.
"""
SECONDS: Final = "Seconds"
"""Run time of the last attempt of a job that succeeded. By Stage."""


FILES: Final = "FilesOfDay"
"""Uploads in the folder of the day that is being looked at (see DAY_KEY)."""
MISSING_FILES: Final = "MissingFiles"
"""Expected data sets of the day without a file; without expectations 1 where there is no file at
all.
"""
UNFINISHED_RUNS: Final = "UnfinishedRuns"
"""Runs of the day that have not succeeded; 0 until they have to have."""


def jobs_metric(status: str) -> str:
    """Name of the gauge of a queue's jobs in a state, for example RunnableJobs. By Queue."""
    return f"{status.capitalize()}Jobs"


ALARM_KEY_PREFIX: Final = "ALARM#"
"""`pk`, before an alarm's name, of the items that say which change of its state Slack was told
of.
"""
BLOCKED_KEY_PREFIX: Final = "BLOCKED#"
"""`pk`, before a job's id, of the items that say for which reason Slack was told that it blocks its
queue.
"""
DAY_KEY: Final = "DAY#"
"""`pk` of the items, one for each day (`sk`, YYYYMMDD), that say what the daily function found:
{"missing", "unfinished"}, two lists of sentences for people.
"""
ENV_DAILY: Final = "PIPELINE_DAILY"
"""JSON object (daily function): {"file_by", "finished_by", "time_zone", "max_parallel", "datasets"}
as in the config, and {"begins"}, whether its looks begin runs.
"""
ENV_ENVIRONMENTS: Final = "PIPELINE_ENVIRONMENTS"
"""JSON list (alarm function): names of the environments, which are values of the dimension
`Environment`.
"""
