"""The postprocess stage: merge, check, store, report, tell. Order: results, table, LATEST, the
stage's record, state, the page of runs, Slack.

So nobody is pointed to something that is not there, and a crash at any point leaves a stage that
can be run again from its beginning.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from workloads.analysis.outliers.result import load_anomalies
from workloads.analysis.pipeline.partials import load_profile, load_success
from workloads.contract import Run, Stage
from workloads.formats import now
from workloads.functions.states import RunStates
from workloads.lines import Lines
from workloads.page import writing
from workloads.postprocess import (
    athena,
    cost,
    findings,
    findings_table,
    items,
    message,
    notification,
    reclaims,
    reference,
    report,
    rows,
)
from workloads.records import Manifest, StageRecord
from workloads.runtime import env, s3
from workloads.runtime.batch_env import BatchEnv
from workloads.runtime.beginning import beginning
from workloads.runtime.errors import EXIT_REFUSED, StageError
from workloads.runtime.prices import prices
from workloads.variables import (
    ENV_CONSOLE_URL,
    ENV_INTERMEDIATE_BUCKET,
    ENV_RESULTS_BUCKET,
    ENV_SHOW_VALUES,
    ENV_STACK,
    ENV_TABLE,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

log = logging.getLogger(__name__)


@dataclass
class Postprocess:
    """The stage in two steps: what stands before its own stage record is written, and what comes
    after, the end of the run first.
    """

    _summary: dict[str, Any] = field(default_factory=dict)

    def prepare(self, run: Run) -> dict[str, Any]:
        """Results, items and LATEST; returns the stage's figures for its record.

        Raises StageError and ContractError; nothing is written before the merged profile has been
        found to be the one that the analysis made.
        """
        clock, started_at = time.monotonic(), datetime.now(UTC)
        intermediate, results = (
            env.text(ENV_INTERMEDIATE_BUCKET),
            env.text(ENV_RESULTS_BUCKET),
        )
        table_name = env.text(ENV_TABLE)
        show_values = env.flag(ENV_SHOW_VALUES, default=True)
        table = _table()
        priced = reclaims.look(run, RunStates(table), prices())

        manifest_bytes = s3.get_bytes(intermediate, run.manifest_key)
        manifest, manifest_sha256 = (
            Manifest.from_json(manifest_bytes),
            hashlib.sha256(manifest_bytes).hexdigest(),
        )
        read = functools.partial(s3.get_bytes, results)
        success = load_success(read, run, manifest_sha256)
        profile = load_profile(read, run, manifest_sha256)
        anomalies = (
            None if success.anomaly is None else load_anomalies(read, run, success.anomaly, profile)
        )
        log.info(
            "partial results merged",
            extra={"fields": {"digest": success.digest, "partials": len(success.partials)}},
        )
        ids = [] if anomalies is None else [row.row for row in anomalies.rows]
        cells = rows.read_rows(
            manifest, functools.partial(s3.read_range, intermediate, manifest.table_key), ids
        )
        remote = None
        if anomalies is not None:
            lines = Lines.from_parquet(s3.get_bytes(intermediate, manifest.lines_key))
            remote = findings.Remote(
                anomalies=anomalies, rows=rows.source_rows(manifest, lines, cells, ids), lines=lines
            )

        comparison = reference.compare(results, table, run, profile)
        records = _stage_records(results, run)
        batch = BatchEnv.read()
        records["postprocess"] = StageRecord(
            stage="postprocess",
            run_id=run.run_id,
            started_at=started_at.isoformat(timespec="milliseconds"),
            seconds=round(
                time.monotonic() - clock, 3
            ),  # so far: what is left is a few small writes
            attempt=batch.attempt,
            job_id=batch.job_id,
            details={},
            beginning=beginning(started_at),
        )
        analysis = {
            name: value
            for name, value in asdict(success).items()
            if name not in {"partials", "columns"}
        }
        if success.anomaly is not None:
            left_out = {"scores", "columns", "excluded"}
            analysis["anomaly"] = {
                name: value for name, value in analysis["anomaly"].items() if name not in left_out
            }
        provenance = findings.Provenance(manifest_sha256=manifest_sha256, analysis=analysis)
        summary = findings.build(
            run,
            manifest,
            profile,
            comparison,
            remote,
            cost.of_run(records, priced.usd_per_hour, priced.reclaimed),
            provenance,
        )

        reference.save(results, run, profile)
        s3.put_bytes(
            results,
            run.report_key,
            report.render(summary, profile),
            content_type="text/html; charset=utf-8",
        )
        s3.put_bytes(
            results, run.summary_key, findings.to_json(summary), content_type="application/json"
        )
        top = [] if remote is None else summary["anomalies"]["top"]
        s3.put_bytes(
            results,
            run.findings_key,
            findings_table.encode(run, top, cells),
            content_type="application/vnd.apache.parquet",
        )
        ddl = athena.statements(
            run, manifest, intermediate_bucket=intermediate, results_bucket=results
        )
        s3.put_bytes(results, run.ddl_key, ddl.encode(), content_type="text/plain; charset=utf-8")
        written = items.write(table_name, items.of_summary(run, summary, show_values=show_values))
        latest = items.advance_latest(
            table, run, name=summary["name"], report_key=run.report_key, digest=success.digest
        )
        self._summary = summary
        return {
            "items": written,
            "latest": latest,
            "digest": success.digest,
            "usd": summary["run"]["usd"],
        }

    def finish(self, run: Run) -> dict[str, Any]:
        """Ends the run, which prepare has readied, writes the page of runs and tells Slack; returns
        how that went.

        Raises StageError.
        """
        states, results = RunStates(_table()), env.text(ENV_RESULTS_BUCKET)
        finished_at = now()
        if not states.succeed(
            run,
            now_ms=int(time.time() * 1000),
            finished_at=finished_at,
            spent=items.of_spending(self._summary),
        ):
            return {"slack": "not told: somebody cancelled the run, and that was told"}
        page = writing.refresh(run, boto3.client("dynamodb"))
        console_url, stack = (
            os.environ.get(name, "").strip() for name in (ENV_CONSOLE_URL, ENV_STACK)
        )
        show_values = env.flag(ENV_SHOW_VALUES, default=True)
        text = message.build(
            run,
            self._summary,
            console_url=console_url,
            bucket=results,
            stack=stack or "?",
            show_values=show_values,
        )
        return {"page": page, "slack": notification.tell(states, run, text, stack=stack)}


def main(run: Run) -> dict[str, Any]:
    """The whole stage without a record of its own. Raises StageError and ContractError."""
    stage = Postprocess()
    return {**stage.prepare(run), **stage.finish(run)}


def _table() -> Table:
    return boto3.resource("dynamodb").Table(env.text(ENV_TABLE))


def _stage_records(bucket: str, run: Run) -> dict[Stage, StageRecord]:
    """What the stages before this one said of themselves, as far as it is there: a missing record
    costs a figure and not the run.
    """
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
            log.warning(
                "stage record not readable", extra={"fields": {"of": stage, "reason": str(error)}}
            )
    return found
