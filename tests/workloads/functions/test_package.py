"""The functions run from what their zip holds, with boto3 beside."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import components.function
import workloads
from workloads.analysis.launch.exit_codes import LaunchExit
from workloads.functions import reasons
from workloads.runtime import errors

SOURCE = Path(workloads.__file__).parent


def test_the_zip_is_enough(tmp_path):
    package = tmp_path / "workloads"
    for name in components.function._code().assets:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE.parent / name, tmp_path / name)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from workloads.functions import alarm, daily, measure, notify, redrive, submit; "
        "print(submit.handler.__module__, notify.handler.__module__, submit.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "workloads.functions.submit",
        "workloads.functions.notify",
        str(package / "functions" / "submit.py"),
    ]


def test_every_exit_code_of_the_stages_has_its_sentence():
    stage_codes = {
        value for name, value in vars(errors).items() if re.fullmatch(r"EXIT_[A-Z]+", name)
    }
    own_words = {
        errors.EXIT_OK,
        errors.EXIT_REFUSED,
    }  # a refusal is explained by the stage's error record
    known = stage_codes | {int(code) for code in LaunchExit}
    assert len(known) >= 11
    for code in known - own_words:
        cause = reasons.explain(
            {
                "attempts": [{"container": {"exitCode": code}}],
                "statusReason": "Essential container in task exited",
            }
        )
        assert f"(exit code {code})" in cause.error, code
