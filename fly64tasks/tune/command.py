"""`fly64tasks tune`: search settings of `[recon]` for jobs of a study.

Exit codes: 0 done, 1 no trial came to a score, or the workers failed, 2 usage, 3 a set can not be
used, 74 the machine failed it, 75 stopped: the same command goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.data.ownership import refuse_foreign
from fly64tasks.doitext import parallel
from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.errors import printable
from fly64tasks.doitext.running import signals
from fly64tasks.engine.spec import read_engine
from fly64tasks.errors import ReconstructionError, StudyError
from fly64tasks.study.device import refuse_unknown_device
from fly64tasks.study.ranges import Range, by_key
from fly64tasks.study.tuning import (
    TuneSpec,
    refuse_impossible,
    refuse_unpredictable,
    tuning_of,
)

PROG = "python -m fly64tasks tune"
TRIALS = "trials.db"
TABLE = "trials.csv"


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    options = make_parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _tune(options))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        usage="%(prog)s [KEY=RANGE ...] [options]",
        description="Search settings of [recon] for jobs of a study whose sets are made. What is "
        "not said here is what the study's [tune] says. No result of the study is touched.",
        epilog=f"example:\n  {prog} 'prior={{low=1, high=1000, log=true}}' --case "
        "dose_1000_dense_train",
    )
    parser.add_argument(
        "ranges",
        nargs="*",
        metavar="KEY=RANGE",
        help="a setting of [recon], or ptychi.GROUP.NAME, and [low, high], {low=..., high=..., "
        "log=true} or a list of words, as TOML has them",
    )
    add = parser.add_argument
    add("--case", action="append", metavar="NAME", help="a job, or a pattern; may be repeated")
    add(
        "--score",
        metavar="S",
        help="likelihood (of frames held out), complex_nrmse (truth)",
    )
    add("--trials", type=int, metavar="N", help="how many in all (default: 40)")
    add("--held-out", type=float, metavar="X", help="share of the frames (default: 0.2)")
    add("--batch", type=int, metavar="N", help="trials chosen at a time (default: 8)")
    add("--seed", type=int, metavar="N", help="of the search (default: 0)")
    add("-j", "--jobs", type=int, default=0, metavar="N", help="workers (default: none, here)")
    add("--engine", type=Path, metavar="FILE", help="the workers' settings, as doit has them")
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:i (default: auto)")
    add("--name", default="search", help="folder below reports/tune (default: search)")
    study = Path("study.toml")
    add("--study", type=Path, default=study, metavar="FILE", help="default: study.toml")
    add("--data-root", type=Path, metavar="DIR", help="where doit was told to put the sets")
    add("--artifact-root", type=Path, metavar="DIR", help="where it was told to put results")
    return parser


def _tune(options: argparse.Namespace) -> int:
    from fly64tasks.tune.search import refuse_without_optuna
    from fly64tasks.tune.targets import Project

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as doit has it, before numpy comes
    project = Project.read(options.study, options.data_root, options.artifact_root)
    source = f"{options.study}: tune"
    spec, ranges = tuning_of({**by_key(project.study.tune), **_said(options)}, source)
    if not ranges:
        raise StudyError(
            f"{options.study}: nothing to search, expected KEY=RANGE here or ranges in [tune]"
        )
    if not spec.cases:
        raise StudyError(f"{options.study}: no case, expected --case NAME here or cases in [tune]")
    table, targets = project.targets(spec.cases, ranges)
    for target in targets:
        refuse_impossible(target.recon, ranges, source)
        if spec.score != "complex_nrmse":
            refuse_unpredictable(target.recon, ranges, source)
    refuse_unknown_device(options.device)
    if options.jobs < 0:
        raise StudyError(f"-j {options.jobs}, expected how many workers, or 0 for none")
    if not options.name.isidentifier():
        raise StudyError(
            f"--name is {options.name[:60]!r}, expected letters, digits and _, a letter first"
        )
    refuse_without_optuna()
    folder = project.layout.artifact_root / "tune" / options.name
    return _search(options, spec, ranges, targets, table, folder)


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says, as `[tune]` would have it."""
    found: dict[str, Any] = {}
    for text in options.ranges:
        try:
            [(key, value)] = by_key(tomllib.loads(text)).items()
        except (ValueError, RecursionError):
            raise StudyError(
                f"command line: {text[:100]!r} is no range, expected KEY=RANGE as TOML has it, "
                "such as 'prior=[1, 100]' in quotes"
            ) from None
        found[key] = value
    for key in ("score", "trials", "held_out", "batch", "seed"):
        if getattr(options, key) is not None:
            found[key] = getattr(options, key)
    return {**found, **({"cases": options.case} if options.case else {})}


def _search(
    options: argparse.Namespace,
    spec: TuneSpec,
    ranges: dict[str, Range],
    targets: Sequence[Any],
    table: str,
    folder: Path,
) -> int:
    from fly64tasks.tune import table as tables
    from fly64tasks.tune import trial
    from fly64tasks.tune.running import run_batch
    from fly64tasks.tune.search import Search, best_of, only_one
    from fly64tasks.tune.targets import said_of

    engine = read_engine(options.engine)
    jobs = options.jobs or (engine.workers if options.engine else 0)
    head = ",".join(tables.CSV_HEAD).encode()
    refuse_foreign(folder / TABLE, re.compile(head))
    tasks = [trial.prepare(target, spec.score, spec.held_out, spec.seed) for target in targets]
    for task in tasks:
        held = f", {len(task.held_out)} frames held out" if task.held_out else ""
        print(f"{task.target.name}: {printable(task.target.path)}{held}")
    about = {task.target.name: {**said_of(task.target), "sha256": task.sha256} for task in tasks}
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals.noted())
        stack.enter_context(only_one(folder / TRIALS))
        search = Search(folder / TRIALS, spec, ranges, {"cases": about})
        dep_file = str(folder / TRIALS)
        stack.enter_context(parallel.running(jobs, {"engine": engine, "dep_file": dep_file}))
        while batch := search.next_batch():
            for ended in run_batch(batch, tasks, options.device, jobs):
                search.keep(ended)
                print(tables.line_of(ended, spec.trials), flush=True)
        present, trials = search.present, search.trials
        names = [task.target.name for task in tasks]
        with replaced(folder / TABLE) as temporary:
            temporary.write_text(tables.csv_text(present, trials, list(ranges), names), "utf-8")
    print(f"\n{tables.text_of(present, trials, list(ranges), spec.score)}\n")
    print(
        f"{printable(folder / TABLE)}: {len(trials)} trials, {time.monotonic() - began:.0f} s now"
    )
    best = best_of(trials)
    if best is None:
        raise ReconstructionError(f"no trial came to a score; the first: {trials[0].failed}")
    print(tables.verdict(present, best))
    if tables.is_better(best, present):
        print(f"\n{tables.lines_to_paste(table, best, targets[0].recon)}")
    return 0
