"""`clean`: the stage on a local file, its report, JSON and files, and one sentence where it is
refused.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

import pytest
from pyarrow import parquet
from rich.console import Console

from cli import clean as cli_clean
from cli import frame
from cli.app import main
from cli.errors import CliError, ExitCode

ROOT = Path(__file__).parents[2]
GOOD = (
    b"name,age,price\n"
    + b"".join(b"n%d,%d,%d.25\n" % (i, 20 + i % 9, i) for i in range(40))
    + b"n40,?,oops\n"
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """How the command has ended."""

    returncode: int
    stdout: str
    stderr: str


def clean(*arguments: object) -> Done:
    """The command line in this process: each of its own reads pandas for a second."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["batchref", "clean", *map(str, arguments)]),
        patch.object(frame.out, "_width", 160),
        patch.object(frame.err, "_width", 160),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main()
    assert isinstance(end.value.code, int)
    return Done(returncode=end.value.code, stdout=out.getvalue(), stderr=err.getvalue())


def clean_in_a_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same with nothing of this process and its environment."""
    return subprocess.run(
        [sys.executable, "-m", "cli", "clean", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "160"},
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_bytes(GOOD)
    return path


def test_json_and_files(file, tmp_path):
    out = tmp_path / "deep" / "out"
    done = clean_in_a_process(file, "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    assert clean(file, "--json", "--out", out).stdout == done.stdout
    found = json.loads(done.stdout)
    assert (found["rows_read"], found["rows"], found["rejected"]) == (41, 40, {"not a number": 1})
    assert (found["encoding"], found["delimiter"], found["decimal"], found["header"]) == (
        "utf-8",
        ",",
        ".",
        True,
    )
    assert [
        (c["name"], c["source"], c["type"], c["missing"], c["use"]) for c in found["columns"]
    ] == [
        ("name", "name", "text", 0, "keep"),
        ("age", "age", "number", 0, "compare"),
        ("price", "price", "number", 0, "compare"),
    ]
    assert all(column["reason"].endswith(".") for column in found["columns"])
    assert {(remark["code"], remark["column"]) for remark in found["remarks"]} == {
        ("cells-without-value", "price")
    }
    assert found["first_rows"][0] == {"name": "n0", "age": 20, "price": 0.25}
    assert {
        name: Path(path).relative_to(out).as_posix() for name, path in found["files"].items()
    } == {
        "table": "table/table.parquet",
        "lines": "lines.parquet",
        "rejected": "rejected.csv",
        "cleaned_csv": "cleaned.csv",
    }
    assert sorted(path.name for path in out.iterdir()) == [
        "cleaned.csv",
        "lines.parquet",
        "rejected.csv",
        "table",
    ]
    assert parquet.read_table(out / "table")["price"].to_pylist()[-1] == 39.25
    assert [row["line"] for row in csv.DictReader((out / "rejected.csv").open())] == ["42"]
    assert (out / "cleaned.csv").read_text().count("\n") == 41


def test_the_report_cuts_no_number_and_shows_no_control(tmp_path):
    path = tmp_path / "x.csv"
    rows = [f"{10_000_000_000 + i},a\x1b[31m{i},{i / 7!r}" for i in range(30)]
    path.write_text("count,na\u202eme,ratio\n" + "\n".join(rows) + "\n")
    done = clean(path)
    assert done.returncode == 0, done.stderr
    for shown in (
        "30 rows kept of 30, 0 rejected",
        "10000000001",
        "0.14285714285714285",
        r"a\x1b[31m0",
        r"na\u202eme",
        "header in line 1",
    ):
        assert shown in done.stdout
    assert not {"\x1b[31m", "\u202e"} & set(done.stdout)
    assert "\x1b[31m" not in done.stdout


def test_what_is_not_sure_is_marked(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("name,v\n" + "".join(f'n{i},"{i % 9 + 1},234"\n' for i in range(30)))
    assert (
        "! v is read with decimal point, comma between thousands, but may have a decimal comma"
        in clean(path).stdout
    )


def test_settings_of_a_stack(file, tmp_path):
    stack = tmp_path / "Pulumi.mine.yaml"
    text = (ROOT / "Pulumi.local.yaml").read_text()
    declared = (
        "write_cleaned_csv: true\n      columns: {prices: {age: {type: text}, price: {use:"
        " describe}}}"
    )
    stack.write_text(text.replace("write_cleaned_csv: true", declared))
    found = json.loads(clean(file, "--json", "--stack", stack).stdout)
    assert [(c["type"], c["use"]) for c in found["columns"]] == [
        ("text", "keep"),
        ("text", "keep"),
        ("number", "describe"),
    ]
    assert found["rows"] == 41
    other = json.loads(clean(file, "--json", "--stack", stack, "--dataset", "other").stdout)
    assert other["rows"] == 40


def test_refused_with_one_sentence_and_exit_code_2(file, tmp_path):
    empty, ragged, taken = tmp_path / "empty.csv", tmp_path / "ragged.csv", tmp_path / "taken"
    empty.touch()
    taken.touch()
    ragged.write_text("a,b\n" + "1,2\n" * 5 + "1\n" * 5)
    out = tmp_path / "out"
    for arguments, sentence in [
        ((tmp_path / "none.csv",), "none.csv cannot be read: No such file or directory"),
        ((tmp_path,), "is a directory; give the path of a CSV file"),
        ((empty,), "empty.csv: the file is empty"),
        ((ragged, "--out", out), "5 of 10 rows (50.0 %) were rejected, allowed are 20 %"),
        ((file, "--out", taken), "taken cannot be written to: File exists"),
        ((file, "--dataset", "x"), "--dataset names a data set of a stack file"),
        ((file, "--stack", "nowhere"), "nowhere"),
    ]:
        done = clean(*arguments)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert sentence in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr
    assert [path.name for path in out.iterdir()] == ["rejected.csv"]
    assert "PIPELINE_" not in clean(ragged).stderr


SECRET = (
    "name,age,price\n"
    + "".join(f'zoe{i},{20 + i % 9},"{i % 9 + 1},571"\n' for i in range(40))
    + "zoe40,30,hidden\n"
)


def test_a_stack_that_shows_no_values(tmp_path):
    path, stack = tmp_path / "prices.csv", tmp_path / "Pulumi.mine.yaml"
    path.write_text("Report for Zoe\n\n" + SECRET)
    text = (ROOT / "Pulumi.local.yaml").read_text()
    for shown in ("true", "false"):
        stack.write_text(f"{text}  batch-reference:pipeline: {{show_values: {shown}}}\n")
        out = tmp_path / shown
        plain, as_json = (
            clean(path, "--stack", stack, "--out", out),
            clean(path, "--stack", stack, "--json"),
        )
        assert (plain.returncode, as_json.returncode) == (0, 0), plain.stderr + as_json.stderr
        for done in (plain, as_json):
            values = [value for value in ("hidden", "zoe0", "Zoe") if value in done.stdout]
            assert values == (["hidden", "zoe0", "Zoe"] if shown == "true" else [])
            assert ("(value omitted)" in done.stdout) == (shown == "false")
        assert "hidden" in (out / "rejected.csv").read_text(), "files hold what the upload held"
        assert len(json.loads(as_json.stdout)["first_rows"]) == (5 if shown == "true" else 0)


def refusal(file: Path, out: Path | None = None) -> str:
    errors = Console(file=io.StringIO())
    with pytest.raises(CliError) as caught:
        cli_clean.run(Console(file=io.StringIO()), errors, cli_clean.Wanted(file=file, out=out))
    assert caught.value.code == ExitCode.USAGE
    return str(caught.value)


def denied(*_arguments: object, **_options: object) -> NoReturn:
    """Whoever asks: root is denied nothing by the modes of files."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_permission_denied(file, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", denied)
        assert (
            refusal(file)
            == f"{file} cannot be read: Permission denied; give the path of a CSV file"
        )
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", denied)
        assert (
            refusal(file, out)
            == f"{out} cannot be written to: Permission denied; give another --out"
        )
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkdtemp", denied)
        assert (
            refusal(file, out)
            == f"{out} cannot be written to: Permission denied; give another --out"
        )
        where = tempfile.gettempdir()
        assert (
            refusal(file)
            == f"{where} cannot be written to: Permission denied; give a folder with --out"
        )
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", denied)
        where = out / "table" / "table.parquet"
        assert (
            refusal(file, out)
            == f"{where} cannot be written: Permission denied; give another --out"
        )
    assert [path.name for path in out.iterdir()] == ["table"], "no temporary folder is left"


def test_out_is_no_folder(file, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert refusal(file, taken) == f"{taken} cannot be written to: File exists; give another --out"
    below = taken / "deep"
    assert (
        refusal(file, below) == f"{below} cannot be written to: Not a directory; give another --out"
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "table").write_text("mine")
    where = out / "table" / "table.parquet"
    assert refusal(file, out) == f"{where} cannot be written: File exists; give another --out"
    assert (taken.read_text(), (out / "table").read_text()) == ("mine", "mine")
    (out / "table").unlink()
    (out / "rejected.csv").mkdir()
    assert refusal(file, out).startswith(
        f"{out / 'rejected.csv'} cannot be written: Is a directory"
    )


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_for_terminals(tmp_path, terminal, monkeypatch):
    monkeypatch.setattr(cli_clean, "_LARGE_BYTES", len(GOOD))
    file = tmp_path / "large.csv"
    file.write_bytes(GOOD)
    shown = io.StringIO()
    errors = Console(file=shown, force_terminal=terminal, force_interactive=terminal, width=100)
    assert (
        cli_clean.run(Console(file=io.StringIO()), errors, cli_clean.Wanted(file=file))
        == ExitCode.OK
    )
    assert ("100 % read, 40 rows kept, 1 rejected" in shown.getvalue()) == terminal
    assert terminal or shown.getvalue() == "", (
        "on a pipe, where lines would stand among others' output"
    )
