"""``doit clean``: remove what tasks made, by name, and never under a running doit."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from doit import cmd_clean
from doit.action import PythonAction
from doit.cmdparse import CmdOption
from doit.exceptions import BaseFail, InvalidCommand

from ..errors import machine_fault, printable
from ..graph.control import Control
from ..graph.orphans import gone, orphans
from ..running.failures import failing_in_words, reason_of
from ..running.runner import MADE
from ..state.claims import Claims
from .base import GraphCommand, flag


class Clean(GraphCommand, cmd_clean.Clean):
    """Remove what the selected tasks made.

    A task's ``clean`` is doit's: True for its targets, or actions. One that takes ``dryrun`` is
    called in a dry run too, and prints what it would remove. In ``meta`` they find what the task
    has `MADE`, as when it runs.
    """

    doc_description = (
        "Takes the same task names, patterns and filters as `run`; without any of them all tasks "
        "are cleaned. Exit codes: 0 done; 1 something could not be removed; 3 nothing was removed "
        "(no such task, filter without match, state file in use)."
    )
    cmd_options = ()
    own_options: ClassVar[tuple[CmdOption, ...]] = (
        *map(CmdOption, cmd_clean.Clean.cmd_options),
        flag("wait", "wait", "wait while another doit uses the state file"),
        flag("only_orphans", "orphans", "remove what tasks have made that there are no longer"),
    )

    def _execute(
        self,
        dryrun: bool,
        cleandep: bool,
        cleanall: bool,
        cleanforget: bool,
        wait: bool,
        only_orphans: bool,
        pos_args: list[str],
    ) -> int:
        control = Control(self.task_list)
        self.connect(control)
        claims = self.claims()
        claims.refuse_others()
        if only_orphans:
            self._refuse_choice(pos_args)
        tasks = [] if only_orphans else self._chosen(pos_args, cleandep, cleanall)
        with contextlib.ExitStack() as stack:
            if not dryrun and Path(self.state.name).parent.is_dir():
                self.state.lock(wait)
                stack.callback(self.state.unlock)
                stack.enter_context(claims.locked(wait))
                claims.refuse_others()
            sound = [self._clean(task, dryrun) for task in tasks]
            if only_orphans:
                sound.append(self._clean_orphans(claims, dryrun))
            if not dryrun:
                claims.give_up_empty()
                if cleanforget:
                    for task in tasks:
                        self.dep_manager.remove(task.name)
                self.dep_manager.close()
        return 0 if all(sound) else 1

    def _refuse_choice(self, named: list[str]) -> None:
        """Refuse names and filters: they choose among tasks that there are."""
        if named or self.wanted:
            raise InvalidCommand(
                "clean --orphans takes no task names and no filters: it is about what was made by "
                "tasks that there are no longer; -n lists it"
            )
        if self.control.delayed:
            names = ", ".join(task.name for task in self.control.delayed[:3])
            raise InvalidCommand(f"clean --orphans: what {names} makes is not known yet; run it")

    def _clean_orphans(self, claims: Claims, dryrun: bool) -> bool:
        """Remove what no task makes or reads any more, and the records of what made it."""
        count = size = 0
        sound = True
        for path, task, ours in orphans(self.control.tasks, claims, self.state):
            made_by = f"  (made by {task})" if task else ""
            if not ours:
                self._say(f"kept {path}: not as its task made it{made_by}")
                continue
            there = Path(path).stat().st_size
            try:
                if not dryrun:
                    _unlink(Path(path))
            except OSError as error:
                self._say(f"FAILED  {machine_fault(error) or error}: {path}")
                sound = False
                continue
            count, size = count + 1, size + there
            self._say(f"{'would remove' if dryrun else 'removed'} {path}{made_by}")
        if sound and not dryrun:
            for name in gone(self.control.tasks, self.state):
                self.dep_manager.remove(name)
        words = f"{count} file{'' if count == 1 else 's'}, {size / 1e6:.1f} MB"
        self._say(f"{words}{'. Nothing was removed.' if dryrun else ' removed.'}")
        return sound

    def _say(self, text: str) -> None:
        self.outstream.write(f"{printable(text)}\n")

    def _chosen(self, named: list[str], cleandep: bool, cleanall: bool) -> list[Any]:
        """The tasks to clean: those that need others before these."""
        control = self.control
        default = None if cleanall else self.params.get("default_tasks")
        control.choose([] if cleanall else list(named), default, self.wanted)
        tree = cmd_clean.CleanDepTree()
        if cleandep or cleanall or not (named or self.wanted):
            for name in reversed(control.selected_tasks):
                tree.build_nodes_with_deps(control.tasks, name)
        else:
            tree.build_nodes(control.tasks, list(control.selected_tasks))
        return [control.tasks[name] for name in tree.flat()]

    def _clean(self, task: Any, dryrun: bool) -> bool:
        """Clean one task and print what was removed; whether all went well."""
        task.init_options()
        task.meta = {**(task.meta or {}), MADE: self.state.made(task.name)}
        said = io.StringIO()
        try:
            failures = list(_cleaned(task, dryrun, said))
        finally:
            for line in said.getvalue().splitlines():
                self.outstream.write(f"{printable(f'{task.name}: {line}')}\n")
        for failure in failures:
            self.outstream.write(f"{printable(task.name)}: FAILED  {reason_of(task, failure)}\n")
        return not failures


def _cleaned(task: Any, dryrun: bool, said: io.StringIO) -> Iterator[BaseFail]:
    """Clean a task; yield how that failed."""
    actions = task.clean_actions
    if task._remove_targets is True:
        actions = [PythonAction(_remove, [task.targets])]
    for action in actions:
        asks = isinstance(action, PythonAction) and (
            "dryrun" in inspect.signature(action.py_callable).parameters
        )
        if asks:
            action.kwargs["dryrun"] = dryrun
        if dryrun and not asks:
            said.write(f"would run {action}\n")
            continue
        if isinstance(action, PythonAction):
            action.py_callable = failing_in_words(action.py_callable)
        result = action.execute(out=said)
        if isinstance(result, BaseFail):
            yield result


def _unlink(path: Path) -> None:
    """Remove a file, and the folders that this empties."""
    path.unlink()
    folder = path.parent
    while folder != Path() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _remove(targets: list[str], dryrun: bool) -> None:
    """Remove files and empty folders, and print their names."""
    word = "would remove" if dryrun else "removed"
    for target in sorted(targets, reverse=True):
        path = Path(target)
        if path.is_dir() and not path.is_symlink():
            if any(path.iterdir()):
                print(f"kept {path}: not empty")
                continue
            if not dryrun:
                path.rmdir()
        elif not os.path.lexists(path):
            continue
        elif not dryrun:
            path.unlink()
        print(f"{word} {path}")
