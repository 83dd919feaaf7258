"""The commands as a user calls them."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from doitext_project import DOIT, LONG, Project, wait_until_up

from fly64tasks.doitext.errors import TaskError
from fly64tasks.doitext.spec import SpecUnchanged

CASES = list(
    itertools.product([1000, 1e4, 1e5], ["baseline", "dense", "sparse"], ["train", "test"])
)


@pytest.fixture
def study(project: Project) -> Project:
    """Three doses, three views, two splits: 18 jobs, each fed by one of three datasets."""
    project.write("source", "source")
    epochs = {"num_epochs": 100}

    def tasks() -> list[dict[str, Any]]:
        made = [
            project.task(
                "simulate",
                name=f"dose_{int(dose)}",
                file_dep=["source"],
                targets=[f"data/{int(dose)}"],
                meta={"dose": dose},
                uptodate=[SpecUnchanged({"seed": 42})],
            )
            for dose in (1000, 1e4, 1e5)
        ]
        for dose, view, split in CASES:
            case = f"dose_{int(dose)}_{view}_{split}"
            size = 1 if view == "baseline" else 2
            meta = {"dose": dose, "view": view, "split": split, "gridsize": size}
            job = project.task(
                "recon",
                name=case,
                doc=case,
                file_dep=[f"data/{int(dose)}"],
                targets=[f"reports/{case}"],
                uptodate=[SpecUnchanged({"engine": dict(epochs)})],
                meta=meta | {"record": f"reports/{case}.json", "log": f"reports/{case}.log"},
            )
            made.append(job)
        made.append(
            project.task("report", file_dep=[f"reports/{_name(c)}" for c in CASES], targets=["r"])
        )
        return made

    project.tasks = tasks
    project.config = {"manifest_dir": "reports", "epochs": epochs}
    return project


def _name(case: tuple[float, str, str]) -> str:
    return f"dose_{int(case[0])}_{case[1]}_{case[2]}"


ONE = ["--dose", "1000", "--view", "dense", "--split", "train"]


# ---- dry run


def test_dry_run_of_one_case_lists_it_and_what_feeds_it(study: Project) -> None:
    result = study.doit("-n", *ONE)
    assert result.code == 0
    assert result.out.splitlines() == [
        "run         simulate:dose_1000           never run",
        "run         recon:dose_1000_dense_train  never run",
        "2 run. Nothing was run.",
    ]
    assert list(study.folder.iterdir()) == [study.folder / "source"]


def test_dry_run_names_a_changed_setting_with_both_values(study: Project) -> None:
    study.doit(*ONE)
    study.config["epochs"]["num_epochs"] = 200
    reasons = study.doit("-n", "--json", *ONE).reasons
    assert reasons["recon:dose_1000_dense_train"] == ["engine.num_epochs 100 -> 200"]


def test_dry_run_says_why_in_words(study: Project) -> None:
    study.doit("--dose", "1000,1e4", "--view", "dense")
    job = "recon:dose_1000_dense_train"
    made = Path("data/1000")
    made.write_text("x" * made.stat().st_size)
    assert study.doit("-n", "--json", job).reasons[job] == ["input changed: data/1000"]
    Path("reports/dose_1000_dense_train").unlink()
    assert study.doit("-n", "--json", job).reasons[job] == [
        "target missing: reports/dose_1000_dense_train",
        "input changed: data/1000",
    ]
    Path("data/10000").unlink()
    planned = study.doit("-n", "--json", "recon:dose_10000_dense_train")
    assert planned.verdicts == {
        "simulate:dose_10000": "run",
        "recon:dose_10000_dense_train": "may run",
    }
    assert planned.reasons["recon:dose_10000_dense_train"] == ["after simulate:dose_10000"]


def test_dry_run_stays_dry_wherever_the_option_stands(study: Project) -> None:
    for line in (["-n", "report"], ["report", "-n"], ["run", "report", "--dry-run"]):
        assert "Nothing was run." in study.doit(*line).out
        assert study.executed == []


def test_dry_run_leaves_a_hot_journal_alone(study: Project) -> None:
    study.doit(*ONE)
    script = (
        "import os, signal, sqlite3; c = sqlite3.connect('state/doit.db');"
        "c.execute('pragma cache_size=1'); c.execute('begin');"
        "c.execute('create table filler as with recursive n(i) as (select 1 union all select i + 1"
        " from n limit 5000) select i from n');"
        "c.execute('update doit set task_data = null'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script])
    assert Path("state/doit.db-journal").stat().st_size > 0
    before = study.snapshot()
    assert set(study.doit("-n", "--json", *ONE).verdicts.values()) == {"up to date"}
    assert study.snapshot() == before
    study.doit(*ONE)
    assert study.executed == []


# ---- filters


@pytest.mark.parametrize("dose", ["1000", "1e3", "1000.0"])
def test_doses_compare_as_numbers(study: Project, dose: str) -> None:
    study.doit("--dose", dose, "--view", "dense")
    assert study.executed == [
        "simulate:dose_1000",
        "recon:dose_1000_dense_train",
        "recon:dose_1000_dense_test",
    ]


def test_filters_join_patterns_in_any_position(study: Project) -> None:
    jobs = ["recon:dose_1000_dense_test", "recon:dose_10000_dense_test"]
    for line in (
        ["recon:dose_1000*", "--view", "dense", "--split=test", "--dose", "1000,1e4"],
        ["--view", "dense", "recon:dose_1000*", "--dose", "1000,1e4", "--split", "test"],
        ["recon", "--dose", "1000", "--dose", "1e4", "--view=dense", "--split=test"],
    ):
        planned = study.doit("-n", "--json", *line)
        assert [name for name in planned.verdicts if name.startswith("recon")] == jobs


def test_filter_that_is_declared_with_an_unknown_kind_is_refused(study: Project) -> None:
    study.filters = {"dose": "number"}
    result = study.doit("--dose", "1000")
    assert result.code == 3
    assert "--dose: filters.dose is 'number', expected 'str', 'int' or 'float'" in result.err
    assert study.doit("-n").code == 0


def test_gridsize_filter_selects_baseline(study: Project) -> None:
    listed = study.doit("list", "-q", "--gridsize", "1").out.split()
    assert listed == [f"recon:{_name(case)}" for case in CASES if case[1] == "baseline"]


@pytest.mark.parametrize("command", [[], ["-n"], ["list"], ["manifest"]])
def test_a_filter_without_match_exits_3_and_lists_the_values(
    study: Project, command: list[str]
) -> None:
    result = study.doit(*command, "--dose", "7", "--view", "dense")
    assert result.code == 3
    assert (
        "no task matches --dose 7 --view dense; values that exist: dose: 1000, 10000, 100000; "
        "view: baseline, dense, sparse"
    ) in result.err
    assert study.executed == []


def test_a_filter_of_the_wrong_type_exits_3(study: Project) -> None:
    result = study.doit("--dose", "much")
    assert result.code == 3
    assert "--dose: could not convert string to float: 'much'" in result.err


@pytest.mark.parametrize("command", [[], ["-n"], ["list"], ["manifest"]])
def test_a_pattern_without_match_exits_3_and_lists_what_exists(
    study: Project, command: list[str]
) -> None:
    result = study.doit(*command, "zzz*")
    assert result.code == 3
    assert "no task matches 'zzz*'; there are: simulate, recon, report" in result.err
    assert "recon:dose_1000_baseline_train" in study.doit(*command, "recon:zzz*").err


# ---- list


def test_list_shows_the_cases_in_order(study: Project) -> None:
    listed = study.doit("list", "-q").out.split()
    cases = [f"recon:{_name(case)}" for case in CASES]
    assert listed[5 : 5 + len(cases)] == cases
    assert study.doit("list", "--no-subtasks", "-q").out.split() == ["simulate", "recon", "report"]


def test_list_statuses_know_what_runs_before(study: Project) -> None:
    study.doit()
    study.config["epochs"]["num_epochs"] = 5
    Path("data/1000").unlink()
    lines = study.doit("list", "-s", "-q").out.splitlines()
    status = {line.split()[1]: line.split()[0] for line in lines}
    assert status["simulate:dose_1000"] == "R"
    assert status["simulate:dose_10000"] == "U"
    assert status["recon:dose_1000_dense_test"] == "R"
    assert status["report"] == "M"
    assert status["simulate"] == "R"


# ---- run


def test_finished_tasks_are_not_run_again(study: Project) -> None:
    study.doit()
    assert len(study.executed) == 22
    study.doit()
    assert study.executed == []


def test_lines_number_the_tasks(study: Project) -> None:
    lines = study.doit(*ONE).out.splitlines()
    assert lines[0].startswith("[1/2] simulate:dose_1000 ")
    assert lines[1].startswith("[2/2] recon:dose_1000_dense_train  ")
    assert lines[2].startswith("2 done in ")


def test_the_same_tasks_run_in_threads(study: Project) -> None:
    study.doit("-j", "3")
    assert len(study.executed) == 22
    assert study.executed[-1] == "report"


def test_a_changed_input_during_a_run_makes_the_task_stale(project: Project) -> None:
    project.write("source", "old")

    def edited_meanwhile(task: Any, targets: list[str]) -> None:
        project.executed.append(task.name)
        text = Path("source").read_text()
        if text == "old":
            Path("source").write_text("new")
        Path(targets[0]).write_text(text)

    task = {
        "basename": "t",
        "actions": [edited_meanwhile],
        "file_dep": ["source"],
        "targets": ["o"],
    }
    project.tasks = lambda: [dict(task)]
    project.doit()
    project.doit()
    assert project.executed == ["t"]
    assert Path("o").read_text() == "new"
    project.doit()
    assert project.executed == []


# ---- failures and exit codes


def _failing(error: Exception) -> Any:
    def fail() -> None:
        raise error

    return fail


class UserError(Exception):
    task_error = True


@pytest.mark.parametrize("error", [TaskError("x.npz: no probe"), UserError("x.npz: no probe")])
def test_a_task_error_is_one_line_and_exit_1(project: Project, error: Exception) -> None:
    meta = {"log": "reports/ptychi.log"}
    project.tasks = lambda: [{"basename": "t", "actions": [_failing(error)], "meta": meta}]
    assert "log" not in project.doit().out, "a log that was not written is not named"
    (project.folder / "reports").mkdir(exist_ok=True)
    (project.folder / "reports/ptychi.log").touch()
    result = project.doit()
    assert result.code == 1
    assert "t: x.npz: no probe\n  log: reports/ptychi.log" in result.out
    assert "Traceback" not in result.out
    assert "1 failed" in result.out


def test_an_unexpected_error_has_its_traceback_and_exit_2(project: Project) -> None:
    project.tasks = lambda: [{"basename": "t", "actions": [_failing(KeyError("probe"))]}]
    result = project.doit()
    assert result.code == 2
    assert "FAILED  KeyError: 'probe'" in result.out
    assert "Traceback" in result.out


def _of_cuda() -> None:
    error = RuntimeError("CUDA error: out of resources\nCompile with `TORCH_USE_CUDA_DSA`.")
    error.add_note("a note")
    raise error


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (_of_cuda, "RuntimeError: CUDA error: out of resources"),
        (lambda: compile("a b", "x.py", "exec"), "SyntaxError: invalid syntax"),
        (
            _failing(ExceptionGroup("two", [ValueError("a")])),
            "ExceptionGroup: two (1 sub-exception)",
        ),
        ("echo %(nothing)s", "CmdAction Error creating command string: KeyError: 'nothing'"),
    ],
)
@pytest.mark.parametrize("how", [[], ["-j", "2"], ["-j", "2", "-P", "process"]])
def test_reason_of_an_unexpected_error_is_its_first_line(
    project: Project, action: Any, reason: str, how: list[str]
) -> None:
    project.config = {"manifest_dir": "m", "action_string_formatting": "old"}
    meta = {"record": "r.json"}
    project.tasks = lambda: [{"basename": "t", "actions": [action], "meta": meta}]
    result = project.doit(*how)
    assert result.code == 2
    assert f"FAILED  {reason}\n" in result.out
    assert "Traceback" in result.out
    assert project.doit("-n", "--json").reasons["t"] == [f"failed last time: {reason}"]
    job = json.loads(Path("m/manifest.json").read_text())["jobs"][0]
    assert job["reasons"] == [reason]


@pytest.mark.filterwarnings(  # doit leaves a command's pipes to the garbage collector
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_failed_command_shows_its_last_words(project: Project) -> None:
    command = ["sh", "-c", "echo first >&2; echo no such probe >&2; exit 4"]
    project.tasks = lambda: [{"basename": "t", "actions": [command]}]
    result = project.doit()
    assert result.code == 1
    assert "FAILED  exit code 4: no such probe" in result.out


def test_the_failure_of_a_group_member_exits_1_too(project: Project) -> None:
    fail = [_failing(TaskError("no"))]
    project.tasks = lambda: [{"basename": "group", "name": "t", "actions": fail}]
    assert project.doit("-c", "group").code == 1


def test_a_failed_task_is_stale_even_if_all_looks_up_to_date(project: Project) -> None:
    project.write("o", "left by somebody")
    fail = _failing(TaskError("bad"))
    task = {"basename": "t", "actions": [fail], "targets": ["o"], "uptodate": [True]}
    Path("o").unlink()
    project.tasks = lambda: [dict(task)]
    project.doit()
    project.write("o", "half")
    assert project.doit("-n", "--json").reasons == {"t": ["failed last time: bad"]}


def test_a_task_after_a_failure_keeps_its_record(project: Project) -> None:
    project.write("source", "a")
    mood = {"fail": False}

    def first(targets: list[str]) -> None:
        if mood["fail"]:
            raise TaskError("no")
        Path(targets[0]).write_text("same")

    project.tasks = lambda: [
        {"basename": "a", "actions": [first], "file_dep": ["source"], "targets": ["x"]},
        project.task("b", file_dep=["x"], targets=["y"]),
    ]
    project.doit()
    mood["fail"] = True
    project.write("source", "bb")
    result = project.doit("-c")
    assert result.code == 1
    assert "b" in result.out and "NOT RUN  after a" in result.out
    mood["fail"] = False
    project.doit()
    assert project.executed == []


def test_a_target_that_is_not_made_is_a_failure(project: Project) -> None:
    project.tasks = lambda: [{"basename": "t", "actions": [lambda: None], "targets": ["x"]}]
    result = project.doit()
    assert result.code == 1
    assert "ended without making x" in result.out


def test_other_backends_are_refused(project: Project) -> None:
    project.config = {"backend": "json", "dep_file": "d.json"}
    project.tasks = lambda: [project.task("t", targets=["x"])]
    result = project.doit()
    assert result.code == 3
    assert "set DOIT_CONFIG['backend'] = 'journal'" in result.err


# ---- missing inputs


@pytest.fixture
def given(project: Project) -> Project:
    """Three jobs on files of the user's own, two of them optional, and a report on all."""
    for name in "abc":
        project.write(name, name)

    def tasks() -> list[dict[str, Any]]:
        jobs = []
        for name in "abc":
            meta = {"view": name, "check_inputs": lambda name=name: _check(name), "record": "r"}
            if name != "a":
                meta["optional"] = "extra"
            job = project.task(
                "recon", name=name, file_dep=[name], targets=[f"out/{name}"], meta=meta
            )
            job["actions"].insert(0, lambda name=name: "fail" not in Path(name).read_text())
            jobs.append(job)
        outs = [f"out/{name}" for name in "abc"]
        sums = project.task("report", file_dep=outs, targets=["sum"], meta={"partial": True})
        return [*jobs, sums, project.task("strict", file_dep=outs, targets=["all"])]

    project.tasks = tasks
    project.config = {"manifest_dir": "reports"}
    project.commands["run"] = "doitext_project:Forgiving"
    project.commands["manifest"] = "doitext_project:ForgivingManifest"
    return project


def _check(name: str) -> list[str]:
    return [f"{name}: no probe"] if "broken" in Path(name).read_text() else []


def test_every_bad_input_is_listed_and_nothing_runs(given: Project) -> None:
    Path("b").unlink()
    given.write("c", "broken")
    result = given.doit()
    assert result.code == 3
    assert given.executed == []
    assert "--allow-missing-extra skips" in result.err
    assert "  recon:b: input missing: b\n  recon:c: c: no probe" in result.err
    planned = given.doit("-n", "--json")
    assert planned.code == 3
    assert planned.verdicts["recon:b"] == planned.verdicts["report"] == "error"


def test_optional_tasks_may_be_skipped_and_the_rest_runs(given: Project) -> None:
    given.doit("report")
    Path("b").unlink()
    given.write("c", "broken")
    result = given.doit("--allow-missing-extra")
    assert result.code == 0
    assert given.executed == ["report"]
    assert Path("sum").read_text() == "a"
    assert "skipped recon:b: input missing: b" in result.out
    skips = json.loads(Path("reports/skip_summary.json").read_text())["skipped"]
    assert [(item["task"], item["reasons"]) for item in skips] == [
        ("recon:b", ["input missing: b"]),
        ("recon:c", ["c: no probe"]),
    ]
    manifest, skips = Path("reports/manifest.json"), Path("reports/skip_summary.json")
    before = manifest.read_bytes(), skips.read_bytes()
    time.sleep(1.1)
    given.doit("--allow-missing-extra")
    assert before == (manifest.read_bytes(), skips.read_bytes()), "the time alone is no change"
    assert given.doit("-n", "--json", "--allow-missing-extra").verdicts["strict"] == "skipped"


def test_skipped_tasks_keep_their_place_and_are_counted_once(given: Project) -> None:
    Path("b").unlink()
    planned = given.doit("-n", "--json", "--allow-missing-extra")
    assert planned.verdicts == {
        "recon:a": "run",
        "recon:b": "skipped",
        "recon:c": "run",
        "report": "run",
        "strict": "skipped",
    }
    assert list(planned.verdicts) == ["recon:a", "recon:b", "recon:c", "report", "strict"]
    assert planned.reasons["strict"] == ["needs recon:b, which is skipped: input missing: b"]
    assert given.doit("recon", "--view", "b,c", "--allow-missing-extra").code == 0
    manifest = json.loads(Path("reports/manifest.json").read_text())
    skips = json.loads(Path("reports/skip_summary.json").read_text())
    assert [job["task"] for job in manifest["jobs"]] == ["recon:c"]
    assert [(item["task"], item["kind"]) for item in skips["skipped"]] == [
        ("recon:a", "filtered"),
        ("recon:b", "skipped"),
    ]
    totals = {"total": 3, "filtered": 1, "skipped": 1, "missing": 0}
    assert manifest["totals"] == skips["totals"] == totals


class Lacking(TaskError):
    optional = "extra"


@pytest.mark.parametrize("how", [[], ["-j", "2"]])
def test_task_that_finds_nothing_to_make_is_a_skip_where_that_is_allowed(
    given: Project, how: list[str]
) -> None:
    first = given.tasks

    def tasks() -> list[dict[str, Any]]:
        made = first()
        made[1]["actions"][0] = _failing(Lacking("b: 1 of 8 frames"))
        over = given.task("over", file_dep=["out/b"], targets=["o"], meta={"record": "r"})
        return [*made, over, given.task("group", name="x", file_dep=["o"], targets=["x"])]

    given.tasks = tasks
    result = given.doit("--allow-missing-extra", "--events", "events", *how)
    assert result.code == 0, result.out
    assert "SKIPPED  b: 1 of 8 frames" in result.out
    assert "SKIPPED  after recon:b" in result.out
    assert "3 done, 4 skipped in" in result.out
    assert Path("sum").read_text() == "ac"
    events = [json.loads(line) for line in Path("events").read_text().splitlines()]
    assert events[-1]["counts"] == {"done": 3, "skipped": 4}
    for command in ([], ["manifest", "--allow-missing-extra"]):
        if command:
            assert given.doit(*command).out.endswith("2 jobs (2 done), 2 skipped\n")
        skips = json.loads(Path("reports/skip_summary.json").read_text())["skipped"]
        assert [(item["task"], item["kind"], item["reasons"]) for item in skips] == [
            ("recon:b", "skipped", ["b: 1 of 8 frames"]),
            ("over", "skipped", ["needs recon:b, which is skipped: b: 1 of 8 frames"]),
        ]
    refused = given.doit("-c", *how)
    assert refused.code == 1
    assert "FAILED  b: 1 of 8 frames" in refused.out
    manifest = json.loads(Path("reports/manifest.json").read_text())
    assert manifest["counts"] == {"cannot run": 1, "done": 2, "failed": 1}
    assert manifest["jobs"][-1]["reasons"] == ["after recon:b: b: 1 of 8 frames"]
    assert manifest["totals"] == {"total": 4, "filtered": 0, "skipped": 0, "missing": 1}
    assert given.doit("-n", "--json").reasons["over"] == [
        "never run",
        "recon:b failed last time: b: 1 of 8 frames",
    ]


def test_a_task_that_may_not_be_missing_is_refused_all_the_same(given: Project) -> None:
    Path("a").unlink()
    result = given.doit("--allow-missing-extra")
    assert result.code == 3
    assert "recon:a: input missing: a" in result.err


def test_only_selected_tasks_are_checked(given: Project) -> None:
    Path("b").unlink()
    assert given.doit("recon:a").code == 0


# ---- manifest


def test_manifest_has_one_job_and_17_skips(study: Project) -> None:
    result = study.doit("manifest", *ONE)
    assert result.code == 0
    assert study.executed == []
    manifest = json.loads(Path("reports/manifest.json").read_text())
    skips = json.loads(Path("reports/skip_summary.json").read_text())["skipped"]
    assert [job["task"] for job in manifest["jobs"]] == ["recon:dose_1000_dense_train"]
    assert manifest["jobs"][0]["status"] == "never run"
    assert manifest["filters"] == {"dose": [1000.0], "view": ["dense"], "split": ["train"]}
    assert manifest["grid"]["view"] == ["baseline", "dense", "sparse"]
    assert len(skips) == 17
    assert skips[0]["task"] == "recon:dose_1000_baseline_train"
    assert skips[0]["reasons"] == ["view is baseline, not dense"]


def test_run_writes_the_manifest_with_what_the_project_adds(study: Project) -> None:
    study.config["describe"] = lambda task, record: {"epochs": (record or {}).get("epochs")}
    study.write("reports/dose_1000_dense_train.json", '{"epochs": 100}')
    study.doit(*ONE)
    job = json.loads(Path("reports/manifest.json").read_text())["jobs"][0]
    assert job["status"] == "done"
    assert job["epochs"] == 100
    assert job["dose"] == 1000 and job["split"] == "train"
    assert job["inputs"] == [{"path": "data/1000", "md5": "36cd38f49b9afa08222c0dc9ebfe35eb"}]
    assert job["log"] == "reports/dose_1000_dense_train.log"
    assert job["seconds"] >= 0


def test_manifest_says_what_failed_and_what_could_not_run(project: Project) -> None:
    project.config = {"manifest_dir": "m"}
    fail = _failing(TaskError("diverged"))
    meta = {"record": "r.json"}
    project.tasks = lambda: [
        {"basename": "a", "actions": [fail], "targets": ["x"], "meta": meta},
        project.task("b", file_dep=["x"], targets=["y"], meta=meta),
        project.task("c", targets=["z"], meta=meta),
    ]
    project.doit("-c")
    jobs = json.loads(Path("m/manifest.json").read_text())["jobs"]
    assert [(job["status"], job["reasons"]) for job in jobs] == [
        ("failed", ["diverged"]),
        ("cannot run", ["after a: diverged"]),
        ("done", []),
    ]
    assert project.doit("manifest").out.endswith(
        "3 jobs (1 failed, 1 never run, 1 stale), 0 skipped\n"
    )
    failed = json.loads(Path("m/manifest.json").read_text())["jobs"][0]
    assert failed["status"] == "failed"
    assert failed["reasons"] == ["failed last time: diverged"]
    assert failed["started"] == jobs[0]["started"]


def test_manifest_beside_a_run_tells_what_runs_from_what_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(
        LONG.replace('"verbosity": 0', '"verbosity": 0, "manifest_dir": "m"')
        + "\n\ndef task_cut():\n"
        "    return {'actions': [wait], 'meta': {'record': 'r'}}\n"
        "\n\nfor make in (task_long, task_then):\n"
        "    globals()[make.__name__] = lambda make=make: make() | {'meta': {'record': 'r'}}\n"
    )

    def jobs() -> dict[str, dict[str, Any]]:
        subprocess.run([*DOIT, "manifest"], cwd=tmp_path, check=True, capture_output=True)
        found = json.loads((tmp_path / "m/manifest.json").read_text())["jobs"]
        return {job["task"]: job for job in found}

    for name in ("cut", "long"):
        (tmp_path / "up").unlink(missing_ok=True)
        with subprocess.Popen([*DOIT, name], cwd=tmp_path) as process:
            wait_until_up(tmp_path, process)
            found = jobs()
            process.kill()
    assert [found[name]["status"] for name in ("cut", "long")] == ["interrupted", "running"]
    assert found["long"]["reasons"] == [f"running now: {_holder(process.pid, found['long'])}"]
    assert found["long"]["started"] > found["cut"]["started"]
    assert jobs()["long"]["status"] == "interrupted"


def _holder(pid: int, job: dict[str, Any]) -> str:
    since = job["reasons"][0].rpartition(" since ")[2]
    return f"pid {pid} on {socket.gethostname()} since {since}"


# ---- the rest of doit


def test_help_shows_the_options_and_exit_codes(project: Project) -> None:
    said = project.doit("help", "run").out
    for word in ("-n, --dry-run", "-j ARG, --process=ARG", "--dose=VALUE", "--wait", "Exit codes:"):
        assert word in said


def test_an_unknown_option_is_named_in_one_line(project: Project) -> None:
    result = project.doit("--nope")
    assert result.code == 3
    assert result.err.strip().endswith("help run`")
    assert result.err.startswith("ERROR: option --nope not recognized; see `")


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(
        "DOIT_CONFIG = {'backend': 'journal', 'dep_file': 's.db'}\n"
        "def task_t():\n"
        "    for i in range(20000):\n"
        "        yield {'name': str(i), 'actions': None}\n"
    )
    command = [*DOIT, "list"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_tab_completion_knows_the_commands(project: Project, shell: str) -> None:
    said = project.doit("tabcompletion", "--shell", shell)
    assert said.code == 0
    assert "manifest" in said.out


def test_forget_takes_names_filters_and_all_and_nothing_by_mistake(study: Project) -> None:
    study.doit()
    jobs = [f"recon:{_name(case)}" for case in CASES]
    said = study.doit("forget")
    assert said.code == 3
    assert said.err.startswith("ERROR: nothing was forgotten: name tasks, use a filter, or say")
    assert said.err.count("\n") == 1
    assert set(study.doit("-n", "--json").verdicts.values()) == {"up to date"}

    said = study.doit("forget", "--view", "dense", "--dose", "1e3", "recon")
    assert said.out.splitlines() == [f"forgetting {job}" for job in jobs[2:4]]
    stale = [name for name, word in study.doit("-n", "--json").verdicts.items() if word == "run"]
    assert stale == jobs[2:4]
    said = study.doit("forget", "-s", jobs[0])
    assert said.out.splitlines() == ["forgetting simulate:dose_1000", f"forgetting {jobs[0]}"]
    assert "no task matches" in study.doit("forget", "nosuch*").err

    said = study.doit("forget", "-a")
    assert said.code == 0
    assert set(study.doit("-n", "--json").verdicts.values()) == {"run"}


def test_dumpdb_prints_the_journal_and_writes_nothing(study: Project) -> None:
    assert json.loads(study.doit("dumpdb").out) == {}
    study.doit(*ONE)
    before = study.snapshot()
    found = json.loads(study.doit("dumpdb").out)
    assert list(found) == ["simulate:dose_1000", "recon:dose_1000_dense_train"]
    assert found["simulate:dose_1000"]["attempt:"]["status"] == "done"
    assert study.snapshot() == before


def test_stock_commands_work_on_the_journal(study: Project) -> None:
    study.doit(*ONE)
    job = "recon:dose_1000_dense_train"
    assert "status: up to date\n" in study.doit("info", job).out
    study.doit("forget", job)
    assert study.doit("-n", "--json", job).reasons[job] == ["never run"]
    study.doit("ignore", job)
    assert study.doit("-n", "--json", job).verdicts[job] == "ignored"


def test_stock_sqlite_backend_goes_on_with_the_journal(study: Project) -> None:
    study.doit(*ONE)
    job = "recon:dose_1000_dense_train"
    assert "up-to-date" in study.doit("info", "--backend", "sqlite3", job).out


def test_doit_works_from_a_sub_folder(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(
        "DOIT_CONFIG = {'backend': 'journal', 'dep_file': 'state/doit.db'}\n"
        "def task_t():\n    return {'actions': ['touch made'], 'targets': ['made']}\n"
    )
    (tmp_path / "deep/down").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    subprocess.run([*DOIT, "-n"], cwd=tmp_path / "deep/down", check=True)
    assert sorted(tmp_path.rglob("*")) == before, "not even a bytecode cache"
    subprocess.run(DOIT, cwd=tmp_path / "deep/down", check=True)
    assert (tmp_path / "made").exists()
    assert (tmp_path / "state/doit.db").exists()


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys, fly64tasks.doitext.commands.list, fly64tasks.doitext.commands.manifest, "
        "fly64tasks.doitext.commands.run, fly64tasks.doitext.commands.verify; "
        "print(*{'torch', 'numpy', 'matplotlib', 'pandas', 'scipy', 'rich'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "", done
    assert done.returncode == 0, done.stderr


def test_partial_task_does_without_what_a_failed_one_should_have_made(given: Project) -> None:
    given.doit("report")
    assert Path("sum").read_text() == "abc"
    Path("b").write_text("fail")
    result = given.doit("-c")
    assert result.code == 1
    assert Path("out/b").read_text() == "b"  # from before: not the result of what b is now
    assert Path("sum").read_text() == "ac"
    assert "strict" not in given.executed
    assert given.doit("-c").code == 1
    assert "report" in given.executed  # there may be other failures to tell of
    Path("b").write_text("b")
    assert given.doit("-c").code == 0
    assert Path("sum").read_text() == "abc"


def test_task_that_asks_is_told_how_long_each_task_took_that_succeeded(given: Project) -> None:
    asked: list[dict[str, float]] = []

    def told(task: Any) -> None:
        asked.append(task.meta["took"])

    def fail() -> bool:
        return False

    slow = given.task("slow", targets=["x"], uptodate=[True])
    slow["actions"].insert(0, lambda: time.sleep(0.2))
    given.tasks = lambda: [
        dict(slow),
        {"basename": "bad", "actions": [fail]},
        {"basename": "report", "actions": [told], "task_dep": ["slow"], "meta": {"times": True}},
    ]
    given.doit("-c", "slow", "bad", "report")
    given.doit("report")  # of an earlier run, too
    assert [took.keys() & {"slow", "bad"} for took in asked] == [{"slow"}] * 2
    assert 0.2 <= asked[0]["slow"] < 20
    assert asked[1]["slow"] >= 0.2


def test_partial_task_alone_takes_what_is_there(given: Project) -> None:
    given.doit("recon:a", "recon:c")
    planned = given.doit("-n", "--json", "-s", "report")
    assert planned.verdicts == {"report": "run"}
    assert given.doit("-s", "report").code == 0
    assert given.executed == ["report"]
    assert Path("sum").read_text() == "ac"
    assert given.doit("-n", "--json", "-s", "report").verdicts == {"report": "up to date"}
    assert given.doit("report").code == 0
    assert Path("sum").read_text() == "abc"


@pytest.mark.parametrize("said", [["-j", "-1"], ["-j-2"], ["--process=-1"], ["-n", "-j", "-1"]])
def test_a_negative_number_of_jobs_is_refused(project: Project, said: list[str]) -> None:
    project.tasks = lambda: [project.task("t", targets=["x"])]
    result = project.doit(*said)
    assert result.code == 3
    assert "expected how many tasks to run at once" in result.err
    assert not project.executed and not Path("x").exists()


def test_a_negative_number_of_jobs_is_refused_in_the_configuration(project: Project) -> None:
    project.tasks = lambda: [project.task("t", targets=["x"])]
    project.config = {"num_process": -3}
    assert project.doit().code == 3
    assert not project.executed


@pytest.mark.parametrize("flag", ["--events", "-o"])
def test_a_pipe_that_nobody_reads_is_refused(project: Project, flag: str) -> None:
    os.mkfifo("pipe")
    project.tasks = lambda: [project.task("t", targets=["x"])]
    result = project.doit(flag, "pipe")
    assert result.code == 3
    assert "pipe: a pipe that nobody reads; start its reader first" in result.err
    assert not project.executed
