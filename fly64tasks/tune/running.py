"""Trials under way: here one after the other, or on the workers that `-j N` starts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TypeVar

from fly64tasks import engine
from fly64tasks.doitext.running import signals
from fly64tasks.errors import ReconstructionError, StoppedEarly, StudyError
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.tuning import with_values
from fly64tasks.tune import trial as trials
from fly64tasks.tune.search import Trial
from fly64tasks.tune.trial import Scored, Task

T = TypeVar("T")
_LOOK_S = 0.2


def run_batch(
    batch: Sequence[Trial], tasks: Sequence[Task], device: str, jobs: int
) -> Iterator[Trial]:
    """Yield the trials of a batch as they end, scored on every set, or failed on one.

    Parameters
    ----------
    jobs : int
        How many reconstructions run at once, on workers; 0 for one after the other, here.

    Raises
    ------
    StoppedEarly
        A signal asked to stop.
    Fly64Error
        What is no trial's fault: a set that changed, a machine that failed, workers that are lost.
    """
    calls = [(trial.number, task) for trial in batch for task in tasks]
    specs = {
        (trial.number, task.target.name): _spec_of(trial, task) for trial in batch for task in tasks
    }

    def call(key: tuple[int, Task]) -> Scored | str:
        number, task = key
        return _scored(task, specs[number, task.target.name], device)

    came_to: dict[int, dict[str, Scored | str]] = {trial.number: {} for trial in batch}
    with contextlib.closing(_results(call, calls, jobs)) as results:
        for (number, task), result in results:
            came_to[number][task.target.name] = result
            if len(came_to[number]) == len(tasks):
                [trial] = (trial for trial in batch if trial.number == number)
                yield _ended(trial, came_to[number], [task.target.name for task in tasks])


def _ended(trial: Trial, came_to: Mapping[str, Scored | str], names: Sequence[str]) -> Trial:
    """Return a trial with its scores, in one order, whichever came first."""
    scored = {name: one for name in names if isinstance(one := came_to[name], Scored)}
    failed = [f"{name}: {one}" for name in names if isinstance(one := came_to[name], str)]
    return replace(
        trial,
        scores={name: one.value for name, one in scored.items()},
        by_frame={name: list(one.by_frame) for name, one in scored.items()},
        failed=failed[0] if failed else None,
    )


def _spec_of(trial: Trial, task: Task) -> ReconSpec | str:
    """Return the settings of a trial, or why there are none: ranges may exclude each other."""
    try:
        return with_values(task.target.recon, trial.values, "settings").resolved()
    except StudyError as error:
        return str(error)


def _scored(task: Task, spec: ReconSpec | str, device: str) -> Scored | str:
    """Return the score, or why there is none."""
    if isinstance(spec, str):
        return spec
    try:
        return engine.run(trials.run, task, spec, device, on_event=_heard)
    except ReconstructionError as error:
        return str(error).partition("; ")[0]  # what else to try is being tried


def _heard(epoch: int, num_epochs: int, loss: float) -> None:
    """Hear of an epoch: what is heard can be stopped after one."""


def _results(
    call: Callable[[tuple[int, Task]], T], keys: Sequence[tuple[int, Task]], jobs: int
) -> Generator[tuple[tuple[int, Task], T]]:
    if not jobs:
        for key in tuple(keys):
            _stop_if_asked()
            yield key, call(key)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        under_way: dict[Future[T], tuple[int, Task]] = {pool.submit(call, key): key for key in keys}
        while under_way:
            _stop_if_asked()
            done, _ = wait(under_way, _LOOK_S, FIRST_COMPLETED)
            for future in done:
                yield under_way.pop(future), future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _stop_if_asked() -> None:
    if why := signals.why_stop():
        raise StoppedEarly(f"{why}; the same command goes on")
