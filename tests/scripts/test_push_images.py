"""The push of the images, run as the operator runs it, with recording stand-ins for docker, aws and
pulumi on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
OUTPUTS = {
    f"{image}_repository_url": f"{REGISTRY}/batch-reference-dev/{image}" for image in ("cpu", "gpu")
}
DIGESTS = {"cpu": "sha256:" + "c" * 64, "gpu": "sha256:" + "9" * 64}
CHECKSUM = "e" * 64

# One program under three names. It answers as the real ones do, from what the test put into the
# folder of answers, and records each call.
STAND_IN = f"""#!{sys.executable}
import json, pathlib, sys
name, args = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
answers = pathlib.Path(sys.argv[0]).parent.parent / "answers"
stdin = sys.stdin.read() if "--password-stdin" in args else None
with open(answers / "calls.jsonl", "a") as calls:
    calls.write(json.dumps([name, args, stdin]) + "\\n")
if name == "pulumi" and args[:2] == ["stack", "output"]:
    print((answers / "outputs.json").read_text())
elif name == "aws" and "get-login-password" in args:
    print("password-of-12-hours")
elif name == "aws" and "describe-images" in args:
    pushed = json.loads((answers / "pushed.json").read_text())
    key = args[args.index("--repository-name") + 1] + ":" + args[args.index("--image-ids") + 1].removeprefix("imageTag=")
    if key not in pushed:
        sys.exit("An error occurred (ImageNotFoundException) when calling the DescribeImages operation")
    print(pushed[key])
elif name == "docker" and args[0] == "buildx":
    image = pathlib.Path(args[args.index("--file") + 1]).name.removesuffix(".Dockerfile")
    digest = json.loads((answers / "digests.json").read_text())[image]
    if digest is None:
        sys.exit("ERROR: failed to solve: no space left on device")
    pathlib.Path(args[args.index("--metadata-file") + 1]).write_text(json.dumps({{"containerimage.digest": digest}}))
"""


@dataclass
class Checkout:
    """A clone with the script in it, the stand-ins, and what they were called with."""

    path: Path
    answers: Path

    def answer(self, **files: object) -> None:
        for name, content in files.items():
            (self.answers / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")

    def git(self, *args: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *args]
        return subprocess.run(
            command, cwd=self.path, check=True, capture_output=True, text=True
        ).stdout.strip()

    def push(self, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.answers.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [sys.executable, "scripts/push_images.py", "--stack", "dev"],
            cwd=self.path,
            env={"PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def calls(self) -> list[tuple[str, list[str], str | None]]:
        record = self.answers / "calls.jsonl"
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
        return [(name, args, stdin) for name, args, stdin in map(json.loads, lines)]

    def of(self, *words: str) -> list[list[str]]:
        """Arguments of the calls that start with these words."""
        return [args for name, args, _ in self.calls if [name, *args][: len(words)] == list(words)]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    tools, answers, path = tmp_path / "bin", tmp_path / "answers", tmp_path / "clone"
    for folder in (
        tools,
        answers,
        path / "scripts",
        path / "docker",
        path / "workloads",
        path / "requirements",
    ):
        folder.mkdir(parents=True)
    for name in ("docker", "aws", "pulumi"):
        (tools / name).write_text(STAND_IN, encoding="utf-8")
        (tools / name).chmod(0o755)
    shutil.copy(ROOT / "scripts/push_images.py", path / "scripts")
    for inside in (
        "docker/cpu.Dockerfile",
        "docker/gpu.Dockerfile",
        "workloads/stage.py",
        "requirements/cpu.lock",
        ".dockerignore",
        "README.md",
    ):
        (path / inside).write_text("first\n", encoding="utf-8")
    made = Checkout(path=path, answers=answers)
    made.git("init", "--quiet")
    made.git("add", ".")
    made.git("commit", "--quiet", "--message", "first")
    made.answer(outputs=OUTPUTS, pushed={}, digests=DIGESTS)
    return made


def test_both_digests_reach_the_stack_file(checkout: Checkout) -> None:
    commit = checkout.git("rev-parse", "HEAD")
    done = checkout.push()
    assert done.returncode == 0, done.stderr
    builds = checkout.of("docker", "buildx", "build")
    assert [build[build.index("--tag") + 1] for build in builds] == [
        f"{url}:{commit}" for url in OUTPUTS.values()
    ]
    assert all(
        {"--push", "--provenance=false", f"GIT_COMMIT={commit}"} <= set(build) for build in builds
    )
    logins = [
        (args, stdin)
        for name, args, stdin in checkout.calls
        if name == "docker" and args[0] == "login"
    ]
    assert [(args[-1], stdin) for args, stdin in logins] == [(REGISTRY, "password-of-12-hours")]
    assert "password-of-12-hours" not in done.stdout + done.stderr
    assert checkout.of("pulumi", "config", "set") == [
        [
            "config",
            "set",
            "--stack",
            "dev",
            "--path",
            f"batch-reference:images.{image}_digest",
            DIGESTS[image],
        ]
        for image in ("cpu", "gpu")
    ]


def test_an_image_that_is_there_is_not_built_again(checkout: Checkout) -> None:
    commit = checkout.git("rev-parse", "HEAD")
    (checkout.path / "README.md").write_text(
        "goes into no image\n", encoding="utf-8"
    )  # neither dirty nor a new tag
    checkout.answer(pushed={f"batch-reference-dev/cpu:{commit}": "sha256:" + "a" * 64})
    assert checkout.push().returncode == 0
    assert [
        build[build.index("--file") + 1] for build in checkout.of("docker", "buildx", "build")
    ] == ["docker/gpu.Dockerfile"]
    assert checkout.of("pulumi", "config", "set")[0][-1] == "sha256:" + "a" * 64


def test_the_efa_userspace_has_a_tag_of_its_own(checkout: Checkout) -> None:
    commit = checkout.git("rev-parse", "HEAD")
    assert (
        checkout.push(EFA_INSTALLER_VERSION="1.51.0", EFA_INSTALLER_SHA256=CHECKSUM).returncode == 0
    )
    cpu, gpu = checkout.of("docker", "buildx", "build")
    assert not any("EFA" in argument for argument in cpu)
    assert f"EFA_INSTALLER_SHA256={CHECKSUM}" in gpu
    assert gpu[gpu.index("--tag") + 1] == f"{OUTPUTS['gpu_repository_url']}:{commit}-efa1.51.0"


def _dirty(checkout: Checkout) -> None:
    (checkout.path / "workloads/stage.py").write_text("second\n", encoding="utf-8")


def _not_deployed(checkout: Checkout) -> None:
    checkout.answer(outputs={"table": "t"})


def _foreign_registry(checkout: Checkout) -> None:
    checkout.answer(outputs=dict.fromkeys(OUTPUTS, "registry.example.com/cpu"))


def _second_build_fails(checkout: Checkout) -> None:
    checkout.answer(digests={**DIGESTS, "gpu": None})


def _no_digest(checkout: Checkout) -> None:
    checkout.answer(digests={**DIGESTS, "gpu": ""})


@pytest.mark.parametrize(
    ("spoil", "environment", "message"),
    [
        (
            _dirty,
            {},
            (
                "uncommitted changes would go into the images; commit them first:\n M"
                " workloads/stage.py"
            ),
        ),
        (
            _not_deployed,
            {},
            (
                "stack dev has no output cpu_repository_url (it has: table); run `pulumi up --stack"
                " dev` first"
            ),
        ),
        (_foreign_registry, {}, "which is not the URL of an ECR repository"),
        (_second_build_fails, {}, "no space left on device"),
        (_no_digest, {}, "docker pushed the gpu image but reported '' for its digest"),
        (
            lambda _: None,
            {"EFA_INSTALLER_VERSION": "1.51.0"},
            "give the 64 hex digits that AWS publishes for that version",
        ),
    ],
)
def test_a_failure_is_one_sentence_and_the_stack_file_stays(
    checkout: Checkout, spoil: Callable[[Checkout], None], environment: dict[str, str], message: str
) -> None:
    spoil(checkout)
    done = checkout.push(**environment)
    assert done.returncode == 1
    assert done.stderr.startswith("push: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert checkout.of("pulumi", "config", "set") == []
