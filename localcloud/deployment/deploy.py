"""Deployment of a Pulumi program without the Pulumi CLI: config in, real AWS calls out, all
failures as sentences.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pulumi.runtime import run_in_stack, set_all_config, settings

from localcloud.deployment import sdk_types, source_positions
from localcloud.deployment.engine import Engine
from localcloud.deployment.engine.autonaming import Names, NamingError
from localcloud.deployment.engine.state import Failure, Resource, State, Step
from localcloud.deployment.provider import Provider
from localcloud.deployment.provider.values import UNKNOWN, is_secret, leaves, plain
from localcloud.deployment.stack_file import Stack, StackFileError, read_stack

_LOOK_SECONDS: Final = 0.2
_PARALLEL: Final = (
    8  # the in-memory AWS shares this interpreter, so more threads would only wait for one another
)
_ONE_AT_A_TIME: Final = (
    threading.Lock()
)  # a program runs as __main__ with its folder in sys.path, which both belong to the process


class DeploymentError(Exception):
    """A deployment that failed.

    `failures` holds each reason and `skipped` the URNs of what was left as it was because of
    something that failed; the text is all reasons, one a line. `state` is what exists now, None
    where the program did not even start.
    """

    def __init__(
        self, failures: Sequence[Failure], skipped: Sequence[str] = (), state: State | None = None
    ) -> None:
        lines = [str(failure) for failure in failures]
        if skipped:
            lines.append(
                f"left as they were, because of these: {', '.join(sorted(map(_short, skipped)))}"
            )
        super().__init__("\n".join(lines))
        self.failures, self.skipped, self.state = tuple(failures), tuple(skipped), state


def _short(urn: str) -> str:
    """`Queue 'name'` of a URN that ends with `aws:sqs/queue:Queue::name`."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition(':')[2]} {name!r}"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a deployment made, or a preview would make.

    `outputs` are the exports as plain JSON values, None in a preview where a value is not known
    yet; `secret_outputs` names those that are or hold secrets. `steps` is what was done with which
    resource, `state` what a later deployment starts from. `messages` are the program's own, as
    (severity, text). `evaluate_seconds` is the time until the program's last line had run,
    `total_seconds` until all was done.
    """

    outputs: Mapping[str, Any]
    secret_outputs: frozenset[str]
    resources: tuple[Resource, ...]
    steps: tuple[Step, ...]
    state: State
    messages: tuple[tuple[str, str], ...]
    evaluate_seconds: float
    total_seconds: float

    def resource(self, type_: str, name: str) -> Resource:
        """The resource of a type token and a logical name. Raises KeyError where there is none."""
        found = next((r for r in self.resources if r.type == type_ and r.name == name), None)
        if found is None:
            raise KeyError(f"{type_} {name!r} is not in this deployment")
        return found


def deploy(
    program: Path,
    stack: str,
    client: Callable[[str], Any],
    *,
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    preview: bool = False,
    previous: State | None = None,
) -> Deployment:
    """Runs a Pulumi program and brings what exists to what it wants.

    Args:
        program: Folder with Pulumi.yaml, Pulumi.<stack>.yaml and __main__.py.
        stack: Name of the stack.
        client: Returns a thread-safe boto3 client for a service name, bound to the AWS to deploy
            into and allowed to do everything.
        config: Values by full key (`batch-reference:network`) that replace or add to the stack
            file's.
        secrets: The same for secrets.
        preview: Only run the program: no AWS call is made and what AWS would decide is unknown.
        previous: What an earlier deployment of this stack left; without it everything is created.

    Raises:
        DeploymentError: The program, its config or a resource failed. Resources that were created
            before stay.
    """
    return _deploy(
        program,
        stack,
        client,
        config=config,
        secrets=secrets,
        preview=preview,
        previous=previous,
        destroyed=False,
    )


def destroy(
    program: Path,
    stack: str,
    client: Callable[[str], Any],
    *,
    previous: State,
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Deployment:
    """Deletes everything that exists of a stack, as `pulumi destroy --run-program` does: the
    program runs so that its hooks can be called.

    Raises DeploymentError where something could not be deleted; its `state` is what is left.
    """
    return _deploy(
        program,
        stack,
        client,
        config=config,
        secrets=secrets,
        preview=False,
        previous=previous,
        destroyed=True,
    )


def _deploy(
    program: Path,
    stack: str,
    client: Callable[[str], Any],
    *,
    config: Mapping[str, str] | None,
    secrets: Mapping[str, str] | None,
    preview: bool,
    previous: State | None,
    destroyed: bool,
) -> Deployment:
    program = program.resolve()
    try:
        found = read_stack(program, stack, config or {}, secrets or {})
        names = Names(found.config, project=found.project, stack=stack)
    except (StackFileError, NamingError) as error:
        raise DeploymentError([Failure(message=str(error))]) from error
    provider = Provider(client=client, config=found.config, preview=preview)
    engine = Engine(
        project=found.project,
        stack=stack,
        program=program,
        provider=provider,
        names=names,
        preview=preview,
        previous=previous,
        destroy=destroyed,
    )
    started = time.perf_counter()
    with _ONE_AT_A_TIME, _quiet_asyncio():
        evaluated = _evaluated(program, found, engine, preview=preview)
    if not preview and not destroyed and not engine.failures:
        engine.check_references()
    total = time.perf_counter() - started
    if engine.failures:
        raise DeploymentError(engine.failures, engine.skipped, engine.state)
    return Deployment(
        outputs={name: _json(value) for name, value in sorted(engine.exports.items())},
        secret_outputs=frozenset(
            name for name, value in engine.exports.items() if is_secret(value)
        ),
        resources=() if destroyed else tuple(engine.resources.values()),
        steps=engine.steps,
        state=engine.state,
        messages=tuple(engine.log),
        evaluate_seconds=evaluated - started,
        total_seconds=total,
    )


def _json(value: Any) -> Any:
    value = plain(value)
    if any(leaf is UNKNOWN for leaf in leaves(value)):
        if isinstance(value, Mapping):
            return {name: _json(item) for name, item in value.items()}
        return [_json(item) for item in value] if isinstance(value, list) else None
    return value


def _evaluated(program: Path, stack: Stack, engine: Engine, *, preview: bool) -> float:
    """Runs the program in a thread of its own: with each resource the SDK sends all frames of the
    stack, of which those of whoever deploys say nothing and cost a quarter of the time in tests.
    """
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="program") as thread:
        # the SDK keeps its state in context variables: an empty context is a fresh SDK
        running = thread.submit(
            contextvars.Context().run, _run, program, stack, engine, loop, preview=preview
        )
        try:
            # a signal that the kernel hands to another thread wakes nobody who waits for a lock
            while not running.done():
                wait([running], timeout=_LOOK_SECONDS)
            return running.result()
        except BaseException:  # Ctrl-C: what has begun is ended, no more is begun
            with suppress(RuntimeError):  # it is closed, where all is over
                loop.call_soon_threadsafe(loop.stop)
            raise


def _run(
    program: Path,
    stack: Stack,
    engine: Engine,
    loop: asyncio.AbstractEventLoop,
    *,
    preview: bool,
) -> float:
    source_positions.hasten()
    sdk_types.hasten()
    settings.configure(
        settings.Settings(
            project=stack.project,
            stack=stack.name,
            monitor=engine,
            engine=engine,
            parallel=_PARALLEL,
            dry_run=preview,
            organization="organization",
            root_directory=str(program),
        )
    )
    set_all_config(dict(stack.config), list(stack.secret_keys))
    evaluated = time.perf_counter()

    async def body() -> None:
        nonlocal evaluated
        runpy.run_path(str(program / "__main__.py"), run_name="__main__")
        evaluated = time.perf_counter()

    loop.set_exception_handler(
        lambda _loop, _context: None
    )  # failures of single resources are collected by the engine
    with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="deploy") as executor:
        loop.set_default_executor(executor)
        try:
            with _importable(program):
                loop.run_until_complete(run_in_stack(body))
        # whatever the program raises is a failed deployment
        except (Exception, SystemExit) as error:  # noqa: BLE001
            if not (isinstance(error, SystemExit) and error.code in (None, 0)):
                engine.failures.append(_program_failure(error, program))
        finally:
            _close(loop)
            _forget()
    return evaluated


def _forget() -> None:
    # A context property takes the first value set in a context as the default of all others.
    # Setting None twice undoes that, so that neither this engine nor its preview mode is seen by
    # whoever uses the SDK next in this process.
    for name in ("monitor", "engine", "callbacks", "dry_run", "project", "stack"):
        setattr(settings.SETTINGS, name, None)
        setattr(settings.SETTINGS, name, None)


def _program_failure(error: BaseException, program: Path) -> Failure:
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if Path(f.filename).is_relative_to(program)
    ]
    frames = [f for f in frames if "site-packages" not in f.filename]
    location = (
        f"{Path(frames[-1].filename).relative_to(program).as_posix()}:{frames[-1].lineno}"
        if frames
        else ""
    )
    if isinstance(error, SystemExit):
        text = (
            error.code
            if isinstance(error.code, str)
            else f"the program ended itself with exit code {error.code}"
        )
    elif type(error).__module__ == "builtins" and type(error) is not ValueError:
        # the text of a KeyError or an AttributeError says little without it
        text = f"{type(error).__name__}: {error}"
    else:
        text = str(error) or type(error).__name__
    return Failure(message=text.strip(), location=location)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@contextmanager
def _quiet_asyncio() -> Iterator[None]:
    # every resource after a failed one leaves an unretrieved future behind, each worth two lines
    # that say nothing new
    logger = logging.getLogger("asyncio")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _importable(program: Path) -> Iterator[None]:
    """The program's folder first in sys.path, with modules of the same names from elsewhere out of
    the way for the time.

    A folder that is in sys.path anyway is this process's own project: its modules stay loaded.
    """
    if any(Path(entry or ".").resolve() == program for entry in sys.path):
        yield
        return
    own = {path.stem for path in program.glob("*.py")} | {
        path.parent.name for path in program.glob("*/__init__.py")
    }
    own -= {"__main__", "__init__"}

    def loaded() -> dict[str, ModuleType]:
        return {
            name: module for name, module in sys.modules.items() if name.partition(".")[0] in own
        }

    hidden = loaded()
    for name in hidden:
        del sys.modules[name]
    sys.path.insert(0, str(program))
    try:
        yield
    finally:
        sys.path.remove(str(program))
        for name in loaded():
            del sys.modules[name]
        sys.modules.update(hidden)
