"""What the jobs of the rehearsal find where the images have /app."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cli.paths import ROOT
from cli.rehearsal import IMAGES
from localcloud.batch import container

(APP,) = (Path(str(image)) for image in IMAGES.values())
HIDDEN = sorted({path.stem for path in container.HIDDEN.glob("*.py")} - {"__init__"})


def test_a_stage_loads_nothing_that_only_the_tests_install(tmp_path: Path) -> None:
    for lock in ("cpu.lock", "gpu.lock"):
        text = (ROOT / "requirements" / lock).read_text()
        assert [name for name in HIDDEN if f"\n{name}==" in text] == []
    program = (
        "import workloads.preprocess.stage, workloads.postprocess.stage, sys\n"
        f"print([name for name in {HIDDEN} if name in sys.modules], workloads.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{container.HIDDEN}:{APP}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["[]", str(APP / "workloads" / "__init__.py")]
