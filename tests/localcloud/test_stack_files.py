"""Stack files mean here what they mean to the Pulumi CLI, whose answers are recorded."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.deployment.stack_file import StackFileError, read_stack, stack_document
from localcloud.deployment.stack_yaml.nodes import shown
from tests.localcloud.stack_files.cases import CASES, PROJECTS, STRICTER
from tests.localcloud.stack_files.made import Maker, damaged
from tests.localcloud.stack_files.record import RECORD

ROOT = Path(__file__).parents[2]
FOUND: list[dict[str, Any]] = json.loads(RECORD.read_text())["files"]
ACCEPTED = [f for f in FOUND if f["config"] is not None]


def read(folder: Path, project: str, data: bytes) -> dict[str, str] | str:
    """The config of a file, or the sentence that refuses it."""
    (folder / "Pulumi.yaml").write_text(PROJECTS[project])
    (folder / "Pulumi.t.yaml").write_bytes(data)
    try:
        return dict(read_stack(folder, "t", {}, {}).config)
    except StackFileError as error:
        return str(error)


@pytest.mark.parametrize("entry", FOUND, ids=lambda entry: str(entry["name"]))
def test_a_file_means_what_it_means_to_the_cli(entry: dict[str, Any], tmp_path: Path) -> None:
    found = read(tmp_path, entry["project"], base64.b64decode(entry["file"]))
    if entry["config"] is None or entry["name"] in STRICTER or isinstance(found, str):
        # one sentence, which names the file and what to do
        assert isinstance(found, str), found
        assert found.startswith("Pulumi.t.yaml")
        assert "\n" not in found
        assert ";" in found
    else:
        assert found == entry["config"]


def test_few_files_are_refused_that_the_cli_takes(tmp_path: Path) -> None:
    refused = {
        f["name"]
        for f in ACCEPTED
        if isinstance(read(tmp_path, f["project"], base64.b64decode(f["file"])), str)
    }
    assert {name for name in refused if name in CASES} == STRICTER
    assert len(refused - STRICTER) < 0.1 * len(ACCEPTED)
    assert len(ACCEPTED) > 100


def test_the_record_is_of_these_cases() -> None:
    recorded = {f["name"]: base64.b64decode(f["file"]) for f in FOUND}
    assert {name: recorded.get(name) for name in CASES} == CASES


def refuses_or_reads(data: bytes) -> None:
    said, config = "", {}
    try:
        config = dict(stack_document(data, "Pulumi.t.yaml", "batch-reference").config)
    except StackFileError as error:
        said = str(error)
    assert said.isprintable(), repr(said)
    json.dumps(config, allow_nan=False).encode()


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_end_in_a_traceback(data: bytes) -> None:
    refuses_or_reads(data)
    refuses_or_reads(b"config:\n  a: " + data)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab01: \n-{}[]'\"&*!|>#%@,?\t.~<_xoe+", max_size=60))
def test_no_punctuation_ends_in_a_traceback(text: str) -> None:
    refuses_or_reads(text.encode())
    refuses_or_reads(f"config:\n  a: {text}".encode())


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_no_damaged_file_ends_in_a_traceback(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    whole = random.choice(sorted(ROOT.glob("Pulumi.*.yaml"))).read_bytes()
    refuses_or_reads(damaged(random, whole))
    refuses_or_reads(damaged(random, Maker(random, wild=0.5).file()))


@pytest.mark.parametrize(
    "data",
    [
        b"a: " + b"[" * 5000,
        b"- " * 5000,
        b"config: {a: " + b"9" * 10_000 + b"}",
        b"config: {a: 0x" + b"f" * 10_000 + b"}",
        b"config: {a: 1e" + b"9" * 5000 + b"}",
        b"%YAML 1." + b"9" * 6000 + b"\n---\na: 1",
        b'config: "\\U00110000"',
        b"x" * 2_000_000,
        b"a0: &a0 {x: 1}\n"
        + b"".join(b"a%d: &a%d {<<: *a%d, k%d: 1}\n" % (i, i, i - 1, i) for i in range(1, 300)),
        b"a0: &a0 {x: 1}\n"
        + b"".join(
            b"a%d: &a%d {<<: [%s], k%d: 1}\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 6), i)
            for i in range(1, 30)
        ),
        b"a0: &a0 [x]\n"
        + b"".join(
            b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 30)
        ),
    ],
    ids=lambda data: data[:12].decode(errors="replace"),
)
def test_no_file_takes_long(data: bytes) -> None:
    started = time.process_time()
    refuses_or_reads(data)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "becomes", "line"),
    [
        ("a: 2026-01-01", "2026-01-01 00:00:00 +0000 UTC", 3),
        ("a: 1_000", 1000, 3),
        ("a: 0x10", 16, 3),
        ("a: 010", 8, 3),
        ("a: 012345678901", 12345678901, 3),
        ("a: 12345678901234567", 12345678901234567, 3),
        ("a: 0.12345678901234567890", 0.12345678901234568, 3),
        ("b:\n    - 1\n    - 0b11", 3, 5),
        ("0x10: a", "16", 3),
    ],
)
def test_what_the_cli_alters_is_known(text: str, becomes: Any, line: int) -> None:
    data = f"config:\n  batch-reference:tags:\n    {text}\n".encode()
    (altered,) = stack_document(data, "x", "batch-reference").altered
    assert (altered.becomes, altered.line) == (becomes, line)
    assert altered.path[0] == "batch-reference:tags"


@pytest.mark.parametrize(
    "text",
    ["a: 5", "a: '1_000'", "a: 1.50", "a: -0", "a: 16.0", "a: 1e3", "a: true", "a: ~", "a: x"],
)
def test_what_the_cli_leaves_is_left(text: str) -> None:
    data = f"config:\n  batch-reference:tags:\n    {text}\n".encode()
    assert stack_document(data, "x", "batch-reference").altered == ()


def test_a_piece_of_a_file_in_a_sentence_is_one_line() -> None:
    assert shown("a\nb\x00") == "a\\nb\\x00"
    assert len(shown("x" * 100)) == 40
