"""Commands that say what is wrong, and what would be better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from cli.frame import DEPLOYED, RUNS, AsJson, Deployed, app, err, examples, out


@app.command(
    rich_help_panel=RUNS,
    epilog=examples(
        "why last",
        "why data/20260131/sales.csv",
        "why 4d36e96e-e325-11ce-bfc1-08002be10318   # a job of AWS Batch",
        "why main --json                            # a queue, named as in the stack file",
    ),
)
def why(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|JOB|QUEUE",
            help="A run, the id of a job, or a queue.",
            autocompletion=completion.subjects,
        ),
    ],
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Say why something does not go on, or failed, and the remedy.

    Each cause has the setting that blocks, what it has, what it needs, and the config line or
    command that mends it. What AWS does not let you see is said. Ends with 5 where somebody has to
    do something.
    """
    from cli.target import Target
    from cli.why import command

    raise typer.Exit(command.run(out, Target.find(stack), subject, as_json=as_json))


@app.command(
    rich_help_panel=DEPLOYED,
    epilog=examples("rightsize", "rightsize --stack prod --apply-to Pulumi.prod.yaml"),
)
def rightsize(
    apply_to: Annotated[
        Path | None,
        typer.Option("--apply-to", help="Stack file to change; without it nothing is written."),
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin", help="Percent that is added to what was used.", min=0)
    ] = 20,
    runs: Annotated[
        int, typer.Option("--runs", help="How many of the newest runs count.", min=1, max=1000)
    ] = 200,
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Say what stages should ask for, by what past runs used.

    What that saves a month is said too. By quantile regression over the size of the input, or a
    constant where that predicts no worse. Prints the difference of the stack file.
    """
    from cli.rightsize import command
    from cli.target import Target

    raise typer.Exit(
        command.show(
            out,
            err,
            Target.find(stack),
            apply_to=apply_to,
            margin_percent=margin,
            runs=runs,
            as_json=as_json,
        )
    )


@app.command(rich_help_panel=DEPLOYED, epilog=examples("doctor", "doctor --stack prod --json"))
def doctor(as_json: AsJson = False, stack: Deployed = "") -> None:
    """Examine the health of a deployed stack.

    Functions, dead letters, alarms, environments, queues, jobs, secrets, budget, logs, storage,
    events. One line for each check, with what mends it. Ends with 5 where something is wrong.
    """
    from cli.doctor import command
    from cli.target import Target

    raise typer.Exit(command.show(out, Target.find(stack), as_json=as_json))


@app.command(rich_help_panel=DEPLOYED, epilog=examples("drift --stack prod"))
def drift(as_json: AsJson = False, stack: Deployed = "") -> None:
    """Say what differs between a deployed stack and the program.

    By `pulumi preview --refresh`. Nothing is changed. Ends with 5 where something differs.
    """
    from cli.doctor import drift as command

    raise typer.Exit(command.show(out, stack, as_json=as_json))
