"""The search: what is tried next, and what was tried, in a file that outlives any end.

Optuna chooses, from what it knows when a batch begins; each choice has a seed of its own. So the
same settings are tried in the same order however many workers there are and however often the
search was cut off: what a file holds as running is tried again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidCommand

from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.doitext.spec import differences
from fly64tasks.doitext.state.lock import Lock
from fly64tasks.errors import StudyError
from fly64tasks.study.cases import seed_of
from fly64tasks.study.ranges import Choices, Numbers, Range
from fly64tasks.study.tuning import TuneSpec

PRESENT = -1
"""The number of the trial with the settings that the study has now."""
FIRST_AT_RANDOM = 10
"""Trials before the choice is Optuna's."""


@dataclass(frozen=True)
class Trial:
    """Some settings, and how they scored.

    Attributes
    ----------
    number : int
    values : dict
        By key; none for the present settings.
    scores : dict
        Of each case, empty where it failed or is not yet done.
    by_frame : dict
        Of each case, the score of each frame held out.
    failed : str or None
        Why, in a line.
    """

    number: int
    values: dict[str, Any]
    scores: dict[str, float] = field(default_factory=dict)
    by_frame: dict[str, list[float]] = field(default_factory=dict)
    failed: str | None = None

    @property
    def score(self) -> float | None:
        """Return the geometric mean over the cases: a percent of one counts as that of another.

        >>> Trial(0, {}, {"a": 1.0, "b": 4.0}).score, Trial(1, {}).score
        (2.0, None)
        """
        if not self.scores or self.failed:
            return None
        first, *others = self.scores.values()
        return (
            math.exp(math.fsum(math.log(each / first) for each in others) / (1 + len(others)))
            * first
        )

    @property
    def is_done(self) -> bool:
        """Return whether it has come to a score, or failed."""
        return self.failed is not None or self.score is not None


def refuse_without_optuna() -> None:
    """Refuse where Optuna is not installed; raises StudyError."""
    if importlib.util.find_spec("optuna") is None:
        raise StudyError(
            "Optuna is not installed, expected it for `fly64tasks tune`: pip install "
            "'fly64tasks[tune]'"
        )


class Search:
    """The trials of a search, in a file of its own.

    Parameters
    ----------
    path : Path
        The file; the folder is made.
    spec : TuneSpec
    ranges : mapping of str to Range
    about : dict
        What a score depends on besides what is searched, JSON-ready.

    Raises
    ------
    DatasetError
        A file of this name is not ours.
    StudyError
        The search there was begun with other settings.
    """

    def __init__(
        self, path: Path, spec: TuneSpec, ranges: Mapping[str, Range], about: dict[str, Any]
    ) -> None:
        import optuna

        refuse_foreign(path)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._spec, self._ranges, self._optuna = spec, ranges, optuna
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._study = optuna.create_study(
                storage=f"sqlite:///{path.absolute()}", study_name=WRITER, load_if_exists=True
            )
        except Exception as error:  # whatever SQLite says of a file that is none
            raise StudyError(
                f"{path}: can not be used: {_first_line(error)}; move it away"
            ) from None
        kept = self._study.user_attrs.get("about")
        about = {"writer": WRITER, **about, **self._settings()}
        about = json.loads(json.dumps(about))
        if kept is None:
            self._study.set_user_attr("about", about)
        elif changes := "; ".join(differences(kept, about)):
            raise StudyError(
                f"{path}: was begun with other settings ({changes}); search under another --name"
            )

    def _settings(self) -> dict[str, Any]:
        said = self._spec.to_dict()
        ranges = {key: searched.to_dict() for key, searched in self._ranges.items()}
        own = {key: said[key] for key in ("score", "held_out", "batch", "seed")}
        return {**own, "ranges": ranges}

    @property
    def trials(self) -> list[Trial]:
        """Return every trial that was chosen, in order."""
        kept = self._study.user_attrs
        return [
            Trial(frozen.number, self._values(frozen.params), **kept.get(_key(frozen.number), {}))
            for frozen in self._study.trials
        ]

    @property
    def present(self) -> Trial:
        """Return the trial of the settings that the study has now."""
        return Trial(PRESENT, {}, **self._study.user_attrs.get(_key(PRESENT), {}))

    def next_batch(self) -> list[Trial]:
        """Return what is to be tried next: what was cut off, or else what is now chosen.

        Empty once there are as many trials as are asked for.
        """
        self._give_up_half_chosen()
        trials, cut_off = self.trials, self._running()
        begun = len(trials) - len(trials) % self._spec.batch
        if not cut_off or not any(trial.is_done for trial in trials[begun:]):
            # where it was cut off while a batch was chosen, the rest of it is chosen as it would be
            until = min(begun + self._spec.batch, self._spec.trials)
            if not cut_off or begun < len(trials):
                for number in range(len(trials), until):
                    self._choose(number)
        running = self._running()
        left = [] if self.present.is_done else [self.present]
        return left + [trial for trial in self.trials if trial.number in running]

    def keep(self, trial: Trial) -> None:
        """Keep how a trial ended."""
        came_to = {"scores": trial.scores, "by_frame": trial.by_frame, "failed": trial.failed}
        self._study.set_user_attr(_key(trial.number), came_to)
        if trial.number == PRESENT:
            return
        if trial.score is None:
            self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial.number, trial.score)

    def _running(self) -> set[int]:
        state = self._optuna.trial.TrialState.RUNNING
        return {frozen.number for frozen in self._study.trials if frozen.state == state}

    def _give_up_half_chosen(self) -> None:
        """Give up a trial that a kill left without some of its values."""
        running = self._running()
        for frozen in self._study.trials:
            if frozen.number in running and len(frozen.params) < len(self._ranges):
                half = Trial(frozen.number, {}, failed="cut off while it was chosen")
                self.keep(half)

    def _choose(self, number: int) -> int:
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=seed_of(self._spec.seed, number + 1),
            n_startup_trials=FIRST_AT_RANDOM,
            constant_liar=True,  # trials of one batch do not know how the others end
        )
        chosen: int = self._study.ask(self._distributions()).number
        return chosen

    def _distributions(self) -> dict[str, Any]:
        return {key: self._distribution(searched) for key, searched in self._ranges.items()}

    def _distribution(self, searched: Range) -> Any:
        kinds = self._optuna.distributions
        if isinstance(searched, Choices):
            return kinds.CategoricalDistribution(searched.choices)
        kind = kinds.IntDistribution if searched.whole else kinds.FloatDistribution
        return kind(searched.low, searched.high, log=searched.log)

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is tried, in the order of the ranges, numbers to four digits."""
        found = {}
        for key, searched in self._ranges.items():
            if key in params:
                found[key] = params[key]
                if isinstance(searched, Numbers) and not searched.whole:
                    found[key] = searched.rounded(params[key])
        return found


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Be the only search on a file; raises StudyError where another is at it."""
    lock = Lock(str(path))
    try:
        lock.acquire()
    except InvalidCommand as error:
        raise StudyError(str(error).replace(", or use --wait", "")) from None
    try:
        yield
    finally:
        lock.remove()


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial with the smallest score, the first of equals; None where all failed."""
    done = [trial for trial in trials if trial.score is not None]
    return min(done, key=lambda trial: (trial.score, trial.number), default=None)


def _key(number: int) -> str:
    """Return where a trial's scores are kept."""
    return f"trial {number}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
