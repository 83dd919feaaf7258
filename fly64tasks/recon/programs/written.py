"""What a program of others wrote, in any form that is taken, held against the set it is of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.objects import FoundObject, read_object
from fly64tasks.errors import DatasetError, ReconstructionError, shortened
from fly64tasks.physics.scan import patches_inside
from fly64tasks.recon import fit
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.start import Start

_SAME_FRAME_PX = 0.75
"""How far positions may lie from the set's, in the median: half a pixel is a matter of centres."""
_OTHER_ORDER = 0.5
"""Of the scan's own spread: corrected positions move by less, those of other frames by more."""


def read_written(path: Path, key: str, start: Start) -> FoundObject:
    """Return what a program wrote for a set.

    Parameters
    ----------
    path : Path
        ``.npz``, ``.npy`` or HDF5.
    key : str
        Where the object is, in what is no ``.npy``.

    Raises
    ------
    ReconstructionError
        It is missing, can not be read, is not finite or no complex object, or lies in another frame
        than the set.
    """
    own_file(path, "{output}")
    try:
        found = read_object(path, None if path.suffix == ".npy" else key)
    except DatasetError as error:
        raise ReconstructionError(f"wrote what can not be taken: {error}") from None
    problem = _problem(found, key, start)
    if problem:
        raise ReconstructionError(f"wrote what can not be taken: {path.name}: {problem}")
    return found


def own_file(path: Path, asked_as: str) -> Path:
    """Return the file that a program wrote in its folder, behind any links of its own.

    Raises
    ------
    ReconstructionError
        There is none, or what is there is no file, or lies elsewhere: a link to the truth is none.
    """
    folder = path.parent
    if not os.path.lexists(path):
        names = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else ["nothing"]
        raise ReconstructionError(
            f"wrote no {path.name}, expected it at {asked_as}; found {shortened(', '.join(names))}"
        )
    real = Path(os.path.realpath(path))
    if not real.is_file() or Path(os.path.realpath(folder)) not in real.parents:
        raise ReconstructionError(
            f"{path.name} is no file of its own, expected one in the folder that it runs in, or a "
            "link to one"
        )
    return real


def _problem(found: FoundObject, key: str, start: Start) -> str | None:
    """Return why it can not be a reconstruction of a set, None where it can."""
    size, shape = start.scale.frame_size_px, start.canvas.shape
    obj, probe, positions = found.obj, found.probe, found.positions_px
    if obj.shape != shape:
        return (
            f"{key} has shape {obj.shape}, expected {shape}: that of objectGuess in the set that "
            "it was given, in which the positions lie"
        )
    if probe is not None:
        if probe.ndim != 3 or probe.shape[1:] != (size, size):
            return f"probe has shape {probe.shape}, expected (modes, {size}, {size})"
        if not np.isfinite(probe).all() or not probe.any():
            return "probe is zero everywhere, or not finite"
    if positions is not None:
        if positions.shape != start.positions_px.shape:
            return f"positions have shape {positions.shape}, expected {start.positions_px.shape}"
        away = np.median(positions - start.positions_px, axis=0)
        if np.abs(away).max() > _SAME_FRAME_PX:
            return (
                f"positions lie {away[0]:.3g}, {away[1]:.3g} px (y, x) from those of the set: the "
                "object is in another frame"
            )
        order = np.abs(positions - start.positions_px - away)
        spread = np.abs(start.positions_px - np.median(start.positions_px, axis=0))
        if np.median(order.sum(axis=1)) > _OTHER_ORDER * np.median(spread.sum(axis=1)):
            return (
                "positions are not those of the set, frame by frame: expected (n, 2), y first, in "
                "the order of its frames"
            )
        if not patches_inside(positions, size, (shape[0], shape[1])).all():
            return "positions put patches off the object"
    return None


def in_scale(
    found: FoundObject, start: Start, dataset: PtychoDataset
) -> tuple[Reconstruction, dict[str, Any]]:
    """Return what a program found in the scale of the set, and what is said of that.

    Its probe, or the set's where it gives none, is brought to what is known of it, and the object
    to where both together predict the measured amplitudes best: programs have units of their own.
    """
    probe = dataset.probe_guess if found.probe is None else found.probe
    power = float((np.abs(probe.astype(complex)) ** 2).sum())
    probe = (probe * np.sqrt(start.scale.known_photons / power)).astype(np.complex64)
    positions = start.positions_px
    if found.positions_px is not None and not np.allclose(found.positions_px, positions, atol=1e-3):
        positions = found.positions_px.astype(float)
    products = squares = 0.0
    predicted = fit.predicted_amplitude(probe, found.obj, positions)
    for index, (intensity, amplitude) in enumerate(zip(start.centred(), predicted, strict=True)):
        if start.mask is not None:
            amplitude = amplitude * (start.mask if start.mask.ndim == 2 else start.mask[index])
        measured = np.sqrt(intensity / start.scale.intensity)
        products += float((measured * amplitude).sum())
        squares += float((amplitude**2).sum())
    factor = products / squares if squares else 0.0
    obj = (found.obj * factor).astype(np.complex64)
    if not factor or not np.isfinite(obj).all():
        raise ReconstructionError("wrote an object that lets no light through, or too much")
    said = {
        "known_from": start.scale.known_from,
        "probe_photons_per_frame": start.scale.known_photons,
        "probe_is": "the set's" if found.probe is None else "the program's",
        "object_multiplied_by": factor,
    }
    return Reconstruction(obj, probe, positions, loss=found.loss), said
