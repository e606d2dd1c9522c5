"""A finding without an answer fails, an answer without a finding fails, and the docs tell the
answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from referees import judges
from referees.findings import Answer, Finding, answers, judged, table

ROOT = Path(__file__).parents[2]
KNOWN = Answer(finding="f", answer="a", checks=(("checkov", "CKV_1", "*/Logs*", "*"),))


def _finding(
    check: str = "CKV_1", where: str = "prod/LogsOne", text: str = "not encrypted"
) -> Finding:
    return Finding(referee="checkov", check=check, where=where, text=text)


def test_an_answered_finding_is_no_fault() -> None:
    assert judged([_finding(), _finding(where="dev/LogsTwo")], [KNOWN]) == []


@pytest.mark.parametrize("new", [_finding(check="CKV_2"), _finding(where="prod/StorageBucket")])
def test_another_check_and_another_resource_have_no_answer(new: Finding) -> None:
    (wrong,) = judged([_finding(), new], [KNOWN])
    assert wrong.startswith(str(new))
    assert "Mend it, or answer it" in wrong


def test_a_pattern_of_the_text_holds_one_action_alone() -> None:
    answer = Answer(finding="f", answer="a", checks=(("checkov", "CKV_1", "*", "ecr:Get*"),))
    assert judged([_finding(text="ecr:GetAuthorizationToken")], [answer]) == []
    assert len(judged([_finding(text="ecr:GetX"), _finding(text="iam:PassRole")], [answer])) == 1


def test_an_answer_that_nothing_asks_for_goes() -> None:
    (wrong,) = judged([], [KNOWN])
    assert (
        wrong == "nothing is found any more of checkov CKV_1 */Logs* *: take it out of"
        " referees/answers.json"
    )


def test_the_docs_have_the_answers_of_the_data_file() -> None:
    assert table(answers()) in (ROOT / "docs/security.md").read_text(encoding="utf-8")


def _program(folder: Path, name: str, prints: str, code: int = 0) -> None:
    text = (
        f"#!{sys.executable}\nimport"
        f" sys\nsys.stdout.write({prints!r})\nsys.stderr.write('broken')\nsys.exit({code})\n"
    )
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


def test_a_referee_that_judges_nothing_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges, "ENVIRONMENT", tmp_path)
    report = {
        "summary": {"passed": 0, "failed": 0, "parsing_errors": 0},
        "results": {"failed_checks": []},
    }
    _program(tmp_path, "checkov", json.dumps(report))
    with pytest.raises(judges.RefereeError, match="it has judged nothing"):
        list(judges.checkov({"dev": tmp_path / "dev.template.json"}))
    for code in (0, 1):
        _program(tmp_path, "cfn-lint", "Traceback", code)
        with pytest.raises(judges.RefereeError, match=f"cfn-lint ended with {code}: broken"):
            list(judges.cfn_lint({"dev": tmp_path / "dev.template.json"}, "us-east-1"))
    _program(tmp_path, "python", "", 1)
    with pytest.raises(judges.RefereeError, match="python ended with 1: broken"):
        list(judges.iam([]))
