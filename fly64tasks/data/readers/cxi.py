"""CXI 1.6 and NXcxi_ptycho: DLS, ALS, PyNX, cdtools, SHARP, Ptychodus.

``translation`` (n, 3) is the sample's, in m, in the laboratory's axes; ``basis_vectors`` of the
detector say in which of its directions rows and columns go, (0, -y, 0) and (-x, 0, 0) unless given.
The beam moves over the sample the other way, so that without basis vectors rows go as y of the
translation, and columns as x. ``energy`` is in J, of the photon.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.edits import less_dark
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import EV_J, SQUARE, Measurement, centred_px, object_pixel_m
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.study.stages import HC_EV_M

KIND = "CXI"
_ENTRY = "entry_1"
_INSTRUMENT = f"{_ENTRY}/instrument_1"
_DETECTOR = f"{_INSTRUMENT}/detector_1"
_FRAMES = (f"{_ENTRY}/data_1/data", f"{_DETECTOR}/data")
_TRANSLATION = (
    f"{_ENTRY}/data_1/translation",
    f"{_ENTRY}/sample_1/geometry_1/translation",
    f"{_DETECTOR}/translation",
)
_PROBE = (f"{_ENTRY}/image_1/data", f"{_INSTRUMENT}/source_1/illumination")
_ENERGY = (
    f"{_INSTRUMENT}/beam_1/incident_beam_energy",
    f"{_INSTRUMENT}/beam_1/incident_energy",
    f"{_INSTRUMENT}/source_1/energy",
)
_EV = {"ev": 1.0, "kev": 1e3, "j": 1 / EV_J}
_MOST_J = 1e-12
"""Below, an energy without a unit is in J, as CXI has it, else in eV, as NeXus has it."""
_MOST_EV = 1e6
HAS_SIGNAL = 0x1000
"""Of a pixel of the mask that is not bad: it has signal above the background."""


def claims(file: Hdf5) -> bool:
    """Return whether a file is a CXI file."""
    return any(key in file for key in _FRAMES)


def read(file: Hdf5) -> Measurement:
    """Return the scan of a CXI file.

    Raises
    ------
    DatasetError
        Energy, distance or pixel size are missing, without which metres are no pixels.
    """
    frames = file.frames(*_FRAMES)
    n = frames.shape[-1]
    rows, columns, pixel_m = _directions(file)
    energy = _energy_ev(file)
    distance = _distance_m(file, rows, columns)
    pixel = object_pixel_m(energy, distance, pixel_m, n)
    if pixel is None:
        wanted = {"energy": energy, "distance": distance, "x_pixel_size": pixel_m}
        missing = [name for name, value in wanted.items() if not value]
        raise file.refusal(
            f"says no {' and no '.join(missing)} ({_DETECTOR}, {_INSTRUMENT}/source_1), expected "
            "it: positions are in metres; give it in a key map"
        )
    translation = file.array(*_TRANSLATION).astype(float)
    if translation.ndim != 2 or translation.shape[1] not in (2, 3):
        raise file.error(_TRANSLATION[0], f"has shape {translation.shape}, expected (n, 3)")
    beam_m = -translation
    positions_m = np.column_stack(
        [beam_m @ direction[: beam_m.shape[1]] for direction in (rows, columns)]
    )
    return Measurement(
        path=file.path,
        kind=KIND,
        frames=_without_dark(file, frames),
        positions_px=centred_px(positions_m, pixel, None, n),
        probe=_probe(file, n),
        mask=_mask(file),
        pixel_size_m=pixel,
        energy_ev=energy,
        detector_pixel_size_m=pixel_m,
        sizes_assumed=bool(file.attribute("sizes_assumed")),
    )


def _directions(file: Hdf5) -> tuple[NDArray[np.float64], NDArray[np.float64], float | None]:
    """Return the unit vectors of rows and columns, and the size of a pixel."""
    sizes = [file.number_or_none(f"{_DETECTOR}/{axis}_pixel_size") for axis in "yx"]
    rows, columns = np.array([0.0, -1, 0]), np.array([-1.0, 0, 0])
    if f"{_DETECTOR}/basis_vectors" in file:
        basis = file.array(f"{_DETECTOR}/basis_vectors").astype(float)
        basis = basis.T if basis.shape == (2, 3) else basis
        if basis.shape != (3, 2) or not np.linalg.norm(basis, axis=0).all():
            raise file.error(
                f"{_DETECTOR}/basis_vectors",
                f"has shape {basis.shape}, expected two vectors (3, 2)",
            )
        lengths = np.linalg.norm(basis, axis=0)
        rows, columns = (basis / lengths).T
        sizes = [size or float(length) for size, length in zip(sizes, lengths, strict=True)]
    known = [size for size in sizes if size]
    if len(known) == 2 and abs(known[0] - known[1]) > SQUARE * known[0]:
        raise file.refusal(
            f"has detector pixels of {known[0]:g} x {known[1]:g} m, expected square ones"
        )
    return rows, columns, known[0] if known else None


def _energy_ev(file: Hdf5) -> float | None:
    """Return the photon's energy; that of an NXsource may be its ring's, which is refused."""
    wavelength = file.number_or_none(f"{_INSTRUMENT}/source_1/wavelength")
    if wavelength:
        return HC_EV_M / wavelength
    key = next((key for key in _ENERGY if key in file), None)
    if key is None:
        return None
    value, units = file.number(key), file.units(key)
    unit = _EV.get(units, _EV["j"] if value < _MOST_J else 1.0)
    energy = value * unit
    if energy > _MOST_EV:
        raise file.error(
            key,
            f"is {energy:.3g} eV, expected a photon's: a ring's energy stands there; give the "
            "photon's in a key map",
        )
    return energy


def _distance_m(
    file: Hdf5, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> float | None:
    distance = file.number_or_none(f"{_DETECTOR}/distance")
    if distance or f"{_DETECTOR}/corner_position" not in file:
        return distance
    corner = file.array(f"{_DETECTOR}/corner_position").astype(float).ravel()
    return float(abs(corner @ np.cross(rows, columns)))


def _mask(file: Hdf5) -> NDArray[np.bool_] | None:
    key = f"{_DETECTOR}/mask"
    if key not in file:
        return None
    mask = file.array(key)
    if mask.ndim == 3:  # one of each frame: bad in one is bad in all
        mask = np.bitwise_or.reduce(mask.astype(np.uint32), axis=0)
    mask = mask.astype(np.uint32)
    return np.asarray((mask == 0) | (mask == HAS_SIGNAL))


def _without_dark(file: Hdf5, frames: FrameStack) -> FrameStack:
    key = f"{_DETECTOR}/data_dark"
    if key not in file:
        return frames
    dark = file.array(key).astype(np.float32)
    return less_dark(frames, np.nanmean(dark.reshape(-1, *dark.shape[-2:]), axis=0))


def _probe(file: Hdf5, n: int) -> NDArray[np.complexfloating] | None:
    for key in _PROBE:
        if key in file and file.dataset(key).dtype.kind == "c":
            probe = file.complex_array(key)
            if probe.ndim >= 2 and probe.shape[-2:] == (n, n):
                return probe.reshape(-1, n, n)
    return None
