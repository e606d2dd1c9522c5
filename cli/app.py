"""The commands. Each imports what it needs when it is called: checking a stack file needs neither boto3 nor the AWS in memory."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from cli.errors import CliError, ExitCode

app = typer.Typer(
    help="Batch Reference: the whole system on one machine, and the operator's commands.",
    epilog="\b\n"
    + "\n".join(["Exit codes:", *(f"  {code.value}  {code.meaning}" for code in ExitCode)]),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_out = Console()
_err = Console(stderr=True)

Stack = Annotated[str, typer.Option(help="Stack to deploy: its name, or the path of its file.")]
Port = Annotated[
    int,
    typer.Option(
        help="Port of the endpoint on the loopback interface; 0 takes a free one.",
        min=0,
        max=65_535,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
StackFile = Annotated[str, typer.Argument(help="A stack (prod), a path, or git:<revision>:<path>.")]
EndpointUrl = Annotated[str, typer.Option(help="Of another AWS, such as that of `up`.")]
Again = Annotated[bool, typer.Option("--again", help="Begin a run again that has ended.")]
Deployed = Annotated[
    str,
    typer.Option(
        "--stack", help="A stack deployed by the Pulumi CLI; the rehearsal of `up` without it."
    ),
]
Engine = Annotated[
    Literal["own", "pulumi"],
    typer.Option(
        envvar="ENGINE", help="What deploys: `own` needs nothing, `pulumi` is the Pulumi CLI."
    ),
]
_DEFAULT_PORT = 5055


@app.command()
def demo(
    csv: Annotated[
        Path | None, typer.Argument(help="A CSV file of your own; the sample table without it.")
    ] = None,
    stack: Stack = "local",
    engine: Engine = "own",
) -> None:
    """Run one CSV through the whole system, in memory."""
    from cli import demo as command

    code = command.demo(_out, csv, stack, engine)
    _out.file.flush()
    # every job, function and thread has ended; taking the interpreter's objects apart one by one would take seconds more
    os._exit(code)


@app.command()
def up(
    stack: Stack = "local",
    port: Port = _DEFAULT_PORT,
    engine: Engine = "own",
    as_json: AsJson = False,
) -> None:
    """Keep the AWS in memory running for your own clients."""
    from cli import hints, service

    endpoint = service.running()
    if endpoint is None:
        with _err.status(Text(f"deploying stack {stack}")):
            endpoint = service.start(stack, port, engine)
        service.write_private(service.DIRECTORY / "pulumi.sh", hints.pulumi_script(endpoint))
    elif not as_json:
        _out.print(
            f"already up (stack {endpoint.stack}, process {endpoint.pid})",
            markup=False,
            emoji=False,
        )
    if as_json:
        print(json.dumps(hints.facts(endpoint), indent=1))
    else:
        hints.show(_out, endpoint)


@app.command()
def down() -> None:
    """End what `up` started."""
    from cli import service

    endpoint = service.running()
    if endpoint is None:
        raise CliError("nothing is up", ExitCode.NOT_RUNNING)
    service.stop(endpoint)
    _out.print(f"down (stack {endpoint.stack})", markup=False, emoji=False)


@app.command()
def refresh(as_json: AsJson = False) -> None:
    """Say what was changed by hand in the AWS that `up` keeps."""
    from cli import refresh as command

    raise typer.Exit(command.run(_out, as_json=as_json))


@app.command(hidden=True)
def serve(stack: Stack = "local", port: Port = _DEFAULT_PORT, engine: Engine = "own") -> None:
    """Run what `up` starts in this process."""
    from cli import service

    service.serve(stack, port, engine, say=lambda step: print(step, flush=True))


@app.command()
def check(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Stacks (prod), paths, or git:<revision>:<path>; all stacks without it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say everything that is wrong with stack files, without a cloud."""
    from cli import check as command

    raise typer.Exit(command.check(_out, files or (), as_json=as_json))


@app.command()
def clean(
    file: Annotated[Path, typer.Argument(help="A CSV file, gzip-compressed or not.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the table (Parquet and CSV) and the rejected rows."),
    ] = None,
    as_json: AsJson = False,
    stack: Annotated[
        str,
        typer.Option(
            help="Stack file whose jobs.preprocess says how to clean; its defaults without it."
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

    wanted = command.Wanted(file=file, out=out, as_json=as_json, stack=stack, dataset=dataset)
    raise typer.Exit(command.run(_out, _err, wanted))


@app.command()
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
            _out,
            _err,
            file,
            minutes=minutes,
            runs=runs,
            stored_gb=stored_gb,
            results_bucket=results_bucket,
            endpoint_url=endpoint_url,
            as_json=as_json,
        )
    )


@app.command()
def schema(
    write: Annotated[
        bool,
        typer.Option("--write", help="Write config/schema/stack.schema.json and docs/config.md."),
    ] = False,
) -> None:
    """Print the JSON Schema of stack files."""
    from cli import schema as command

    raise typer.Exit(command.show(_out, write=write))


@app.command()
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
        command.show(_out, before, after, minutes=minutes, markdown=markdown, as_json=as_json)
    )


@app.command()
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

    raise typer.Exit(operate.run(_out, operate.Target.find(stack), key, again=again, first=first))


@app.command()
def backfill(
    first: Annotated[str, typer.Option("--from", help="First day, 2026-01-31.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    again: Again = False,
    stack: Deployed = "",
) -> None:
    """Begin the runs of all uploads of some days."""
    from cli import operate

    raise typer.Exit(operate.backfill(_out, operate.Target.find(stack), first, last, again=again))


@app.command()
def replay(
    function: Annotated[
        str, typer.Argument(help="submit, notify, daily or alarm: whose dead letters.")
    ] = "submit",
    stack: Deployed = "",
) -> None:
    """Give a function the events again that it could not handle."""
    from cli import operate

    raise typer.Exit(operate.replay(_out, operate.Target.find(stack), function))


@app.command()
def preflight(file: StackFile, endpoint_url: EndpointUrl = "", as_json: AsJson = False) -> None:
    """Ask the AWS account whether it can run a stack."""
    from cli import preflight as command

    raise typer.Exit(command.show(_out, _err, file, endpoint_url=endpoint_url, as_json=as_json))


@app.command()
def leftovers(file: StackFile, endpoint_url: EndpointUrl = "", as_json: AsJson = False) -> None:
    """Tell what an account still holds of a stack after `pulumi destroy`."""
    from cli import leftovers as command

    raise typer.Exit(command.show(_out, file, endpoint_url=endpoint_url, as_json=as_json))


def main() -> None:
    """Runs the command line; a CliError becomes its text and its exit code."""
    try:
        app()
    except CliError as error:
        _err.print(
            f"error: {error}",
            style="red",
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        sys.exit(error.code)
