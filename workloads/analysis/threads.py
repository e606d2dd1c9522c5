"""Threads of one rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

Task = TypeVar("Task")


def parallel_map(
    workers: Sequence[Callable[[Iterable[Task]], None]], *kinds: Iterable[Task]
) -> None:
    """Let workers, each in a thread of its own, take tasks one by one until none is left; a single
    one works in the caller's thread.

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

    if len(workers) == 1:
        workers[0](taken(0))
        return
    with ThreadPoolExecutor(len(workers), thread_name_prefix="share") as pool:
        for future in [pool.submit(work, taken(place)) for place, work in enumerate(workers)]:
            future.result()
