"""`diff`: what a change of a stack file does to a living stack, and to its price."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.check import count, hanging, problems
from cli.errors import ExitCode
from cli.estimate import dollars, of_file, parse_minutes, why_unknown
from cli.frame import print_json
from cli.stack_files import StackFile, read
from config.change import Change, changes
from config.estimate import RUNS_PER_MONTH, STORED_GB
from config.stack import SECRETS
from workloads.contract import Stage

_STYLES: Final = {
    "in place": "green",
    "created": "green",
    "new revision": "cyan",
    "replaces": "bold red",
    "removed": "bold red",
    "drained queue": "bold red",
}
_VALUE_CHARACTERS: Final = 80


@dataclass(frozen=True, kw_only=True)
class Price:
    """An amount before and after, US dollars; None where a price is not known."""

    what: str
    before: float | None
    after: float | None

    @property
    def difference(self) -> float | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two versions of a stack file, compared."""

    before: StackFile
    after: StackFile
    changes: tuple[Change, ...]
    prices: tuple[Price, ...]
    minutes_are_timeouts: bool
    unknown: tuple[str, ...]
    """Why amounts are not known."""


def show(
    console: Console, before: str, after: str, *, minutes: str, markdown: bool, as_json: bool
) -> ExitCode:
    """Prints what differs. Raises CliError where a file cannot be read or has the wrong shape."""
    found = compare(read(before), read(after), parse_minutes(minutes))
    if as_json:
        print_json(_as_dict(found))
    elif markdown:
        print("\n".join(_markdown(found)))
    else:
        _print(console, found)
    return ExitCode.OK


def compare(before: StackFile, after: StackFile, minutes: Mapping[Stage, float]) -> Difference:
    """Compares two files of the right shape; what rules say of them is `check`'s matter.

    Raises CliError.
    """
    old, new = before.unchecked(), after.unchecked()
    found = [*_outside(before, after), *changes(old, new)]
    then, now = (
        of_file(file, config, minutes=minutes, past={}, runs=RUNS_PER_MONTH, stored_gb=STORED_GB)
        for file, config in ((before, old), (after, new))
    )
    prices = (
        Price(what="a month at rest", before=then.rest_usd, after=now.rest_usd),
        Price(what="a run", before=then.run_usd, after=now.run_usd),
        Price(
            what=f"a month of {RUNS_PER_MONTH} runs, and rest",
            before=then.month_usd,
            after=now.month_usd,
        ),
        Price(what="a run at worst", before=then.worst_run_usd, after=now.worst_run_usd),
        Price(
            what="an hour of all environments full",
            before=then.ceiling_usd_per_hour,
            after=now.ceiling_usd_per_hour,
        ),
        Price(what="the budget", before=then.budget_usd, after=now.budget_usd),
    )
    reasons = tuple(dict.fromkeys(filter(None, (why_unknown(then), why_unknown(now)))))
    timeouts = any(stage.source == "timeout" for stage in now.stages)
    return Difference(
        before=before,
        after=after,
        changes=tuple(found),
        prices=prices,
        minutes_are_timeouts=timeouts,
        unknown=reasons,
    )


def _outside(before: StackFile, after: StackFile) -> Iterator[Change]:
    """Changes outside of the sections."""
    if before.region != after.region:
        effect = (
            "every resource is made anew in the other region; the data stay behind, and protected"
            " buckets forbid it"
        )
        yield Change(
            path="aws:region",
            before=before.region,
            after=after.region,
            kind="replaces",
            effect=effect,
        )
    for key in SECRETS:
        had, has = key in before.values, key in after.values
        if had != has:
            effect = (
                "a secret is made, and whoever needs it may read it"
                if has
                else "the secret is deleted"
            )
            yield Change(
                path=key,
                before="a secret" if had else None,
                after="a secret" if has else None,
                kind="in place",
                effect=effect,
            )


def _title(found: Difference) -> str:
    number = len(found.changes)
    return f"{found.after.stack}: " + (
        "no field changes"
        if not number
        else f"{number} field{'s' if number > 1 else ''} change{'s' if number == 1 else ''}"
    )


def _print(console: Console, found: Difference) -> None:
    console.print(Text(_title(found), "bold"), soft_wrap=True)
    for change in found.changes:
        then, now = _values(change)
        head = Text.assemble(
            "  ",
            (change.kind, _STYLES[change.kind]),
            "  ",
            (change.path, "bold"),
            f"  {then} → {now}",
        )
        console.print(head, soft_wrap=True)
        hanging(console, "", change.effect)
    console.print()
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    table.add_column("US dollars", min_width=33)
    for column in ("before", "after", "change"):
        table.add_column(column, justify="right", no_wrap=True)
    for price in found.prices:
        table.add_row(
            Text(price.what), dollars(price.before), dollars(price.after), _signed(price.difference)
        )
    console.print(table, "")
    for note in _notes(found):
        hanging(console, "note", note)


def _markdown(found: Difference) -> Iterator[str]:
    yield f"### {_title(found)}"
    yield ""
    if found.changes:
        yield "| field | before | after | what the change does |"
        yield "|---|---|---|---|"
        for change in found.changes:
            kind = (
                f"**{change.kind}**"
                if change.kind in {"replaces", "removed", "drained queue"}
                else change.kind
            )
            then, now = map(_cell, _values(change))
            yield f"| `{change.path}` | {then} | {now} | {kind}: {change.effect} |"
        yield ""
    yield "| US dollars | before | after | change |"
    yield "|---|---:|---:|---:|"
    for price in found.prices:
        yield (
            f"| {price.what} | {dollars(price.before)} | {dollars(price.after)} |"
            f" {_signed(price.difference)} |"
        )
    yield ""
    for note in _notes(found):
        yield f"- {note}"


def _notes(found: Difference) -> Iterator[str]:
    verdict = problems(found.after)
    if verdict:
        yield f"the new file has {count(verdict)}: " + "; ".join(
            f"{problem.code} at {problem.path}" for problem in verdict
        )
    if found.minutes_are_timeouts:
        yield (
            "a run is counted with the timeout of one attempt of each stage, unless --minutes says"
            " better"
        )
    for reason in found.unknown:
        yield f"unknown: {reason}"


def _as_dict(found: Difference) -> dict[str, Any]:
    return {
        "before": found.before.label,
        "after": found.after.label,
        "stack": found.after.stack,
        "changes": [asdict(change) for change in found.changes],
        "usd": [{**asdict(price), "difference": price.difference} for price in found.prices],
        "problems": [asdict(problem) for problem in problems(found.after)],
    }


def _values(change: Change) -> tuple[str, str]:
    """Both values as text; of two lists of words what the second lacks and what it has more."""
    then, now = change.before, change.after
    if (
        isinstance(then, list)
        and isinstance(now, list)
        and then
        and now
        and all(isinstance(item, str) for item in then + now)
    ):
        gone, new = (
            [item for item in then if item not in now],
            [item for item in now if item not in then],
        )
        words = [f"without {', '.join(map(_value, gone))}"] * bool(gone) + [
            f"with {', '.join(map(_value, new))}"
        ] * bool(new)
        return (
            f"{len(then)} entr{'y' if len(then) == 1 else 'ies'}",
            "; ".join(words) or "in another order",
        )
    return _value(then), _value(now)


def _value(value: Any) -> str:
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    text = (
        "nothing"
        if value is None
        else value
        if isinstance(value, str)
        else json.dumps(value, default=str, ensure_ascii=False)
    )
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[: _VALUE_CHARACTERS - 1]}…"


def _cell(text: str) -> str:
    return "`" + text.replace("|", "¦").replace("`", "'") + "`"


def _signed(amount: float | None) -> str:
    if amount is None:
        return dollars(None)
    return "none" if abs(amount) < 0.005 else f"{amount:+,.2f}"
