"""Writes templates and policies of all stacks, has them judged, and fails on a finding that has no
answer.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from referees import judges, stacks
from referees.convert import template
from referees.findings import Finding, answers, judged
from tests.components import mocks


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make referees", description=__doc__)
    parser.add_argument(
        "--write",
        metavar="FOLDER",
        type=Path,
        help="keep templates, policies and findings in this folder",
    )
    chosen = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder: Path = chosen.write or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return _judge(folder.resolve())


def _judge(folder: Path) -> int:
    templates, policies = {}, list(stacks.examples_of_roles())
    counted = 0
    for stack in stacks.STACKS:
        made = stacks.resources(stack)
        written = template(made)
        counted += len(written["Resources"])
        templates[stack] = folder / f"{stack}.template.json"
        templates[stack].write_text(json.dumps(written, indent=1, sort_keys=True), encoding="utf-8")
        policies += stacks.documents(stack, made)
    asked = [{"where": each.where, "policy": each.policy} for each in policies]
    (folder / "policies.json").write_text(json.dumps(asked, indent=1), encoding="utf-8")
    try:
        found: list[Finding] = [
            *judges.cfn_lint(templates, mocks.REGION),
            *judges.checkov(templates),
            *judges.cdk_nag(templates),
            *judges.iam(asked),
        ]
    except judges.RefereeError as error:
        print(f"referees: {error}", file=sys.stderr)
        return 2
    (folder / "findings.txt").write_text(
        "".join(f"{each}\n" for each in sorted(set(found))), encoding="utf-8"
    )
    wrong = judged(found, answers())
    for line in wrong:
        print(f"  FAIL  {line}")
    told = ", ".join(
        f"{referee} {count}"
        for referee, count in sorted(Counter(each.referee for each in found).items())
    )
    print(
        f"referees: {counted} resources and {len(policies)} policies of {', '.join(stacks.STACKS)};"
        f" found: {told or 'nothing'};"
    )
    print(f"          without an answer, or answered for nothing: {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
