"""What the shell offers to complete.

A completion never fails and never waits long: where nothing can be asked, it offers nothing.
"""

from __future__ import annotations

import contextlib
from typing import Final

import typer

_MOST: Final = 50


def stacks(incomplete: str) -> list[str]:
    """Stacks whose files stand in this checkout."""
    from cli.paths import ROOT

    names = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
    return [name for name in names if name.startswith(incomplete)]


def stages(incomplete: str) -> list[str]:
    """The stages of a run."""
    from workloads.contract import STAGES

    return [stage for stage in STAGES if stage.startswith(incomplete)]


def documents(incomplete: str) -> list[str]:
    """Commands whose --json has a schema."""
    from cli.documents import DOCUMENTS

    return sorted(name for name in DOCUMENTS if name.startswith(incomplete))


def functions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Functions of the stack that have dead letters, by their short names."""
    return _outputs(ctx, "dead_letter_queues", incomplete)


def queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Queues of the stack, by the names of its config."""
    return _outputs(ctx, "queues", incomplete)


def subjects(ctx: typer.Context, incomplete: str) -> list[str]:
    """What `why` explains: runs and queues."""
    return [*runs(ctx, incomplete), *queues(ctx, incomplete)]


def _outputs(ctx: typer.Context, name: str, incomplete: str) -> list[str]:
    """Keys of a mapping among the outputs of the stack that the command line names."""
    with contextlib.suppress(Exception):
        from cli.target import Target

        known = Target.find(str(ctx.params.get("stack") or "")).output(name)
        return sorted(key for key in known if key.startswith(incomplete))
    return []


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Run ids of the stack that the command line names, newest first, and `last`."""
    found = ["last"] if "last".startswith(incomplete) else []
    # whatever is wrong, the command itself says it; here it would end in the middle of somebody's
    # line
    with contextlib.suppress(Exception):
        from cli.runs_index import newest
        from cli.target import Target

        target = Target.find(str(ctx.params.get("stack") or ""))
        found += [entry.run_id for entry in newest(target, prefix=incomplete, most=_MOST)]
    return found
