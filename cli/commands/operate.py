"""Commands that begin, stop and repeat runs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion
from cli.frame import OPERATE, AsJson, Deployed, RunName, app, examples, out

Reason = Annotated[str, typer.Option("--reason", help="Said to whoever asks why.")]
Queues = Annotated[
    list[str] | None,
    typer.Option(
        "--queue", help="A queue of the config; may be repeated.", autocompletion=completion.queues
    ),
]


@app.command(rich_help_panel=OPERATE, epilog=examples("run data/20260131/sales.csv"))
def run(
    key: Annotated[str, typer.Argument(help="Of an uploaded CSV: data/20260131/sales.csv.")],
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Begin the run of an upload whose event never came."""
    from cli import operate
    from cli.target import Target

    raise typer.Exit(operate.run(Target.find(stack), key, as_json=as_json))


@app.command(
    rich_help_panel=OPERATE,
    epilog=examples("retry last", "retry 20260131-sales --from preprocess"),
)
def retry(
    name: RunName,
    first: Annotated[
        str,
        typer.Option(
            "--from",
            help="Stage to begin at; the first whose result is missing without it.",
            autocompletion=completion.stages,
        ),
    ] = "",
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Begin an ended run again, and use again what is there and valid.

    A run that failed or was cancelled begins at the stage that failed, or before it where the
    result of an earlier stage is not there any more; one that succeeded begins from the start. It
    keeps its id and counts one attempt more; finished parts of an analysis of the same table are
    not computed twice.
    """
    from cli import again
    from cli.target import Target

    raise typer.Exit(again.retry(Target.find(stack), name, first=first, as_json=as_json))


@app.command(
    rich_help_panel=OPERATE,
    epilog=examples('cancel last --reason "wrong file"', "cancel 20260131-sal"),
)
def cancel(
    name: RunName, reason: Reason = "", as_json: AsJson = False, stack: Deployed = ""
) -> None:
    """End a run: its execution and all of its jobs.

    The run ends as CANCELLED, and Slack is told once. No fallback begins and no failure is told of.
    What was computed is kept, and `retry` uses it.
    """
    from cli import stopping
    from cli.target import Target

    raise typer.Exit(stopping.cancel(out, Target.find(stack), name, reason=reason, as_json=as_json))


@app.command(
    rich_help_panel=OPERATE,
    epilog=examples('pause --reason "AMI update"', "pause --queue gpu", "resume"),
)
def pause(
    queues: Queues = None, reason: Reason = "", as_json: AsJson = False, stack: Deployed = ""
) -> None:
    """Hold new runs back, or the jobs of a queue, without a deployment.

    Without --queue: uploads are noted as WAITING, and runs under way go on. With --queue: its
    compute environments start no more jobs, whatever waits in the queue keeps its place, and jobs
    that run go on. A `pulumi up` with --refresh ends the pause of a queue, and no other `pulumi up`
    does.
    """
    from cli import pausing
    from cli.target import Target

    raise typer.Exit(
        pausing.pause(Target.find(stack), queues or (), reason=reason, as_json=as_json)
    )


@app.command(rich_help_panel=OPERATE, epilog=examples("resume", "resume --queue gpu"))
def resume(queues: Queues = None, as_json: AsJson = False, stack: Deployed = "") -> None:
    """End a pause, or what the guard stopped; uploads that waited begin, oldest first.

    With --queue: its compute environments start jobs again, and a queue that is disabled, as by
    the guard of the budget, takes jobs again.
    """
    from cli import pausing
    from cli.target import Target

    raise typer.Exit(pausing.resume(Target.find(stack), queues or (), as_json=as_json))


@app.command(
    rich_help_panel=OPERATE,
    epilog=examples(
        "backfill --from 2026-01-01 --to 2026-01-31",
        "backfill --from 2026-01-01 --to 2026-01-31 --again --yes",
    ),
)
def backfill(
    first: Annotated[str, typer.Option("--from", help="First day, 2026-01-31.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    again: Annotated[bool, typer.Option("--again", help="Also begin ended runs again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without a question.")] = False,
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Begin the runs of all uploads of some days; plan and price come first.

    With --json nothing is asked: the document holds the plan, and nothing begins without --yes.
    """
    from cli import operate
    from cli.target import Target

    raise typer.Exit(
        operate.backfill(
            out, Target.find(stack), first, last, again=again, yes=yes, as_json=as_json
        )
    )


@app.command(rich_help_panel=OPERATE, epilog=examples("replay submit"))
def replay(
    function: Annotated[
        str,
        typer.Argument(
            help="submit, notify, daily or alarm: whose dead letters.",
            autocompletion=completion.functions,
        ),
    ] = "submit",
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Give a function the events again that it could not handle."""
    from cli import operate
    from cli.target import Target

    raise typer.Exit(operate.replay(Target.find(stack), function, as_json=as_json))
