"""Reads templates by AWS CDK and asks cdk-nag's pack AwsSolutions: runs in the referees'
environment, prints findings as JSON.

python nag.py TEMPLATE...        needs Node.js, in which AWS CDK runs
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import App, Stack, Validations
from aws_cdk.cloudformation_include import CfnInclude
from cdk_nag import AwsSolutionsChecks

_PACK = "AwsSolutions"


def findings(templates: list[Path]) -> Iterator[dict[str, str]]:
    """One for each rule and resource. Raises ValueError where nothing was judged."""
    with TemporaryDirectory() as folder:
        app = App(outdir=folder)
        for path in templates:
            CfnInclude(Stack(app, _stack(path)), "made", template_file=str(path))
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        written = Path(folder) / "validation-report.json"
        try:
            with contextlib.redirect_stdout(sys.stderr):
                app.synth()
        except RuntimeError:
            # what it finds ends the synthesis with an error, after the report is written
            if not written.exists():
                raise
        report: dict[str, Any] = json.loads(written.read_text())
    packs = [each for each in report["pluginReports"] if each["pluginName"] == _PACK]
    if not packs:
        raise ValueError(f"there is no report of {_PACK}: nothing was judged")
    for pack in packs:
        for violation in pack["violations"]:
            check, _, about = violation["ruleName"].partition("[")
            for construct in violation["violatingConstructs"]:
                stack, _, resource = construct["constructPath"].partition("/made/")
                text = f"{violation['description']} {about.removesuffix(']')}".rstrip()
                yield {
                    "referee": "cdk-nag",
                    "check": check,
                    "where": f"{stack}/{resource}",
                    "text": text,
                }


def _stack(path: Path) -> str:
    return path.name.partition(".")[0]


if __name__ == "__main__":
    print(json.dumps(list(findings([Path(each) for each in sys.argv[1:]]))))
