"""Which of the tasks that are ready begins first where several run at once."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Generator
from pathlib import Path
from typing import Any

from doit.runner import MRunner


class LargestFirst(MRunner):
    """What runs several tasks at once starts with the long ones, lest one is left at the end."""

    def _run_tasks_init(self, task_dispatcher: Any) -> None:
        super()._run_tasks_init(task_dispatcher)
        task_dispatcher.generator = _largest_first(task_dispatcher.generator)


def _largest_first(dispatched: Generator[Any, Any, None]) -> Generator[Any, Any, None]:
    """Yield what doit's dispatcher has ready, the task with the most bytes to read first.

    Tasks with as many bytes keep the order of their definition.
    """
    ready: list[tuple[int, int, Any]] = []
    number = itertools.count()
    completed, more = None, True
    while True:
        while more:
            try:
                node = dispatched.send(completed)
            except StopIteration:
                more = False
                break
            completed = None
            if node == "hold on":
                break
            heapq.heappush(ready, (-_bytes_to_read(node.task), next(number), node))
        if not (ready or more):
            return
        completed = yield heapq.heappop(ready)[-1] if ready else "hold on"


def _bytes_to_read(task: Any) -> int:
    paths = [Path(path) for path in task.file_dep]
    return sum(path.stat().st_size for path in paths if path.exists())
