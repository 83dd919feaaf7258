"""What a program of others wrote, in any form that is taken, held against the set it is of."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.archive import Archive
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers import ptychodus
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.errors import DatasetError, ReconstructionError, shortened
from fly64tasks.physics.scan import patches_inside
from fly64tasks.recon import fit
from fly64tasks.recon.result import Reconstruction
from fly64tasks.recon.start import Start

_SAME_FRAME_PX = 0.75
"""How far positions may lie from the set's, in the median: half a pixel is a matter of centres."""


@dataclass(frozen=True)
class Written:
    """What was found: an object, and what else there was.

    Attributes
    ----------
    obj : (H, W) complex
    probe : (modes, N, N) complex or None
    positions_px : (n, 2) float or None
        In pixels of ``obj``, y first.
    loss : tuple of float
    """

    obj: NDArray[np.complexfloating]
    probe: NDArray[np.complexfloating] | None = None
    positions_px: NDArray[np.float64] | None = None
    loss: tuple[float, ...] = ()


def read_written(path: Path, key: str, start: Start) -> Written:
    """Return what a program wrote for a set.

    Parameters
    ----------
    path : Path
        ``.npz``, ``.npy`` or HDF5.
    key : str
        Where the object is, in what is neither an ``.npy`` nor a product.

    Raises
    ------
    ReconstructionError
        It is missing, can not be read, is not finite or no complex object, or lies in another frame
        than the set.
    """
    if not path.exists():
        beside = sorted(item.name for item in path.parent.iterdir())
        raise ReconstructionError(
            f"wrote no {path.name}, expected it at {{output}}; found {shortened(', '.join(beside))}"
        )
    read = {".npz": _npz, ".npy": _npy}.get(path.suffix, _hdf5)
    try:
        found = read(path, key)
    except DatasetError as error:
        raise ReconstructionError(f"wrote what can not be taken: {error}") from None
    problem = _problem(found, key, start)
    if problem:
        raise ReconstructionError(f"wrote what can not be taken: {path.name}: {problem}")
    return found


def _npz(path: Path, key: str) -> Written:
    with Archive(path) as arrays:
        obj = arrays.numbers(key, kinds="c", expected="complex numbers")
        probe = positions = None
        loss: tuple[float, ...] = ()
        if "probe" in arrays:
            probe = arrays.numbers("probe", kinds="c", expected="complex numbers")
        if "positions_px" in arrays:
            positions = arrays.numbers("positions_px", kinds="f", expected="float numbers")
        if "loss" in arrays and (found := arrays.get("loss")).dtype.kind == "f":
            loss = tuple(map(float, found.ravel()))
    return Written(_image(obj), _modes(probe), positions, loss)


def _npy(path: Path, key: str) -> Written:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: can not be read as .npy ({shortened(error)})") from None
    if array.dtype.kind != "c":
        raise DatasetError(f"{path}: has dtype {array.dtype}, expected complex numbers")
    return Written(_image(array))


def _hdf5(path: Path, key: str) -> Written:
    with ExitStack() as stack:
        file = Hdf5(path, stack, [])
        if ptychodus.is_product(file):
            product = ptychodus.of_product(file)
            if product.obj is None:
                raise file.error("object", "has several slices, expected one")
            return Written(product.obj, product.probe, product.positions_px)
        if (dtype := file.dataset(key).dtype).kind not in "cV":
            raise file.error(key, f"has dtype {dtype}, expected complex numbers")
        return Written(_image(file.complex_array(key)))


def _image(array: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """Return an array without its leading axes of length 1."""
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    return array


def _modes(probe: NDArray[np.complexfloating] | None) -> NDArray[np.complexfloating] | None:
    """Return a probe as (modes, N, N)."""
    if probe is None:
        return None
    probe = _image(probe)
    return probe[None] if probe.ndim == 2 else probe


def _problem(found: Written, key: str, start: Start) -> str | None:
    """Return why it can not be a reconstruction of a set, None where it can."""
    size, shape = start.scale.frame_size_px, start.canvas.shape
    obj, probe, positions = found.obj, found.probe, found.positions_px
    if obj.shape != shape:
        return (
            f"{key} has shape {obj.shape}, expected {shape}: that of objectGuess in the set that "
            "it was given, in which the positions lie"
        )
    if not np.isfinite(obj).all():
        return f"{key} holds {int((~np.isfinite(obj)).sum())} NaN or infinite values"
    if not obj.any():
        return f"{key} is zero everywhere"
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
        if not patches_inside(positions, size, (shape[0], shape[1])).all():
            return "positions put patches off the object"
    return None


def in_scale(
    found: Written, start: Start, dataset: PtychoDataset
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
    for index, (intensity, amplitude) in enumerate(zip(start.intensity, predicted, strict=True)):
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
