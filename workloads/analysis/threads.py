"""Threads of one rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

Task = TypeVar("Task")


def parallel_map(
    workers: Sequence[Callable[[Iterable[Task]], None]], *kinds: Iterable[Task]
) -> None:
    """Let workers, each in a thread of its own and the first in the caller's, take tasks one by one
    until none is left.

    Args:
        workers: Each is called once, with the tasks that it takes.
        kinds: Tasks, each of which is taken by one of the workers; those of a kind begin in their
            order. The first worker begins with the first kind, the second with the second, and so
            on in turns: tasks that mostly wait for the interpreter go well beside tasks that do
            not need it.
    """
    queues: list[SimpleQueue[Task]] = []
    for kind in kinds:
        queues.append(SimpleQueue())
        for task in kind:
            queues[-1].put(task)

    def taken(worker: int) -> Iterator[Task]:
        begin = worker % len(queues)
        for queue in queues[begin:] + queues[:begin]:
            with suppress(Empty):
                while True:
                    yield queue.get_nowait()

    first, *others = (partial(work, taken(place)) for place, work in enumerate(workers))
    if not others:
        first()
        return
    with ThreadPoolExecutor(len(others), thread_name_prefix="share") as pool:
        futures = [pool.submit(work) for work in others]
        first()
        for future in futures:
            future.result()
