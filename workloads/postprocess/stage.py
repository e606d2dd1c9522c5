"""The postprocess stage: merge, check, store, report, tell. Order: results first, table next, LATEST and state, Slack last.

So nobody is pointed to something that is not there, and a crash at any point leaves a stage that can be run again from its beginning.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import boto3

from workloads import contract
from workloads.analysis.anomaly_result import load_anomalies
from workloads.analysis.profile.partials import load_profile, load_success
from workloads.contract import Run, Stage
from workloads.functions import slack
from workloads.functions.states import RunStates
from workloads.postprocess import athena, cost, findings, findings_table, items, message, reference, report, rows
from workloads.records import Manifest, StageRecord
from workloads.runtime import env, s3
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.errors import EXIT_REFUSED, StageError
from workloads.runtime.prices import prices

log = logging.getLogger(__name__)


def main(run: Run) -> dict[str, Any]:
    """Runs the stage and returns its figures for the stage record.

    Raises StageError and ContractError; nothing is written before the merged profile has been found to be the one that the analysis made.
    """
    clock, started_at = time.monotonic(), datetime.now(UTC)
    intermediate, results = env.text(contract.ENV_INTERMEDIATE_BUCKET), env.text(contract.ENV_RESULTS_BUCKET)
    table_name = env.text(contract.ENV_TABLE)
    show_values = env.flag(contract.ENV_SHOW_VALUES, default=True)
    usd_per_hour = prices()
    table = boto3.resource("dynamodb").Table(table_name)

    manifest_bytes = s3.get_bytes(intermediate, run.manifest_key)
    manifest, manifest_sha256 = Manifest.from_json(manifest_bytes), hashlib.sha256(manifest_bytes).hexdigest()
    read = functools.partial(s3.get_bytes, results)
    success = load_success(read, run, manifest_sha256)
    profile = load_profile(read, run, manifest_sha256)
    anomalies = None if success.anomaly is None else load_anomalies(read, run, success.anomaly, profile)
    log.info("partial results merged", extra={"fields": {"digest": success.digest, "partials": len(success.partials)}})
    ids = [] if anomalies is None else [row.row for row in anomalies.rows]
    cells = rows.read_rows(manifest, functools.partial(s3.read_range, intermediate, manifest.table_key), ids)
    remote = None
    if anomalies is not None:
        lines = rows.Lines.from_parquet(s3.get_bytes(intermediate, manifest.lines_key))
        remote = findings.Remote(anomalies=anomalies, rows=rows.source_rows(manifest, lines, cells, ids), lines=lines)

    comparison = reference.compare(results, table, run, profile)
    records = _stage_records(results, run)
    batch = BatchEnv.read()
    records["postprocess"] = StageRecord(
        stage="postprocess",
        run_id=run.run_id,
        started_at=started_at.isoformat(timespec="milliseconds"),
        seconds=round(time.monotonic() - clock, 3),  # so far: what is left is a few small writes
        attempt=batch.attempt,
        job_id=batch.job_id,
        details={},
    )
    analysis = {name: value for name, value in asdict(success).items() if name not in {"partials", "columns"}}
    if success.anomaly is not None:
        analysis["anomaly"] = {name: value for name, value in analysis["anomaly"].items() if name not in {"scores", "columns", "excluded"}}
    provenance = findings.Provenance(manifest_sha256=manifest_sha256, analysis=analysis)
    summary = findings.build(run, manifest, profile, comparison, remote, cost.of_run(records, usd_per_hour), provenance)

    reference.save(results, run, profile)
    s3.put_bytes(results, run.report_key, report.render(summary, profile), content_type="text/html; charset=utf-8")
    s3.put_bytes(results, run.summary_key, findings.to_json(summary), content_type="application/json")
    top = [] if remote is None else summary["anomalies"]["top"]
    s3.put_bytes(results, run.findings_key, findings_table.encode(run, top, cells), content_type="application/vnd.apache.parquet")
    ddl = athena.statements(run, manifest, intermediate_bucket=intermediate, results_bucket=results)
    s3.put_bytes(results, run.ddl_key, ddl.encode(), content_type="text/plain; charset=utf-8")
    written = items.write(table_name, items.of_summary(run, summary, show_values=show_values))
    latest = items.advance_latest(table, run, name=summary["name"], report_key=run.report_key, digest=success.digest)
    finished_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    RunStates(table).succeed(run, now_ms=int(time.time() * 1000), finished_at=finished_at, spent=items.of_spending(summary))
    console_url, stack = (os.environ.get(name, "").strip() for name in (contract.ENV_CONSOLE_URL, contract.ENV_STACK))
    told = _tell(message.build(run, summary, console_url=console_url, bucket=results, stack=stack or "?", show_values=show_values))
    return {"items": written, "latest": latest, "slack": told, "digest": success.digest, "usd": summary["run"]["usd"]}


def _stage_records(bucket: str, run: Run) -> dict[Stage, StageRecord]:
    """What the stages before this one said of themselves, as far as it is there: a missing record costs a figure and not the run."""
    found: dict[Stage, StageRecord] = {}
    stages: tuple[Stage, ...] = ("preprocess", "analysis")
    for stage in stages:
        try:
            found[stage] = StageRecord.from_json(s3.get_bytes(bucket, run.stage_record_key(stage)))
        except StageError as error:
            if error.exit_code != EXIT_REFUSED:
                raise
            log.warning("no stage record", extra={"fields": {"of": stage, "reason": str(error)}})
        except (ValueError, TypeError) as error:
            log.warning("stage record not readable", extra={"fields": {"of": stage, "reason": str(error)}})
    return found


def _tell(text: slack.Message) -> str:
    """Tells Slack and returns how it went, for the stage record.

    Slack being down does not fail the stage: findings, table and state are whole by now, a retry would compute them once more and Batch
    would call a finished run failed. The trouble stands in log and record.
    """
    url = os.environ.get(contract.ENV_SLACK_WEBHOOK_URL, "").strip()
    if not url:
        return "not configured"
    try:
        slack.post(url, text)
    except slack.SlackError as error:
        log.warning("Slack message not delivered", extra={"fields": {"reason": str(error)}})
        return f"not delivered: {error}"
    return "delivered"
