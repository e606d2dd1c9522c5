"""Commands that begin, stop and repeat runs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.frame import OPERATE, Deployed, app, out

Again = Annotated[bool, typer.Option("--again", help="Begin a run again that has ended.")]


@app.command(rich_help_panel=OPERATE)
def run(
    key: Annotated[str, typer.Argument(help="Of an uploaded CSV: data/20260131/sales.csv.")],
    again: Again = False,
    first: Annotated[
        str,
        typer.Option(
            "--from", help="With --again: the stage to begin at; what comes before has to be there."
        ),
    ] = "",
    stack: Deployed = "",
) -> None:
    """Begin the run of an uploaded CSV by hand."""
    from cli import operate
    from cli.target import Target

    raise typer.Exit(operate.run(out, Target.find(stack), key, again=again, first=first))


@app.command(rich_help_panel=OPERATE)
def backfill(
    first: Annotated[str, typer.Option("--from", help="First day, 2026-01-31.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    again: Again = False,
    stack: Deployed = "",
) -> None:
    """Begin the runs of all uploads of some days."""
    from cli import operate
    from cli.target import Target

    raise typer.Exit(operate.backfill(out, Target.find(stack), first, last, again=again))


@app.command(rich_help_panel=OPERATE)
def replay(
    function: Annotated[
        str, typer.Argument(help="submit, notify, daily or alarm: whose dead letters.")
    ] = "submit",
    stack: Deployed = "",
) -> None:
    """Give a function the events again that it could not handle."""
    from cli import operate
    from cli.target import Target

    raise typer.Exit(operate.replay(out, Target.find(stack), function))
