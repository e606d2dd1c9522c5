"""Stack files of the moment, read by the Pulumi CLI and by this project: the record of
tests/localcloud/stack_files is true of this CLI.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from tests.conformance import cli
from tests.localcloud.stack_files.cases import CASES, STRICTER
from tests.localcloud.stack_files.made import Maker
from tests.localcloud.stack_files.referee import Referee
from tests.localcloud.test_stack_files import read

# of the day: the same for all workers and for a second look at what failed
SEED = datetime.now(UTC).date().toordinal() * 1000
CHOSEN = Random(SEED).sample(sorted(CASES), 6)  # noqa: S311 - no secret
MADE = 6


@pytest.fixture(scope="module")
def referee(pulumi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Referee:
    path = os.pathsep.join(
        map(str, (cli.ROOT / ".venv" / "bin", pulumi_folder, os.environ["PATH"]))
    )
    return Referee(tmp_path_factory.mktemp("referee"), path)


def agree(referee: Referee, folder: Path, project: str, data: bytes, *, strict: bool) -> None:
    theirs, ours = referee.config(project, data), read(folder, project, data)
    if theirs is None or (strict and isinstance(ours, str)):
        assert isinstance(ours, str), (data, ours)
    elif not isinstance(ours, str):
        assert ours == theirs, data


@pytest.mark.parametrize("name", CHOSEN)
def test_a_case(referee: Referee, name: str, tmp_path: Path) -> None:
    agree(referee, tmp_path, "typed", CASES[name], strict=name in STRICTER)


@pytest.mark.parametrize("seed", range(SEED, SEED + MADE))
def test_a_made_file(referee: Referee, seed: int, tmp_path: Path) -> None:
    data = Maker(Random(seed), wild=0.05).file()  # noqa: S311 - no secret
    agree(referee, tmp_path, "plain", data, strict=True)
