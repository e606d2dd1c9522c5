"""`leftovers`: what an account still holds of a stack that was destroyed, and what AWS keeps by
design; or what it has of a stack that stands and whose state does not know it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from cli.check import hanging
from cli.errors import ExitCode
from cli.frame import print_json
from cli.leftovers.account import Account, Leftover, Look
from cli.leftovers.by_name import MADE_BESIDE, MADE_BY_A_STACK, TIES_OF_A_STACK
from cli.leftovers.by_tag import tagged
from cli.leftovers.kinds import FREE
from cli.leftovers.orphans import Known, known_of
from cli.preflight import account_of, clients
from cli.stack_files import read
from config.stack import NAMESPACE

__all__ = ["Account", "Leftover", "Unseen", "examine", "orphans", "show"]

_SHOWN: Final = 20
"""Most things of one kind that are printed; `--json` has all of them."""


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """A kind of thing that could not be looked for."""

    kind: str
    because: str


Found = tuple[list[Leftover], list[Unseen]]


def show(
    console: Console, source: str, *, state: Path | None, endpoint_url: str, as_json: bool
) -> ExitCode:
    """Looks and prints.

    With `state`, a file of `pulumi stack export`, only what that state lacks. Returns OK where
    nothing is left but what AWS keeps free of charge, and nothing that the state lacks; NOT_READY
    otherwise, and where something could not be looked for. Raises CliError where the file names no
    region, where the state cannot be read or is another stack's, or where there are no credentials.
    """
    file = read(source)
    region = file.needed_region()
    known = None if state is None else known_of(state, file.stack)
    client = clients(region, endpoint_url)
    number = account_of(client)
    account = Account(client=client, project=NAMESPACE, stack=file.stack)
    found, unseen = examine(account) if known is None else orphans(account, known)
    if as_json:
        document = {
            "stack": file.stack,
            "account": number,
            "region": region,
            "leftovers": [asdict(one) for one in found],
            "unseen": [asdict(one) for one in unseen],
        }
        print_json(document)
    else:
        place = f"{file.stack}, account {number}, {region}"
        _print(console, place, found, unseen, of_state=known is not None)
    pressing = found if known is not None else [one for one in found if _costly(one)]
    return ExitCode.NOT_READY if unseen or pressing else ExitCode.OK


def examine(account: Account) -> Found:
    """All that is left, and the kinds that could not be looked for."""
    found, unseen = _looked(account, {**_OF_THE_PROGRAM, **MADE_BESIDE})
    return _once(found), unseen


def orphans(account: Account, known: Known) -> Found:
    """What the program has made and the state does not know, and what could not be looked for."""
    found, unseen = _looked(replace(account, known=known.has), _OF_THE_PROGRAM)
    return _once([one for one in found if not known.has(one.name)]), unseen


def _looked(account: Account, looks: Mapping[str, Look]) -> Found:
    found: dict[str, Leftover] = {}
    unseen: list[Unseen] = []
    for kind, look in looks.items():
        try:
            for one in look(account):
                found.setdefault(one.name, one)  # by name and by tag it is the same
        except (BotoCoreError, ClientError) as error:
            unseen.append(Unseen(kind=kind, because=str(error)))
    return list(found.values()), unseen


def _once(found: Sequence[Leftover]) -> list[Leftover]:
    """Without what goes by the command of another one that is told: it would fail the second
    time.
    """
    commands = [one.remove.split(" && ") for one in found]
    before = {step for steps in commands for step in steps[:-1]}
    return [one for one, steps in zip(found, commands, strict=True) if steps[-1] not in before]


def _costly(leftover: Leftover) -> bool:
    return not leftover.costs.startswith(FREE)


_OF_THE_PROGRAM: Final[dict[str, Look]] = {
    **TIES_OF_A_STACK,
    "resources with the stack's tags": tagged,
    **MADE_BY_A_STACK,
}
"""What is looked for -> how, so that the commands work from the first to the last."""
_KEPT_BY_AWS: Final = (
    "job descriptions 7 days and INACTIVE job definitions 180 days (AWS Batch)",
    "metrics 15 months (CloudWatch)",
    "the bill's cost data by tag (Cost Explorer)",
)
"""Things that AWS keeps for a time by itself, free of charge, and that nobody can remove."""


def _print(
    console: Console,
    place: str,
    found: Sequence[Leftover],
    unseen: Sequence[Unseen],
    *,
    of_state: bool,
) -> None:
    title = f"what the state lacks of {place}" if of_state else f"what is left of {place}"
    console.print(Text(title, "bold"), soft_wrap=True)
    kinds = list(dict.fromkeys(one.kind for one in found))
    for kind in kinds:
        members = [one for one in found if one.kind == kind]
        for one in members[:_SHOWN]:
            mark = Text("!", "yellow") if _costly(one) else Text("·")
            hanging(console, kind, f"{one.name}: {one.why}; costs {one.costs}", mark=mark)
            hanging(console, "remove", one.remove)
        if len(members) > _SHOWN:
            hanging(console, kind, f"and {len(members) - _SHOWN} more: --json has all of them")
    for missing in unseen:
        hanging(console, missing.kind, f"not looked for: {missing.because}", mark=Text("?", "red"))
    if not of_state:
        console.print(f"kept by AWS for a time, free: {'; '.join(_KEPT_BY_AWS)}")
    costly = sum(map(_costly, found))
    console.print(
        Text(
            f"{len(found)} left, {costly} of them cost something" if found else "nothing is left",
            "bold",
        )
    )
