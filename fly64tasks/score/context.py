"""What a reconstruction's picture has below it: probe, loss and scan, and what else was found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from fly64tasks import plotstyle
from fly64tasks.physics.probe_modes import shares
from fly64tasks.recon.result import Reconstructed
from fly64tasks.score.sheet import BESIDE_IN, LEFT_IN, TITLE_IN, Place, Scale, Sheet

Box = tuple[slice, slice]
_ROW_IN = 1.5
_COLUMNS = 4
_COLUMN_IN = plotstyle.PAGE_IN / _COLUMNS
_BELOW_IN = 0.36
_HIGH_IN = _ROW_IN - TITLE_IN - _BELOW_IN
_WIDE_IN = _COLUMN_IN - BESIDE_IN
_LABELS_IN = 0.4
"""Left of a plot."""


def height_in(found: Reconstructed) -> float:
    """Return how high, in inches, what is drawn of a reconstruction is."""
    return _ROW_IN * len(_rows(found))


def draw(sheet: Sheet, found: Reconstructed, box: Box, top_in: float) -> None:
    """Draw it on a sheet.

    Parameters
    ----------
    box : (slice, slice)
        What is shown of the object.
    top_in : float
        From where on, from the sheet's upper end.
    """
    for index, row in enumerate(_rows(found)):
        row(_Row(sheet, top_in + index * _ROW_IN + TITLE_IN), found, box)


@dataclass(frozen=True)
class _Row:
    """A row of four columns of a sheet, and where its pictures begin below their titles."""

    sheet: Sheet
    top_in: float

    def place(self, column: int, high_in: float = _HIGH_IN) -> Place:
        """Return where a picture lies."""
        return Place(column * _COLUMN_IN + LEFT_IN, self.top_in, _WIDE_IN, high_in)

    def amplitude(self, column: int, wave: NDArray[np.complexfloating], title: str) -> None:
        """Draw the amplitude of a wave, (N, N)."""
        image = np.abs(wave)
        scale = Scale(float(image.min()), float(image.max()), plotstyle.AMPLITUDE_MAP)
        self.sheet.picture(image, scale, title, self.place(column))

    def plot(self, column: int, columns: int = 1, labels_in: float = _LABELS_IN) -> Axes:
        """Add axes that are so many columns wide, with their labels."""
        left = column * _COLUMN_IN + labels_in
        width = columns * _COLUMN_IN - labels_in - LEFT_IN
        return self.sheet.axes(Place(left, self.top_in, width, _HIGH_IN))


def _rows(found: Reconstructed) -> list[Callable[[_Row, Reconstructed, Box], None]]:
    return [
        _draw_always,
        *([_draw_relaxation] if found.relaxation is not None else []),
        *([_draw_layers] if found.slices is not None else []),
    ]


def _draw_relaxation(row: _Row, found: Reconstructed, box: Box) -> None:
    """Draw what the probe changes by: the weights against the frames, and the first two modes."""
    assert found.relaxation is not None
    weights, held = found.relaxation.weights, found.relaxation.shares(found.probe)
    plot = row.plot(0, columns=2)
    for k, colour in zip(range(1, weights.shape[1]), plotstyle.VIEW_COLOURS, strict=False):
        plot.plot(weights[:, k], linewidth=0.7, color=colour, label=f"mode {k}")
    if np.ptp(weights[:, 0]) > 0:
        ink = plotstyle.LIGHT["muted"]
        plot.plot(weights[:, 0] - 1, linewidth=0.7, color=ink, label="probe, less 1")
    plot.set(title="OPR weights, the probe's own is 1", xlabel="frame")
    plot.legend(loc="upper right", fontsize=6, frameon=True)
    for k, mode in enumerate(found.relaxation.modes[:2]):
        row.amplitude(2 + k, mode, f"OPR mode {k + 1}, {held[k]:.1%}")


def _draw_layers(row: _Row, found: Reconstructed, box: Box) -> None:
    """Draw the phase of the first layers, on one scale."""
    assert found.slices is not None
    parts = [layer[box] for layer in found.slices[:_COLUMNS]]
    phases = [np.angle(part * np.conj(part.sum())) for part in parts]
    scale = Scale(float(np.min(phases)), float(np.max(phases)), plotstyle.PHASE_MAP)
    for k, phase in enumerate(phases):
        title = f"layer {k + 1}/{len(found.slices)}: phase"
        place, last = row.place(k, high_in=_WIDE_IN), k == len(phases) - 1
        row.sheet.picture(phase, scale, title, place, bar=last)


def _draw_always(row: _Row, found: Reconstructed, box: Box) -> None:
    """Draw the probe's first mode in amplitude and phase, the loss and the scan."""
    mode, n_modes = found.probe[0], len(found.probe)
    shown_mode = "probe, √photons"
    if n_modes > 1:
        shown_mode = f"mode 1/{n_modes}, {shares(found.probe)[0]:.0%}"
    row.amplitude(0, mode, shown_mode)
    turn = Scale(-math.pi, math.pi, plotstyle.CYCLIC_PHASE_MAP)
    row.sheet.picture(np.angle(mode), turn, "probe: phase, rad", row.place(1))
    loss, scan = row.plot(2), row.plot(3, labels_in=0.3)
    loss.semilogy(np.arange(1, len(found.loss) + 1), found.loss, color=plotstyle.VIEW_COLOURS[0])
    loss.set(title="loss" if found.loss.size else "no loss said", xlabel="epoch")
    loss.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    known = found.loss[np.isfinite(found.loss) & (found.loss > 0)]
    span = known.max() / known.min() if known.size else 1.0
    named = LogLocator(subs=(1, 3) if span < 100 else (1,), numticks=6)
    loss.yaxis.set_major_locator(named if span > 10 else MaxNLocator(4))
    loss.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    loss.yaxis.set_minor_locator(NullLocator())
    y, x = found.positions_px.T
    title = f"{len(x)} positions, px"
    if (found.given_positions_px != found.positions_px).any():
        before, grey = found.given_positions_px.T[::-1], plotstyle.LIGHT["muted"]
        ways = np.stack([before, [x, y]]).swapaxes(0, 1)
        scan.plot(*before, ".", markersize=1.5, color=grey)
        scan.plot(*ways, linewidth=0.4, color=grey)
        title = "moved from grey, px"
    scan.plot(x, y, ".", markersize=1.5, color=plotstyle.VIEW_COLOURS[0])
    scan.set(
        title=title,
        xlim=(box[1].start, box[1].stop),
        ylim=(box[0].stop, box[0].start),
        aspect="equal",
        anchor="NW",
    )
