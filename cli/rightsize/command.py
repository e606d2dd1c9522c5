"""The command `rightsize`."""

from __future__ import annotations

import difflib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from cli import stack_files
from cli.check import hanging, valid
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.paths import ROOT
from cli.rightsize.edit import replaced
from cli.rightsize.past import Past, past_runs
from cli.rightsize.suggest import Advice, advise
from cli.stack_files import StackFile
from cli.target import Target
from config import ConfigError
from config.estimate import estimate
from config.stack import StackConfig
from workloads.contract import STAGES

_STACK_OF_REHEARSAL: Final = "local"


def show(
    console: Console,
    errors: Console,
    target: Target,
    *,
    apply_to: Path | None,
    margin_percent: float,
    runs: int,
    as_json: bool,
) -> ExitCode:
    """Says what the stages should ask for; with `apply_to` writes it. Raises CliError.

    Args:
        console: for the answer.
        errors: for what is wrong with the stack file.
        target: whose runs are looked at.
        apply_to: the stack file to change; None shows the difference for that of the target.
        margin_percent: added to what was used.
        runs: how many of the newest runs count.
        as_json: for programs.
    """
    path = apply_to or ROOT / f"Pulumi.{target.stack or _STACK_OF_REHEARSAL}.yaml"
    file = stack_files.read(str(path))
    config, text = valid(errors, file), path.read_text(encoding="utf-8")
    past = past_runs(target, most=runs)
    advice = [
        _allowed(file, text, each, path)
        for each in advise(config, past, margin=margin_percent / 100)
    ]
    changes = {path: value for each in advice for path, value in each.changes.items()}
    after = _changed(text, changes, path)
    changed = stack_files.parse(file.label, path.name, after.encode())
    saving = _saving(config, valid(errors, changed), past, advice, file.region)
    difference = _difference(text, after, file.label)
    if apply_to is not None and after != text:
        apply_to.write_text(after, encoding="utf-8")
    if as_json:
        print_json(
            _document(file.label, past, advice, saving, difference, applied=apply_to is not None)
        )
    else:
        _print(console, advice, past, saving, difference, applied=apply_to)
    return ExitCode.OK


def _allowed(file: StackFile, text: str, advice: Advice, path: Path) -> Advice:
    """The same advice without what the rules of the config do not let through, which is said."""
    try:
        stack_files.parse(
            file.label, path.name, _changed(text, advice.changes, path).encode()
        ).load()
    except ConfigError as error:
        problem = next(each for each in error.problems if each.level == "error")
        note = f"kept as it is: the config would say of {problem.path} that {problem.message}"
        kept = tuple(replace(need, suggests=need.asks) for need in advice.needs)
        return replace(advice, needs=kept, notes=(*advice.notes, note))
    return advice


def _changed(text: str, changes: dict[str, float], path: Path) -> str:
    try:
        return replaced(text, changes)
    except KeyError as error:
        raise CliError(
            f"{path.name} holds no value at {error.args[0]} that could be replaced; "
            "change it by hand",
            ExitCode.USAGE,
        ) from None


def _saving(
    before: StackConfig,
    after: StackConfig,
    past: Past,
    advice: list[Advice],
    region: str | None,
) -> float | None:
    """US dollars a month, at the number of runs of the past; None where a price is not known."""
    minutes: dict[str, float] = {each.stage: each.seconds / 60 for each in advice if each.runs}
    count = round(past.runs_a_month)
    costs = [
        estimate(config, region=region, past=minutes, runs=count).run_usd
        for config in (before, after)
    ]
    if costs[0] is None or costs[1] is None:
        return None
    return round((costs[0] - costs[1]) * count, 2)


def _difference(before: str, after: str, label: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), label, label, lineterm="", n=1
    )
    return "\n".join(lines)


def _document(
    label: str,
    past: Past,
    advice: list[Advice],
    saving: float | None,
    difference: str,
    *,
    applied: bool,
) -> dict[str, Any]:
    return {
        "file": label,
        "runs_a_month": round(past.runs_a_month, 1),
        "stages": [{**asdict(each), "changes": each.changes} for each in advice],
        "saves_usd_a_month": saving,
        "diff": difference,
        "applied": applied and bool(difference),
    }


def _print(
    console: Console,
    advice: list[Advice],
    past: Past,
    saving: float | None,
    difference: str,
    *,
    applied: Path | None,
) -> None:
    for each in advice:
        console.print(
            Text.assemble(
                (each.stage, "bold"),
                f"  {each.runs} runs measured, input up to {each.largest_mb:g} MB, "
                f"median {each.seconds:.0f} s",
            ),
            soft_wrap=True,
        )
        for need in each.needs:
            arrow = "stays" if need.suggests == need.asks else f"-> {need.suggests:g}"
            hanging(
                console,
                need.field,
                f"asks {need.asks:g}, used {need.used_high:g} (most {need.used_most:g}) {arrow}",
            )
            hanging(console, "", need.model)
        for note in each.notes:
            hanging(console, "note", note, mark=Text("!", "yellow"))
    measured = sum(each.runs for each in advice)
    if not difference:
        console.print("nothing to change" if measured >= len(STAGES) else "nothing to say yet")
        return
    money = "its price is not known" if saving is None else f"{saving:.2f} US dollars a month"
    verb = "saves" if saving is None or saving >= 0 else "costs"
    console.print(
        Text(f"{verb} {money.lstrip('-')} at {past.runs_a_month:.0f} runs a month", "bold"),
        soft_wrap=True,
    )
    console.print(difference, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if applied is not None:
        console.print(f"written to {applied}; `batchref diff` shows what it does", markup=False)
