"""Commands that show runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from cli.frame import RUNS, AsJson, Deployed, RunName, StageName, Watch, app, examples, out


@app.command(
    rich_help_panel=RUNS,
    epilog=examples(
        "runs --watch",
        "runs --state failed --from 2026-01-01",
        "runs --dataset sales --cost-above 5 -n 0 --json",
    ),
)
def runs(
    state: Annotated[
        list[str] | None,
        typer.Option(
            help="waiting, claimed, submitted, succeeded, failed, cancelled; may be repeated."
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set id, or the name of its files.")] = "",
    first: Annotated[
        str, typer.Option("--from", help="First day of the folders, 2026-01-31.")
    ] = "",
    last: Annotated[str, typer.Option("--to", help="Last day of the folders, included.")] = "",
    cost: Annotated[
        float | None,
        typer.Option("--cost-above", help="Only runs that cost more US dollars.", min=0),
    ] = None,
    most: Annotated[int, typer.Option("--most", "-n", help="How many; 0 for all.", min=0)] = 20,
    watch: Watch = False,
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """List runs, those begun last first.

    A run is WAITING (held by `pause`), CLAIMED (being submitted), SUBMITTED (under way), or it has
    ended as SUCCEEDED, FAILED or CANCELLED.
    """
    from cli import list_runs
    from cli.target import Target

    wanted = list_runs.Wanted.read(
        states=state or (), dataset=dataset, first=first, last=last, cost=cost, most=most
    )
    list_runs.show(out, Target.find(stack), wanted, watch=watch, as_json=as_json)


@app.command(
    rich_help_panel=RUNS, epilog=examples("show last --watch", "show 20260131-sales --json")
)
def show(
    name: RunName, watch: Watch = False, as_json: AsJson = False, stack: Deployed = ""
) -> None:
    """Show a run: stages, attempts, nodes or shards, reasons, cost, what was told, links.

    With --watch until the run has ended; the exit code then says whether it failed.
    """
    from cli import show_run
    from cli.target import Target

    raise typer.Exit(show_run.show(out, Target.find(stack), name, watch=watch, as_json=as_json))


@app.command(
    rich_help_panel=RUNS,
    epilog=examples(
        "logs last --follow",
        "logs 20260131-sales --stage analysis --node 0 --since 10m",
        'logs last --grep "rejected|Error" --json',
    ),
)
def logs(
    name: RunName,
    stage: StageName = "",
    node: Annotated[int | None, typer.Option(help="Of a multi-node job, from 0.", min=0)] = None,
    shard: Annotated[int | None, typer.Option(help="Of an array job, from 0.", min=0)] = None,
    attempt: Annotated[int | None, typer.Option(help="Of the job, from 1.", min=1)] = None,
    since: Annotated[str, typer.Option(help="10m, 2h, 1d, or 2026-01-31T02:00 (UTC).")] = "",
    grep: Annotated[str, typer.Option(help="Only lines that match a regular expression.")] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")
    ] = False,
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Print the log of a run: all stages, nodes, shards and attempts in the order of time.

    With --json each line is a document of its own.
    """
    from cli import logs as command
    from cli.target import Target

    wanted = command.Wanted.read(
        stage=stage, node=node, shard=shard, attempt=attempt, since=since, grep=grep
    )
    raise typer.Exit(
        command.show(out, Target.find(stack), name, wanted, follow=follow, as_json=as_json)
    )


@app.command(
    rich_help_panel=RUNS,
    epilog=examples("results last", "results last --out rows.parquet", "results last --json"),
)
def results(
    name: RunName,
    form: Annotated[
        str, typer.Option("--format", help="table, csv, json or parquet; by the ending of --out.")
    ] = "",
    file: Annotated[Path | None, typer.Option("--out", help="Write to a file.")] = None,
    most: Annotated[
        int | None,
        typer.Option(
            "--most", "-n", help="How many remote rows; 10 on a terminal, else all.", min=1
        ),
    ] = None,
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Print what a run found, with the most remote rows and their values.

    csv and parquet hold the remote rows alone, in the columns of findings.parquet (docs/data.md).
    """
    from cli import results as command
    from cli.target import Target

    form = "json" if as_json else form
    raise typer.Exit(
        command.results(out, Target.find(stack), name, form=form, file=file, most=most)
    )


@app.command(rich_help_panel=RUNS, epilog=examples("report last", "report last --out report.html"))
def report(
    name: RunName,
    file: Annotated[
        Path | None, typer.Option("--out", help="Save it here and open nothing.")
    ] = None,
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Open the report of a run in the browser, or save it."""
    from cli import results as command
    from cli.target import Target

    raise typer.Exit(command.report(Target.find(stack), name, file=file, as_json=as_json))


@app.command(rich_help_panel=RUNS, epilog=examples("compare 20260130-sales 20260131-sales"))
def compare(first: RunName, second: RunName, as_json: AsJson = False, stack: Deployed = "") -> None:
    """Say what differs between two runs: schema, rows, profile, drift, findings, settings, code,
    time, cost.
    """
    from cli import compare as command
    from cli.target import Target

    raise typer.Exit(command.compare(out, Target.find(stack), first, second, as_json=as_json))


@app.command(rich_help_panel=RUNS, epilog=examples("ui", "ui prod", "ui --no-browser --port 8080"))
def ui(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[STACK]",
            help="The same as --stack.",
            autocompletion=completion.stacks,
            show_default=False,
        ),
    ] = "",
    port: Annotated[
        int,
        typer.Option(help="On the loopback interface; 0 takes a free one.", min=0, max=65_535),
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether to open the browser.")
    ] = True,
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Serve the page of runs to this machine's browser, with each run's log as it comes.

    The page refreshes itself, and its links lead to the reports. Only this machine gets in, by an
    address that is new with each start. ^C ends it.
    """
    from cli.target import Target
    from cli.ui import command

    target = Target.find(name or stack)
    raise typer.Exit(command.serve(target, port=port, browser=browser, as_json=as_json))
