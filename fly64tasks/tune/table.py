"""What a search came to: its trials as a table and as CSV, the best, and the lines to paste."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from fly64tasks.doitext.errors import printable
from fly64tasks.study import ptychi_options
from fly64tasks.study.ranges import PTYCHI
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.tuning import Score, with_values
from fly64tasks.tune.search import PRESENT, Trial

CSV_HEAD = ("trial", "score")
_SHOWN = 20
_TELLING = 2.0
"""Standard errors beyond which a difference over the frames is told from their scatter."""

WORDS: dict[Score, str] = {
    "likelihood": "negative log likelihood of frames held out, in nats per pixel",
    "complex_nrmse": "complex NRMSE against the truth",
}


def line_of(trial: Trial, n: int) -> str:
    """Return what is printed once a trial has ended, of n in all.

    >>> line_of(Trial(3, {"prior": 43.2}, scores={"a": 1.25}), 40)
    'trial 3 of 40: 1.25  prior = 43.2'
    """
    name = "present settings" if trial.number == PRESENT else f"trial {trial.number} of {n}"
    if trial.score is None:
        return f"{name}: failed, {printable(trial.failed)}"
    values = ", ".join(f"{key} = {_value(value)}" for key, value in trial.values.items())
    return f"{name}: {trial.score:.5g}  {values}".rstrip()


def csv_text(
    present: Trial, trials: Sequence[Trial], keys: Sequence[str], cases: Sequence[str]
) -> str:
    """Return one row per trial, the present settings first; they have no values."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*CSV_HEAD, *keys, *cases, "failed"])
    for trial in (present, *trials):
        number = "present" if trial.number == PRESENT else trial.number
        scores = (trial.score, *(trial.scores.get(case) for case in cases))
        head, *of_cases = ("" if score is None else repr(score) for score in scores)
        values = (_value(trial.values[key]) if key in trial.values else "" for key in keys)
        writer.writerow([number, head, *values, *of_cases, printable(trial.failed or "")])
    return buffer.getvalue()


def text_of(present: Trial, trials: Sequence[Trial], keys: Sequence[str], score: Score) -> str:
    """Return the table that is printed, the best first, the present settings among them."""
    ranked = sorted(
        (present, *trials), key=lambda one: (one.score is None, one.score or 0, one.number)
    )
    left_out = ranked[_SHOWN:]
    shown = ranked[:_SHOWN] + [trial for trial in left_out if trial is present]
    rows = [("trial", "score", *keys)]
    for trial in shown:
        name = "present" if trial is present else str(trial.number)
        came_to = "failed" if trial.score is None else f"{trial.score:.5g}"
        values = [_value(trial.values[key]) if key in trial.values else "" for key in keys]
        rows.append((name, came_to, *values))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"score: {WORDS[score]}; small is good", ""]
    for row in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append("  " + "  ".join(cells).rstrip())
    if more := len(ranked) - len(shown):
        lines.append(f"  and {more} more")
    return "\n".join(lines)


def lines_to_paste(table: str, best: Trial, recon: ReconSpec) -> str:
    """Return what to say in the study file, of jobs that have these settings now.

    Options of pty-chi's have a table of their own, and all of it is said: a method's stands in
    place of `[recon.ptychi]`.

    >>> print(lines_to_paste("[recon]", Trial(3, {"prior": 43.2, "refine": "MAP"}), ReconSpec()))
    [recon]
    prior = 43.2
    refine = "MAP"
    """
    own = {key: value for key, value in best.values.items() if not key.startswith(PTYCHI)}
    parts = {table: own}
    if len(own) < len(best.values):
        options = with_values(recon, best.values, "settings").ptychi or {}
        parts[f"{table[:-1]}.ptychi]"] = dict(ptychi_options.flattened(options))
    return "\n".join(
        line
        for name, values in parts.items()
        if values
        for line in (name, *(f"{key} = {_value(value)}" for key, value in values.items()))
    )


def is_better(best: Trial, present: Trial) -> bool:
    """Return whether settings came to a lower score than those of the study."""
    assert best.score is not None
    return present.score is None or best.score < present.score


def verdict(present: Trial, best: Trial) -> str:
    """Return in words how the best settings compare with the present ones."""
    assert best.score is not None
    if present.score is None:
        return f"best {best.score:.5g}; the present settings fail: {printable(present.failed)}"
    said = f"present {present.score:.5g}, best {best.score:.5g}"
    if not is_better(best, present):
        return f"{said}: nothing that was tried is better; keep what you have"
    said += f", {1 - best.score / present.score:.2%} less"
    if not any(best.by_frame.values()):
        return said
    difference, error, n = paired(present, best)
    told = difference < -_TELLING * error
    words = "more than their scatter" if told else "no more than their scatter: no reason to change"
    return (
        f"{said}; over {n} frames held out {difference:+.2%} ± {error:.2%} in the mean of each, "
        f"{words}"
    )


def paired(present: Trial, best: Trial) -> tuple[float, float, int]:
    """Return the mean relative difference of the frames' scores, its standard error, and n.

    Each case counts alike.

    >>> present = Trial(-1, {}, by_frame={"a": [1.0, 2.0]})
    >>> difference, error, n = paired(present, Trial(0, {}, by_frame={"a": [0.9, 1.8]}))
    >>> round(difference, 3), round(error, 3), n
    (-0.1, 0.0, 2)
    """
    means, squares, n = [], [], 0
    for case, old in present.by_frame.items():
        of_case = [math.log(b / a) for a, b in zip(old, best.by_frame[case], strict=True)]
        mean = sum(of_case) / len(of_case)
        scatter = sum((one - mean) ** 2 for one in of_case) / max(len(of_case) - 1, 1)
        means.append(mean)
        squares.append(scatter / len(of_case))
        n += len(of_case)
    return math.expm1(sum(means) / len(means)), math.sqrt(sum(squares)) / len(means), n


def _value(value: Any) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, dict):
        items = (f"{json.dumps(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(items)} }}"
    return json.dumps(value)
