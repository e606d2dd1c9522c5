"""Commands on stack files and CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from cli.frame import DEPLOYED, STACK_FILES, AsJson, app, err, out

StackFile = Annotated[
    str,
    typer.Argument(
        help="A stack (prod), a path, or git:<revision>:<path>.", autocompletion=completion.stacks
    ),
]
EndpointUrl = Annotated[str, typer.Option(help="Of another AWS, such as that of `up`.")]


@app.command(rich_help_panel=STACK_FILES)
def check(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Stacks (prod), paths, or git:<revision>:<path>; all stacks without it.",
            autocompletion=completion.stacks,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say everything that is wrong with stack files, without a cloud."""
    from cli import check as command

    raise typer.Exit(command.check(out, files or (), as_json=as_json))


@app.command(rich_help_panel=STACK_FILES)
def clean(
    file: Annotated[Path, typer.Argument(help="A CSV file, gzip-compressed or not.")],
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the table (Parquet and CSV) and the rejected rows."),
    ] = None,
    as_json: AsJson = False,
    stack: Annotated[
        str,
        typer.Option(
            help="Stack file whose jobs.preprocess says how to clean; its defaults without it.",
            autocompletion=completion.stacks,
        ),
    ] = "",
    dataset: Annotated[
        str,
        typer.Option(
            help="Data set whose columns the stack file declares; by the file's name without it."
        ),
    ] = "",
) -> None:
    """Say what preprocessing makes of a file, without a cloud."""
    from cli import clean as command

    wanted = command.Wanted(file=file, out=folder, as_json=as_json, stack=stack, dataset=dataset)
    raise typer.Exit(command.run(out, err, wanted))


@app.command(rich_help_panel=STACK_FILES)
def estimate(
    file: StackFile,
    minutes: Annotated[
        str,
        typer.Option(help="Planned minutes by stage: preprocess=10,analysis=180,postprocess=5."),
    ] = "",
    runs: Annotated[int, typer.Option(help="Runs a month.", min=0)] = 30,
    stored_gb: Annotated[float, typer.Option(help="Gigabytes in the buckets.", min=0)] = 100,
    results_bucket: Annotated[
        str,
        typer.Option(help="Take minutes from the past runs in this bucket (needs credentials)."),
    ] = "",
    endpoint_url: EndpointUrl = "",
    as_json: AsJson = False,
) -> None:
    """Say what a stack costs: at rest, a run, a month, at worst."""
    from cli import estimate as command

    raise typer.Exit(
        command.show(
            out,
            err,
            file,
            minutes=minutes,
            runs=runs,
            stored_gb=stored_gb,
            results_bucket=results_bucket,
            endpoint_url=endpoint_url,
            as_json=as_json,
        )
    )


@app.command(rich_help_panel=STACK_FILES)
def schema(
    command: Annotated[
        str,
        typer.Argument(
            help="Of what this command prints with --json.", autocompletion=completion.documents
        ),
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Write all generated schemas, and docs/config.md.")
    ] = False,
) -> None:
    """Print the JSON Schema of stack files, or of a command's --json."""
    from cli import schema as made

    raise typer.Exit(made.show(out, command, write=write))


@app.command(rich_help_panel=STACK_FILES)
def diff(
    before: StackFile,
    after: StackFile,
    minutes: Annotated[
        str,
        typer.Option(help="Planned minutes by stage: preprocess=10,analysis=180,postprocess=5."),
    ] = "",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown for a pull request.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a change does to the stack and to its price."""
    from cli import diff as command

    raise typer.Exit(
        command.show(out, before, after, minutes=minutes, markdown=markdown, as_json=as_json)
    )


@app.command(rich_help_panel=STACK_FILES)
def preflight(file: StackFile, endpoint_url: EndpointUrl = "", as_json: AsJson = False) -> None:
    """Ask the AWS account whether it can run a stack."""
    from cli import preflight as command

    raise typer.Exit(command.show(out, err, file, endpoint_url=endpoint_url, as_json=as_json))


@app.command(rich_help_panel=DEPLOYED)
def leftovers(
    file: StackFile,
    state: Annotated[
        Path | None,
        typer.Option(
            help="What `pulumi stack export` has written: tell only what AWS has of the program's"
            " and that state lacks, after an `up` that was killed."
        ),
    ] = None,
    endpoint_url: EndpointUrl = "",
    as_json: AsJson = False,
) -> None:
    """Tell what an account still holds of a stack after `pulumi destroy`."""
    from cli import leftovers as command

    raise typer.Exit(
        command.show(out, file, state=state, endpoint_url=endpoint_url, as_json=as_json)
    )
