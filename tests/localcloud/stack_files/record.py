"""Records what the Pulumi CLI on PATH makes of the cases: `python -m
tests.localcloud.stack_files.record`.

The record stands for the CLI where there is none.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.localcloud.stack_files.cases import CASES
from tests.localcloud.stack_files.made import Maker
from tests.localcloud.stack_files.referee import Referee

RECORD: Final = Path(__file__).with_name("record.json")
_MADE: Final = 120


def made(seed: int) -> bytes:
    """A stack file of the generator."""
    return Maker(Random(seed), wild=0.04).file()  # noqa: S311 - no secret


def files() -> Iterator[tuple[str, str, bytes]]:
    """Name, project and bytes of all that is recorded."""
    yield from ((name, "typed", data) for name, data in CASES.items())
    yield from ((f"made {seed}", "plain", made(seed)) for seed in range(_MADE))


def main() -> None:
    """Writes the record."""
    found: list[dict[str, Any]] = []
    version = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=True)
    with TemporaryDirectory() as folder:
        referee = Referee(Path(folder), os.environ["PATH"])
        for name, project, data in files():
            found.append(
                {
                    "name": name,
                    "project": project,
                    "file": base64.b64encode(data).decode(),
                    "config": referee.config(project, data),
                }
            )
    RECORD.write_text(
        json.dumps({"cli": version.stdout.strip(), "files": found}, indent=1, sort_keys=True) + "\n"
    )


if __name__ == "__main__":
    main()
