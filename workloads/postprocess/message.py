"""What Slack hears of a run that succeeded."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from workloads import formats
from workloads.contract import Run
from workloads.functions import losses, slack
from workloads.postprocess import figures
from workloads.postprocess.findings import METRIC_NAMES, NOTHING_TO_COMPARE

_NOTABLE = 8
_DRIFTS = 5
_REMOTE_ROWS = 5
_REMARKS = 6
_CELLS = 12
"""Cells of a remote row besides those that make it so: a section of Slack's holds 3000
characters.
"""
_CELL_CHARACTERS = 32


def build(
    run: Run,
    summary: dict[str, Any],
    *,
    console_url: str,
    bucket: str,
    stack: str,
    show_values: bool,
) -> slack.Message:
    """What was found in the table, how it was read, what the run took, and where the report is.

    Args:
        run: the run.
        summary: see findings.build.
        console_url: prefix of a page for an object of the results bucket; empty: its S3 address is
            shown.
        bucket: results bucket.
        stack: name of the stack, since several may tell one channel.
        show_values: whether cells of the file may stand in a chat.
    """
    title = (
        f"{summary['name']} {figures.date(run.date)}: {figures.count(summary['table']['rows'])}"
        " rows analysed"
    )
    blocks = [slack.header(title), slack.fields(_figures(summary))]
    unsure = [
        remark
        for remark in summary["remarks"]
        if not remark["sure"] and remark["code"] != NOTHING_TO_COMPARE
    ]
    if unsure:
        blocks.append(slack.section(_unsure(unsure, show_values=show_values)))
    if summary["nothing_to_compare"]:
        blocks.append(
            slack.section(
                "*Nothing to"
                f" compare*\n{slack.escape(slack.sentence(summary['nothing_to_compare']))}"
            )
        )
    blocks.append(slack.section(_drift(summary["drift"])))
    notable = summary["notable"]
    if notable:
        lines = [
            f"• {slack.code(entry['column'])} {slack.escape(entry['finding'])}"
            for entry in notable[:_NOTABLE]
        ]
        more = len(notable) - _NOTABLE
        blocks.append(
            slack.section(
                "*Notable*\n"
                + "\n".join(lines)
                + (f"\n… and {more} more in the report" if more > 0 else "")
            )
        )
    if summary["anomalies"] is not None and summary["anomalies"]["top"]:
        blocks.append(slack.section(_most_remote(summary["anomalies"], show_values=show_values)))
    if console_url:
        blocks.append(
            slack.section(slack.link(console_url + quote(run.report_key), "Open the report"))
        )
    else:
        blocks.append(slack.section(f"Report: {slack.code(f's3://{bucket}/{run.report_key}')}"))
    blocks.append(slack.context(_analysis(summary["provenance"]["analysis"])))
    blocks.append(
        slack.context(
            f"Stack {slack.code(stack)} · run {slack.code(run.run_id)} · digest"
            f" {slack.code(summary['digest'][:16])}"
        )
    )
    return slack.Message(text=slack.escape(title), blocks=tuple(blocks))


def _figures(summary: dict[str, Any]) -> list[tuple[str, str]]:
    table, record = summary["table"], summary["run"]
    lost = record["reclaimed"]
    cells = table["rows"] * table["columns"]
    return [
        ("Rows", figures.count(table["rows"])),
        (
            "Rejected",
            (
                f"{figures.count(table['rejected_rows'])}"
                f" ({figures.percent(table['rejected_rows'], table['rows_read'])})"
            ),
        ),
        (
            "Missing cells",
            (
                f"{figures.count(table['missing_cells'])}"
                f" ({figures.percent(table['missing_cells'], cells)})"
            ),
        ),
        (
            "Columns",
            (
                f"{figures.count(table['columns'])}, {figures.count(table['number_columns'])} of"
                " them numbers"
            ),
        ),
        ("Duration", formats.duration(record["elapsed_seconds"] or record["compute_seconds"])),
        ("Cost", formats.dollars(record["usd"]) if record["usd"] is not None else "not known"),
        *([("Spot", losses.sentence(lost))] if lost and lost["attempts"] else []),
    ]


def _unsure(remarks: list[dict[str, Any]], *, show_values: bool) -> str:
    """What the file could have meant otherwise; sentences may quote its cells."""
    lines = [
        "• "
        + (f"{slack.code(remark['column'])} " if remark["column"] else "")
        + slack.escape(slack.sentence(remark["sentence"] if show_values else remark["code"]))
        for remark in remarks[:_REMARKS]
    ]
    more = len(remarks) - _REMARKS
    return "\n".join(
        [
            "*How the file was read: please check*",
            *lines,
            *([f"… and {more} more in the report"] if more > 0 else []),
        ]
    )


def _most_remote(anomalies: dict[str, Any], *, show_values: bool) -> str:
    """The rows farthest from all others: where they stand in the file, why they are remote, and
    what they hold.
    """
    certified = figures.percent(anomalies["certified_fraction"], 1)
    compared = f"{figures.count(anomalies['complete_rows'])} by {METRIC_NAMES[anomalies['metric']]}"
    lines = [f"*Most remote rows* of {compared} (exact; {certified} certified by bounds)"]
    for entry in anomalies["top"][:_REMOTE_ROWS]:
        head = (
            f"• line {figures.count(entry['line'])}, row {figures.count(entry['row'])}, distance"
            f" {figures.number(entry['score'])}"
        )
        if not show_values:
            because = ", ".join(
                f"{slack.code(part['column'])} {figures.percent(part['share'], 1)}"
                for part in entry["columns"]
            )
            lines.append(head + (f": {because}" if because else ""))
            continue
        because = ", ".join(
            f"{slack.code(part['column'])} {figures.pair(part)}" for part in entry["columns"]
        )
        lines.append(head + (f": {because}" if because else ""))
        shown = {part["column"] for part in entry["columns"]}
        others = [name for name in (*entry["identifiers"], *entry["values"]) if name not in shown]
        cells = [
            f"{slack.escape(name)} {slack.code(_short(entry['values'][name]))}"
            for name in dict.fromkeys(others)
        ]
        more = len(cells) - _CELLS
        if cells:
            lines.append(
                "    "
                + ", ".join(cells[:_CELLS])
                + (f" and {more} more in the report" if more > 0 else "")
            )
    return "\n".join(lines)


def _short(cell: object) -> str:
    text = figures.cell(cell)
    return text if len(text) <= _CELL_CHARACTERS else f"{text[: _CELL_CHARACTERS - 1]}…"


def _analysis(record: dict[str, Any]) -> str:
    """How the analysis went, in one line."""
    parts = [
        (
            f"{formats.duration(record['seconds'].get('total'))}"
            f" on {figures.count(record['ranks'])} ranks"
        )
    ]
    if record["percent_of_limit"]:
        limits = sorted(record["percent_of_limit"].items())
        parts.append(
            " and ".join(f"{stage} at {share:.0f} %" for stage, share in limits)
            + " of the measured limit"
        )
    parts.append(f"{figures.size(record['peak_memory_bytes'])} memory per rank")
    if record["peak_device_bytes"]:
        parts.append(f"{figures.size(record['peak_device_bytes'])} on the GPU")
    if record["anomaly"] and record["anomaly"]["fallback_rows"]:
        parts.append(f"{figures.count(record['anomaly']['fallback_rows'])} rows in full precision")
    if record["checkpoint"]:
        parts.append(f"{formats.duration(record['checkpoint']['seconds'])} for checkpoints")
    return "Analysis: " + ", ".join(parts)


def _drift(drift: dict[str, Any]) -> str:
    if not drift["reference_run_id"]:
        return f"*Drift*\n{slack.escape(drift['note'])}"
    lines = [
        f"• {slack.code(entry['column'])} PSI {figures.number(entry['psi'])}, KS"
        f" {figures.number(entry['ks'])}"
        for entry in drift["strongest"][:_DRIFTS]
    ]
    for key, label in (
        ("new_columns", "New number columns"),
        ("gone_columns", "Number columns gone"),
    ):
        if drift[key]:
            lines.append(f"• {label}: {', '.join(slack.code(name) for name in drift[key][:10])}")
    head = f"*Largest drifts since {figures.date(drift['reference_date'])}*"
    return "\n".join([head, *(lines or ["No number column is in both tables."])])
