"""The report's figures: their sizes, their type, and what their lines are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scored_study import (
    NO_TRUTH,
    STUDY,
    layout_in,
    unresolved,
    write_run,
    write_scores,
    write_study,
)

from fly64tasks import plotstyle
from fly64tasks.report.figures import drawings
from fly64tasks.report.figures.correlation import frc_curves
from fly64tasks.report.figures.curves import against_dose, limits_of, looks_of
from fly64tasks.report.findings import RESOLUTION
from fly64tasks.report.results import Job, read_jobs
from fly64tasks.score.files import FRC
from fly64tasks.study.paths import Layout

WIDTHS_MM = {
    "error_versus_dose": 85,
    "resolution_versus_dose": 85,
    "frc_curves": 170,
    "reconstructions": 170,
}
HEADER = "spatial_frequency_cycles_per_px,frc,threshold_1bit,threshold_halfbit,n_pixels\n"


def write_figures(jobs: Sequence[Job], folder: Path) -> None:
    for name, content in drawings.figures(jobs).items():
        (folder / name).write_bytes(content)


def jobs_of(layout: Layout) -> tuple[Job, ...]:
    return read_jobs(STUDY, layout)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the figures of 18 scored jobs."""
    folder = tmp_path_factory.mktemp("figures")
    write_figures(jobs_of(write_study(folder)), folder)
    return folder


@pytest.mark.parametrize("name", WIDTHS_MM)
def test_figure_has_the_width_of_a_column_or_a_page_and_type_of_7_to_8_points(
    figures: Path, name: str
):
    svg = (figures / f"{name}.svg").read_text("utf-8")
    width_pt = float(re.search(r'<svg [^>]*?width="([\d.]+)pt"', svg, re.S)[1])
    assert width_pt == pytest.approx(WIDTHS_MM[name] / 25.4 * 72, abs=0.01)
    box = re.search(
        rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", (figures / f"{name}.pdf").read_bytes()
    )
    assert float(box[1]) == pytest.approx(width_pt, abs=0.01)
    assert float(box[2]) < 240 / 25.4 * 72
    sizes = {float(size) for size in re.findall(r"font(?:-size)?: (?:\w+ )*([\d.]+)px", svg)}
    assert sizes <= {7.0, 7.5, 8.0}
    assert sizes


@pytest.mark.parametrize("doses", [1, 12])
def test_figures_of_no_and_of_many_jobs_are_as_wide(tmp_path: Path, doses: int):
    study = msgspec.structs.replace(STUDY, doses=tuple(1e3 * k for k in range(1, doses + 1)))
    layout = layout_in(tmp_path, study) if doses == 1 else write_study(tmp_path, study)
    write_figures(read_jobs(study, layout), tmp_path)
    for name, width_mm in WIDTHS_MM.items():
        svg = (tmp_path / f"{name}.svg").read_text("utf-8")
        assert f'width="{width_mm / 25.4 * 72:.6f}pt"' in svg


def test_each_view_has_its_own_thresholds_in_its_own_colour(tmp_path: Path):
    layout = write_study(tmp_path)
    members = [job for job in jobs_of(layout) if (job.case.dose, job.case.split) == (1e3, "train")]
    path = members[2].folder / FRC
    path.write_text(HEADER + "0.1,0.9,0.6,0.5,4\n0.2,0.8,0.55,0.45,20\n0.3,0.1,0.5,0.4,30\n")
    members = [job for job in jobs_of(layout) if (job.case.dose, job.case.split) == (1e3, "train")]
    axes = Figure().add_subplot()
    looks = looks_of(members)
    frc_curves(axes, members, looks)
    for view, look in looks.items():
        drawn = [line for line in axes.lines if line.get_color() == look["color"]]
        assert len(drawn) == 3, view
    one_bit, half_bit, curve = (line.get_xydata().tolist() for line in axes.lines[-3:])
    assert curve == [[0.2, 0.8], [0.3, 0.1]]  # the ring of 4 pixels counts nowhere
    assert one_bit == [[0.2, 0.55], [0.3, 0.5]]
    assert half_bit == [[0.2, 0.45], [0.3, 0.4]]


def test_job_without_a_resolution_is_a_cross_at_the_edge_and_sets_no_scale(tmp_path: Path):
    layout = write_study(tmp_path)
    case = next(case for case in STUDY.cases() if case.name == "dose_10000_sparse_train")
    write_scores(layout, case, **unresolved(case))
    jobs = jobs_of(layout)
    limits = limits_of(jobs, RESOLUTION)
    assert limits is not None
    assert limits[1] < 100
    axes = Figure().add_subplot()
    against_dose(axes, jobs, RESOLUTION, "train", limits)
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [line.get_xydata().tolist() for line in crosses] == [[[1e4, 1.0]]]
    sparse = next(line for line in axes.lines if line.get_color() == crosses[0].get_color())
    assert np.isnan(sparse.get_ydata()).tolist() == [False, True, False]


def test_no_dose_with_a_resolution_is_said(tmp_path: Path):
    layout = write_study(tmp_path)
    for case in STUDY.cases():
        write_scores(layout, case, **unresolved(case))
    jobs = jobs_of(layout)
    assert limits_of(jobs, RESOLUTION) is None
    axes = Figure().add_subplot()
    against_dose(axes, jobs, RESOLUTION, "train", None)
    assert [text.get_text() for text in axes.texts] == ["no Resolution, FRC ½-bit here"]
    write_figures(jobs, tmp_path)


def test_matrix_of_sets_without_truth_has_no_row_for_it(tmp_path: Path):
    layout = write_study(tmp_path)
    first = list(STUDY.cases())[:6]
    with plotstyle.applied(**plotstyle.PRINT):
        with_truth = drawings.grid_of_reconstructions(jobs_of(layout))
    for case in STUDY.cases():
        write_scores(layout, case, **NO_TRUTH, region=None, alignment=None)
    write_run(layout, first[0], state="failed", reason="diverged")
    with plotstyle.applied(**plotstyle.PRINT):
        without = drawings.grid_of_reconstructions(jobs_of(layout))
    assert len(with_truth.axes) - len(without.axes) == 6
    texts = [text.get_text() for axes in without.axes for text in axes.texts]
    assert "failed" in texts
    assert "500 nm" in texts


def test_figure_is_laid_out_once_for_all_formats(tmp_path: Path):
    with plotstyle.applied(**plotstyle.PRINT):
        figure = Figure(figsize=(3, 2), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlabel="dose", ylabel="error")
    plotstyle.save(figure, tmp_path / "figure.svg")
    placed = axes.get_position().bounds
    assert placed != Figure(figsize=(3, 2)).add_subplot().get_position().bounds
    assert figure.get_layout_engine() is None
    plotstyle.save(figure, tmp_path / "figure.pdf")
    assert axes.get_position().bounds == placed


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_figure_with_a_layout_is_drawn_once_for_a_format(tmp_path: Path, suffix: str):
    drawn = []

    class Counted(Line2D):
        def draw(self, renderer: RendererBase) -> None:
            drawn.append(renderer)
            super().draw(renderer)

    with plotstyle.applied(**plotstyle.PRINT):
        figure = Figure(figsize=(3, 2), layout="constrained")
        figure.add_subplot().add_line(Counted([0, 1], [0, 1]))
    plotstyle.save(figure, tmp_path / f"figure.{suffix}")
    assert len(drawn) == 1


def test_bars_of_colours_go_from_the_lowest_to_the_highest_phase(tmp_path: Path):
    with plotstyle.applied(**plotstyle.PRINT):
        figure = drawings.grid_of_reconstructions(jobs_of(write_study(tmp_path)))
    bars = [bar for axes in figure.axes for bar in axes.child_axes]
    assert len(bars) == 6
    for bar in bars:
        assert bar.get_xlim() == (-0.5, 0.75)
        ramp = bar.images[0].get_array()
        assert (ramp.min(), ramp.max()) == (-0.5, 0.75)
        assert bar.images[0].get_clim() == (-0.5, 0.75)
        assert bar.images[0].get_cmap().name == "viridis"
