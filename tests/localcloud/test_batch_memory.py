"""Jobs that use more memory than they asked for are killed, as the kernel does in a container."""

from __future__ import annotations

from tests.localcloud.conftest import Stage

USE = "import time; held = bytearray({mib} << 20); time.sleep({seconds})"
REASON = "OutOfMemoryError: Container killed due to memory usage"


def test_a_job_that_uses_too_much_is_killed_and_the_reason_says_so(
    stage: Stage, queue: str
) -> None:
    job_id = stage.submit(queue, stage.python(USE.format(mib=300, seconds=60), memory="128"))
    job = stage.wait(job_id)
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["reason"] == REASON
    assert job["container"]["exitCode"] == 137
    assert job["attempts"][0]["container"]["reason"] == REASON


def test_an_override_of_memory_counts_and_leaves_the_other_requirements(
    stage: Stage, queue: str
) -> None:
    more = {"resourceRequirements": [{"type": "MEMORY", "value": "512"}]}
    definition = stage.python(USE.format(mib=300, seconds=1), memory="128", vcpus="2")
    job = stage.wait(stage.submit(queue, definition, containerOverrides=more))
    assert job["status"] == "SUCCEEDED"
    sizes = {each["type"]: each["value"] for each in job["container"]["resourceRequirements"]}
    assert sizes == {"VCPU": "2", "MEMORY": "512"}


def test_what_processes_share_counts_once_and_the_largest_is_killed(
    stage: Stage, queue: str
) -> None:
    # four processes with the same 100 MiB, which the kernel holds once
    shared = (
        "import os, time; held = bytearray(os.urandom(1 << 20) * 100)\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0: time.sleep(1.5); os._exit(0)\n"
        "time.sleep(1.5)"
    )
    assert stage.wait(stage.submit(queue, stage.python(shared, memory="256")))["status"] == (
        "SUCCEEDED"
    )
    # a child uses too much: the kernel kills it, and the main process tells how that ended
    child = (
        "import subprocess, sys\n"
        "code = subprocess.run([sys.executable, '-c', "
        "'import time; held = bytearray(300 << 20); time.sleep(60)']).returncode\n"
        "sys.exit(7 if code == -9 else 0)"
    )
    job = stage.wait(stage.submit(queue, stage.python(child, memory="128")))
    assert job["container"]["exitCode"] == 7
    assert job["container"]["reason"] == REASON
