"""Threads of one rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Task = TypeVar("Task")


def parallel_map(
    workers: Sequence[Callable[[Iterable[Task]], None]], tasks: Iterable[Task]
) -> None:
    """Let workers, each in a thread of its own, take tasks one by one until none is left; a single
    one works in the caller's thread.

    Args:
        workers: Each is called once, with the tasks that it takes.
        tasks: Each is taken by one of the workers; they begin in this order.
    """
    if len(workers) == 1:
        workers[0](tasks)
        return
    queue: SimpleQueue[tuple[Task] | None] = SimpleQueue()
    for task in tasks:
        queue.put((task,))
    for _ in workers:
        queue.put(None)

    def taken() -> Iterable[Task]:
        while (item := queue.get()) is not None:
            yield item[0]

    with ThreadPoolExecutor(len(workers), thread_name_prefix="share") as pool:
        for future in [pool.submit(worker, taken()) for worker in workers]:
            future.result()
