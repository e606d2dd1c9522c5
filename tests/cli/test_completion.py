"""What a shell is offered, by the protocol of each shell."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli import completion
from cli.app import app

WORDS = {
    "bash": lambda words: {
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    },
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words)},
    "fish": lambda words: {
        "_TYPER_COMPLETE_ARGS": " ".join(words),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}


def offered(shell: str, *words: str) -> str:
    environment = WORDS[shell](["batchref", *words])
    environment["_BATCHREF_COMPLETE"] = f"complete_{shell}"
    return CliRunner().invoke(app, [], prog_name="batchref", env=environment).output


@pytest.mark.parametrize("shell", WORDS)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sh",), {"show"}),
        (("check", "pr"), {"prod"}),
        (("estimate", "d"), {"dev"}),
        (("schema", "righ"), {"rightsize"}),
        (("logs", "last", "--stage", "p"), {"preprocess", "postprocess"}),
        (("runs", "--stack", "lo"), {"local"}),
        (("retry", "last", "--from", "a"), {"analysis"}),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_each_shell_is_offered_what_fits(
    shell: str, words: tuple[str, ...], expected: set[str]
) -> None:
    found = offered(shell, *words)
    assert all(each in found for each in expected)
    assert "preprocess" not in found or "preprocess" in expected


def test_where_nothing_can_be_asked_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr("cli.target.Target.find", fails)
    assert "Traceback" not in offered("bash", "replay", "s")
    assert offered("bash", "pause", "--queue", "").strip() == ""
    assert completion.stages("x") == []
