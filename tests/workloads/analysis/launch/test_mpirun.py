from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workloads.analysis import mpirun_program
from workloads.analysis.launch import address, mpirun, scratch, self_check
from workloads.runtime.errors import StageError

COUNT = (
    "from mpi4py import MPI; c = MPI.COMM_WORLD; print('rank', c.rank, 'of', c.allreduce(1),"
    " flush=True)"
)


def program(folder: Path, name: str) -> Path:
    made = folder / name
    made.write_text("#!/bin/sh\nexit 0\n")
    made.chmod(0o700)
    return made


def test_the_mpirun_of_path_comes_before_the_one_beside_python(monkeypatch, tmp_path):
    own = program(tmp_path, "mpirun")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mpirun.find() == str(own)
    own.unlink()
    assert mpirun.find() == str(Path(sys.executable).parent / "mpirun")


def test_no_mpirun_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(StageError, match="no mpirun on this node"):
        mpirun.find()


@pytest.fixture
def without_ssh(monkeypatch, tmp_path) -> None:
    """As in the image: nothing on PATH but a shell and what Open MPI's scripts need."""
    for name in ("sh", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("ssh") is None


def test_more_ranks_than_cores_on_a_node_without_ssh(without_ssh, tmp_path):
    ranks = len(os.sched_getaffinity(0)) + 1
    ended = subprocess.run(
        mpirun.on_one_node(ranks, (sys.executable, "-m", "mpi4py", "-c", COUNT)),
        env=mpirun.environment(
            {
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "TMPDIR": str(tmp_path),
                "OMPI_MCA_mpi_yield_when_idle": "1",
            }
        ),
        cwd=mpirun.ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sorted(ended.stdout.splitlines()) == [f"rank {rank} of {ranks}" for rank in range(ranks)]


def test_programs_of_the_tests_meet_no_session_of_another_start():
    """Which a killed one leaves under its process id, for whichever has that id next."""
    program = (sys.executable, "-S", "-c", "import os; print(os.listdir(os.environ['TMPDIR']))")
    found = mpirun_program.run(1, program, environ={}, timeout_seconds=60)
    assert len(ast.literal_eval(found)) == 1, found


def over_nodes(hostfile: Path) -> list[str]:
    return mpirun.over_nodes(
        addresses=["10.0.0.4", "10.0.0.5"],
        on_one_machine=False,
        ranks=2,
        hostfile=hostfile,
        program=("true",),
    )


def test_what_the_nodes_share_names_nothing_that_the_main_node_has_alone(tmp_path):
    hostfile = tmp_path / "hosts"
    command = over_nodes(hostfile)
    agent = command[command.index("plm_ssh_agent") + 1].split()
    assert [Path(part).exists() for part in (agent[0], agent[-1])] == [True, True]
    assert [part for part in command if str(tmp_path) in part] == [
        str(hostfile)
    ]  # read by mpirun alone


@pytest.mark.parametrize(
    ("here", "excluded"),
    [
        (["127.0.0.1", "10.0.0.4"], "127.0.0.0/8"),
        (["127.0.0.1", "169.254.172.2", "10.0.0.4"], "127.0.0.0/8,169.254.0.0/16"),
    ],
)
def test_only_networks_that_the_node_has_are_excluded(monkeypatch, tmp_path, here, excluded):
    monkeypatch.setattr(address, "_of_interfaces", lambda: here)
    command = over_nodes(tmp_path / "hosts")
    assert [
        command[command.index(name) + 1] for name in ("prte_if_exclude", "btl_tcp_if_exclude")
    ] == [excluded, excluded]


def test_this_machine_has_loopback():
    assert "127.0.0.1" in address._of_interfaces()


def test_ranks_have_a_shell_that_mpirun_knows():
    assert mpirun.environment({})["SHELL"] == "/bin/sh"


def test_no_writable_temporary_directory_is_told(monkeypatch, tmp_path):
    def nowhere(*_: object, **__: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr("tempfile.mkdtemp", nowhere)
    with pytest.raises(StageError) as told, scratch.folder():
        pass
    assert told.value.sentence.startswith(
        "this node has no writable temporary directory: No usable temporary directory found in"
        " ['/tmp'"
    )
    assert "TMPDIR" in told.value.hint
    assert told.value.exit_code == 2


def test_the_folder_goes_and_what_the_ranks_left_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch.folder() as folder:
        session = Path(scratch.variables(folder)["TMPDIR"]) / "ompi.host.0"
        session.mkdir()
        (session / "rendezvous").write_text("")
    assert list(tmp_path.iterdir()) == []


def test_the_check_of_the_image_starts_ranks_with_the_mpirun_that_the_launcher_finds(
    monkeypatch, tmp_path, capfd
):
    assert self_check.main() == 0
    assert capfd.readouterr().out.startswith(f"{mpirun.find()}\nOpen MPI v")
    other = program(tmp_path, "mpirun")
    other.write_text("#!/bin/sh\nexit 7\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert self_check.main() == 7
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    other.unlink()
    assert self_check.main() == 82


def test_ranks_of_a_launcher_of_another_mpi_fail_the_check(monkeypatch):
    start = mpirun.on_one_node
    monkeypatch.setattr(
        mpirun, "on_one_node", lambda _, command: start(1, command)
    )  # each alone, as strangers are
    assert self_check.main() != 0
