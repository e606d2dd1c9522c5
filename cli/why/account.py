"""What `why` asks AWS, each call once; what AWS does not tell is remembered and said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
)

_DENIED: Final = ("AccessDenied", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized")


class AbsentError(LookupError):
    """AWS says that what was asked for does not exist; the message is AWS's."""


@dataclass
class Account:
    """A deployed stack through the AWS API.

    Args:
        client: a boto3 client by the name of its service.
        outputs: of the stack; empty where none is known, then only physical names are said.
        now: seconds since 1970.
        stack: its name; empty for the rehearsal.
    """

    client: Callable[[str], Any]
    outputs: Mapping[str, Any]
    now: Callable[[], float]
    stack: str = ""
    unseen: list[str] = field(default_factory=list)
    _answers: dict[str, Any] = field(default_factory=dict)

    def ask(
        self, service: str, operation: str, *, pages: bool = True, **params: Any
    ) -> dict[str, Any] | None:
        """The answer of AWS, all pages of it as one; None where the caller may not ask or nobody
        answers.

        `pages` is false where the first page is enough. Raises AbsentError where what was asked for
        does not exist.
        """
        key = f"{service} {operation} {json.dumps(params, sort_keys=True, default=str)}"
        if key not in self._answers:
            try:
                self._answers[key] = self._call(service, operation, params, pages=pages)
            except ClientError as error:
                self._answers[key] = self._refused(service, operation, error)
            except (NoCredentialsError, EndpointConnectionError):
                raise  # nothing else will be told either
            except BotoCoreError as error:
                self._note(service, operation, str(error))
                self._answers[key] = None
        answer = self._answers[key]
        if isinstance(answer, AbsentError):
            raise answer
        found: dict[str, Any] | None = answer
        return found

    def listed(
        self, service: str, operation: str, member: str, *, pages: bool = True, **params: Any
    ) -> list[Any]:
        """A list of the answer; empty where AWS does not tell, or where what holds it does not
        exist.
        """
        try:
            answer = self.ask(service, operation, pages=pages, **params)
        except AbsentError:
            return []
        return list((answer or {}).get(member) or [])

    def first_child(self, job_id: str, status: str) -> dict[str, Any] | None:
        """The first child of an array job that has a status; None where AWS shows none."""
        listed = self.listed(
            "batch",
            "list_jobs",
            "jobSummaryList",
            pages=False,
            arrayJobId=job_id,
            jobStatus=status,
        )
        if not listed:
            return None
        found = self.listed("batch", "describe_jobs", "jobs", jobs=[listed[0]["jobId"]])
        return found[0] if found else None

    def _call(
        self, service: str, operation: str, params: dict[str, Any], *, pages: bool
    ) -> dict[str, Any]:
        client = self.client(service)
        if not pages or not client.can_paginate(operation):
            found: dict[str, Any] = getattr(client, operation)(**params)
            return found
        whole: dict[str, Any] = (
            client.get_paginator(operation).paginate(**params).build_full_result()
        )
        return whole

    def _refused(self, service: str, operation: str, error: ClientError) -> AbsentError | None:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", ""))
        absent = ("NotFound", "NoSuch", "DoesNotExist", "does not exist", "not found", "404")
        if any(word in code or word in message for word in absent) and not code.startswith(_DENIED):
            return AbsentError(message)
        self._note(service, operation, code)
        return None

    def tells(self, service: str, operation: str) -> bool:
        """Whether AWS has answered that question so far: what was not told is not known to be
        missing.
        """
        asked = f"{_action(service, operation)}: "
        return not any(sentence.startswith(asked) for sentence in self.unseen)

    def _note(self, service: str, operation: str, why: str) -> None:
        sentence = f"{_action(service, operation)}: {why}"
        if sentence not in self.unseen:
            self.unseen.append(sentence)

    def command(self, words: str) -> str:
        """A command line of this program for the stack, to be pasted."""
        return f"batchref {words} --stack {self.stack}" if self.stack else f"batchref {words}"

    # ---- names of the stack file -----------------------------------------------------------------

    def config_name(self, kind: str, name_or_arn: str) -> str:
        """Name in the section `environments` or `queues` of what AWS calls so; empty for one of
        another stack.
        """
        physical = name_or_arn.rsplit("/", 1)[-1]
        names = self.outputs.get(kind) or {}
        return next((str(name) for name, value in names.items() if value == physical), "")

    def setting(self, kind: str, name_or_arn: str, own: str, of_aws: str) -> str:
        """`environments.<name>.<own>`, or in AWS's words where the stack file does not know it."""
        name = self.config_name(kind, name_or_arn)
        return f"{kind}.{name}.{own}" if name else f"{of_aws} of {name_or_arn.rsplit('/', 1)[-1]}"

    def shown(self, kind: str, name_or_arn: str) -> str:
        """A name for people: that of the stack file, with AWS's own behind."""
        physical, name = name_or_arn.rsplit("/", 1)[-1], self.config_name(kind, name_or_arn)
        return f"{name} ({physical})" if name and name != physical else physical


def _action(service: str, operation: str) -> str:
    return f"{service}:{''.join(part.capitalize() for part in operation.split('_'))}"
