"""The jobs of a run as AWS Batch describes them: attempts, nodes of a multi-node job, shards of an
array job, log streams.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli.documents import Attempt, Part, StageJob
from cli.target import Target
from workloads.contract import FALLBACK_ENDING, STAGES, Stage
from workloads.functions import arrays


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One log stream: an attempt of a job, of a node or of a shard."""

    stage: Stage
    group: str
    name: str
    node: int | None
    shard: int | None
    attempt: int
    """Of the job, from 1."""

    @property
    def label(self) -> str:
        """How lines of the stream are marked among those of others."""
        parts: list[str] = [self.stage]
        parts += [f"node {self.node}"] if self.node is not None else []
        parts += [f"shard {self.shard}"] if self.shard is not None else []
        parts += [f"attempt {self.attempt}"] if self.attempt > 1 else []
        return " ".join(parts)


def moment(ms: Any) -> str | None:
    """Milliseconds since 1970 as ISO 8601 in UTC; None for none."""
    if not ms:
        return None
    return datetime.fromtimestamp(int(ms) / 1000, UTC).isoformat(timespec="seconds")


def of_run(target: Target, item: Mapping[str, Any]) -> list[tuple[Stage, dict[str, Any]]]:
    """Stage and description of each job that a state item names, in order; a job that its fallback
    took the place of, or one with more memory, comes before it.
    """
    named: list[tuple[Stage, str]] = []
    for stage in STAGES:
        if stage == "analysis" and item.get("replaced"):
            named.append((stage, str(item["replaced"])))
        named += [
            (stage, str(each["job_id"]))
            for each in item.get("killed") or ()
            if each["stage"] == stage
        ]
        job_id = (item.get("jobs") or {}).get(stage)
        if job_id:
            named.append((stage, str(job_id)))
    found = arrays.describe(target.client("batch"), [job for _, job in named]) if named else []
    by_id = {str(job["jobId"]): job for job in found}
    return [(stage, by_id[job_id]) for stage, job_id in named if job_id in by_id]


def document(target: Target, stage: Stage, job: Mapping[str, Any]) -> StageJob:
    """A job for people and programs."""
    started, stopped = job.get("startedAt"), job.get("stoppedAt")
    seconds = ((stopped or time.time() * 1000) - started) / 1000 if started else None
    container = job.get("container") or {}
    return {
        "stage": stage,
        "fallback": str(job.get("jobName") or "").endswith(FALLBACK_ENDING),
        "job_id": str(job["jobId"]),
        "job_name": str(job["jobName"]),
        "status": str(job["status"]),
        "reason": job.get("statusReason") or container.get("reason") or None,
        "queue": _queue(target, str(job["jobQueue"]).rsplit("/", 1)[-1]),
        "created_at": moment(job.get("createdAt")),
        "started_at": moment(started),
        "stopped_at": moment(stopped),
        "seconds": None if seconds is None else round(max(seconds, 0.0), 3),
        "attempts": [_attempt(number, each) for number, each in _attempts(job)],
        "array": arrays.is_parent(job),
        "parts": list(_parts(target, job)),
    }


def _queue(target: Target, name: str) -> str:
    """As the config calls it, where it is one of the stack's."""
    known: dict[str, str] = target.outputs.get("queues", {})
    return next((own for own, physical in known.items() if physical == name), name)


def streams(target: Target, stage: Stage, job: Mapping[str, Any]) -> Iterator[Stream]:
    """The log streams of a job, those of its nodes or shards in place of its own."""
    group = _group(target, stage, job)
    for index, part in enumerate(parts_described(target, job)):
        position = _position(part, index)
        node = position if "#" in str(part["jobId"]) else None
        shard = position if ":" in str(part["jobId"]) else None
        for number, name in _stream_names(part):
            yield Stream(
                stage=stage, group=group, name=name, node=node, shard=shard, attempt=number
            )


def parts_described(target: Target, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Descriptions of the nodes or the shards of a job, or its own where it has none."""
    batch, job_id = target.client("batch"), str(job["jobId"])
    nodes = (job.get("nodeProperties") or {}).get("numNodes") or 0
    size = (job.get("arrayProperties") or {}).get("size") or 0
    if nodes:
        return arrays.describe(batch, [f"{job_id}#{index}" for index in range(nodes)])
    if size:
        return arrays.describe(batch, [f"{job_id}:{index}" for index in range(size)])
    return [dict(job)]


def _parts(target: Target, job: Mapping[str, Any]) -> Iterator[Part]:
    if not (job.get("nodeProperties") or (job.get("arrayProperties") or {}).get("size")):
        return
    for index, part in enumerate(parts_described(target, job)):
        started, stopped = part.get("startedAt"), part.get("stoppedAt")
        container = part.get("container") or {}
        yield {
            "index": _position(part, index),
            "status": str(part["status"]),
            "reason": part.get("statusReason") or container.get("reason") or None,
            "attempts": len(part.get("attempts") or []),
            "seconds": None if not (started and stopped) else round((stopped - started) / 1000, 3),
        }


def _position(part: Mapping[str, Any], index: int) -> int:
    """Node or shard number, by the id; descriptions need not come in order."""
    ending = str(part["jobId"]).replace("#", ":").rpartition(":")[2]
    return int(ending) if ending.isdigit() else index


def _attempts(job: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """Attempts that have ended, and the one that goes on."""
    ended: list[Mapping[str, Any]] = list(job.get("attempts") or [])
    begun = {each.get("startedAt") for each in ended}
    if job.get("status") == "RUNNING" and job.get("startedAt") not in begun:
        ended.append({"startedAt": job["startedAt"], "container": job.get("container") or {}})
    return list(enumerate(ended, start=1))


def _attempt(number: int, attempt: Mapping[str, Any]) -> Attempt:
    container = attempt.get("container") or {}
    started, stopped = attempt.get("startedAt"), attempt.get("stoppedAt")
    return {
        "number": number,
        "started_at": moment(started),
        "stopped_at": moment(stopped),
        "seconds": round((stopped - started) / 1000, 3) if started and stopped else None,
        "exit_code": container.get("exitCode"),
        "reason": container.get("reason") or attempt.get("statusReason") or None,
        "log_stream": container.get("logStreamName"),
    }


def _stream_names(part: Mapping[str, Any]) -> list[tuple[int, str]]:
    found: dict[str, int] = {}
    for number, attempt in _attempts(part):
        name = (attempt.get("container") or {}).get("logStreamName")
        if name:
            found.setdefault(str(name), number)
    current = (part.get("container") or {}).get("logStreamName")
    if current:
        found.setdefault(str(current), len(part.get("attempts") or []) or 1)
    return sorted((number, name) for name, number in found.items())


def _group(target: Target, stage: Stage, job: Mapping[str, Any]) -> str:
    """As the job was defined, which need not be as the stack is now."""
    ranges: Sequence[Mapping[str, Any]] = (job.get("nodeProperties") or {}).get(
        "nodeRangeProperties"
    ) or []
    containers = [job.get("container") or {}, *(each.get("container") or {} for each in ranges)]
    for container in containers:
        options = (container.get("logConfiguration") or {}).get("options") or {}
        if options.get("awslogs-group"):
            return str(options["awslogs-group"])
    return str(target.output("log_groups")[stage])
