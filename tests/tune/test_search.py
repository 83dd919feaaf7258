"""What is tried, in which order, whatever happens to the search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.study.tuning import tuning_of

pytest.importorskip("optuna", reason="extra tune is not installed")

from fly64tasks.tune.search import PRESENT, Search, Trial, best_of

RANGES = {"prior": {"low": 1, "high": 1000, "log": True}, "refine": ["LSQML", "MAP"]}


def begun(path: Path, trials: int = 14, **said: Any) -> Search:
    spec, ranges = tuning_of({**RANGES, "batch": 4, "trials": trials, **said}, "tune")
    return Search(path, spec, ranges, {"cases": {"a": {"sha256": "0"}}})


def ended(trial: Trial) -> Trial:
    """As if small priors were good, and one in five diverged."""
    if trial.number % 5 == 3:
        return replace(trial, failed="diverged")
    return replace(trial, scores={"a": trial.values.get("prior", 500.0)})


def straight(path: Path, trials: int = 14) -> list[Trial]:
    search = begun(path, trials)
    while batch := search.next_batch():
        for trial in batch:
            search.keep(ended(trial))
    return search.trials


def test_search_that_is_cut_off_after_every_trial_tries_the_same(tmp_path: Path):
    expected = straight(tmp_path / "straight.db")
    path = tmp_path / "cut.db"
    while batch := begun(path).next_batch():
        begun(path).keep(ended(batch[-1]))  # nor does the order count in which a batch ends
    assert begun(path).trials == expected
    assert begun(path).present.score == 500


def test_search_that_is_cut_off_while_it_chooses_tries_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = straight(tmp_path / "straight.db")
    path, choose = tmp_path / "cut.db", Search._choose

    def killed_at_each_third(search: Search, number: int) -> int:
        if number % 3 == 2 and number not in killed:
            killed.add(number)
            raise KeyboardInterrupt
        return choose(search, number)

    killed: set[int] = set()
    monkeypatch.setattr(Search, "_choose", killed_at_each_third)
    while True:
        search = begun(path)
        try:
            batch = search.next_batch()
        except KeyboardInterrupt:
            continue
        if not batch:
            break
        for trial in batch:
            search.keep(ended(trial))
    assert killed == {2, 5, 8, 11}
    assert begun(path).trials == expected


def test_more_trials_go_on_from_those_that_were_made(tmp_path: Path):
    fewer = straight(tmp_path / "search.db", trials=8)
    assert straight(tmp_path / "search.db", trials=12)[:8] == fewer
    assert straight(tmp_path / "search.db", trials=12) == straight(tmp_path / "other.db", trials=12)


def test_choice_learns_what_scores_well_and_failures_do_not_end_it(tmp_path: Path):
    trials = straight(tmp_path / "search.db", trials=40)
    failed = [trial for trial in trials if trial.failed]
    assert len(failed) == 8
    assert all(trial.score is None for trial in failed)
    late = [trial.values["prior"] for trial in trials[24:]]
    assert sorted(late)[len(late) // 2] < 32 < 1000  # half of what is drawn at random
    best = best_of(trials)
    assert best is not None
    assert best.score == min(trial.score for trial in trials if trial.score is not None)
    assert best_of(failed) is None


def test_other_settings_are_refused_with_both_values(tmp_path: Path):
    begun(tmp_path / "search.db")
    with pytest.raises(StudyError, match=r"seed 0 -> 1\); search under another --name"):
        begun(tmp_path / "search.db", seed=1)
    with pytest.raises(StudyError, match=r"ranges.prior.high 1000 -> 9"):
        begun(tmp_path / "search.db", prior={"low": 1, "high": 9, "log": True})
    spec, ranges = tuning_of({**RANGES, "batch": 4}, "tune")
    with pytest.raises(StudyError, match=r"cases.a.sha256 0 -> 1"):
        Search(tmp_path / "search.db", spec, ranges, {"cases": {"a": {"sha256": "1"}}})


def test_file_of_others_is_left_alone(tmp_path: Path):
    path = tmp_path / "search.db"
    path.write_text("mine")
    with pytest.raises(DatasetError, match=r"search.db: exists and was not written by"):
        begun(path)
    path.write_text("SQLite of fly64tasks, but no database")
    with pytest.raises(StudyError, match=r"search.db: can not be used: .*; move it away"):
        begun(path)
    assert path.read_text() == "SQLite of fly64tasks, but no database"


def test_mean_over_cases_counts_a_percent_of_each_alike():
    trial = Trial(PRESENT, {}, scores={"a": 0.01, "b": 100.0})
    assert trial.score == pytest.approx(1.0)
