"""Plays the book of changes with both engines, and records what the Pulumi CLI did.

    python scripts/record_book.py [--stack NAME] [--preview | --pages] [PART OF A NAME ...]

Needs the Pulumi CLI (`make pulumi`). `--preview` leaves the `up`s out; `--pages` makes the
changes of different parts together, one page of them after the other, and takes the stack away in
the end: every change is made and taken back, in a tenth of the time.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cli.pulumi import bin_folder
from tests.conformance.book import RECORDED, Change, book, key
from tests.conformance.book.pages import pages
from tests.conformance.book.play import Pair


def main() -> int:
    """Returns the number of changes in which the engines differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of changes; all without any")
    parser.add_argument("--stack", help="only changes of this stack")
    parser.add_argument("--preview", action="store_true", help="without `up` and back")
    parser.add_argument("--pages", action="store_true", help="changes together")
    given = parser.parse_args()
    chosen = [
        change
        for change in book()
        if (not given.stack or change.stack == given.stack)
        and (not given.names or any(part in change.name for part in given.names))
    ]
    differing = 0
    for stack in dict.fromkeys(change.stack for change in chosen):
        with tempfile.TemporaryDirectory() as folder:
            pair = Pair(Path(folder), stack, bin_folder())
            try:
                began = time.perf_counter()
                differing += bool(_say(stack, "as it is", pair.deploy(), began))
                mine = [change for change in chosen if change.stack == stack]
                if given.pages:
                    differing += _turn(pair, stack, mine)
                    continue
                for change in mine:
                    began = time.perf_counter()
                    found, told = pair.play(change, whole=not given.preview)
                    _record(key((change,)), found)
                    differing += bool(_say(stack, change.name, told, began))
            finally:
                pair.stop()
    return min(differing, 100)


def _turn(pair: Pair, stack: str, chosen: Sequence[Change]) -> int:
    differing = 0
    found = [tuple(each for each in page if each in chosen) for page in pages(stack)]
    found = [page for page in found if page]
    for page in found:
        began = time.perf_counter()
        previewed, told = pair.preview(page)
        _record(key(page), previewed)
        differing += bool(_say(stack, f"preview of {key(page)}", told, began))
    for page in (*found, ()):
        began = time.perf_counter()
        name = key(page) if page else "as it was"
        differing += bool(_say(stack, name, pair.turn(page), began))
    began = time.perf_counter()
    return differing + bool(_say(stack, "taken away", pair.destroy(), began))


def _say(stack: str, name: str, told: list[str], began: float) -> list[str]:
    print(f"{stack}/{name}: {len(told)} differences, {time.perf_counter() - began:.0f} s")
    for line in told:
        print(f"    {line}", flush=True)
    sys.stdout.flush()
    return told


def _record(key: str, found: dict[str, object]) -> None:
    """Puts one change into the record, which two of these processes may write."""
    RECORDED.touch()
    with RECORDED.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        whole = json.loads(text) if text else {}
        whole[key] = {**whole.get(key, {}), **found} if "refused" not in found else found
        file.seek(0)
        file.truncate()
        file.write(json.dumps(dict(sorted(whole.items())), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
