"""The columns of the dose x view matrix: a view and split, its truth, and what its tiles mean.

A column's jobs are scored on the same pixels, so that one truth, one scale of colours and one of
length hold for all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fly64tasks import plotstyle
from fly64tasks.report.records import Picture
from fly64tasks.report.results import Job
from fly64tasks.study.cases import SPLITS

_ASPECT = 0.6
_COLOURS = 16


@dataclass(frozen=True)
class Column:
    """The jobs of a view and split, in the order of doses.

    Attributes
    ----------
    view, split : str
    jobs : tuple of Job
    truth : Path or None
        The picture of the truth on the scale of the tiles.
    picture : Picture or None
        What all tiles mean; None where it is not known or not the same for all.
    pixel_size_m : float or None
    """

    view: str
    split: str
    jobs: tuple[Job, ...]
    truth: Path | None
    picture: Picture | None
    pixel_size_m: float | None

    @property
    def aspect(self) -> float:
        """Return height over width of a tile."""
        return self.picture.height_px / self.picture.width_px if self.picture else _ASPECT

    @property
    def scale_bar(self) -> tuple[float, str] | None:
        """Return the length of a scale bar, as a share of a tile's width, and in words."""
        if self.picture is None or self.pixel_size_m is None:
            return None
        width_m = self.picture.width_px * self.pixel_size_m
        length_m, text = plotstyle.scale_bar(width_m)
        return length_m / width_m, text

    @property
    def gradient(self) -> str:
        """Return the colours of the tiles, low to high, as a style sheet lists them."""
        if self.picture is None:
            return ""
        return ", ".join(plotstyle.colours_of(self.picture.colour_map, _COLOURS))


def columns_of(jobs: Sequence[Job]) -> list[Column]:
    """Return the columns, views in order, train beside test."""
    views = dict.fromkeys(job.case.view for job in jobs)
    return [_column(jobs, view, split) for view in views for split in SPLITS]


def _column(jobs: Sequence[Job], view: str, split: str) -> Column:
    members = tuple(job for job in jobs if (job.case.view, job.case.split) == (view, split))
    scored = [job for job in members if job.scores]
    pictures = {job.scores.picture for job in scored if job.scores}
    picture = pictures.pop() if len(pictures) == 1 else None
    sizes = {job.pixel_size_m for job in scored}
    truth = next((job.truth for job in scored if job.truth), None) if picture else None
    size = sizes.pop() if len(sizes) == 1 else None
    return Column(view, split, members, truth, picture, size)
