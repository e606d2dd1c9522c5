"""Docker or podman on this machine, for jobs whose image no directory stands for.

What Amazon ECS does with a container (Amazon ECS developer guide, "Task definition parameters";
RegisterJobDefinition in the AWS Batch API reference), as far as one machine has it: the container
is in the host's network, so that it reaches the endpoint on the loopback interface, and sees no
file of this machine. Every container carries a label, by which whatever is left is removed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from localcloud.batch.container_flags import flags
from localcloud.batch.disks import Disk
from localcloud.batch.tasks import StartError
from localcloud.batch.volumes import Mount

ENGINES: Final = ("docker", "podman")
_LABEL: Final = "batch-reference.cloud"
_ECR_HOST: Final = re.compile(r"^\d{12}\.dkr\.ecr[^/]*\.amazonaws\.com(?:\.cn)?/")
_PATIENCE_SECONDS: Final = 60
_OF_THE_ENGINE: Final = re.compile(
    r"(?:docker|container|podman|buildah|storage|registry|xdg|ld|go|ssl|tmp)\w*|\w+_proxy",
    re.IGNORECASE,
)
"""Variables that the engine's own program may read, besides those that it has already."""


class EngineError(Exception):
    """The engine is not there, or does not answer; the message is a sentence."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A container engine that answers.

    Attributes:
        name: `docker` or `podman`, as it is found on PATH.
        owner: Value of the label on every container.
        cpus: Processors that the engine has.
        not_enforced: Limits that the engine cannot set here, by their flags.
    """

    name: str
    owner: str
    cpus: int
    not_enforced: tuple[str, ...]
    _creating: set[subprocess.Popen[bytes]] = field(default_factory=set, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @classmethod
    def found(cls, name: str, directory: Path) -> Self:
        """The engine of a name, what an earlier cloud in `directory` left behind removed.

        Raises EngineError where there is none, or none that answers.
        """
        try:
            asked = _run([name, "info", "--format", "{{json .}}"])
        except FileNotFoundError:
            raise EngineError(
                f"containers: there is no program {name!r} on PATH; install it, or leave "
                "`containers` out, and jobs whose image is not mapped are refused"
            ) from None
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"containers: {name} gives no answer within {_PATIENCE_SECONDS} s"
            ) from None
        try:
            facts = json.loads(asked.stdout)
            problem = "; ".join(facts.get("ServerErrors") or [])
        except ValueError:
            facts, problem = {}, _last_line(asked.stderr) or f"exit code {asked.returncode}"
        if asked.returncode or problem:
            raise EngineError(
                f"containers: {name} does not answer ({problem or _last_line(asked.stderr)}); "
                "start it, or name another engine"
            )
        cpus, not_enforced = _capabilities(facts)
        engine = cls(
            name=name, owner=str(directory.resolve()), cpus=cpus, not_enforced=not_enforced
        )
        engine.remove_all()
        return engine

    def image(self, name: str) -> str:
        """The id of a local image, pulled first where it comes from a public registry.

        An image of Amazon ECR is never pulled: the account of the rehearsal is nobody's. It is
        the local image of the same name, or of the name without the registry. Raises StartError.
        """
        without_registry = _ECR_HOST.sub("", name)
        for each in dict.fromkeys((name, without_registry)):
            found = self._call("image", "inspect", "--format", "{{.Id}}", each)
            if found.returncode == 0:
                return found.stdout.decode().strip()
        if without_registry != name:
            raise StartError(
                f"CannotPullContainerError: {name} is not among the images of {self.name}; "
                f"tag one: {self.name} tag <image> {without_registry.partition('@')[0]}"
            )
        pulled = self._waited(["pull", "--quiet", name], {})
        if pulled.returncode:
            raise StartError(
                f"CannotPullContainerError: Error response from daemon: {_last_line(pulled.stderr)}"
            )
        return pulled.stdout.decode().split()[-1]

    def create(
        self,
        name: str,
        image: str,
        spec: Mapping[str, Any],
        environment: Mapping[str, str],
        *,
        fargate: bool,
        directory: Path,
        mounts: Sequence[Mount] = (),
        disks: Sequence[Disk] = (),
    ) -> str:
        """Makes a container that is not started; returns its id.

        Args:
            name: Of the container.
            image: Of this machine.
            spec: Container properties after overrides.
            environment: Variables of the container.
            fargate: Whether vCPUs are a limit, as on Fargate, or a share, as on instances.
            directory: For a file with variables, which is gone afterwards.
            mounts: Folders of this machine that stand for volumes of shared file systems.
            disks: Of the instance.

        Raises StartError.
        """
        given, in_file = _split(environment)
        arguments = [
            "create",
            *("--name", name),
            *("--label", f"{_LABEL}={self.owner}"),
            *("--network", "host"),
            *("--log-driver", "json-file"),
            *flags(
                spec,
                fargate=fargate,
                cpus=self.cpus,
                left_out=self.not_enforced,
                mounts=mounts,
                disks=disks,
            ),
        ]
        for variable in given:
            arguments += ["--env", variable]
        file = directory / "variables"
        try:
            if in_file:
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as lines:
                    lines.writelines(f"{key}={value}\n" for key, value in in_file.items())
                arguments += ["--env-file", str(file)]
            made = self._waited([*arguments, image, *(spec.get("command") or [])], given)
        finally:
            file.unlink(missing_ok=True)
        if made.returncode:
            raise StartError(
                f"CannotCreateContainerError: Error response from daemon: {_last_line(made.stderr)}"
            )
        return made.stdout.decode().split()[-1]

    def remove(self, container: str) -> None:
        """Kills and removes a container with its volumes; nothing where it is gone already."""
        self._call("rm", "--force", "--volumes", container)

    def remove_all(self) -> None:
        """Removes every container of this owner, and ends what is about to make one."""
        with self._lock:
            creating = list(self._creating)
        for process in creating:
            process.kill()
            process.wait()
        listed = self._call("ps", "--all", "--quiet", "--filter", f"label={_LABEL}={self.owner}")
        left = listed.stdout.decode().split()
        if left:
            self._call("rm", "--force", "--volumes", *left)

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return _run([self.name, *arguments])

    def _waited(
        self, arguments: Sequence[str], variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs what may take as long as a download, and can be ended from outside."""
        process = subprocess.Popen(
            [self.name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        with self._lock:
            self._creating.add(process)
        try:
            out, problems = process.communicate()
        finally:
            with self._lock:
                self._creating.discard(process)
        return subprocess.CompletedProcess(arguments, process.returncode, out, problems)


def _capabilities(facts: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """(processors, flags of limits that cannot be set) from what `info` says."""
    if "host" in facts:  # podman
        host = facts["host"]
        controllers = host.get("cgroupControllers") or []
        has = {"--memory": "memory" in controllers, "--cpu-shares": "cpu" in controllers}
        return int(host.get("cpus") or 1), _absent({**has, "--cpus": "cpu" in controllers})
    has = {
        "--memory": bool(facts.get("MemoryLimit")),
        "--cpu-shares": bool(facts.get("CPUShares")),
        "--cpus": bool(facts.get("CpuCfsQuota")),
    }
    return int(facts.get("NCPU") or 1), _absent(has)


def _absent(has: Mapping[str, bool]) -> tuple[str, ...]:
    return tuple(flag for flag, there in has.items() if not there)


def _split(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(variables that the engine's program takes from its own environment, those from a file).

    No value is an argument, for everybody on the machine can read those. What would steer the
    engine's program itself stands in a file, whose lines hold no line break.
    """
    in_file = {
        name: value
        for name, value in environment.items()
        if name in os.environ or _OF_THE_ENGINE.fullmatch(name)
    }
    broken = [name for name, value in in_file.items() if "\n" in value or "\r" in value]
    if broken:
        raise StartError(
            f"CannotCreateContainerError: the variable {broken[0]} has a line break, which "
            "a container on this machine cannot be given under this name; choose another name"
        )
    return {key: value for key, value in environment.items() if key not in in_file}, in_file


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
        start_new_session=True,  # an interrupt at the terminal is for the cloud
    )


def _last_line(text: bytes) -> str:
    """The last line that says something, without the words that the engine begins it with."""
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if line and not line.startswith("See '")]
    return re.sub(
        r"^(?:Error: |docker: |Error response from daemon: )+", "", said[-1] if said else ""
    )
