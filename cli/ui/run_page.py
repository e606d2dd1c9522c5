"""The page of one run: where it is, why, what it cost, and its log as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cli import logs, show_run
from cli.documents import LogLine, Shown, StageJob
from cli.target import Target
from workloads import formats, names
from workloads.contract import STAGES, Run
from workloads.page.shell import document, source, text
from workloads.page.table import count, state
from workloads.run_index import ENDED
from workloads.runtime.quoting import escaped

_FOLDER: Final = Path(__file__).parent


def html(target: Target, run: Run, stack: str) -> bytes:
    """The whole page."""
    stages = "".join(f"<option>{stage}</option>" for stage in STAGES)
    body = (
        '<a class="skip" href="#log">To the log</a>\n<header>\n'
        f'<p class="eyebrow"><a href="../../">Runs of {text(stack)}</a></p>\n'
        f'</header>\n<main>\n<div id="run">\n{look(target, run)[0]}\n</div>\n'
        '<section aria-labelledby="log-title"><h2 id="log-title">Log</h2>\n'
        '<div class="controls"><label>Find <input type="search" id="find" autocomplete="off"'
        ' spellcheck="false"></label>\n<label>Stage <select id="stage"><option value="">all'
        f"</option>{stages}</select></label>\n"
        '<label><input type="checkbox" id="follow" checked> follow</label>\n'
        '<span id="live" role="status">looks for lines</span></div>\n'
        '<p id="cut" class="soft" hidden></p>\n'
        '<ol id="log" class="log" tabindex="0" aria-label="Log of the run"></ol></section>\n</main>'
    )
    return document(
        title=f"{_title(run, None)}, stack {stack}",
        body=body,
        style=source("base.css") + source("page.css") + source("run.css", _FOLDER),
        script=source("run.js", _FOLDER),
        attributes={"run": run.run_id},
    )


def look(target: Target, run: Run) -> tuple[str, bool]:
    """What changes from one look to the next, and whether no more will; asks AWS."""
    shown = show_run.document(target, run)
    # the run ends before the job does that ended it, and the last lines come after both
    at_work = any(job["status"] not in {"SUCCEEDED", "FAILED"} for job in shown["stages"])
    ended = shown["run"]["state"] in ENDED and not at_work
    markup = "\n".join((*_head(shown, run), *_stages(shown), *_rest(shown, run, target)))
    return markup, ended


def line(found: LogLine) -> list[str]:
    """A line of the log for the browser, which shows it as text: moment, stage, where it comes
    from, level, message.
    """
    short = logs.short_fields(found)
    message = escaped(f"{found['message']}  {short}" if short else found["message"])
    level = (found["level"] or "").lower()
    return [found["time"][11:23], found["stage"], logs.label(found), level, message]


def _title(run: Run, key: str | None) -> str:
    date = f"{run.date[:4]}-{run.date[4:6]}-{run.date[6:]}"
    return f"{names.title(key) if key else run.dataset} {date}"


def _head(shown: Shown, run: Run) -> Iterator[str]:
    found = shown["run"]
    yield f"<h1>{text(_title(run, found['key']))}</h1>"
    attempt = f" · attempt {found['attempt']}" if found["attempt"] > 1 else ""
    yield f"<p>{state(found['state'])} <code>{run.run_id}</code>{attempt}</p>"
    if found["failure"]:
        stage = f"{shown['failed_stage']}: " if shown["failed_stage"] else ""
        yield f'<p class="failed"><strong>Why</strong> {text(stage + found["failure"])}</p>'
    if shown["what_to_do"]:
        yield f"<p><strong>What to do</strong> {text(shown['what_to_do'])}</p>"


def _stages(shown: Shown) -> Iterator[str]:
    costs = {each["stage"]: each["usd"] for each in shown["costs"]}
    yield '<h2>Stages</h2>\n<ul class="stages">'
    known = {each["stage"] for each in shown["stages"]}
    for stage in STAGES:
        for job in (each for each in shown["stages"] if each["stage"] == stage):
            name = "fallback" if job["fallback"] else stage
            usd = costs.get(name)
            facts = [*_facts(job), *([formats.dollars(usd)] if usd is not None else [])]
            yield (
                f'<li class="{job["status"].lower()}"><b>{name}</b> <span class="status">'
                f"{job['status']}</span> <span>{text(' · '.join(facts))}</span></li>"
            )
        if stage not in known:
            over = "no longer known to AWS Batch" if stage in costs else "not begun"
            yield f'<li class="soft"><b>{stage}</b> <span class="status">{over}</span></li>'
    yield "</ul>"


def _facts(job: StageJob) -> Iterator[str]:
    """What a person wants to know of a job; nothing that changes with each look."""
    if job["stopped_at"] and job["seconds"] is not None:
        yield formats.duration(job["seconds"])
    elif job["started_at"]:
        yield f"since {job['started_at'][11:19]}"
    yield from show_run.notes(job)


def _rest(shown: Shown, run: Run, target: Target) -> Iterator[str]:
    inner = "".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in _known(shown))
    yield f'<dl class="facts">{inner}</dl>'
    links = [
        f'<a href="{text(address)}" rel="noreferrer">{text(name)} in the console</a>'
        for name, address in shown["links"].items()
        if address.startswith("https://")
    ]
    if "report" in shown["links"]:
        links.insert(0, f'<a href="../../{run.report_key}">Report</a>')
    if links:
        yield f"<p>{' · '.join(links)}</p>"
    commands = (target.command(f"{word} {run.run_id}") for word in _commands(shown))
    yield f'<p class="soft">{"<br>".join(f"<code>{text(each)}</code>" for each in commands)}</p>'


def _known(shown: Shown) -> Iterator[tuple[str, str]]:
    """Label and markup of what is known of a run."""
    found, figures = shown["run"], shown["figures"]
    if found["key"]:
        yield "File", f"<code>{text(found['key'])}</code>"
    for name, at in (("Begun", found["begun_at"]), ("Ended", found["ended_at"])):
        if at:
            yield name, f"{_time(at)} UTC"
    if found["usd"] is not None:
        yield "Cost", formats.dollars(found["usd"])
    if figures is not None:
        yield "Found", f"{count(figures['rows'], 'row')}, {figures['rejected_rows']:,} rejected"
        if figures["strongest_drift"]:
            yield "Strongest drift", f"<code>{text(figures['strongest_drift'])}</code>"
    for told in shown["told"]:
        when = _time(told["at"]) if told["at"] else "not yet, or the stack has no Slack"
        yield f"Told {told['to']}", text(f"{told['what']} ({when})")


def _time(moment: str) -> str:
    return moment[:19].replace("T", " ")


def _commands(shown: Shown) -> Iterator[str]:
    """Words of the commands that go on from here."""
    name = shown["run"]["state"]
    if name in {"FAILED", "CANCELLED"}:
        yield from ("why", "retry")
    elif name == "SUCCEEDED":
        yield from ("results", "show")
    else:
        yield from ("why", "cancel")
