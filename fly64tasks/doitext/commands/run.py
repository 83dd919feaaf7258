"""``doit run``: a dry run, filters, one line per task, and an orderly end."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from doit import cmd_run, get_initial_workdir
from doit.action import PythonAction
from doit.cmdparse import CmdOption
from doit.exceptions import InvalidCommand
from doit.task import Stream

from .. import parallel
from ..atomic import sweep
from ..errors import exited, machine_fault, printable
from ..graph import inputs
from ..graph.control import Control
from ..graph.judgement import Verdict
from ..graph.plan import Planner, merged
from ..graph.sealed import refuse_foreign, write
from ..processes import end_descendants
from ..running.events import Both, EventLog
from ..running.outcomes import outcomes
from ..running.reporter import LineReporter
from ..running.runner import Journaled, SerialRunner, ThreadRunner
from ..running.signals import Stopped, stoppable
from ..running.streams import same_streams, writing_to
from ..state.record import CHECKER, FAILED, INTERRUPTED, attempt_of
from .base import GraphCommand, flag
from .dry import no_caches, write_json, write_lines

_REPLACED = ("num_process", "reporter", "par_type", "outfile")
_AT_ONCE = ("thread", "process")


def _changed(option: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**option, **changes}


class Run(GraphCommand, cmd_run.Run):
    """Run tasks, or with ``-n`` say what would run."""

    doc_description = (
        "Exit codes: 0 all is up to date or done; 1 a task failed; 2 a task raised an unexpected "
        "error; 3 nothing was run (no such task, filter without match, missing input, state file "
        "in use); 130 stopped by SIGINT (Ctrl-C); 143 stopped by SIGTERM; 129 by SIGHUP."
    )
    cmd_options = (
        *(option for option in cmd_run.Run.cmd_options if option["name"] not in _REPLACED),
        _changed(cmd_run.opt_reporter, default="lines"),
        _changed(cmd_run.opt_outfile, default=None),
        _changed(cmd_run.opt_parallel_type, default="thread"),
    )
    own_options: ClassVar[tuple[CmdOption, ...]] = (
        CmdOption(
            _changed(cmd_run.opt_num_process, short="j", help="number of tasks to run at once")
        ),
        flag("dry_run", "dry-run", "say what would run and why; run and write nothing", "n"),
        flag("as_json", "json", "print the dry run as JSON"),
        flag("wait", "wait", "wait while another doit uses the state file"),
        flag("take_over", "take-over", "write over what others have made in the same folders"),
        CmdOption(
            {
                "name": "events",
                "long": "events",
                "type": str,
                "default": "",
                "help": "append what happens to this file, as JSON lines",
            }
        ),
    )

    def get_reporters(self) -> dict[str, Any]:
        """Doit's reporters and ours."""
        reporters: dict[str, Any] = super().get_reporters()
        if "reporter" in self.cmdparser:
            self.cmdparser["reporter"].choices["lines"] = LineReporter.desc
        return {**reporters, "lines": LineReporter}

    def _help(self) -> None:
        """Print the options, and what else there is: who asks `doit -h` named no command."""
        super()._help()
        print("\n\nOTHER COMMANDS")
        for name in sorted(self._commands):
            print(f"    {self.bin_name} {name:<16}  {self._commands.get_plugin(name).doc_purpose}")
        print(f"\n    `{self.bin_name} COMMAND --help` says more of each")

    def execute(self, params: Any, args: list[str]) -> int:
        """Run; in a dry run not even Python's bytecode caches are written."""
        with no_caches(params["dry_run"]):
            return super().execute(params, args)

    def _execute(
        self,
        outfile: Any,
        verbosity: int | None,
        always: bool,
        continue_: bool,
        reporter: Any,
        num_process: int,
        par_type: str,
        single: bool,
        auto_delayed_regex: bool,
        force_verbosity: bool,
        failure_verbosity: int,
        pdb: bool,
        dry_run: bool,
        as_json: bool,
        wait: bool,
        pos_args: list[str],
    ) -> int:
        control = Control(self.task_list, auto_delayed_regex=auto_delayed_regex)
        if par_type not in _AT_ONCE:
            raise InvalidCommand(f"-P {par_type}: expected one of {', '.join(_AT_ONCE)}")
        if num_process < 0:
            raise InvalidCommand(
                f"-j {num_process}: expected how many tasks to run at once, or 0 to run one after "
                "the other"
            )
        skipped = self.prepare(pos_args, control, single)
        if not self.params["take_over"]:
            self.claims().refuse_others()
        if files := self.manifest_files():
            refuse_foreign(files)
        if dry_run:
            return self._dry_run(skipped, always, as_json)
        inputs.refuse(self.broken, self.helpful_options())
        num_process = self.jobs(num_process)
        self.check(num_process)

        PythonAction.pm_pdb = pdb
        runner_class = _runner(par_type) if num_process else SerialRunner
        reporter_class = self.reporters[reporter] if isinstance(reporter, str) else reporter
        log = _event_log(self.params["events"])

        def make_runner(out: Any) -> Any:
            known = {"took": self._took, "jobs": num_process}
            report = reporter_class(out, {"failure_verbosity": failure_verbosity, **known})
            if log:
                report = Both([report, log])
            stream = Stream(verbosity, force_verbosity)
            jobs = [num_process] if num_process else []
            runner = runner_class(self.dep_manager, report, continue_, always, stream, *jobs)
            runner.may_skip = self.allowed
            return runner

        result, signal = 3, None  # what is not foreseen here, doit itself reports
        others = set(threading.enumerate())
        with stoppable():
            try:
                threads = num_process if par_type == "thread" else 0
                result = self._run(make_runner, threads, outfile, wait, skipped)
                return result
            except Stopped as stopped:
                result, signal = stopped.exit_code, stopped.name
                sys.stderr.write(f"{stopped}; what was running will run again\n")
            except SystemExit as error:  # an uptodate check, a teardown
                result = 2
                sys.stderr.write(f"stopped: {exited(error)} outside of a task's actions\n")
            except InvalidCommand as error:  # the state file
                if not self.state.began:
                    raise
                result = 1
                sys.stderr.write(f"stopped: {error}\n")
            finally:
                if log:
                    log.end(result, signal)
            return _leave(result, others)

    def jobs(self, asked: int) -> int:
        """How many tasks to run at once, 0 for one after the other; a project may decide."""
        return asked

    def check(self, jobs: int) -> None:
        """Refuse what can not be known before; a project may, and nothing is run then."""

    def _run(
        self,
        make_runner: Callable[[Any], Any],
        threads: int,
        outfile: Any,
        wait: bool,
        skipped: dict[str, list[str]],
    ) -> int:
        """Run the selected tasks as the only writer of the state."""
        with contextlib.ExitStack() as stack:
            self.state.lock(wait)
            stack.callback(self.state.unlock)
            stack.enter_context(self.claims().held(wait, self.params["take_over"]))
            sweep(target for _, targets in self.state.cut_off() for target in targets)
            out = stack.enter_context(writing_to(outfile))
            for name, reasons in skipped.items():
                out.write(f"{printable(f'skipped {name}: ' + '; '.join(reasons))}\n")
            dispatcher = self.control.task_dispatcher()
            runner = make_runner(out)
            try:
                with same_streams(), parallel.running(threads, self.params):
                    result = int(runner.run_all(dispatcher))
            except BaseException:  # whatever ends the run early leaves no child behind
                end_descendants()
                raise
            finally:
                written = self._write_manifest(dispatcher.nodes, skipped | runner.skipped)
            return result if written else result or 1

    def _dry_run(self, skipped: dict[str, list[str]], always: bool, as_json: bool) -> int:
        planned = Planner(self.control, self.dep_manager, always, self.broken).verdicts()
        left_out = [Verdict(name, "skipped", tuple(words)) for name, words in skipped.items()]
        verdicts = merged(planned, left_out, self.control)
        words = ("run", "may run", "up to date", "error", "ignored", "skipped")
        summary = dict.fromkeys(words, 0) | Counter(item.word for item in verdicts)
        if as_json:
            tasks = [
                {"task": item.task, "verdict": item.word, "reasons": item.reasons}
                for item in verdicts
            ]
            write_json(self.outstream, {"tasks": tasks, "summary": summary})
        else:
            lines = [(item.word, item.task, item.reasons) for item in verdicts]
            write_lines(self.outstream, lines, 10)
            counts = ", ".join(f"{n} {word}" for word, n in summary.items() if n) or "no task"
            self.outstream.write(f"{counts}. Nothing was run.\n")
        return 3 if summary["error"] else 0

    def _write_manifest(self, nodes: dict[str, Any], skipped: dict[str, list[str]]) -> bool:
        """Whether the manifest could be written; if not, that is said."""
        files = self.manifest_files()
        if files:
            became = outcomes(self.control, nodes, self.state)
            built = self.manifest().build(self.wanted, became, skipped)
            try:
                write(zip(files, built, strict=True))
            except OSError as error:
                said = machine_fault(error)
                if said is None:
                    raise
                sys.stderr.write(f"{files[0]}: not written: {said}; `doit manifest` writes it\n")
                return False
            with contextlib.suppress(InvalidCommand):  # then records are read again next time
                self.state.dump()
        return True

    def _took(self, name: str) -> float | None:
        """What a task took when it last ran, in seconds; None where that is no success."""
        row = self.state.row(name)
        if row.get(CHECKER) in (FAILED, INTERRUPTED):
            return None
        return attempt_of(row).get("seconds")


def _runner(par_type: str) -> type[Journaled]:
    """What runs several tasks at once; that in processes loads what few need."""
    if par_type == "thread":
        return ThreadRunner
    from ..running.forked import ProcessRunner

    return ProcessRunner


def _leave(exit_code: int, others: set[threading.Thread]) -> int:
    """Return the exit code, or leave at once where tasks still run in threads, `others` aside.

    They cannot be stopped, and an interpreter that shuts down under their native code aborts.
    """
    if set(threading.enumerate()) - others:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    return exit_code


def _event_log(named: str) -> EventLog | None:
    """The file of ``--events``, said from where doit was called."""
    return EventLog(Path(get_initial_workdir() or ".", named).expanduser()) if named else None
