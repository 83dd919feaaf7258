"""What a reconstruction's picture has below it: probe, loss and scan, and what else was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from fly64tasks import plotstyle
from fly64tasks.physics.probe_modes import shares
from fly64tasks.recon.result import Reconstructed

Box = tuple[slice, slice]
_ROW_IN = 1.5
_COLUMNS = 4


def height_in(found: Reconstructed) -> float:
    """Return how high, in inches, what is drawn of a reconstruction is."""
    return _ROW_IN * len(_rows(found))


def draw(figure: Any, found: Reconstructed, box: Box) -> None:
    """Draw it into a figure or a part of one.

    Parameters
    ----------
    box : (slice, slice)
        What is shown of the object.
    """
    rows = _rows(found)
    parts = figure.subfigures(len(rows), 1) if len(rows) > 1 else [figure]
    for part, row in zip(parts, rows, strict=True):
        row(part, found, box)


def _rows(found: Reconstructed) -> list[Callable[[Any, Reconstructed, Box], None]]:
    return [
        _draw_always,
        *([_draw_relaxation] if found.relaxation is not None else []),
        *([_draw_layers] if found.slices is not None else []),
    ]


def _draw_relaxation(figure: Any, found: Reconstructed, box: Box) -> None:
    """Draw what the probe changes by: the weights against the frames, and the first two modes."""
    assert found.relaxation is not None
    weights, held = found.relaxation.weights, found.relaxation.shares(found.probe)
    grid = figure.add_gridspec(1, _COLUMNS)
    plot = figure.add_subplot(grid[0, :2])
    for k, colour in zip(range(1, weights.shape[1]), plotstyle.VIEW_COLOURS, strict=False):
        plot.plot(weights[:, k], linewidth=0.7, color=colour, label=f"mode {k}")
    if np.ptp(weights[:, 0]) > 0:
        ink = plotstyle.LIGHT["muted"]
        plot.plot(weights[:, 0] - 1, linewidth=0.7, color=ink, label="probe, less 1")
    plot.set(title="OPR weights, the probe's own is 1", xlabel="frame")
    plot.legend(loc="upper right", fontsize=6, frameon=True)
    for k, mode in enumerate(found.relaxation.modes[:2]):
        axis, title = figure.add_subplot(grid[0, 2 + k]), f"OPR mode {k + 1}, {held[k]:.1%}"
        _show(figure, axis, np.abs(mode), plotstyle.AMPLITUDE_MAP, title)


def _draw_layers(figure: Any, found: Reconstructed, box: Box) -> None:
    """Draw the phase of the first layers, on one scale."""
    assert found.slices is not None
    axes = figure.subplots(1, _COLUMNS)
    parts = [layer[box] for layer in found.slices[:_COLUMNS]]
    phases = [np.angle(part * np.conj(part.sum())) for part in parts]
    ends = {"vmin": np.min(phases), "vmax": np.max(phases), "cmap": plotstyle.PHASE_MAP}
    for k, (axis, phase) in enumerate(zip(axes, phases, strict=False)):
        shown = axis.imshow(phase, **ends)
        axis.set_title(f"layer {k + 1}/{len(found.slices)}: phase")
    for axis in axes:
        axis.set_axis_off()
    figure.colorbar(shown, ax=axes[: len(phases)], shrink=0.6, aspect=14)


def _show(
    figure: Any, axis: Axes, image: NDArray[Any], colour_map: str, title: str, **limits: Any
) -> None:
    shown = axis.imshow(image, cmap=colour_map, **limits)
    axis.set_title(title)
    axis.set_axis_off()
    figure.colorbar(shown, ax=axis, shrink=0.85, aspect=14)


def _draw_always(figure: Any, found: Reconstructed, box: Box) -> None:
    """Draw the probe's first mode in amplitude and phase, the loss and the scan."""
    amplitude, phase, loss, scan = figure.subplots(1, _COLUMNS)
    mode, n_modes = found.probe[0], len(found.probe)
    shown_mode = "probe, √photons"
    if n_modes > 1:
        shown_mode = f"mode 1/{n_modes}, {shares(found.probe)[0]:.0%}"
    for axis, image, colour_map, title in (
        (amplitude, np.abs(mode), plotstyle.AMPLITUDE_MAP, shown_mode),
        (phase, np.angle(mode), plotstyle.CYCLIC_PHASE_MAP, "probe: phase, rad"),
    ):
        limits = {"vmin": -np.pi, "vmax": np.pi} if axis is phase else {}
        _show(figure, axis, image, colour_map, title, **limits)
    loss.semilogy(np.arange(1, len(found.loss) + 1), found.loss, color=plotstyle.VIEW_COLOURS[0])
    loss.set(title="loss" if found.loss.size else "no loss said", xlabel="epoch")
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
    )
