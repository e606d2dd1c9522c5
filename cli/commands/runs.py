"""Commands that show runs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.frame import RUNS, AsJson, Deployed, Watch, app, examples, out


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

    A run is WAITING (held by `pause`), CLAIMED (being submitted), SUBMITTED (under way), or it has ended as
    SUCCEEDED, FAILED or CANCELLED.
    """
    from cli import list_runs
    from cli.target import Target

    wanted = list_runs.Wanted.read(
        states=state or (), dataset=dataset, first=first, last=last, cost=cost, most=most
    )
    list_runs.show(out, Target.find(stack), wanted, watch=watch, as_json=as_json)
