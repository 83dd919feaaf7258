from pathlib import Path

import msgspec
import pytest
from scored_study import STUDY, page_without_figures, write_study

from fly64tasks.recon.files import PROGRAM_LOG, TRAINING_TARGETS
from fly64tasks.report import times
from fly64tasks.report.results import read_jobs
from fly64tasks.study.cases import Case

CNN = {
    "train": ["python", "cnn.py", "train", "{train_npz}", "{model}"],
    "command": ["python", "cnn.py", "apply", "{input_npz}", "{model}", "{output}"],
}
WITH_CNN = msgspec.structs.replace(STUDY, doses=(1e3,), repeats=2, methods={"cnn": CNN})
TOOK = {
    "base": 4.0,
    "simulate:dose_1000": 3.0,
    "simulate:dose_1000@2": 3.5,
    "views:dose_1000_dense@2": 0.25,
    "train:dose_1000_dense@cnn@2": 11.0,
    "recon:dose_1000_dense_test@cnn@2": 2.0,
    "score:dose_1000_dense_test@cnn@2": 1.0,
}
JOB = Case(1e3, "dense", "test", 2, "cnn", 2)


def test_job_has_the_time_of_each_task_that_it_came_from():
    assert times.of_case(JOB, TOOK) == [
        ("base", "4.0 s"),
        ("simulating", "3.5 s"),
        ("thinning", "0.2 s"),
        ("training", "11 s"),
        ("reconstructing", "2.0 s"),
        ("scoring", "1.0 s"),
    ]
    assert times.of_case(Case(1e3, "baseline", "train", 1), {}) == []


def test_task_that_many_jobs_came_from_counts_once():
    assert times.of_study(WITH_CNN.cases(), TOOK) == [
        ("base", "1 task, 4.0 s"),
        ("simulating", "2 tasks, 6.5 s"),
        ("thinning", "1 task, 0.2 s"),
        ("training, cnn", "1 task, 11 s"),
        ("reconstructing, cnn", "1 task, 2.0 s"),
        ("scoring, cnn", "1 task, 1.0 s"),
    ]


@pytest.mark.parametrize("took", [{}, TOOK])
def test_page_says_the_times_that_are_known_and_links_to_the_model(tmp_path: Path, took):
    layout = write_study(tmp_path, WITH_CNN)
    folder = layout.model_dir(JOB)
    folder.mkdir(parents=True)
    for name in (*TRAINING_TARGETS, PROGRAM_LOG):
        (folder / name).touch()
    html = page_without_figures(WITH_CNN, layout, read_jobs(WITH_CNN, layout), took)
    section = html[html.index(f'id="job-{JOB.name}"') :].partition("</details>\n<details")[0]
    assert ("<h3>Time of each task</h3>" in section) is bool(took)
    assert ("<dt>training</dt><dd>11 s</dd>" in section) is bool(took)
    assert ("<h3>time of all tasks</h3>" in html) is bool(took)
    assert 'href="dose_1000/dense/model%40cnn%402/model">model</a>' in section
    assert 'href="dose_1000/dense/model%40cnn%402/train.json">train.json</a>' in section
    settings = html[html.index('id="settings"') :]
    assert "train python cnn.py train {train_npz} {model}; command python cnn.py" in settings
