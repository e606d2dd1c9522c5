"""Prints what CHANGELOG.md says of a version, once tag, package and changelog agree on it.

Run as `python scripts/release_notes.py v1.2.3`; needs nothing but the standard library.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class ReleaseError(Exception):
    """One sentence for whoever makes the release."""


def sections(changelog: str) -> dict[str, str]:
    """Version -> what the changelog says of it, newest first; `Unreleased` is one of them."""
    parts = re.split(r"^## (\S+).*$", changelog, flags=re.MULTILINE)
    return {version: text.strip() for version, text in zip(parts[1::2], parts[2::2], strict=True)}


def notes(tag: str, version: str, changelog: str) -> str:
    """The notes of a release.

    Raises ReleaseError where the tag is not that of the version, or the changelog says nothing of
    it or still has changes under Unreleased.
    """
    if tag != f"v{version}":
        raise ReleaseError(
            f"the tag is {tag}, pyproject.toml says {version}: tag it v{version}, or change the"
            " version first"
        )
    found = sections(changelog)
    if not found.get(version):
        raise ReleaseError(
            f"CHANGELOG.md has no section `## {version}` with text in it: give what is under"
            " Unreleased that heading"
        )
    if found.get("Unreleased"):
        raise ReleaseError(
            f"CHANGELOG.md has changes under Unreleased: are they part of {version}? Move them"
            " there, or take them out"
        )
    return found[version]


def main() -> int:
    """Prints the notes; 1 and a sentence where there are none."""
    if len(sys.argv) != 2:
        print("usage: python scripts/release_notes.py v<version>", file=sys.stderr)
        return 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        print(
            notes(
                sys.argv[1], project["version"], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
            )
        )
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
