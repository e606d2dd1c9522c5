"""Runs invocations of one Lambda function, one after the other, in a process of their own.

`python -u -P function_worker.py serve <control fd>` is the fork server of such processes: for each
byte on the control socket, which brings four descriptors, it forks one. That finds what every
function loads, the AWS SDK, in its memory: loading it takes longer than most invocations do, and
Lambda's own environments begin as snapshots. `python -u -P function_worker.py run <handler>
<PYTHONPATH>` is one that starts afresh.

The descriptors of a worker are its standard input, its output, its results, and where the server
tells the code with which it ended. The first line of its standard input is its order (JSON:
handler, cwd, environment); it answers with its process id as the first line of its results.
Requests come as JSON lines after that, and the end of standard input is the end of the worker;
results go as JSON lines to descriptor 3. What the handler prints is the function's log.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import logging
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_RESULTS = 3
_INTERPRETER_SETTINGS = ("PYTHON", "LANG", "LC_")
"""Beginnings of the names of variables that Python reads when it starts."""


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


def run(handler_name: str) -> None:
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
    with os.fdopen(_RESULTS, "w", encoding="utf-8") as results:
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


# ---- fork server ---------------------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    """Forks workers until the cloud is gone, and tells how each ended; a worker does not return."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _preload()
    ended_read, ended_write = os.pipe()
    os.set_blocking(ended_write, False)
    signal.set_wakeup_fd(ended_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    told_at: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), ended_read], [], [])
        if ended_read in ready:
            os.read(ended_read, 512)
            _tell_ends(told_at)
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 4)
            if not message:
                return
            worker = os.fork()
            if worker == 0:
                _become_worker(descriptors)
                sys.exit()
            told_at[worker] = descriptors.pop()
            for each in descriptors:
                os.close(each)


def _preload() -> None:
    """The AWS SDK with what it loads at its first client, and no settings of this process."""
    import boto3
    import botocore.session

    # a loader keeps the models that it has parsed: those of this one are there in every function
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    session = boto3.session.Session("nobody", "nothing", region_name="us-east-1")
    session.resource("dynamodb")
    for service in ("batch", "s3"):
        session.client(service)
    gc.collect()
    gc.freeze()  # pages that the collector does not touch stay shared


def _tell_ends(told_at: dict[int, int]) -> None:
    while told_at:
        worker, status = os.waitpid(-1, os.WNOHANG)
        if worker == 0:
            return
        descriptor = told_at.pop(worker)
        os.write(descriptor, b"%d" % os.waitstatus_to_exitcode(status))
        os.close(descriptor)


def _become_worker(descriptors: Sequence[int]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    given, output, results, _ = descriptors
    for descriptor, place in ((given, 0), (output, 1), (output, 2), (results, _RESULTS)):
        os.dup2(descriptor, place)
    os.set_inheritable(_RESULTS, True)  # noqa: FBT003 - the standard library's signature
    os.closerange(_RESULTS + 1, os.sysconf("SC_OPEN_MAX"))
    order = json.loads(sys.stdin.readline())
    handler, environment = order["handler"], order["environment"]
    os.chdir(order["cwd"])
    os.write(_RESULTS, b"%d\n" % os.getpid())
    if _needs_interpreter(environment):
        # this program's own modules are Python's, whatever the package has: so it is on Lambda
        path = environment.pop("PYTHONPATH")
        program = (sys.executable, "-u", "-P", __file__, "run", handler, path)
        os.execve(program[0], program, environment)  # noqa: S606 - no shell is wanted
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    _find_first(environment["PYTHONPATH"])
    run(handler)


def _needs_interpreter(environment: Mapping[str, str]) -> bool:
    """Whether a function would notice that Python had started before it: by variables that Python
    reads at its start, or by modules of its own in place of some that are loaded.

    On macOS what a fork leaves of the system's libraries is not to be relied on.
    """
    settings = [
        {
            name: value
            for name, value in some.items()
            if name.startswith(_INTERPRETER_SETTINGS) and name != "PYTHONPATH"
        }
        for some in (os.environ, environment)
    ]
    own = {
        entry.name.partition(".")[0]
        for folder in map(Path, _folders(environment["PYTHONPATH"]))
        if folder.is_dir()
        for entry in folder.iterdir()
    }
    loaded = {name.partition(".")[0] for name in sys.modules} - {"__main__"}
    return sys.platform != "linux" or settings[0] != settings[1] or bool(own & loaded)


def _find_first(path: str) -> None:
    sys.path[:0] = _folders(path)


def _folders(path: str) -> list[str]:
    return [folder for folder in path.split(os.pathsep) if folder]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(socket.socket(fileno=int(sys.argv[2])))
    else:
        os.environ["PYTHONPATH"] = sys.argv[3]
        _find_first(sys.argv[3])
        run(sys.argv[2])
