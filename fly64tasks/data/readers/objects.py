"""Objects alone, of any program: a complex array in NPY, NPZ or HDF5, and what is said of it.

Known without a key: our ``reconstruction.npz`` and sets, Ptychodus' products, dp/para pairs,
PtychoPINN's comparison, and any file with one array that can be meant. MATLAB's v7.3 files are
HDF5 with the axes the other way round.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.archive import Archive
from fly64tasks.data.measurement import centred_px
from fly64tasks.data.readers import damage_refused, is_hdf5
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.errors import DatasetError, shortened

KEYS = ("object", "obj", "reconstructed_object", "objectGuess")
"""The names that are taken without a key, in this order."""
_PIXEL_SIZE = "pixel_size_m"
_MATLAB = b"MATLAB 7.3"
_MATLAB_PIXEL = "p/dx_spec"


@dataclass(frozen=True)
class FoundObject:
    """An object in a file.

    Attributes
    ----------
    path : Path
    key : str
        Where it stands; empty in an NPY.
    obj : (H, W) complex128
    pixel_size_m : float or None
    positions_px : (n, 2) float or None
        Of the scan, in pixels of ``obj``, y first.
    given_positions_px : (n, 2) float or None
        Those before they were corrected: the same where they were not.
    probe : (modes, N, N) complex or None
    loss : tuple of float
        Of each epoch, as our own file has it.
    """

    path: Path
    key: str
    obj: NDArray[np.complex128]
    pixel_size_m: float | None = None
    positions_px: NDArray[np.float64] | None = None
    given_positions_px: NDArray[np.float64] | None = None
    probe: NDArray[np.complexfloating] | None = None
    loss: tuple[float, ...] = ()


def read_object(path: Path, key: str | None = None) -> FoundObject:
    """Read the object of a file.

    Parameters
    ----------
    key : str, optional
        Of an array in NPZ or HDF5; found by its name, or as the only complex image, unless given.

    Raises
    ------
    DatasetError
        There is no such array, or several, or it is no image of finite complex numbers.
    """
    if not path.is_file():
        what = "is no file" if path.exists() else "no such file or directory"
        raise DatasetError(f"{path}: {what}; expected NPY, NPZ or HDF5 with an object")
    with damage_refused(path):
        if is_hdf5(path):
            return _of_hdf5(path, key)
        with path.open("rb") as file:
            is_npy = file.read(6) == b"\x93NUMPY"
        return _of_npy(path, key) if is_npy else _of_npz(path, key)


def _of_npy(path: Path, key: str | None) -> FoundObject:
    if key:
        raise DatasetError(f"{path}: is an NPY, which has no key {shortened(key)}; leave --key out")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return FoundObject(path, "", _image(path, "the array", array))


def _of_npz(path: Path, key: str | None) -> FoundObject:
    with Archive(path) as arrays:
        shapes = {}
        for name in arrays.names:
            if name != "_metadata" and (key is None or name == key):
                header = arrays.header(name)
                shapes[name] = (header.shape, header.dtype.kind == "c")
        key = _chosen(path, key, shapes, arrays.names)
        obj = _image(path, key, arrays.get(key))
        said = arrays.metadata()
        pixel = said.get("geometry") or (said.get("set") or {}).get("geometry") or {}
        pixel_m = pixel.get(_PIXEL_SIZE) if isinstance(pixel, dict) else None
        if _PIXEL_SIZE in arrays:
            pixel_m = arrays.numbers(_PIXEL_SIZE, kinds="fiu", expected="a length").ravel()[0]
        positions = given = None
        if "positions_px" in arrays:
            positions = given = _pairs(arrays, "positions_px")
            if "given_positions_px" in arrays:
                given = _pairs(arrays, "given_positions_px")
        elif "xcoords" in arrays and "ycoords" in arrays:
            axes = [arrays.numbers(f"{axis}coords", kinds="fiu", expected="px") for axis in "yx"]
            positions = given = np.column_stack([axis.ravel().astype(float) for axis in axes])
        probe = _modes(arrays.get("probe")) if "probe" in arrays else None
        loss: tuple[float, ...] = ()
        if "loss" in arrays and (losses := arrays.get("loss")).dtype.kind == "f":
            loss = tuple(map(float, losses.ravel()))
    pixel_m = _length(path, pixel_m)
    return FoundObject(path, key, obj, pixel_m, positions, given, probe, loss)


def _of_hdf5(path: Path, key: str | None) -> FoundObject:
    with path.open("rb") as head:
        is_matlab = head.read(len(_MATLAB)) == _MATLAB
    with ExitStack() as stack:
        file = Hdf5(path, stack, [])
        shapes = {}
        for name in file.names():
            found = file.file[name]
            pair = found.dtype.names is not None and len(found.dtype.names) == 2
            shapes[name.lstrip("/")] = (found.shape, found.dtype.kind == "c" or pair)
        key = _chosen(path, key and key.lstrip("/"), shapes, tuple(shapes))
        array = file.complex_array(key)
        obj = _image(path, key, array.T if is_matlab else array)
        pixel_m = file.attribute("pixel_height_m", key)
        if pixel_m is None and is_matlab and _MATLAB_PIXEL in file:
            pixel_m = float(file.array(_MATLAB_PIXEL).ravel()[0])
        positions = given = None
        if pixel_m and "probe" in file and "probe_position_y_m" in file:
            n = file.dataset("probe").shape[-1]
            centre = [file.attribute(f"center_{axis}_m", key) or 0.0 for axis in "yx"]

            def of(name: str) -> NDArray[np.float64]:
                positions_m = np.column_stack(
                    [file.array(f"{name}_{axis}_m").ravel().astype(float) for axis in "yx"]
                )
                return centred_px(positions_m - centre, float(pixel_m or 0), obj.shape, n)

            positions = given = of("probe_position")
            if "given_position_y_m" in file:
                given = of("given_position")
        probe = _modes(file.complex_array("probe")) if "probe" in shapes else None
    return FoundObject(path, key, obj, _length(path, pixel_m), positions, given, probe)


def _chosen(
    path: Path,
    key: str | None,
    shapes: dict[str, tuple[tuple[int, ...], bool]],
    names: tuple[str, ...],
) -> str:
    """Return the key of the object: the one named, else that of a known name, else the only one."""
    if key is not None:
        if key not in shapes:
            there = ", ".join(map(shortened, names[:12])) or "nothing"
            raise DatasetError(f"{path}: has no {shortened(key)}, found {there}")
        return key
    images = [
        name
        for name, (shape, is_complex) in shapes.items()
        if is_complex and "probe" not in name.lower() and sum(extent > 1 for extent in shape) >= 2
    ]
    for known in KEYS:
        if known in images:
            return known
    if len(images) == 1:
        return images[0]
    if images:
        found = f"{len(images)} complex images ({', '.join(map(shortened, images[:12]))})"
    else:
        found = f"no complex image ({', '.join(map(shortened, names[:12])) or 'nothing'})"
    raise DatasetError(f"{path}: holds {found}, expected one: name it with --key")


def _image(path: Path, key: str, array: NDArray[Any]) -> NDArray[np.complex128]:
    """Return an array as an image (H, W), once axes of length 1 before it are gone."""
    shape = array.shape
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or min(array.shape) < 2:
        raise DatasetError(
            f"{path}: {shortened(key)} has shape {shape}, expected (H, W): one slice, one mode"
        )
    if array.dtype.kind != "c":
        raise DatasetError(
            f"{path}: {shortened(key)} has dtype {array.dtype}, expected complex numbers, "
            "amplitude and phase in one"
        )
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise DatasetError(f"{path}: {shortened(key)} holds {bad} NaN or infinite values")
    if not array.any():
        raise DatasetError(f"{path}: {shortened(key)} is zero everywhere")
    return np.array(array, dtype=np.complex128)


def _modes(probe: NDArray[Any]) -> NDArray[np.complexfloating] | None:
    """Return a probe as (modes, N, N), the first of those that change from frame to frame."""
    if probe.dtype.kind != "c" or probe.ndim < 2:
        return None
    while probe.ndim > 3:
        probe = probe[0]
    return probe[None] if probe.ndim == 2 else probe


def _pairs(arrays: Archive, key: str) -> NDArray[np.float64]:
    found = arrays.numbers(key, kinds="fiu", expected="positions in px")
    if found.ndim != 2 or found.shape[1] != 2:
        raise arrays.error(key, f"has shape {found.shape}, expected (n, 2)")
    return found.astype(float)


def _length(path: Path, value: Any) -> float | None:
    if value is None:
        return None
    try:
        length = float(value)
    except (TypeError, ValueError):
        length = 0.0
    if not 0 < length < 1:
        raise DatasetError(f"{path}: says a pixel size of {value!r:.40} m, expected a length")
    return length
