"""What ECS does before a container starts: image, log stream, secrets, credentials, environment.

Every failure has ECS's reason.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from localcloud.batch import container_paths as paths
from localcloud.batch.container_engine import Engine
from localcloud.batch.disks import Disk, Disks
from localcloud.batch.placement import Need
from localcloud.batch.reachability import Reachability
from localcloud.batch.records import ComputeEnvironment
from localcloud.batch.tasks import Container, Program, StartError
from localcloud.batch.volumes import Mount, Volumes
from localcloud.batch.ways import PULL_FAILED, Ways
from localcloud.iam.access import Access, AssumeRoleError
from localcloud.moto.state import AwsState

_ECR_IMAGE: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)"
)
JOB_PATH: Final = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
"""PATH of every container."""
HIDDEN: Final = Path(__file__).with_name("hidden")
"""Folder that hides from jobs the packages of this machine that no image has."""
_OWN_MOUNTS: Final = Path(__file__).with_name("own_mounts.py")
_ENGINE_SUPERVISOR: Final = Path(__file__).with_name("container_supervisor.py")
_DEFAULT_GROUP: Final = "/aws/batch/job"
_IMAGE_ROOT: Final = "/app"
_ROOT_PATH: Final = re.compile(rf"^{_IMAGE_ROOT}(?=/|$)")
_LOGGING_FAILED: Final = (
    "CannotStartContainerError: Error response from daemon: failed to initialize logging driver:"
    " failed to create Cloudwatch log stream: "
)
_LOGGING_FAILED_ON_FARGATE: Final = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1"
    " times: failed to create Cloudwatch log stream: "
)
_SECRETS_FAILED: Final = "ResourceInitializationError: unable to pull secrets or registry auth: "


@dataclass(frozen=True, kw_only=True)
class Host:
    """What containers find on this machine."""

    directory: Path
    """Holds the working directories."""
    images: Mapping[str, Path | Program]
    """Pattern of an image name -> directory that stands for /app and whose `bin`, if it has one,
    comes first on PATH, or a program that runs in place of any command.
    """
    endpoint_url: str
    client: Any
    """Callable: service -> boto3 client with the deployer's credentials."""
    engine: Engine | None = None
    """Runs the containers of images that are not in `images`."""


@dataclass(frozen=True, kw_only=True)
class TaskRequest:
    """One task: container properties after overrides, and what Batch adds."""

    task_id: str
    spec: dict[str, Any]
    job_definition: str
    job_name: str
    variables: dict[str, str]
    """AWS_BATCH_* and the address of the metadata endpoint."""
    instance_role: str | None
    """Role of the container instance; None on Fargate."""
    environment: ComputeEnvironment
    """Where it runs, and in whose network."""
    instance_type: str
    """Of its instance; of no meaning on Fargate."""


def log_destination(spec: dict[str, Any], job_definition: str, task_id: str) -> tuple[str, str]:
    """(log group, stream) of a task. The stream is `<prefix>/default/<task id>`."""
    options = spec.get("logConfiguration", {}).get("options") or {}
    prefix = options.get("awslogs-stream-prefix") or job_definition
    return options.get("awslogs-group") or _DEFAULT_GROUP, f"{prefix}/default/{task_id}"


def _of_process(directory: Path) -> dict[str, str]:
    """Variables that an image would bring, for a process that stands for a container."""
    return {
        "PATH": JOB_PATH,
        "PYTHONUNBUFFERED": "1",
        # stages multiply no matrices but in ranks; idle threads cost the start of each a tenth of a
        # second of a processor
        "OPENBLAS_NUM_THREADS": "1",
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "LANG": "C.UTF-8",
        # a job must not reach the user's account
        "AWS_CONFIG_FILE": str(directory / ".aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / ".aws-credentials"),
    }


@dataclass(frozen=True, kw_only=True)
class _InEngine:
    """An image of Docker or podman."""

    engine: Engine
    id: str

    def container(
        self,
        request: TaskRequest,
        environment: Mapping[str, str],
        directory: Path,
        write_lines: Callable[[list[str]], None],
        mounts: Sequence[Mount],
        disks: Sequence[Disk],
    ) -> Container:
        """A container of Docker or podman, made and not started. Raises StartError."""
        name = f"batch-reference-{request.task_id}"
        try:
            self.engine.create(
                name,
                self.id,
                request.spec,
                environment,
                fargate=request.instance_role is None,
                directory=directory,
                mounts=mounts,
                disks=disks,
            )
        except StartError:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return Container(
            command=[self.engine.name, name],
            environment=dict(os.environ),  # of the engine's program: which daemon, which context
            directory=directory,
            write_lines=write_lines,
            memory_mib=Need.of(request.spec).memory_mib,
            supervisor=_ENGINE_SUPERVISOR,
            remove=functools.partial(self.engine.remove, name),
        )


def _is_parameter(reference: str) -> bool:
    """Whether a secret lies in Systems Manager's Parameter Store, not in Secrets Manager."""
    return ":ssm:" in reference or not reference.startswith("arn:")


class ContainerFactory:
    """Makes the container of a task, under the permissions that ECS would need."""

    def __init__(
        self,
        host: Host,
        state: AwsState,
        access: Access,
        volumes: Volumes,
        disks: Disks,
        reachability: Reachability,
    ) -> None:
        self._host = host
        self._state = state
        self._access = access
        self._volumes = volumes
        self.disks = disks
        self._ways = Ways(reachability, access)

    def make(self, request: TaskRequest) -> Container:
        """The container, its log stream created. Raises StartError with ECS's reason."""
        spec, fargate = request.spec, request.instance_role is None
        agent_role = spec.get("executionRoleArn") or request.instance_role
        image = self._image(request, agent_role)
        secrets = self._secrets(request)
        mounts = self._volumes.mounts(spec, request.environment)
        disks = self.disks.of(spec, request.environment, request.instance_type)
        write_lines = self._log_writer(request, agent_role)
        directory = self._host.directory / "tasks" / request.task_id
        (directory / "tmp").mkdir(parents=True)
        environment = {
            "AWS_ENDPOINT_URL": self._host.endpoint_url,
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE" if fargate else "AWS_ECS_EC2",
        }
        if (
            fargate
        ):  # on instances the definition has to name the region (aws/containers-roadmap#1611)
            environment |= dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), self._state.region)
            environment["AWS_EC2_METADATA_DISABLED"] = (
                "true"  # there is none, and nothing of this machine's may answer
            )
        environment.update(
            {
                entry["name"]: entry.get("value", "")
                for entry in spec.get("environment", [])
                if entry.get("value")
            }
        )
        environment.update(secrets)
        environment.update(self._credentials(spec, request.task_id))
        environment.update(request.variables)
        if isinstance(image, _InEngine):
            made = image.container(request, environment, directory, write_lines, mounts, disks)
            return self._taken_back(made, mounts)
        places = paths.of_mounts(mounts, directory) | paths.of_disks(disks, directory)
        environment = {name: paths.on_machine(value, places) for name, value in environment.items()}
        command = [paths.on_machine(word, places) for word in spec.get("command") or []]
        environment = _of_process(directory) | environment
        if isinstance(image, Path):
            own_packages = (image / "bin").is_dir()
            path = str(image) if own_packages else f"{HIDDEN}:{image}"
            environment = {"PYTHONPATH": path, **environment}
            if own_packages:
                environment["PATH"] = f"{image / 'bin'}:{environment['PATH']}"
            command = [_ROOT_PATH.sub(str(image), word) for word in command]
        shown = [(str(m.folder), str(places[m.path])) for m in mounts if m.read_only]
        sizes = [(str(places.get(d.path, directory / "tmp")), d.size) for d in disks if d.held]
        if (shown or sizes) and command:
            asked = json.dumps({"shown": shown, "disks": sizes})
            command = [sys.executable, "-I", "-S", str(_OWN_MOUNTS), asked, *command]
        made = Container(
            command=command,
            environment=environment,
            directory=directory,
            write_lines=write_lines,
            memory_mib=Need.of(request.spec).memory_mib,
            program=None if isinstance(image, Path) else image,
        )
        return self._taken_back(made, mounts)

    def _taken_back(self, container: Container, mounts: Sequence[Mount]) -> Container:
        """The container, whose files on linked file systems go to their buckets at its end."""
        if not mounts:
            return container
        first = container.remove

        def remove() -> None:
            first()
            self._volumes.take_back(mounts)

        return replace(container, remove=remove)

    def _image(self, request: TaskRequest, agent_role: str | None) -> Path | Program | _InEngine:
        name = str(request.spec["image"])
        match = _ECR_IMAGE.match(name)
        if match is not None:
            self._ways.reach_registry(request.environment, match["region"], name)
            repository = (
                f"arn:aws:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"
            )
            for action, resource in (
                ("ecr:GetAuthorizationToken", "*"),
                ("ecr:BatchCheckLayerAvailability", repository),
                ("ecr:BatchGetImage", repository),
                ("ecr:GetDownloadUrlForLayer", repository),
            ):
                self._ways.require(
                    request.environment, "ecr.api", PULL_FAILED, agent_role, action, resource
                )
        for pattern, image in self._host.images.items():
            if fnmatchcase(name, pattern):
                return image
        if self._host.engine is not None:
            return _InEngine(engine=self._host.engine, id=self._host.engine.image(name))
        known = ", ".join(self._host.images) or "none"
        raise StartError(
            f"{PULL_FAILED}pull access denied for {name}, repository does not exist"
            f" (known here: {known})"
        )

    def _log_writer(self, request: TaskRequest, agent_role: str | None) -> Any:
        configuration = request.spec.get("logConfiguration", {})
        if configuration.get("logDriver", "awslogs") != "awslogs":
            return lambda _: None
        failed = _LOGGING_FAILED if request.instance_role else _LOGGING_FAILED_ON_FARGATE
        options = configuration.get("options") or {}
        region = options.get("awslogs-region") or self._state.region
        self._ways.reach(
            request.environment, "logs", failed, f"https://logs.{region}.amazonaws.com/"
        )
        group, stream = log_destination(request.spec, request.job_definition, request.task_id)
        arn = self._state.arn("logs", f"log-group:{group}:log-stream:{stream}")
        if not self._state.has_log_group(group):
            if options.get("awslogs-create-group") == "true":
                whole = self._state.arn("logs", f"log-group:{group}")
                self._ways.require(
                    request.environment, "logs", failed, agent_role, "logs:CreateLogGroup", whole
                )
                self._state.create_log_group(group)
            elif group == _DEFAULT_GROUP:
                self._state.create_log_group(group)  # Batch's own role makes it
            else:
                raise StartError(
                    f"{failed}ResourceNotFoundException: The specified log group does not"
                    f" exist: {group}"
                )
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            self._ways.require(request.environment, "logs", failed, agent_role, action, arn)
        self._state.create_log_stream(group, stream)
        return lambda lines: self._state.put_log_lines(group, stream, lines)

    def _credentials(self, spec: dict[str, Any], task_id: str) -> dict[str, str]:
        role = spec.get("jobRoleArn")
        if not role:
            return {}
        try:
            return self._access.assume_role(
                role, service="ecs-tasks.amazonaws.com", session=task_id, context=self._source()
            )
        except AssumeRoleError as error:
            raise StartError(f"ResourceInitializationError: {error}") from None

    def _source(self) -> dict[str, str]:
        return {"aws:sourcearn": self._state.arn("ecs", "*")}

    def _secrets(self, request: TaskRequest) -> dict[str, str]:
        values = {}
        for entry in request.spec.get("secrets", []):
            role, reference = request.spec["executionRoleArn"], str(entry["valueFrom"])
            service = "ssm" if _is_parameter(reference) else "secretsmanager"
            url = f"https://{service}.{self._state.region}.amazonaws.com/"
            problem = f"{_SECRETS_FAILED}unable to retrieve secret {entry['name']} from asm: "
            self._ways.reach(request.environment, service, problem, url)
            try:
                self._access.trusts(role, "ecs-tasks.amazonaws.com", self._source())
                values[entry["name"]] = self._secret(role, reference)
            except Exception as error:  # noqa: BLE001 - whatever botocore raises is the reason that ECS would show
                raise StartError(f"{problem}{error}") from None
        return values

    def _secret(self, role: str, reference: str) -> str:
        if _is_parameter(reference):
            name = reference.partition(":parameter/")[2] or reference
            self._access.require(
                role,
                "ecs-agent",
                "ssm:GetParameters",
                self._state.arn("ssm", f"parameter/{name.lstrip('/')}"),
            )
            client = self._host.client("ssm")
            found = client.get_parameters(Names=[name, f"/{name}"], WithDecryption=True)[
                "Parameters"
            ]
            if not found:
                raise LookupError(f"invalid ssm parameters: {name}")
            return str(found[0]["Value"])
        # arn:aws:secretsmanager:region:account:secret:name[:json-key[:version-stage[:version-id]]]
        parts = reference.split(":")
        arn, (json_key, stage, version) = ":".join(parts[:7]), ([*parts[7:], "", "", ""])[:3]
        self._access.require(
            role, "ecs-agent", "secretsmanager:GetSecretValue", self._state.secret_arn(arn)
        )
        text = self._state.secret_value(arn, stage=stage, version=version)
        return str(json.loads(text)[json_key]) if json_key else text
