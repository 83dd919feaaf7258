"""Several tasks at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from doit.exceptions import TaskError, TaskFailed
from doit.runner import MRunner

from ..atomic import sweep
from ..processes import die_with_parent
from .order import LargestFirst
from .runner import Journaled

_FORK = multiprocessing.get_context("fork")


class ProcessRunner(Journaled, LargestFirst, MRunner):
    """Each task in a forked process of its own, which ends with this one."""

    def run_tasks(self, task_dispatcher: Any) -> None:
        """Run tasks, so many at once; one whose process dies has failed."""
        self._run_tasks_init(task_dispatcher)
        running: dict[Connection, tuple[Any, BaseProcess]] = {}
        node, more = None, True
        while more or running:
            while more and len(running) < self.num_process and not self._stop_running:
                try:
                    node = task_dispatcher.generator.send(node)
                except StopIteration:
                    more = False
                    break
                if node == "hold on":
                    assert running, "a task waits for one that does not run"
                    node = None
                    break
                if self.select_task(node, task_dispatcher.tasks):
                    receiver, process = self._forked(node.task)
                    running[receiver] = node, process
                    node = None
            if not running:
                break
            receiver = wait(running)[0]  # type: ignore[assignment]
            node, process = running.pop(receiver)
            self._process_result(node, node.task, _result(receiver, process))

    def _forked(self, task: Any) -> tuple[Connection, BaseProcess]:
        """Start a task; return where its result will come from, and its process."""
        self._prepare(task)
        if task.teardown:
            self.teardown_list.append(task)
        self.reporter.execute_task(task)
        receiver, sender = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=self._execute_forked, args=(task, sender, os.getpid()))
        process.start()
        sender.close()  # so that the death of the process is the end of its pipe
        return receiver, process

    def _execute_forked(self, task: Any, sender: Connection, parent: int) -> None:
        die_with_parent(parent)
        with contextlib.suppress(KeyboardInterrupt):  # doit's own end says it
            result = {"failure": task.execute(self.stream), "task": task.pickle_safe_dict()}
            for stream in ("out", "err"):
                result[stream] = [getattr(action, stream) for action in task.actions]
            try:
                sender.send(result)
            except Exception as error:  # a value that can not be pickled
                sender.send({"failure": TaskError("its result can not be sent to doit", error)})

    def _process_result(self, node: Any, task: Any, result: dict[str, Any]) -> None:
        if "task" in result:
            super()._process_result(node, task, result)
        else:
            sweep(task.targets)
            self.process_task_result(node, result["failure"])


def _result(receiver: Connection, process: BaseProcess) -> dict[str, Any]:
    """What the process of a task sends; a failure where it has died before."""
    with receiver:
        try:
            return dict(receiver.recv())
        except EOFError:
            pass
        finally:
            process.join()
    code = process.exitcode or 0
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return {"failure": TaskFailed(f"its process {how}, and no result")}
