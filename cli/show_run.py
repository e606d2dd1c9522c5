"""`show`: one run with its stages, attempts, nodes and shards, reasons, cost, what was told, and
where to look further.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli import beginnings, jobs, list_runs, runs_index, watching
from cli.documents import Attempt, Figures, Killed, Reclaimed, Shown, StageCost, StageJob, Told
from cli.errors import ExitCode
from cli.frame import print_json
from cli.runs_index import ENDED, Entry, plain
from cli.target import Target
from workloads import formats, metrics
from workloads.contract import STAGES, Run
from workloads.functions import losses
from workloads.postprocess import figures
from workloads.runtime.quoting import escaped

_STYLES = {"SUCCEEDED": "green", "FAILED": "bold red", "RUNNING": "cyan", "STARTING": "cyan"}
_WORST_PARTS = 6


def show(console: Console, target: Target, name: str, *, watch: bool, as_json: bool) -> int:
    """Prints a run; with `watch` until it has ended.

    Returns an exit code that says whether it failed.
    """
    entry = runs_index.find(target, name)

    def look() -> Shown:
        return document(target, entry.run)

    if watch:
        found = watching.watch(
            console,
            look,
            lambda shown: _picture(shown, target),
            document=lambda shown: shown,
            as_json=as_json,
            ended=lambda shown: shown["run"]["state"] in ENDED,
        )
    else:
        found = look()
        if as_json:
            print_json(found)
        else:
            console.print(_picture(found, target))
    return ExitCode.RUN_FAILED if watch and found["run"]["state"] == "FAILED" else ExitCode.OK


def document(target: Target, run: Run) -> Shown:
    """All that is known of a run."""
    item = runs_index.state_item(target, run)
    entry = Entry(
        run_id=run.run_id,
        state=str(item.get("state") or "?"),
        claimed_ms=int(item.get("first_claimed_ms") or 0),
        item=item,
    )
    described = [jobs.document(target, stage, job) for stage, job in jobs.of_run(target, item)]
    failure = item.get("failure") or {}
    others = _others(target, run, [each["job_id"] for each in described])
    summary = others.get("SUMMARY")
    return {
        "run": list_runs.line(entry),
        "execution": item.get("execution_arn"),
        "stages": described,
        "beginnings": list(beginnings.of_run(target, run, described)),
        "costs": list(_costs(item)),
        "reclaimed": _reclaimed(item),
        "killed": list(_killed(item)),
        "failed_stage": failure.get("stage") if failure.get("stage") in STAGES else None,
        "what_to_do": failure.get("hint") or None,
        "told": list(_told(entry, item, others)),
        "figures": None if summary is None else _figures(summary),
        "links": _links(target, run, described, has_report=summary is not None),
    }


def _others(target: Target, run: Run, job_ids: list[str]) -> dict[str, dict[str, Any]]:
    """The items besides the state: `SUMMARY`, `FORBIDDEN`, and `BLOCKED <job>`."""
    client, table = target.client("dynamodb"), target.output("table")
    found: dict[str, dict[str, Any]] = {}
    for name in ("SUMMARY", "FORBIDDEN"):
        key = {"pk": {"S": run.partition_key}, "sk": {"S": f"{run.sort_key_prefix}{name}"}}
        raw = client.get_item(TableName=table, Key=key).get("Item")
        if raw:
            found[name] = {each: plain(value) for each, value in raw.items()}
    for job_id in job_ids:
        pages = client.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"{metrics.BLOCKED_KEY_PREFIX}{job_id}"}},
        )
        for raw in pages["Items"]:
            item = {each: plain(value) for each, value in raw.items()}
            found[f"BLOCKED {job_id} {item['sk']}"] = item
    return found


def _told(
    entry: Entry, item: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
) -> Iterator[Told]:
    if "FORBIDDEN" in others:
        at = others["FORBIDDEN"].get("told_at")
        yield {"what": "that a policy forbids to begin the run", "at": at, "to": "Slack"}
    for name, other in others.items():
        if name.startswith("BLOCKED "):
            what = f"that the queue is blocked behind a job of the run ({other['sk']})"
            yield {"what": what, "at": other.get("told_at"), "to": "Slack"}
    if entry.state in ENDED:
        what = {
            "SUCCEEDED": "the findings",
            "FAILED": "the failure",
            "CANCELLED": "that the run was cancelled",
        }[entry.state]
        yield {"what": what, "at": item.get("told_at"), "to": "Slack"}


def _costs(item: Mapping[str, Any]) -> Iterator[StageCost]:
    spent: Mapping[str, Mapping[str, Any]] = item.get("spent") or {}
    for stage in (*STAGES, "fallback"):
        if stage in spent:
            each = spent[stage]
            yield {
                "stage": stage,
                "attempts": int(each.get("attempts") or 1),
                "seconds": each.get("seconds"),
                "usd": each.get("usd"),
            }


def _reclaimed(item: Mapping[str, Any]) -> Reclaimed | None:
    found = item.get("reclaimed")
    if not found:
        return None
    return {
        "attempts": int(found["attempts"]),
        "jobs": int(found["jobs"]),
        "seconds": found.get("seconds"),
        "usd": found.get("usd"),
    }


def _killed(item: Mapping[str, Any]) -> Iterator[Killed]:
    for each in item.get("killed") or ():
        yield {
            "stage": str(each["stage"]),
            "job_id": str(each["job_id"]),
            "memory_mib": int(each["memory_mib"]),
            "at": each.get("at"),
        }


def _figures(summary: Mapping[str, Any]) -> Figures:
    drifts = (summary.get("drift") or {}).get("strongest") or []
    first = drifts[0] if drifts else None
    top = (summary.get("anomalies") or {}).get("top") or []
    return {
        "rows": int(summary["table"]["rows"]),
        "rejected_rows": int(summary["table"]["rejected_rows"]),
        "most_remote_line": int(top[0]["line"]) if top else None,
        "most_remote_score": top[0]["score"] if top else None,
        "strongest_drift": None if first is None else str(first.get("column") or first),
        "digest": str(summary.get("digest") or ""),
    }


def _links(target: Target, run: Run, stages: list[StageJob], *, has_report: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    if has_report:
        found["report"] = f"s3://{target.output('results_bucket')}/{run.report_key}"
        found["findings"] = f"s3://{target.output('results_bucket')}/{run.findings_key}"
    if target.endpoint_url is None:
        region = target.output("region")
        console = f"https://{region}.console.aws.amazon.com/batch/home?region={region}"
        for each in stages:
            name = "fallback" if each["fallback"] else each["stage"]
            found[name] = f"{console}#jobs/detail/{quote(each['job_id'])}"
    return found


@dataclass(frozen=True)
class _Picture:
    """What a person sees of a run."""

    shown: Shown
    target: Target

    def head(self) -> Iterator[RenderableType]:
        run = self.shown["run"]
        state = Text(run["state"], style=list_runs.STYLES.get(run["state"], ""))
        yield Text.assemble((run["run_id"], "bold"), "  ", state)
        attempt = f", attempt {run['attempt']}" if run["attempt"] > 1 else ""
        times = f"begun {_time(run['begun_at'])}{attempt}"
        times += f", ended {_time(run['ended_at'])}" if run["ended_at"] else ""
        yield _plain(f"{run['key'] or 'jobs submitted by hand'}; {times}")
        if run["failure"]:
            stage = f"{self.shown['failed_stage']}: " if self.shown["failed_stage"] else ""
            yield Text(f"why      {escaped(stage + run['failure'])}", style="red")
        if self.shown["what_to_do"]:
            yield _plain(f"to do    {self.shown['what_to_do']}")
        for each in self.shown["killed"]:
            yield _plain(
                f"memory   {each['stage']} was killed for its memory and begun again with"
                f" {each['memory_mib']} MiB ({_time(each['at'])})"
            )

    def stages(self) -> Iterator[RenderableType]:
        costs = {each["stage"]: each for each in self.shown["costs"]}
        began = {each["job_id"]: beginnings.note(each) for each in self.shown["beginnings"]}
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("stage", "status", "begun", "took", "cost", "what"):
            table.add_column(name, overflow="fold", no_wrap=name != "what")
        known = {each["stage"] for each in self.shown["stages"]}
        for stage in STAGES:
            for job in (each for each in self.shown["stages"] if each["stage"] == stage):
                name = "fallback" if job["fallback"] else stage
                table.add_row(*_row(name, job, costs.get(name), began.get(job["job_id"], "")))
            if stage not in known:
                cost = costs.get(stage)
                note = "of an earlier attempt, or no longer known to AWS Batch" if cost else ""
                took = None if cost is None else cost["seconds"]
                table.add_row(
                    Text(stage),
                    Text("" if cost else "not begun", style="dim"),
                    "",
                    "" if took is None else formats.duration(took),
                    _dollars(cost),
                    Text(note, style="dim"),
                )
        yield table
        if self.shown["run"]["usd"] is not None:
            yield _plain(
                f"cost     {formats.dollars(self.shown['run']['usd'])} on AWS, as report and Slack"
                " show it"
            )

    def lost(self) -> Iterator[RenderableType]:
        found = self.shown["reclaimed"]
        if found is not None and found["attempts"]:
            yield _plain(f"spot     {losses.sentence(found)}")

    def rest(self) -> Iterator[RenderableType]:
        for told in self.shown["told"]:
            when = _time(told["at"]) if told["at"] else "not yet, or the stack has no Slack"
            yield _plain(f"told     {told['to']}: {told['what']} ({when})")
        found = self.shown["figures"]
        if found is not None:
            line = found["most_remote_line"]
            remote = "" if line is None else f", most remote is line {figures.count(line)}"
            drift = (
                f", strongest drift in {found['strongest_drift']}"
                if found["strongest_drift"]
                else ""
            )
            yield _plain(
                f"found    {figures.count(found['rows'])} rows,"
                f" {figures.count(found['rejected_rows'])} rejected{remote}{drift}"
            )
        for name, link in self.shown["links"].items():
            yield Text(f"{name:<8} {link}", style="dim", overflow="fold")
        run = self.shown["run"]
        words = {
            "SUCCEEDED": f"results {run['run_id']}",
            "FAILED": f"retry {run['run_id']}",
            "CANCELLED": f"retry {run['run_id']}",
            "WAITING": "resume",
        }.get(run["state"], self._under_way())
        yield _plain(f"next     {self.target.command(words)}")

    def _under_way(self) -> str:
        """What helps with a run that goes on: its log, or the reason why nothing of it runs."""
        run_id = self.shown["run"]["run_id"]
        statuses = {each["status"] for each in self.shown["stages"]}
        runs = statuses & {"STARTING", "RUNNING"}
        return f"logs {run_id} --follow" if runs else f"why {run_id}"


def _picture(shown: Shown, target: Target) -> Group:
    picture = _Picture(shown, target)
    return Group(*picture.head(), "", *picture.stages(), *picture.lost(), "", *picture.rest())


def _row(name: str, job: StageJob, cost: StageCost | None, began: str) -> list[RenderableType]:
    took = "" if job["seconds"] is None else formats.duration(job["seconds"])
    return [
        Text(name),
        Text(job["status"], style=_STYLES.get(job["status"], "yellow")),
        Text((job["started_at"] or "")[11:19]),
        Text(took),
        Text(_dollars(cost)),
        Text("; ".join(filter(None, [*notes(job), began]))),
    ]


def notes(job: StageJob) -> Iterator[str]:
    """What is worth a word of a job: why it ended or waits, its attempts, its nodes or shards."""
    ended = job["status"] in {"SUCCEEDED", "FAILED"}
    if job["reason"] and job["status"] != "SUCCEEDED":
        yield escaped(job["reason"])
    if len(job["attempts"]) > 1:
        yield f"{len(job['attempts'])} attempts: " + ", ".join(
            _attempt(each) for each in job["attempts"]
        )
    elif job["attempts"] and job["attempts"][0]["exit_code"]:
        yield f"exit code {job['attempts'][0]['exit_code']}"
    if job["parts"]:
        what = "shard" if job["array"] else "node"
        counts: dict[str, int] = {}
        for part in job["parts"]:
            counts[part["status"]] = counts.get(part["status"], 0) + 1
        yield f"{len(job['parts'])} {what}s" + (
            ""
            if ended and len(counts) == 1
            else ": " + ", ".join(f"{count} {status}" for status, count in counts.items())
        )
        failed = [part for part in job["parts"] if part["status"] == "FAILED"]
        for part in failed[:_WORST_PARTS] if len(counts) > 1 else ():
            yield f"{what} {part['index']}: {escaped(part['reason'] or 'FAILED')}"
    if not job["started_at"] and not ended:
        yield f"waits on {job['queue']} since {_time(job['created_at'])}"


def _attempt(attempt: Attempt) -> str:
    code = attempt["exit_code"]
    reason = attempt["reason"] or ""
    took = "" if attempt["seconds"] is None else f"{formats.duration(attempt['seconds'])}, "
    ended = escaped(reason) if code is None else f"exit code {code}"
    return f"{attempt['number']} ({took}{ended if attempt['stopped_at'] else 'goes on'})"


def _dollars(cost: StageCost | None) -> str:
    return "" if cost is None or cost["usd"] is None else formats.dollars(cost["usd"])


def _time(moment: str | None) -> str:
    return "?" if moment is None else moment[:16].replace("T", " ")


def _plain(text: str) -> Text:
    return Text(escaped(text))
