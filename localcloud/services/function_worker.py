"""Runs invocations of one Lambda function, one after the other: `python function_worker.py
<handler> <result fd>`.

Requests come as JSON lines on standard input, whose end is the end of the worker; results go as
JSON lines to the descriptor. What the handler prints is the function's log.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any


class LambdaContext:
    """The context object of the Lambda runtime for Python."""

    def __init__(self, request_id: str, arn: str, deadline: float) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.invoked_function_arn = arn
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.aws_request_id = request_id
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's timeout."""
        return max(0, int((self._deadline - time.time()) * 1000))


def main(handler_name: str, result_fd: int) -> None:
    """Loads the handler and serves requests until standard input ends."""
    signal.pthread_sigmask(
        signal.SIG_SETMASK, ()
    )  # what the cloud has blocked is no business of a function
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    logging.getLogger().addHandler(
        logging.StreamHandler(sys.stdout)
    )  # the runtime has a handler on the root logger
    logging.getLogger().handlers[0].setFormatter(
        logging.Formatter("[%(levelname)s]\t%(asctime)s\t%(message)s")
    )
    handler: Any = None
    failure: dict[str, Any] | None = None
    try:
        module, _, attribute = handler_name.rpartition(".")
        handler = getattr(importlib.import_module(module.replace("/", ".")), attribute)
    except Exception as error:  # noqa: BLE001 - the runtime reports whatever the import raises
        failure = _failure(error)
    with os.fdopen(result_fd, "w", encoding="utf-8") as results:
        while True:
            request = json.loads(requests.get())
            answer = (failure and {"error": failure}) or _invoke(handler, request)
            sys.stderr.flush()
            sys.stdout.write(
                "\0\n"
            )  # tells the reader of the log that this invocation has printed all
            sys.stdout.flush()
            results.write(json.dumps(answer) + "\n")
            results.flush()


def _read_requests(requests: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        requests.put(line)
    # the cloud is gone; a handler in the middle of its work goes with it, and what it has started
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _invoke(handler: Any, request: dict[str, Any]) -> dict[str, Any]:
    context = LambdaContext(request["id"], request["arn"], request["deadline"])
    try:
        result = handler(json.loads(request["payload"]), context)
        return {"result": json.dumps(result)}
    except BaseException as error:  # noqa: BLE001 - also SystemExit: the runtime turns everything into an answer
        return {"error": _failure(error)}


def _failure(error: BaseException) -> dict[str, Any]:
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
    print(  # noqa: T201 - the function's log
        f"[ERROR] {type(error).__name__}: {error}\nTraceback (most recent call"
        f" last):\n{''.join(frames)}"
    )
    return {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": frames}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
