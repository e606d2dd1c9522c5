"""Findings, the answers to those that stay, and the table of docs/security.md that is made from the
answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("answers.json")


@dataclass(frozen=True, order=True, kw_only=True)
class Finding:
    """What a referee says. `where` is `<stack>/<resource>`, or a file of the repository."""

    referee: str
    check: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.referee} {self.check} at {self.where}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Why some findings stay.

    Each check is `(referee, check, pattern of where, pattern of text)`; patterns as of a shell.
    """

    finding: str
    answer: str
    checks: tuple[tuple[str, str, str, str], ...]

    def matching(self, finding: Finding) -> list[int]:
        """Positions of the checks that a finding falls under."""
        return [
            position
            for position, (referee, check, where, text) in enumerate(self.checks)
            if (referee, check) == (finding.referee, finding.check)
            and fnmatchcase(finding.where, where)
            and fnmatchcase(finding.text, text)
        ]


def answers(path: Path = PATH) -> tuple[Answer, ...]:
    """All answers of the data file, in its order."""
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Answer(
            finding=entry["finding"],
            answer=entry["answer"],
            checks=tuple(
                (each["referee"], each["check"], each["where"], each.get("text", "*"))
                for each in entry["checks"]
            ),
        )
        for entry in entries
    )


def judged(found: Iterable[Finding], known: Iterable[Answer]) -> list[str]:
    """One sentence for each finding that has no answer, and for each answer that nothing asks for
    any more.
    """
    known = tuple(known)
    asked = {id(answer): set[int]() for answer in known}
    wrong = []
    for finding in sorted(set(found)):
        answered = False
        for answer in known:
            positions = answer.matching(finding)
            asked[id(answer)].update(positions)
            answered = answered or bool(positions)
        if not answered:
            wrong.append(f"{finding}. Mend it, or answer it in referees/answers.json")
    for answer in known:
        for position, check in enumerate(answer.checks):
            if position not in asked[id(answer)]:
                wrong.append(
                    f"nothing is found any more of {' '.join(check)}: take it out of"
                    " referees/answers.json"
                )
    return wrong


def table(known: Iterable[Answer]) -> str:
    """The answers as the table of docs/security.md."""
    lines = ["| finding | answer | checks |", "|---|---|---|"]
    for answer in known:
        checks = sorted({(referee, check) for referee, check, _, _ in answer.checks})
        told = (
            ", ".join(f"{referee} `{check}`" for referee, check in checks)
            or "trivy, cfripper or prowler"
        )
        lines.append(f"| {answer.finding} | {answer.answer} | {told} |")
    return "\n".join(lines) + "\n"
