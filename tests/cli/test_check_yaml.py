"""`check` says what the Pulumi CLI alters, passes over and refuses in a stack file, with its
line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import stack_files
from cli.check import problems
from cli.errors import CliError

ROOT = Path(__file__).parents[2]
PROD = (ROOT / "Pulumi.prod.yaml").read_text()


def found(folder: Path, text: str | bytes) -> list[tuple[str, str, str, int | None]]:
    """Code, level, path and line of all problems of a file."""
    path = folder / "Pulumi.x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    file = stack_files.read(str(path))
    return [(p.code, p.level, p.path, file.line(p.path)) for p in problems(file)]


def tagged(line: str) -> str:
    """The stack of prod with one line more at the end, where its tags stand."""
    return f"{PROD.rstrip()}\n    {line}\n"


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("since: 2026-01-01", '"2026-01-01 00:00:00 +0000 UTC"'),
        ("0x10: a", '"16"'),
        ("2026-01-01: a", '"2026-01-01 00:00:00 +0000 UTC"'),
    ],
)
def test_an_altered_value_is_a_warning(tmp_path: Path, line: str, becomes: str) -> None:
    text = tagged(line)
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(text)
    file = stack_files.read(str(path))
    (warning,) = problems(file)
    assert (warning.code, warning.level) == ("YAML-ALTERED", "warning")
    assert becomes in warning.message
    assert file.line(warning.path) == len(text.splitlines())


@pytest.mark.parametrize(
    ("old", "new"),
    [("max_vcpus: 768", "max_vcpus: 7_68"), ("max_vcpus: 768", "max_vcpus: 0x300")],
)
def test_an_altered_number_is_a_warning(tmp_path: Path, old: str, new: str) -> None:
    text = PROD.replace(old, new, 1)
    assert text != PROD
    (warning,) = found(tmp_path, text)
    assert warning[:2] == ("YAML-ALTERED", "warning")
    assert text.splitlines()[(warning[3] or 0) - 1].strip() == new


@pytest.mark.parametrize(
    ("number", "handed", "advice"),
    [
        ("012345678901", "12345678901", "the number in plain digits"),
        ("12345678901234567890", "12345678901234567000", "a number of at most 15 digits"),
    ],
)
def test_a_number_is_told_as_the_program_gets_it(
    tmp_path: Path, number: str, handed: str, advice: str
) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(tagged(f"account: {number}"))
    shape, altered = problems(stack_files.read(str(path)))
    assert (shape.code, str(shape.found)) == ("SHAPE-TYPE", handed)
    assert altered.message.endswith(f"hands the program {handed} instead")
    assert altered.fix == f'write "{number}" in quotes where it is text, or {advice}'


@pytest.mark.parametrize("value", ["5", "", "[a]", "{a: b}", "true"])
def test_what_is_no_text_below_secure_is_no_secret(tmp_path: Path, value: str) -> None:
    """The CLI takes it for an object in plain text, and so does the program."""
    text = f"{PROD.rstrip()}\n  slack-webhook-url: {{secure: {value}}}\n"
    line = len(text.splitlines())
    assert found(tmp_path, text) == [("SECRET-PLAIN", "error", "slack-webhook-url", line)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{PROD}\nconfg: {{}}\n", ("YAML-UNREAD", "warning", "confg")),
        (f"{PROD}\n---\nconfig: {{}}\n", ("YAML-UNREAD", "warning", "---")),
        (f"{PROD}\nenvironment: [shared]\n", ("YAML-ENVIRONMENT", "warning", "environment")),
        (f"{PROD}\n  batch-reference:images:\n", ("SHAPE-EMPTY", "error", "images")),
        (
            f"{PROD}\n  batch_reference:images: {{}}\n",
            ("SHAPE-NAMESPACE", "error", "batch_reference:images"),
        ),
        (f"{PROD}\n  other:thing: 1\n", ("SHAPE-NAMESPACE", "warning", "other:thing")),
        (f"{PROD}\n  slack-webhook-url:\n", ("SHAPE-EMPTY", "error", "slack-webhook-url")),
    ],
)
def test_what_nothing_reads_is_said(
    tmp_path: Path, text: str, problem: tuple[str, str, str]
) -> None:
    assert problem in {p[:3] for p in found(tmp_path, text)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            tagged("a: 1\n    a: 2"),
            r"line \d+: the key `a` is given twice, first in line \d+; keep",
        ),
        (f"{PROD}\n\tx: 1\n", r"line \d+: .*; indent with spaces"),
        (
            PROD.encode() + b"# \xff",
            r"line \d+: the byte 0xff is not UTF-8; save the file as UTF-8",
        ),
        (PROD.encode() + b"# \x07", r"line \d+: the character U\+0007 may not stand in YAML"),
        (tagged("a: !!int b"), r"line \d+: `b` is no int, as its tag says"),
        (f"{PROD}\n  a:b:c: 1\n", r"line \d+: `a:b:c` is no config key"),
    ],
)
def test_what_the_cli_refuses_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, says: str
) -> None:
    with pytest.raises(CliError, match=says) as refused:
        found(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_other_encodings_are_read(tmp_path: Path) -> None:
    for data in (
        PROD.encode("utf-16"),
        PROD.encode("utf-8-sig"),
        PROD.replace("\n", "\r\n").encode(),
    ):
        assert found(tmp_path, data) == []


def test_json_of_altered_values_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(tagged("since: 2026-01-01"))
    file = stack_files.read(str(path))
    values: Any = json.loads(json.dumps(file.values))
    assert values["tags"]["since"] == "2026-01-01 00:00:00 +0000 UTC"
