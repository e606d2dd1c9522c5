"""Jobs in containers: what the engine is told, what of it is refused, and what is left.

The engine of these tests is a program that notes what it is told and runs the command as a
process; `make clients` does the same with Docker itself.
"""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.batch.container_engine import Engine, EngineError
from localcloud.batch.container_flags import flags
from localcloud.batch.volumes import Mount
from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import Stage, on, until

ENGINE = """
import json, os, pathlib, signal, subprocess, sys, time
state = pathlib.Path(__file__).parent / "state"
state.mkdir(exist_ok=True)
verb, rest = sys.argv[1], sys.argv[2:]
with open(state / "told", "a") as told:
    print(json.dumps(sys.argv[1:]), file=told)
if verb == "info":
    print((state / "info").read_text())
elif verb == "image":
    known = (state / "images").read_text().split()
    sys.exit(print("sha256:" + rest[-1]) if rest[-1] in known else "Error: No such image: " + rest[-1])
elif verb == "pull":
    sys.exit("Error response from daemon: manifest for " + rest[-1] + " not found")
elif verb == "create":
    name = rest[rest.index("--name") + 1]
    image = next(n for n, word in enumerate(rest) if word.startswith("sha256:"))
    names = [rest[n + 1] for n, word in enumerate(rest) if word == "--env"]
    given = {name: os.environ[name] for name in names}
    if "--env-file" in rest:
        file = pathlib.Path(rest[rest.index("--env-file") + 1])
        assert file.stat().st_mode & 0o77 == 0
        given.update(line.split("=", 1) for line in file.read_text().splitlines())
    (state / name).write_text(json.dumps({"env": given, "command": rest[image + 1:]}))
    print(name)
elif verb == "start":
    made = json.loads((state / rest[0]).read_text())
    with open(state / (rest[0] + ".log"), "wb") as log:
        try:
            child = subprocess.Popen(["sh", "-c", '"$@"; echo $? > "$0.exit.part"; mv "$0.exit.part" "$0.exit"', state / rest[0], *made["command"]],
                env={"PATH": "/usr/bin:/bin", **made["env"]}, stdout=log, stderr=log, start_new_session=True)
        except OSError as error:
            sys.exit("Error response from daemon: " + str(error))
    (state / (rest[0] + ".pid")).write_text(str(child.pid))
elif verb == "logs":
    log, end = state / (rest[-1] + ".log"), state / (rest[-1] + ".exit")
    while rest[0] == "--follow" and not end.exists():
        time.sleep(0.02)
    # a daemon that follows may leave out what came last
    data = log.read_bytes()
    sys.stdout.buffer.write(data[:len(data) // 2] if rest[0] == "--follow" else data)
elif verb == "wait":
    end = state / (rest[0] + ".exit")
    while not end.exists():
        time.sleep(0.02)
    print(end.read_text().strip())
elif verb == "inspect":
    print("true" if "oom" in (state / (rest[-1] + ".log")).read_text() else "false")
elif verb in ("stop", "kill"):
    group = int((state / (rest[-1] + ".pid")).read_text())
    os.killpg(group, signal.SIGKILL)
    (state / (rest[-1] + ".exit")).write_text("137" if verb == "kill" else "143")
elif verb == "ps":
    print(*[each.stem for each in state.glob("*.pid")])
elif verb == "rm":
    for name in rest[2:]:
        if (state / (name + ".pid")).exists():
            try:
                os.killpg(int((state / (name + ".pid")).read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass
            (state / (name + ".pid")).unlink()
            if not (state / (name + ".exit")).exists():
                (state / (name + ".exit")).write_text("137")
"""
CAPABLE = {"NCPU": 2, "MemoryLimit": True, "CPUShares": True, "CpuCfsQuota": True}


class Fake:
    """The engine's program and what it was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "state").mkdir(parents=True)
        program = folder / "docker"
        program.write_text(f"#!{sys.executable}\n{ENGINE}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.says(CAPABLE)
        (folder / "state" / "images").write_text("mine:1\nteam/tool:2\n")

    def says(self, facts: Any) -> None:
        """What `info` prints."""
        (self.folder / "state" / "info").write_text(json.dumps(facts))

    def told(self, verb: str) -> list[list[str]]:
        """Every call of a verb."""
        lines = (self.folder / "state" / "told").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call[0] == verb]

    @property
    def left(self) -> list[str]:
        """Containers that are not removed."""
        return [each.stem for each in (self.folder / "state").glob("*.pid")]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path / "engine")
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    return made


@pytest.fixture
def stage(fake: Fake, tmp_path: Path) -> Iterator[Stage]:
    with LocalCloud(tmp_path / "cloud", images={}, containers="docker") as cloud:
        yield on(cloud, tmp_path)


@pytest.fixture
def run(stage: Stage) -> Callable[..., dict[str, Any]]:
    """Runs a job to its end."""
    queue = stage.queue(stage.environment())

    def of(command: list[str], **more: Any) -> dict[str, Any]:
        definition = stage.definition(command, **{"image": "mine:1", **more})
        return stage.wait(stage.submit(queue, definition))

    return of


def reason(job: dict[str, Any]) -> str:
    return str(job["container"].get("reason", ""))


def test_a_job_runs_in_a_container(
    stage: Stage, run: Callable[..., dict[str, Any]], fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_USER", "leak")
    lines = "first\nsecond"
    job = run(
        ["sh", "-c", "env -0 | tr '\\0' ';'; echo; exit 4"],
        environment=[
            {"name": "LINES_OF_IT", "value": lines},
            {"name": "DOCKER_HOST", "value": "tcp://192.0.2.1:1"},
            {"name": "OF_THE_USER", "value": " of the job=1 "},
        ],
        user="1000:1000",
        readonlyRootFilesystem=True,
        ulimits=[{"name": "nofile", "softLimit": 100, "hardLimit": 200}],
        linuxParameters={
            "initProcessEnabled": True,
            "sharedMemorySize": 64,
            "tmpfs": [{"containerPath": "/scratch", "size": 8, "mountOptions": ["noexec"]}],
        },
        volumes=[{"name": "v", "host": {"sourcePath": "/etc"}}],
        mountPoints=[{"sourceVolume": "v", "containerPath": "/data", "readOnly": True}],
        vcpus="2",
        memory="64",
    )
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 4)
    assert job["statusReason"] == "Essential container in task exited"
    seen = dict(
        entry.split("=", 1)
        for entry in "\n".join(stage.log(job["container"]["logStreamName"])).split(";")
        if "=" in entry
    )
    assert seen["LINES_OF_IT"] == lines
    assert seen["DOCKER_HOST"] == "tcp://192.0.2.1:1"
    assert seen["OF_THE_USER"] == " of the job=1 "
    assert seen["AWS_ENDPOINT_URL"] == stage.cloud.endpoint_url
    assert seen["AWS_BATCH_JOB_ID"] == job["jobId"]
    assert {"HOME", "TMPDIR", "PYTHONUNBUFFERED"}.isdisjoint(seen)  # those are the image's
    (call,) = fake.told("create")
    flags = set(call)
    assert {
        "--memory=64m",
        "--memory-swap=64m",
        "--cpu-shares=2048",
        "--user=1000:1000",
        "--read-only",
        "--ulimit=nofile=100:200",
        "--init",
        "--shm-size=64m",
        "--tmpfs=/scratch:size=8m,noexec",
        "--mount=type=volume,destination=/data,readonly",
        f"batch-reference.cloud={stage.cloud.directory.resolve()}",
    } <= flags
    assert call[call.index("--network") + 1] == "host"
    assert not any("/etc" in word or "192.0.2.1" in word for word in call)
    assert fake.left == []


def test_fargate_limits_processors(stage: Stage, fake: Fake) -> None:
    role = stage.role("ecs-tasks.amazonaws.com", {"Action": ["logs:*", "ecr:*"], "Resource": "*"})
    queue = stage.queue(stage.environment("FARGATE"))
    for vcpus, memory in (("0.25", "512"), ("4", "8192")):
        definition = stage.definition(
            ["true"],
            image="123456789012.dkr.ecr.us-east-1.amazonaws.com/team/tool:2",
            vcpus=vcpus,
            memory=memory,
            executionRoleArn=role,
            definition={"platformCapabilities": ["FARGATE"]},
        )
        assert stage.wait(stage.submit(queue, definition))["status"] == "SUCCEEDED"
    small, large = fake.told("create")
    assert "--cpus=0.25" in small
    assert "--cpus=2" in large  # the machine has no more
    assert "sha256:team/tool:2" in small
    assert fake.told("pull") == []


def test_images_that_are_not_there(run: Callable[..., dict[str, Any]], fake: Fake) -> None:
    ours = run(["true"], image="123456789012.dkr.ecr.us-east-1.amazonaws.com/team/other:1")
    assert reason(ours).startswith("CannotPullContainerError: ")
    assert "docker tag <image> team/other:1" in reason(ours)
    assert fake.told("pull") == []  # the account of the rehearsal is nobody's
    public = run(["true"], image="nowhere:9")
    assert (
        reason(public)
        == "CannotPullContainerError: Error response from daemon: manifest for nowhere:9 not found"
    )
    assert public["statusReason"] == "Task failed to start"


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"privileged": True}, "privileged"),
        (
            {"linuxParameters": {"devices": [{"hostPath": "/dev/kvm"}]}},
            "linuxParameters.devices",
        ),
        ({"environment": [{"name": "DOCKER_X", "value": "a\nb"}]}, "DOCKER_X has a line break"),
    ],
)
def test_what_a_container_is_not_given(
    run: Callable[..., dict[str, Any]], fake: Fake, members: dict[str, Any], word: str
) -> None:
    job = run(["true"], **members)
    assert reason(job).startswith("CannotCreateContainerError: ")
    assert word in reason(job)
    assert fake.told("create") == []


def test_memory_that_is_used_up_is_the_reason(run: Callable[..., dict[str, Any]]) -> None:
    job = run(["sh", "-c", "echo oom; exit 137"])
    assert reason(job) == "OutOfMemoryError: Container killed due to memory usage"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["exitCode"] == 137


def test_terminate_stops_the_container(stage: Stage, fake: Fake) -> None:
    queue = stage.queue(stage.environment())
    job = stage.submit(queue, stage.definition(["sleep", "600"], image="mine:1"))
    stage.wait(job, "RUNNING")
    stage.batch.terminate_job(jobId=job, reason="enough")
    found = stage.wait(job)
    assert (found["statusReason"], found["container"]["exitCode"]) == ("enough", 143)
    (call,) = fake.told("stop")
    assert call[1:3] == ["-t", "30"]
    until(lambda: fake.left == [], what="the container to be removed")


def test_the_end_of_the_cloud_leaves_no_container(fake: Fake, tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "cloud", images={}, containers="docker") as cloud:
        stage = on(cloud, tmp_path)
        queue = stage.queue(stage.environment())
        job = stage.submit(queue, stage.definition(["sleep", "600"], image="mine:1"))
        stage.wait(job, "RUNNING")
        assert len(fake.left) == 1
    assert fake.left == []


def test_what_was_left_behind_is_removed_at_the_next_start(fake: Fake, tmp_path: Path) -> None:
    (fake.folder / "state" / "left.pid").write_text("999999999")
    Engine.found("docker", tmp_path)
    assert fake.left == []
    (listed,) = fake.told("ps")
    assert listed[-1] == f"label=batch-reference.cloud={tmp_path.resolve()}"


def test_nothing_runs_in_an_engine_unasked(fake: Fake, tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "cloud", images={}) as cloud:
        stage = on(cloud, tmp_path)
        queue = stage.queue(stage.environment())
        job = stage.wait(stage.submit(queue, stage.definition(["true"], image="mine:1")))
    assert reason(job).startswith("CannotPullContainerError: pull access denied for mine:1")
    assert not (fake.folder / "state" / "told").exists()


def test_an_engine_without_limits_says_so(fake: Fake, tmp_path: Path) -> None:
    fake.says({**CAPABLE, "MemoryLimit": False})
    assert Engine.found("docker", tmp_path).not_enforced == ("--memory",)
    fake.says({"host": {"cpus": 3, "cgroupControllers": ["memory"]}})  # as podman says it
    podman = Engine.found("docker", tmp_path)
    assert (podman.cpus, podman.not_enforced) == (3, ("--cpu-shares", "--cpus"))


def test_an_engine_that_is_not_there(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.says({"ServerErrors": ["Cannot connect to the Docker daemon"]})
    with pytest.raises(EngineError, match=r"docker does not answer \(Cannot connect"):
        LocalCloud(tmp_path / "cloud", images={}, containers="docker").start()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="no program 'podman' on PATH"):
        Engine.found("podman", tmp_path)


def test_volumes_of_shared_file_systems_are_folders_of_this_machine(tmp_path: Path) -> None:
    points = [
        {"sourceVolume": name, "containerPath": f"/{name}", "readOnly": name == "own"}
        for name in ("in", "out", "own")
    ]
    sizes = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    mounts = [
        Mount(path=f"/{name}", folder=tmp_path, read_only=name == "in") for name in ("in", "out")
    ]
    spec = {"resourceRequirements": sizes, "mountPoints": points}
    found = flags(spec, fargate=False, cpus=2, left_out=(), mounts=mounts)
    assert [each for each in found if each.startswith("--mount")] == [
        f"--mount=type=bind,source={tmp_path},destination=/in,readonly",
        f"--mount=type=bind,source={tmp_path},destination=/out",
        "--mount=type=volume,destination=/own,readonly",
    ]
