"""Commands that say what is wrong, and what would be better."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.frame import RUNS, AsJson, Deployed, app, examples, out


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
        str, typer.Argument(metavar="RUN|JOB|QUEUE", help="A run, the id of a job, or a queue.")
    ],
    as_json: AsJson = False,
    stack: Deployed = "",
) -> None:
    """Say why something does not go on, or why it failed, and what mends it.

    Each cause has the setting that blocks, what it has, what it needs, and the config line or command
    that mends it. What AWS does not let you see is said. Ends with 5 where somebody has to do something.
    """
    from cli.target import Target
    from cli.why import command

    raise typer.Exit(command.run(out, Target.find(stack), subject, as_json=as_json))
