"""Runs Lambda functions: warm workers as processes, under the function's role, with its
environment, timeout and log group.

Rules: Lambda Developer Guide (Python runtime, asynchronous invocation, CloudWatch Logs). Memory
size and reserved concurrency do not limit anything here.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import logging
import shutil
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.iam.access import Access, AssumeRoleError
from localcloud.moto.state import AwsState, function_name
from localcloud.protocol.wire import Reply, WireError
from localcloud.services.cloudwatch_metrics import Metrics
from localcloud.services.function_workers import Worker, WorkerPool, lost
from localcloud.services.pending import Pending

_log = logging.getLogger(__name__)
_LAMBDA: Final = "lambda.amazonaws.com"
_RETRY_SECONDS: Final = (0.2, 0.4)
"""Waits before the second and third try of an asynchronous invocation; Lambda waits one and two
minutes.
"""
_LOG_TAIL: Final = 4096
_KEPT_MEMBERS: Final = ("LoggingConfig", "DeadLetterConfig")


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What an invocation gave."""

    payload: bytes
    error: str | None
    """`Unhandled` where the function failed."""
    log_tail: str


class Functions:
    """Invokes the functions that moto keeps.

    Args:
        directory: Where code is unpacked.
        images: Pattern of an image name -> directory, for functions that come as images.
        state: The in-memory AWS.
        access: Roles and policies.
        role_client: (service, role ARN, service principal) -> boto3 client.
        metrics: Counts invocations and errors.

    Attributes:
        pending: Counts the asynchronous invocations that have not ended.
    """

    def __init__(
        self,
        *,
        directory: Path,
        images: Mapping[str, Path],
        state: AwsState,
        access: Access,
        role_client: Callable[[str, str, str], Any],
        metrics: Metrics,
    ) -> None:
        self._directory = directory
        self._images = images
        self._state = state
        self._access = access
        self._role_client = role_client
        self._metrics = metrics
        self._pool = WorkerPool()
        self.pending = Pending()
        self._closed = threading.Event()
        self._background = ThreadPoolExecutor(max_workers=16, thread_name_prefix="lambda")
        self._kept: dict[str, dict[str, Any]] = {}
        self.endpoint_url = ""

    def close(self) -> None:
        """Kills every worker and forgets what is queued."""
        self._closed.set()
        self._pool.close()
        self._background.shutdown(wait=True, cancel_futures=True)

    def remember(self, params: dict[str, Any]) -> None:
        """Keeps the members of a successful CreateFunction or UpdateFunctionConfiguration that moto
        drops.
        """
        kept = self._kept.setdefault(function_name(params["FunctionName"]), {})
        kept.update({key: params[key] for key in _KEPT_MEMBERS if params.get(key)})

    def completed(self, body: bytes) -> bytes:
        """The configurations in moto's answer, one or a list, with those members."""
        answer = json.loads(body)
        for configuration in answer.get("Functions", [answer.get("Configuration", answer)]):
            configuration.update(self._kept.get(configuration.get("FunctionName", ""), {}))
        return json.dumps(answer).encode()

    # ---- invocations -----------------------------------------------------------------------------

    def answer(self, params: dict[str, Any], payload: bytes) -> Reply:
        """The Invoke operation. Raises WireError."""
        function = self._function(params["FunctionName"])
        kind = params.get("InvocationType", "RequestResponse")
        if payload:
            try:
                json.loads(payload)
            except ValueError as error:
                raise WireError(
                    "InvalidRequestContentException",
                    f"Could not parse request body into json: {error}",
                ) from None
        if kind == "DryRun":
            return Reply(status=204)
        if kind == "Event":
            self.invoke_async(params["FunctionName"], payload)
            return Reply(status=202)
        result = self.invoke(function.function_name, payload)
        headers = [("Content-Type", "application/json"), ("X-Amz-Executed-Version", "$LATEST")]
        if result.error:
            headers.append(("X-Amz-Function-Error", result.error))
        if params.get("LogType") == "Tail":
            headers.append(
                ("X-Amz-Log-Result", base64.b64encode(result.log_tail.encode()).decode())
            )
        return Reply(headers=tuple(headers), body=result.payload)

    def _function(self, name: str) -> Any:
        function = self._state.function(name)
        if function is None:
            arn = self._state.arn("lambda", f"function:{function_name(name)}")
            raise WireError("ResourceNotFoundException", f"Function not found: {arn}", status=404)
        return function

    def invoke(self, name: str, payload: bytes) -> Invocation:
        """Invokes and waits.

        Raises WireError where the function does not exist or its role cannot be assumed.
        """
        function = self._function(name)
        key = self._key(function)
        worker = self._pool.take(function.function_name, key, lambda: self._start(function, key))
        request_id, started = str(uuid.uuid4()), time.time()
        worker.tail = []
        worker.log(f"START RequestId: {request_id} Version: $LATEST")
        request = {
            "id": request_id,
            "arn": function.function_arn,
            "deadline": started + function.timeout,
            "payload": (payload or b"{}").decode(),
        }
        answer = worker.exchange(request, float(function.timeout))
        if answer is None:
            failure = lost(worker.exit_code, request_id, function.timeout)
            self._pool.lose(function.function_name, worker)
            worker.log(failure["errorMessage"])
        else:
            failure = answer.get("error", {})
        milliseconds = (time.time() - started) * 1000
        worker.log(f"END RequestId: {request_id}")
        duration = f"Duration: {milliseconds:.2f} ms\tBilled Duration: {int(milliseconds) + 1} ms"
        memory = (
            f"Memory Size: {function.memory_size} MB\tMax Memory Used: {function.memory_size} MB"
        )
        worker.log(f"REPORT RequestId: {request_id}\t{duration}\t{memory}")
        tail = "\n".join(worker.tail)[-_LOG_TAIL:]
        self._metrics.function_invoked(
            function.function_name,
            failed=answer is None or bool(failure),
            milliseconds=milliseconds,
        )
        if answer is None or failure:
            result = Invocation(
                payload=json.dumps(failure).encode(), error="Unhandled", log_tail=tail
            )
        else:
            result = Invocation(payload=answer["result"].encode(), error=None, log_tail=tail)
        if answer is not None:
            self._pool.give_back(function.function_name, worker)
        return result

    def invoke_async(self, name: str, payload: bytes) -> None:
        """Queues an asynchronous invocation: up to two retries, then the dead-letter queue and the
        failure destination.
        """
        if not self._closed.is_set():
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self.pending.add(self._background.submit(self._run_async, name, payload))

    def _run_async(self, name: str, payload: bytes) -> None:
        try:
            function = self._function(name)
            config = function.event_invoke_config[0].config if function.event_invoke_config else {}
            tries = int(config.get("MaximumRetryAttempts", 2)) + 1
            result = Invocation(payload=b"null", error="Unhandled", log_tail="")
            for attempt in range(tries):
                result = self.invoke(name, payload)
                if (
                    result.error is None
                    or attempt == tries - 1
                    or self._closed.wait(_RETRY_SECONDS[attempt])
                ):
                    break
            # what ends because this AWS ends is no failure of the function
            if result.error is None or not self._closed.is_set():
                self._report(function, config, payload, result, tries)
        except (WireError, OSError) as error:
            if not self._closed.is_set():
                _log.warning("asynchronous invocation of %s failed: %s", name, error)

    def _report(
        self, function: Any, config: dict[str, Any], payload: bytes, result: Invocation, tries: int
    ) -> None:
        kept = self._kept.get(function.function_name, {})
        if result.error:
            _log.warning(
                "function %s failed: %s",
                function.function_name,
                result.payload.decode("utf-8", "replace"),
            )
            if queue := kept.get("DeadLetterConfig", {}).get("TargetArn"):
                self._send(function, queue, payload.decode(), dead=True)
        outcome = "OnFailure" if result.error else "OnSuccess"
        destination = (config.get("DestinationConfig") or {}).get(outcome, {}).get("Destination")
        if destination:
            record = {
                "version": "1.0",
                "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
                "requestContext": {
                    "functionArn": f"{function.function_arn}:$LATEST",
                    "condition": "RetriesExhausted" if result.error else "Success",
                    "approximateInvokeCount": tries if result.error else 1,
                },
                "requestPayload": json.loads(payload or b"{}"),
                "responseContext": {
                    "statusCode": 200,
                    "executedVersion": "$LATEST",
                    **({"functionError": result.error} if result.error else {}),
                },
                "responsePayload": json.loads(result.payload),
            }
            self._send(function, destination, json.dumps(record))

    def _send(self, function: Any, arn: str, message: str, *, dead: bool = False) -> None:
        """Sends a dead letter, or to a destination, under the function's own role, as Lambda
        does.
        """
        service, name = arn.split(":")[2], arn.rsplit(":", 1)[-1]
        try:
            client = self._role_client(service, function.role, _LAMBDA)
            if service == "sqs":
                url = f"{self.endpoint_url}/{arn.split(':')[4]}/{name}"
                client.send_message(QueueUrl=url, MessageBody=message)
            elif service == "sns":
                client.publish(TopicArn=arn, Message=message)
            else:
                client.invoke(FunctionName=arn, InvocationType="Event", Payload=message)
        except (ClientError, BotoCoreError, AssumeRoleError) as error:
            self._metrics.function_letter_lost(function.function_name, dead=dead)
            _log.warning(
                "function %s could not reach its destination %s: %s",
                function.function_name,
                arn,
                error,
            )

    # ---- workers ---------------------------------------------------------------------------------

    def _key(self, function: Any) -> str:
        facts = (
            function.function_name,
            function.code_sha_256,
            function.handler,
            function.role,
            function.timeout,
            dict(function.environment_vars or {}),
        )
        return hashlib.sha256(
            repr((facts, self._kept.get(function.function_name))).encode()
        ).hexdigest()

    def _start(self, function: Any, key: str) -> Worker:
        if self._closed.is_set():
            raise WireError("ServiceException", "the local cloud is being stopped", status=500)
        group = (
            self._kept.get(function.function_name, {}).get("LoggingConfig", {}).get("LogGroup")
            or function.logs_group_name
        )
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        write_line = self._log_writer(function.role, group, stream)
        code, handler = self._code(function)
        try:
            credentials = self._access.assume_role(
                function.role,
                service=_LAMBDA,
                session=function.function_name,
                context={"aws:sourcearn": function.function_arn},
            )
        except AssumeRoleError as error:
            raise WireError(
                "InvalidParameterValueException",
                f"The role defined for the function cannot be assumed by Lambda. {error}",
            ) from None
        home = self._directory / "tmp"
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(code),
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "AWS_CONFIG_FILE": str(home / ".aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint_url,
            **{
                str(name): str(value)
                for name, value in dict(function.environment_vars or {}).items()
            },
            "AWS_REGION": self._state.region,
            "AWS_DEFAULT_REGION": self._state.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time or 'python3'}",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_LOG_GROUP_NAME": group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "LAMBDA_TASK_ROOT": str(code),
            "_HANDLER": handler,
            **credentials,
        }
        return Worker(
            key=key, handler=handler, code=code, environment=environment, write_line=write_line
        )

    def _log_writer(self, role: str, group: str, stream: str) -> Callable[[str], None]:
        """Writes a line as far as the role lets Lambda do it; it stays silent where it may not, as
        on AWS.
        """
        arn = self._state.arn("logs", f"log-group:{group}")
        if not self._state.has_log_group(group):
            if not self._access.may(role, "logs:CreateLogGroup", arn):
                return lambda _: None
            self._state.create_log_group(group)
        if not self._access.may(role, "logs:CreateLogStream", f"{arn}:log-stream:{stream}"):
            return lambda _: None
        self._state.create_log_stream(group, stream)

        def write(line: str) -> None:
            if self._access.may(role, "logs:PutLogEvents", f"{arn}:log-stream:{stream}"):
                self._state.put_log_lines(group, stream, [line])

        return write

    def _code(self, function: Any) -> tuple[Path, str]:
        if function.package_type == "Image":
            image = function.code["ImageUri"]
            for pattern, directory in self._images.items():
                if fnmatchcase(image, pattern):
                    command = function.image_config.cmd or []
                    return directory, command[0] if command else ""
            raise WireError(
                "InvalidParameterValueException",
                f"Source image {image} does not exist. Provide a valid source image.",
            )
        directory = self._directory / hashlib.sha256(function.code_bytes).hexdigest()[:24]
        if not directory.exists():
            unpacked = directory.with_name(f"{directory.name}.{uuid.uuid4().hex}")
            with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                archive.extractall(unpacked)
            try:
                unpacked.rename(directory)
            except OSError:  # another invocation was faster
                shutil.rmtree(unpacked)
        return directory, function.handler
