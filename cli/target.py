"""The stack that a command works on: found by its outputs, on AWS and in the rehearsal alike."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final, Self

from cli.errors import CliError, ExitCode
from cli.paths import ROOT

_CALL_SECONDS: Final = 900
"""How long a call of a function may take: as long as a function."""
_REHEARSAL_PACE: Final = 0.2
"""Part of the time that AWS takes to settle in which the rehearsal, on one machine, has."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A deployed stack: its outputs, and the AWS that it stands in."""

    stack: str = ""
    """Name of the stack; empty for the rehearsal of `up`."""
    outputs: Mapping[str, Any]
    endpoint_url: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For clients; empty for the caller's own."""
    _clients: dict[tuple[str, bool], Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def find(cls, stack: str) -> Self:
        """The rehearsal of `up` where no stack is named, else the stack that the Pulumi CLI knows
        by the name. Raises CliError.
        """
        if not stack:
            from cli import service

            endpoint = service.running()
            if endpoint is None:
                raise CliError(
                    "nothing is up; start it with `up`, or name a deployed stack with --stack",
                    ExitCode.NOT_RUNNING,
                )
            return cls(
                outputs=endpoint.outputs,
                endpoint_url=endpoint.url,
                credentials=endpoint.credentials,
            )
        return cls(stack=stack, outputs=_pulumi_outputs(stack))

    def client(self, name: str, *, once: bool = False) -> Any:
        """A client of botocore, without the half second of boto3: with the caller's own credentials
        on AWS, with the deployer's on the rehearsal.

        `once`: calls are neither repeated nor given up early, as a call of a function that changes
        something wants it.
        """
        if (name, once) not in self._clients:
            from botocore.config import Config

            config = (
                Config(retries={"total_max_attempts": 1}, read_timeout=_CALL_SECONDS)
                if once
                else Config(retries={"mode": "standard", "total_max_attempts": 5})
            )
            self._clients[name, once] = self._session.create_client(
                name,
                endpoint_url=self.endpoint_url,
                region_name=str(self.output("region")),
                config=config,
                **self.credentials,
            )
        return self._clients[name, once]

    @cached_property
    def _session(self) -> Any:
        from botocore.session import get_session

        session: Any = get_session()
        session.register_component("data_loader", _models(session.get_config_variable("data_path")))
        return session

    def output(self, name: str) -> Any:
        """One output of the stack.

        Raises CliError where the stack is older than this program and lacks it.
        """
        if name not in self.outputs:
            raise CliError(
                f"stack {self.stack or 'of the rehearsal'} has no output {name}; "
                "it was deployed by an older version: run `pulumi up`",
                ExitCode.USAGE,
            )
        return self.outputs[name]

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Calls a function and waits for its answer.

        Raises CliError with what the function raised.
        """
        reply = self.client("lambda", once=True).invoke(
            FunctionName=function, Payload=json.dumps(event).encode()
        )
        answer: dict[str, Any] = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            raise CliError(
                f"function {function} failed: {answer.get('errorMessage', answer)}; its log says"
                " more",
                ExitCode.RUN_FAILED,
            )
        return answer

    def pause(self, seconds: float) -> None:
        """Waits as long as AWS takes for something, given in seconds; less on the rehearsal."""
        time.sleep(seconds * (1.0 if self.endpoint_url is None else _REHEARSAL_PACE))

    def command(self, words: str) -> str:
        """A command line of this program for this stack, to be pasted."""
        return f"batchref {words} --stack {self.stack}" if self.stack else f"batchref {words}"


@cache
def _models(folders: str | None) -> Any:
    """The parsed models of services, which take longer to read than most commands run: those of
    the process, for all of its targets.
    """
    from botocore.loaders import create_loader

    return create_loader(folders)


@cache
def _pulumi_outputs(stack: str) -> dict[str, Any]:
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        outputs: dict[str, Any] = json.loads(done.stdout)
    except FileNotFoundError:
        raise CliError(
            "there is no pulumi CLI on the PATH, which knows where the stack's parts are",
            ExitCode.USAGE,
        ) from None
    except (subprocess.CalledProcessError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise CliError(
            f"pulumi does not give the outputs of stack {stack}: {said}", ExitCode.NOT_FOUND
        ) from error
    if not outputs:
        raise CliError(
            f"stack {stack} has no outputs: nothing is deployed; run `pulumi up --stack {stack}`",
            ExitCode.NOT_FOUND,
        )
    return outputs
