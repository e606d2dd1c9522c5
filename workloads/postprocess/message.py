"""What Slack hears of a run that succeeded."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from workloads.contract import Run
from workloads.functions import slack
from workloads.postprocess import figures
from workloads.postprocess.findings import METRIC_NAMES

_NOTABLE = 8
_DRIFTS = 5
_REMOTE_ROWS = 5


def build(run: Run, summary: dict[str, Any], *, console_url: str, bucket: str, stack: str) -> slack.Message:
    """Rows, rejects, missing cells, drifts, notable columns, the most remote rows, time, cost, how the analysis went, where the report is.

    Args:
        run: the run.
        summary: see findings.build.
        console_url: prefix of a page for an object of the results bucket; empty: its S3 address is shown.
        bucket: results bucket.
        stack: name of the stack, since several may tell one channel.
    """
    table, record, drift = summary["table"], summary["run"], summary["drift"]
    title = f"{run.dataset} {figures.date(run.date)}: {figures.count(table['rows'])} rows analysed"
    cells = table["rows"] * table["columns"]
    blocks = [
        slack.header(title),
        slack.fields(
            [
                ("Rows", figures.count(table["rows"])),
                ("Rejected", f"{figures.count(table['rejected_rows'])} ({figures.percent(table['rejected_rows'], table['rows_read'])})"),
                ("Missing cells", f"{figures.count(table['missing_cells'])} ({figures.percent(table['missing_cells'], cells)})"),
                ("Columns", f"{figures.count(table['columns'])}, {figures.count(table['number_columns'])} of them numbers"),
                ("Duration", figures.duration(record["elapsed_seconds"] or record["compute_seconds"])),
                ("Cost", figures.dollars(record["usd"]) if record["usd"] is not None else "not known"),
            ]
        ),
        slack.section(_drift(drift)),
    ]
    notable = summary["notable"]
    if notable:
        lines = [f"• {slack.code(entry['column'])} {slack.escape(entry['finding'])}" for entry in notable[:_NOTABLE]]
        more = len(notable) - _NOTABLE
        blocks.append(slack.section("*Notable*\n" + "\n".join(lines) + (f"\n… and {more} more in the report" if more > 0 else "")))
    if summary["anomalies"] is not None and summary["anomalies"]["top"]:
        blocks.append(slack.section(_most_remote(summary["anomalies"])))
    if console_url:
        blocks.append(slack.section(slack.link(console_url + quote(run.report_key), "Open the report")))
    else:
        blocks.append(slack.section(f"Report: {slack.code(f's3://{bucket}/{run.report_key}')}"))
    blocks.append(slack.context(_analysis(summary["provenance"]["analysis"])))
    blocks.append(slack.context(f"Stack {slack.code(stack)} · run {slack.code(run.run_id)} · digest {slack.code(summary['digest'][:16])}"))
    return slack.Message(text=slack.escape(title), blocks=tuple(blocks))


def _most_remote(anomalies: dict[str, Any]) -> str:
    """The rows farthest from all others, each with the columns that make it so."""
    lines = []
    for entry in anomalies["top"][:_REMOTE_ROWS]:
        parts = ", ".join(f"{slack.code(part['column'])} {figures.number(part['value'])}" for part in entry["columns"])
        lines.append(f"• row {figures.count(entry['row'])}, distance {figures.number(entry['score'])}" + (f": {parts}" if parts else ""))
    certified = figures.percent(anomalies["certified_fraction"], 1)
    compared = f"{figures.count(anomalies['complete_rows'])} by {METRIC_NAMES[anomalies['metric']]}"
    return "\n".join([f"*Most remote rows* of {compared} (exact; {certified} certified by bounds)", *lines])


def _analysis(record: dict[str, Any]) -> str:
    """How the analysis went, in one line."""
    parts = [f"{figures.duration(record['seconds'].get('total'))} on {figures.count(record['ranks'])} ranks"]
    if record["percent_of_limit"]:
        limits = sorted(record["percent_of_limit"].items())
        parts.append(" and ".join(f"{stage} at {share:.0f} %" for stage, share in limits) + " of the measured limit")
    parts.append(f"{figures.size(record['peak_memory_bytes'])} memory per rank")
    if record["peak_device_bytes"]:
        parts.append(f"{figures.size(record['peak_device_bytes'])} on the GPU")
    if record["anomaly"] and record["anomaly"]["fallback_rows"]:
        parts.append(f"{figures.count(record['anomaly']['fallback_rows'])} rows in full precision")
    if record["checkpoint"]:
        parts.append(f"{figures.duration(record['checkpoint']['seconds'])} for checkpoints")
    return "Analysis: " + ", ".join(parts)


def _drift(drift: dict[str, Any]) -> str:
    if not drift["reference_run_id"]:
        return f"*Drift*\n{slack.escape(drift['note'])}"
    lines = [
        f"• {slack.code(entry['column'])} PSI {figures.number(entry['psi'])}, KS {figures.number(entry['ks'])}"
        for entry in drift["strongest"][:_DRIFTS]
    ]
    for key, label in (("new_columns", "New number columns"), ("gone_columns", "Number columns gone")):
        if drift[key]:
            lines.append(f"• {label}: {', '.join(slack.code(name) for name in drift[key][:10])}")
    head = f"*Largest drifts since {figures.date(drift['reference_date'])}*"
    return "\n".join([head, *(lines or ["No number column is in both tables."])])
