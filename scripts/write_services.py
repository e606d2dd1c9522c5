"""Writes docs/services.md: which operations the AWS in memory has. A test holds the page to what it
finds itself.

Usage: python -m scripts.write_services
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from localcloud.cloud import LocalCloud
from localcloud.coverage import SERVICES, Coverage, survey

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "services.md"
_HEAD: Final = """# What the AWS in memory is, and what it is not

Written by `python -m scripts.write_services`, which asks the AWS of `make up` for every operation of these services; a test does the
same and compares.

- **own**: answered by this program, held to AWS's documents by its tests; for AWS Batch also to botocore's models.
- **moto**: answered by [moto](https://github.com/getmoto/moto). Signatures, policies, events and faults are this program's, the answer is
  moto's. `docs/moto.md` lists the faults of it that were met. Other services of moto's answer too; nothing is claimed of them.
- **refused**: status 501 with the code `NotImplemented` in the service's own protocol, at once; no SDK tries it again.

| service | own | moto | refused |
|---|---|---|---|
"""


def text(found: Mapping[str, Coverage]) -> str:
    """The page."""
    lines = [
        f"| {name} | {len(each.own)} | {len(each.moto)} | {len(each.refused)} |"
        for name, each in found.items()
    ]
    sections = [_section(name, each) for name, each in found.items()]
    return _HEAD + "\n".join(lines) + "\n" + "".join(sections)


def _section(name: str, coverage: Coverage) -> str:
    parts = [("own", coverage.own), ("moto", coverage.moto), ("refused", coverage.refused)]
    return (
        f"\n## {name}\n\n"
        + "\n".join(f"- **{kind}**: {', '.join(names) or 'none'}" for kind, names in parts)
        + "\n"
    )


def surveyed() -> dict[str, Coverage]:
    """Every service, each asked of an AWS of its own."""
    found = {}
    for name in SERVICES:
        with (
            tempfile.TemporaryDirectory() as directory,
            LocalCloud(Path(directory), images={}) as cloud,
        ):
            found[name] = survey(cloud, name)
    return found


if __name__ == "__main__":
    PAGE.write_text(text(surveyed()))
