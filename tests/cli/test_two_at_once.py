"""Two `up`s of one checkout at once: the second would empty the folder in which the first one
deploys.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli import service
from cli.errors import CliError, ExitCode


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, path in (
        ("STATE", tmp_path),
        ("ENDPOINT", tmp_path / "up" / "endpoint.json"),
        ("_LOG", tmp_path / "up.log"),
        ("_LOCK", tmp_path / "up.lock"),
    ):
        monkeypatch.setattr(service, name, path)


def test_the_second_is_refused_and_leaves_the_first_ones_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service._locked() as lock:
        first = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,)
        )
        (tmp_path / "up.lock").write_text(str(first.pid))
        (tmp_path / "up.log").write_text("deploying")
    # whoever has begun it is gone, and it still has the lock
    with pytest.raises(CliError, match=rf"another `up` .* \(process {first.pid}\)") as refused:
        service.start("local", 0, "own")
    assert refused.value.code == ExitCode.USAGE
    assert (tmp_path / "up.log").read_text() == "deploying"
    first.kill()
    first.communicate()
    # killed or not, nothing of it stands in the way of the next one
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CliError, match="the rehearsal ended without a word"):
        service.start("local", 0, "own")
