"""A release is made only of what tag, package and changelog agree on."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from scripts.release_notes import ROOT, ReleaseError, notes, sections

CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n## 1.1.0 (2026-12-01)\n\n- New\n\n### Changed\n\n- Old\n\n##"
    " 1.0.0 (2026-11-01)\n\n- First\n"
)


def test_the_notes_are_the_section_of_the_version() -> None:
    assert notes("v1.1.0", "1.1.0", CHANGELOG) == "- New\n\n### Changed\n\n- Old"
    assert notes("v1.0.0", "1.0.0", CHANGELOG) == "- First"


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "says"),
    [
        ("v1.1.0", "1.0.0", CHANGELOG, "tag it v1.0.0"),
        ("1.1.0", "1.1.0", CHANGELOG, "tag it v1.1.0"),
        ("v1.2.0", "1.2.0", CHANGELOG, "no section `## 1.2.0`"),
        (
            "v1.1.0",
            "1.1.0",
            CHANGELOG.replace("## 1.1.0", "- Late\n\n## 1.1.0"),
            "changes under Unreleased",
        ),
    ],
)
def test_what_does_not_fit_together_is_no_release(
    tag: str, version: str, changelog: str, says: str
) -> None:
    with pytest.raises(ReleaseError, match=re.escape(says)):
        notes(tag, version, changelog)


def test_the_changelog_of_this_repository_has_what_comes_and_the_version_of_the_package() -> None:
    found = sections((ROOT / "CHANGELOG.md").read_text())
    versions = list(found)
    assert versions[0] == "Unreleased"
    assert versions[1] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions[1:])


def test_the_command_says_what_is_wrong_in_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/release_notes.py", "v0.0.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("release: the tag is v0.0.0, pyproject.toml says ")
