"""Changes made and taken back with both engines, and everything in which these differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from localcloud.deployment.engine.state import State
from tests.conformance.book import PROJECT, Change, Stacked, base, changed
from tests.conformance.book.engines import Outcome, Own, Real, drift
from tests.conformance.book.reached import config_of
from tests.conformance.book.server import Aws, elsewhere, here
from tests.conformance.book.steps import contents, deleted_first, grouped, out_of_order
from tests.localcloud.inventory import inventory

_OF_OTHERS: Final = "fs-0123456789abcdef0"
"""In the book: a file system of Amazon EFS that is there already."""
_NAMES: Final = ("own", "real")
_ENGINES_LAST: Final = {"update failed", "Resource monitor has terminated, shutting down"}
"""What the CLI says beside the reasons."""
_OF_THE_FILE: Final = "error: validating stack config: "
_MOST: Final = 12
"""Differing resources that are told of one part."""


class Pair:
    """One stack, deployed by each engine into an AWS of its own.

    Args:
        folder: For everything of both.
        stack: Name of the stack.
        bin: Where the CLI is.
    """

    def __init__(self, folder: Path, stack: str, bin: Path) -> None:  # noqa: A002
        self._stack, self._exits = stack, ExitStack()
        enter = self._exits.enter_context
        self.clouds = [enter(here(folder / "aws-own")), enter(elsewhere(folder / "aws-real"))]
        self.own = Own(folder / "own", stack, self.clouds[0].client)
        self.real = Real(folder / "real", stack, provider=self.clouds[1].provider, bin=bin)
        for engine in (self.own, self.real):
            engine.of_this_project()
        self._others = [_made_by_others(cloud) for cloud in self.clouds]
        self._empty = [_inventory(cloud) for cloud in self.clouds]

    def stop(self) -> None:
        """Ends both clouds and the provider."""
        self._exits.close()

    def deploy(self) -> list[str]:
        """Makes the stack as its file in the repository is; returns the differences."""
        return self.turn(())

    def play(self, change: Change, *, whole: bool = True) -> tuple[dict[str, Any], list[str]]:
        """Previews a change, and where the `whole` is wanted makes it and takes it back.

        Returns what the CLI did, as `recorded.json` has it, and the differences.
        """
        found, told = self.preview((change,))
        if whole and "preview" in found:
            own, real = self._both("up")
            found |= {"up": grouped(real.steps), "deleted first": deleted_first(real.steps)}
            told += [f"up: {line}" for line in (*compare(own, real), *self._ends())]
            self._write(base(self._stack))
            own, real = self._both("up")
            found["back"] = grouped(real.steps)
            told += [f"back: {line}" for line in (*compare(own, real), *self._ends())]
        return found, told

    def preview(self, page: Sequence[Change]) -> tuple[dict[str, Any], list[str]]:
        """Previews changes that are made together; returns what `play` does."""
        self._write(changed(*page))
        with ThreadPoolExecutor(max_workers=1) as beside:
            waiting = beside.submit(self.real.preview)
            own, real = self.own.preview(), waiting.result()
        refused = " ".join(change.refused for change in page if change.refused)
        told = [f"preview: {line}" for line in compare(own, real, refused)]
        if refused or real.failures:
            return {"refused": refused}, told
        return {"preview": grouped(real.steps)}, told

    def turn(self, page: Sequence[Change]) -> list[str]:
        """Makes the changes of a page, and takes back at once what was made before; without any
        the stack is as its file is. Returns the differences.
        """
        self._write(changed(*page) if page else base(self._stack))
        previewed, (own, real) = self.own.preview(), self._both("up")
        told = [f"preview and up: {line}" for line in unlike_steps(previewed, own)]
        return [*told, *compare(own, real), *self._ends()]

    def fail(self, page: Sequence[Change], words: str) -> list[str]:
        """Makes changes with which both engines have to stop half way, for the reason with these
        words; returns the differences. How far an engine comes is chance, and ours does all that
        does not need what has failed: each has to come somewhere, all that the CLI complains of has
        to be among our engine's complaints, and AWS may have nothing otherwise than a state says.
        """
        before = [contents(state.resources) for state in self._states()]
        self._write(changed(*page))
        said = [
            {" ".join(each.split()) for each in outcome.failures} - _ENGINES_LAST
            for outcome in self._both("up")
        ]
        return [
            *(f"own does not say {each!r}" for each in sorted(said[1] - said[0])),
            *(f"said without {words!r}: {each!r}" for each in said[0] if words not in each),
            *([] if said[1] else ["real does it"]),
            *_drifts(self.clouds, self._states()),
            *(
                f"{name} did nothing before it failed"
                for name, state, then in zip(_NAMES, self._states(), before, strict=True)
                if contents(state.resources) == then
            ),
        ]

    def recover(self, page: Sequence[Change]) -> list[str]:
        """The next `up` after one that failed: like `turn`, without the steps, for how many are left
        is chance.
        """
        self._write(changed(*page) if page else base(self._stack))
        told = [
            f"{name} fails or does what is out of order: {outcome.failures} {outcome.order}"
            for name, outcome in zip(_NAMES, self._both("up"), strict=True)
            if outcome.failures or outcome.order
        ]
        return [*told, *self._ends()]

    def destroy(self) -> list[str]:
        """Takes everything away, after its protection; returns the differences and what is left."""
        whole = base(self._stack)
        told = []
        if config_of(whole, self._stack).storage.protect:
            whole.document["config"].setdefault(f"{PROJECT}:storage", {})["protect"] = False
            self._write(whole)
            told = list(compare(*self._both("up")))
        told += [*compare(*self._both("destroy")), *self._ends()]
        for name, cloud, empty, state in zip(
            _NAMES, self.clouds, self._empty, self._states(), strict=True
        ):
            left = sorted(_inventory(cloud) - empty)
            kept = [r.urn for r in (*state.resources, *state.pending_deletion) if r.custom]
            told += [f"{name} has left {each}" for each in (*left, *kept)[:_MOST]]
        return told

    def _write(self, stacked: Stacked) -> None:
        own, real = (
            replace(stacked, document=json.loads(text.replace(_OF_OTHERS, theirs)))
            for text in [json.dumps(stacked.document)]
            for theirs in self._others
        )
        self.own.write(own)
        self.real.write(real)

    def _both(self, command: Literal["up", "destroy"]) -> tuple[Outcome, Outcome]:
        before = self._states()
        with ThreadPoolExecutor(max_workers=1) as beside:
            waiting = beside.submit(getattr(self.real, command))
            found = getattr(self.own, command)(), waiting.result()
        for outcome, then, now in zip(found, before, self._states(), strict=True):
            wrong = out_of_order(
                outcome.steps,
                (*then.resources, *then.pending_deletion),
                now.resources,
            )
            outcome.order.extend(wrong)
        return found

    def _states(self) -> tuple[State, State]:
        return self.own.state, self.real.state

    def _ends(self) -> Iterator[str]:
        yield from ends(self.clouds, self._states())
        counts = [
            _kinds(_inventory(cloud) - empty)
            for cloud, empty in zip(self.clouds, self._empty, strict=True)
        ]
        if counts[0] != counts[1]:
            yield f"in AWS: own {counts[0] - counts[1]}, real {counts[1] - counts[0]}"


def ends(clouds: Sequence[Aws], states: tuple[State, State]) -> Iterator[str]:
    """In what our engine's state and the CLI's differ, and what their clouds have otherwise than
    they say.
    """
    yield from _drifts(clouds, states)
    left, right = (contents(state.resources) for state in states)
    for urn in sorted({*left, *right}):
        if left.get(urn) != right.get(urn):
            yield f"inputs of {urn.rpartition(':')[2]}: {_unlike(left.get(urn), right.get(urn))}"


def _drifts(clouds: Sequence[Aws], states: tuple[State, State]) -> Iterator[str]:
    for name, cloud, state in zip(_NAMES, clouds, states, strict=True):
        yield from (f"drift of {name}: {line}" for line in drift(cloud, state)[:_MOST])


def compare(own: Outcome, real: Outcome, refused: str = "") -> Iterator[str]:
    """In what two outcomes differ."""
    if own.failures or real.failures or refused:
        yield from _unlike_words(own, real, refused)
        return
    mine, theirs = _reasons(own), _reasons(real)
    lines = [
        f"{urn.rpartition(':')[2]}: own {mine.get(urn, [])}, real {theirs.get(urn, [])}"
        for urn in sorted({*mine, *theirs})
        if mine.get(urn, []) != theirs.get(urn, [])
    ]
    yield from lines[:_MOST]
    if len(lines) > _MOST:
        yield f"and {len(lines) - _MOST} more"
    if (first := deleted_first(own.steps)) != (second := deleted_first(real.steps)):
        yield f"deleted first: own {first}, real {second}"
    yield from (f"own order: {line}" for line in own.order)
    yield from (f"real order: {line}" for line in real.order)


def unlike_steps(previewed: Outcome, done: Outcome) -> list[str]:
    """What a preview shows that the `up` after it does not do, and the other way round."""
    then, now = _reasons(previewed), _reasons(done)
    return [
        f"{urn.rpartition(':')[2]}: preview {then.get(urn, [])}, up {now.get(urn, [])}"
        for urn in sorted({*then, *now})
        if then.get(urn, []) != now.get(urn, [])
    ]


def _reasons(outcome: Outcome) -> dict[str, list[str]]:
    """URN -> what was done with the resource and why, sorted."""
    found: dict[str, list[str]] = {}
    for step in outcome.steps:
        found.setdefault(step.urn, []).append(step.reason)
    return {urn: sorted(reasons) for urn, reasons in found.items()}


def _unlike_words(own: Outcome, real: Outcome, refused: str) -> Iterator[str]:
    """A refusal has to be one of both engines, and in the same words. What the CLI refuses of a
    stack file before the program begins, our engine tells with the line and the mending
    (test_stack_files.py).
    """
    said = " ".join(" ".join(real.failures).split())
    unread = _OF_THE_FILE in said
    for failure in own.failures:
        if " ".join(failure.split()) not in said and not (unread and failure.startswith("Pulumi.")):
            yield f"own says {failure!r}, real {said[-1500:]!r}"
    if not own.failures:
        yield f"own does it, real says {said[-1500:]!r}"
    if not refused or refused not in said:
        yield f"expected {refused or 'no refusal'!r}, real says {said[-1500:]!r}"


def _unlike(left: Any, right: Any) -> str:
    if left is None or right is None:
        return "only one has it"
    names = sorted(name for name in {*left, *right} if left.get(name) != right.get(name))
    return "; ".join(f"{name}: {_apart(left.get(name), right.get(name))}" for name in names)


def _apart(left: Any, right: Any) -> str:
    """Two values from where they begin to differ."""
    texts = [json.dumps(value, sort_keys=True) for value in (left, right)]
    pairs = enumerate(zip(*texts, strict=False))
    at = max(next((index for index, (a, b) in pairs if a != b), 0) - 60, 0)
    return f"own …{texts[0][at:][:200]}, real …{texts[1][at:][:200]}"


def _made_by_others(cloud: Aws) -> str:
    made = cloud.client("efs").create_file_system(CreationToken="others", Encrypted=True)
    return str(made["FileSystemId"])


def _inventory(cloud: Aws) -> set[str]:
    return inventory(cloud.client, cloud.account_id)


def _kinds(found: Iterable[str]) -> set[tuple[str, int]]:
    kinds = [" ".join(each.split(" ", 2)[:2]) for each in found]
    return {(kind, kinds.count(kind)) for kind in kinds}
