"""The book of changes: every field of the config is in it, our engine does what the CLI did, and
the CLI still does so.

The changes of the day are made against stacks that our engine has deployed and the CLI has taken
over; the whole book is played by a drill.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from config import ConfigError
from tests.config.stacks import EXAMPLES, STACKS
from tests.conformance.book import Change, base, book, changed, key, recorded, recorded_pages
from tests.conformance.book.engines import Outcome, Own, Real
from tests.conformance.book.pages import Page, pages
from tests.conformance.book.play import Pair
from tests.conformance.book.reached import config_of, every_field, reached
from tests.conformance.book.server import here
from tests.conformance.book.steps import grouped

# of the day: the same for all workers and for a second look at what failed
_DAY = Random(datetime.now(UTC).date().toordinal())  # noqa: S311 - no secret
_MOST = {"local": 10, "prod": 5}
_PREVIEWED = {
    stack: [
        page
        for page, found in recorded_pages().items()
        if page[0].stack == stack and "preview" in found
    ]
    for stack in _MOST
}
_OF_THE_DAY = {
    stack: _DAY.sample(found, min(_MOST[stack], len(found)))
    for stack, found in _PREVIEWED.items()
    if found
}
_LIVE = 3
"""Of these, how many of a stack the CLI previews too."""


def test_every_field_is_reached_and_the_program_refuses_what_says_so() -> None:
    found, bases = set(), {c.stack: config_of(base(c.stack), c.stack) for c in book()}
    refusals = dict[Change, str]()
    for change in book():
        try:
            after = config_of(changed(change), change.stack)
        except ConfigError as error:
            refusals[change] = str(error)
            continue
        fields = reached(bases[change.stack], after)
        assert fields or _foreign(change), change.name
        found |= fields
    assert every_field() - found == set()
    assert len([change for change in book() if not change.refused]) >= 60
    assert refusals
    for change, words in refusals.items():
        assert change.refused, (change.name, words)
        assert change.refused in words, change.name


def _foreign(change: Change) -> bool:
    """Whether it changes what is no section of the program."""
    return all(":" in path or path.startswith("secrets/") for path in change.paths)


def test_a_field_without_a_change_is_told() -> None:
    one = next(change for change in book() if change.name == "queue-priority")
    fields = reached(config_of(base("local"), "local"), config_of(changed(one), "local"))
    assert fields == {("StackConfig", "queues"), ("Queue", "priority")}
    assert {("HpcEnvironment", "zone_index"), ("RunningCostGuard", "limit_usd")} <= every_field()
    assert ("HpcEnvironment", "allocation_strategy") not in every_field()


def test_the_record_has_the_whole_book_and_nothing_else() -> None:
    """What is not there: `python scripts/record_book.py --stack STACK --preview NAME`."""
    made = recorded_pages()
    whole = {(change,) for change in book()}
    turned = {page for stack in {change.stack for change in book()} for page in pages(stack)}
    assert [key(page) for page in whole - made.keys()] == []
    assert [key(page) for page in made.keys() - whole - turned] == []
    for page, found in made.items():
        assert ("refused" in found) is any(change.refused for change in page), key(page)
        assert found.keys() & {"preview", "refused"}, key(page)


@pytest.mark.parametrize("stack", [*STACKS, *EXAMPLES])
def test_each_stack_has_changes_and_each_of_them_is_on_one_page(stack: str) -> None:
    made = [change for page in pages(stack) for change in page]
    assert len(made) >= 3
    assert set(made) == {c for c in book() if c.stack == stack and not c.refused}
    assert len(made) == len(set(made))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stack", list(_OF_THE_DAY))
def test_the_changes_of_the_day(stack: str, pulumi_folder: Path, tmp_path: Path) -> None:
    with here(tmp_path / "aws") as aws:
        own = Own(tmp_path / "own", stack, aws.client)
        own.of_this_project()
        own.write(base(stack))
        assert own.up().failures == ()
        live = _OF_THE_DAY[stack][:_LIVE]
        real = Real(tmp_path / "real", stack, provider=aws.provider, bin=pulumi_folder)
        real.of_this_project()
        _take_over(real, own, stack)
        with ThreadPoolExecutor(max_workers=_LIVE) as executor:
            waiting = [
                executor.submit(_preview, real, tmp_path / f"live-{number}", page)
                for number, page in enumerate(live)
            ]
            mine = {page: _own_preview(own, page) for page in _OF_THE_DAY[stack]}
            theirs = {page: w.result() for page, w in zip(live, waiting, strict=True)}
    kept = recorded()
    for page in _OF_THE_DAY[stack]:
        expected = kept[key(page)]["preview"]
        assert mine[page].failures == (), key(page)
        assert grouped(mine[page].steps) == expected, key(page)
        if page in theirs:
            assert theirs[page].failures == (), key(page)
            assert grouped(theirs[page].steps) == expected, key(page)


def _take_over(real: Real, own: Own, stack: str) -> None:
    """The CLI goes on where our engine has stopped."""
    file = real.cli.program / "state.json"
    file.write_text(own.checkpoint())
    real.write(base(stack))
    real.cli.run("stack", "import", "--file", str(file), "-s", stack)


def _preview(real: Real, folder: Path, page: Page) -> Outcome:
    """In a copy of the CLI's folder, so that several can be asked at once."""
    shutil.copytree(real.cli.program.parent, folder, symlinks=True)
    twin = real.twin(folder)
    twin.write(changed(*page))
    return twin.preview()


def _own_preview(own: Own, page: Page) -> Outcome:
    own.write(changed(*page))
    return own.preview()


@pytest.mark.drill
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stack", list(dict.fromkeys(change.stack for change in book())))
def test_the_whole_book(stack: str, pulumi_folder: Path, tmp_path: Path) -> None:
    pair, differing = Pair(tmp_path, stack, pulumi_folder), dict[str, list[str]]()
    try:
        differing["as it is"] = pair.deploy()
        for change in (each for each in book() if each.stack == stack):
            found, differing[change.name] = pair.preview((change,))
            expected = recorded().get(key((change,)), {})
            if expected and any(expected[part] != steps for part, steps in found.items()):
                differing[change.name].append(f"recorded {expected}, found {found}")
        for page in (*pages(stack), ()):
            differing[key(page) if page else "as it was"] = pair.turn(page)
        differing["taken away"] = pair.destroy()
    finally:
        pair.stop()
    assert {name: told for name, told in differing.items() if told} == {}
