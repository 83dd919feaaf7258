"""How long a run still takes: by what its tasks took last time, and those of the same step now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any


class Ahead:
    """What is left of a run.

    Parameters
    ----------
    tasks : mapping of str to doit.task.Task
        By name; a run may add some.
    names : callable
        Gives the names of those that the run looks at.
    took : callable
        ``took(name)`` is what a task took when it last succeeded, in seconds; None where it is
        not known to have.
    jobs : int
        How many run at once.
    """

    def __init__(
        self,
        tasks: Mapping[str, Any],
        names: Callable[[], Collection[str]],
        took: Callable[[str], float | None] = lambda name: None,
        jobs: int = 1,
    ) -> None:
        self._tasks, self._names, self._took, self._jobs = tasks, names, took, max(1, jobs)
        self._before: dict[str, float | None] = {}
        self._ended: dict[str, float | None] = {}
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self._ratios: defaultdict[str, list[float]] = defaultdict(list)
        self._to_come: list[str] = []
        self._for: frozenset[str] | None = None

    def before(self, name: str) -> float | None:
        """What a task took before this run; to be asked first before the task runs."""
        if name not in self._before:
            self._before[name] = self._took(name)
        return self._before[name]

    def ended(self, name: str, seconds: float | None) -> None:
        """Note that a task is behind: after so many seconds, or without having run."""
        before = self.before(name)
        self._ended[name] = seconds
        self._for = None
        if seconds is not None:
            self._times[_step(name)].append(seconds)
            if before:
                self._ratios[_step(name)].append(seconds / before)

    def seconds(self, running: Mapping[str, tuple[float, float | None]]) -> tuple[float, bool]:
        """What is left, in seconds, and whether that is all: not where some step was never timed.

        Parameters
        ----------
        running : mapping of str to tuple of float
            For each task that runs, the seconds since it began, and those that it says are left.
        """
        if (now := frozenset(running)) != self._for:
            self._for = now
            self._to_come = list(self._will_run(now))
        begun, known = [], True
        hints = {}
        for name, (since, left) in running.items():
            if left is not None:
                begun.append(left)
                hints[_step(name)] = since + left
            elif (whole := self._estimate(name)) is not None:
                begun.append(max(0.0, whole - since))
            else:
                known = False
        later = []
        for name in self._to_come:
            whole = self._estimate(name)
            later.append(hints.get(_step(name)) if whole is None else whole)
        known = known and None not in later
        total = sum(begun) + sum(each or 0.0 for each in later)
        at_once = min(self._jobs, len(running) + len(later)) or 1
        return max(total / at_once, *begun, 0.0), known

    def _estimate(self, name: str) -> float | None:
        """What a task will take: what it took, as far as its step takes now what it took then."""
        step, before = _step(name), self.before(name)
        if before is not None:
            return before * (_mean(self._ratios[step]) or 1.0)
        return _mean(self._times[step])

    def _will_run(self, running: Collection[str]) -> Iterator[str]:
        """What is to come and will run: never done, after one that runs, or of a step as such."""
        ran = {name for name, seconds in self._ended.items() if seconds is not None} | {*running}
        again = {_step(name) for name in ran if self.before(name) is not None}
        names = self._names()
        for name, task in list(self._tasks.items()):
            if name not in names or name in self._ended or name in running:
                continue
            new = bool(task.actions) and (self.before(name) is None or _step(name) in again)
            if new or not ran.isdisjoint((*task.task_dep, *task.setup_tasks, *task.calc_dep)):
                ran.add(name)
                if task.actions:
                    yield name


def _step(name: str) -> str:
    return name.partition(":")[0]


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
