"""Jobs that end before their time: time limits, lost hosts, terminated and cancelled jobs, and the
end of the process that runs the cloud.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.localcloud.conftest import Stage, until


def test_lost_host_is_retried(stage: Stage) -> None:
    queue = stage.queue(stage.environment("SPOT", max_vcpus=8))
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ]
    code = "import os, time; time.sleep(60 if os.environ['AWS_BATCH_JOB_ATTEMPT'] == '1' else 0)"
    job_id = stage.submit(
        queue, stage.python(code), retryStrategy={"attempts": 2, "evaluateOnExit": rules}
    )
    stage.wait(job_id, "RUNNING")
    instance = stage.cloud.batch.lose_host(job_id)
    job = stage.wait(job_id)
    assert job["status"] == "SUCCEEDED"
    assert job["attempts"][0]["statusReason"] == f"Host EC2 (instance {instance}) terminated."
    assert "exitCode" not in job["attempts"][0]["container"]


def test_timeout_is_not_retried(stage: Stage, queue: str) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9));"
        " print('ready', flush=True); time.sleep(60)"
    )
    job_id = stage.submit(
        queue,
        stage.python(code),
        timeout={"attemptDurationSeconds": 60},
        retryStrategy={"attempts": 3},
    )
    stream = stage.wait(job_id, "RUNNING")["container"]["logStreamName"]
    until(lambda: stage.log(stream))
    stage.cloud.batch.advance(61)
    job = stage.wait(job_id)
    assert (job["status"], job["statusReason"], len(job["attempts"])) == (
        "FAILED",
        "Job attempt duration exceeded timeout",
        1,
    )
    assert job["attempts"][0]["container"]["exitCode"] == 9


def test_terminate_and_cancel(stage: Stage) -> None:
    queue = stage.queue(stage.environment(max_vcpus=4, instanceTypes=["c5.xlarge"]))
    sleeper = stage.python("import time; time.sleep(60)", vcpus="4")
    running, waiting, dependent = stage.submit(queue, sleeper), stage.submit(queue, sleeper), None
    stage.wait(running, "RUNNING")
    dependent = stage.submit(queue, sleeper, dependsOn=[{"jobId": running}])
    assert stage.wait(dependent, "PENDING")
    assert stage.wait(waiting, "RUNNABLE")
    stage.batch.cancel_job(jobId=running, reason="too late for this")
    stage.batch.cancel_job(jobId=waiting, reason="not needed")
    assert (
        stage.job(waiting)["status"],
        stage.job(waiting)["statusReason"],
        stage.job(waiting)["isCancelled"],
    ) == (
        "FAILED",
        "not needed",
        True,
    )
    assert stage.job(running)["status"] == "RUNNING"
    stage.batch.terminate_job(jobId=running, reason="enough")
    job = stage.wait(running)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == ("FAILED", "enough", True)
    assert job["attempts"][0]["container"]["exitCode"] == 143
    assert stage.wait(dependent)["statusReason"] == "Dependent Job failed"


def test_a_pending_job_that_is_cancelled_waits_for_what_it_depends_on(
    stage: Stage, queue: str
) -> None:
    first = stage.submit(queue, stage.definition(["sleep", "60"]))
    second = stage.submit(queue, stage.definition(["true"]), dependsOn=[{"jobId": first}])
    stage.wait(second, "PENDING")
    stage.wait(first, "RUNNING")
    stage.batch.cancel_job(jobId=second, reason="not needed")
    time.sleep(0.3)
    pending = stage.job(second)
    assert (pending["status"], pending["isCancelled"]) == ("PENDING", True)
    stage.batch.terminate_job(jobId=first, reason="enough")
    ended = stage.wait(second)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "not needed")


def test_no_process_is_left_over(stage: Stage, queue: str) -> None:
    # a daemon that leaves session and process group, as MPI's do
    code = (
        "import os, subprocess, sys\nsubprocess.Popen(['sleep', '321'], start_new_session=True)\nif"
        " os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  os.execvp('sleep', ['sleep',"
        " '321'])\n os._exit(0)\nprint('main done', flush=True)"
    )
    job = stage.wait(stage.submit(queue, stage.python(code)))
    assert job["status"] == "SUCCEEDED"
    ours = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "321"]]
    assert ours == []


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # between one look and the next
        return True


def test_jobs_die_with_the_process_that_runs_the_cloud(tmp_path: Path) -> None:
    """The cloud's process is killed without a chance to clean up; its job goes with it."""
    script = tmp_path / "host.py"
    script.write_text(
        "import subprocess, sys, pathlib, time\nfrom localcloud.batch.tasks import Container,"
        " Task\ndirectory = pathlib.Path(sys.argv[1]); directory.mkdir()\nenvironment = {'PATH':"
        " '/usr/bin:/bin'}\nmake = lambda: Container(command=['sleep', '654'],"
        " environment=environment, directory=directory, write_lines=print, memory_mib=64)\nTask(name='t',"
        " prepare=make, grace_seconds=1, started=lambda _: print('started', flush=True),"
        " ended=print).start()\ntime.sleep(60)\n"
    )
    root = Path(__file__).parents[2]
    host = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "work")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "started\n"
    found = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "654"]]
    assert len(found) == 1
    host.kill()
    host.wait()
    until(lambda: _is_gone(found[0]), what="the job to be killed")
    host.stdout.close()
