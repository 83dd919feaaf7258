"""dp/para pairs: ``<stem>_dp.hdf5`` and ``<stem>_para.hdf5``, of pty-chi, PtychoViT and fold_slice.

pty-chi's and PtychoViT's para has ``/probe`` ([opr,] modes, N, N), ``/object`` with attributes
``pixel_height_m`` and ``pixel_width_m``, ``/probe_position_y_m`` and ``_x_m``; fold_slice's has
``/ppY``, ``/ppX`` (m), ``/lambda`` (m), ``/dx`` (m) and no probe.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.measurement import SQUARE, Measurement, centred_px
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.study.stages import HC_EV_M

KIND = "dp/para pair"
_ENDS = ("_dp", "_para")


def claims(file: Hdf5) -> bool:
    """Return whether a file is one of a pair."""
    return "dp" in file or ("ppX" in file and "ppY" in file) or _is_para(file)


def _is_para(file: Hdf5) -> bool:
    return "probe_position_y_m" in file and file.path.stem.endswith("_para")


def partner(path: Path) -> Path:
    """Return the other file of a pair, by its name.

    >>> partner(Path("scan_para.hdf5")).name
    'scan_dp.hdf5'
    """
    for end, other in (_ENDS, _ENDS[::-1]):
        if path.stem.endswith(end):
            return path.with_name(path.stem.removesuffix(end) + other + path.suffix)
    return path


def read(file: Hdf5) -> Measurement:
    """Return the scan of a pair, of which either file was named.

    Raises
    ------
    DatasetError
        The other one is not beside it, or one lacks what it should have.
    """
    other = partner(file.path)
    if other == file.path or not other.exists():
        wanted = other.name if other != file.path else "the other file"
        raise file.refusal(
            f"is one file of a dp/para pair, expected {wanted} beside it (STEM_dp, STEM_para), or "
            "a key map (docs/formats.md)"
        )
    beside = file.beside(other)
    dp, para = (file, beside) if "dp" in file else (beside, file)
    frames = dp.frames("dp")
    if "ppY" in para:
        return _of_fold_slice(dp, para)
    n = frames.shape[-1]
    pixel = para.attribute("pixel_height_m", "object") if "object" in para else None
    width = para.attribute("pixel_width_m", "object") if "object" in para else None
    if not pixel:
        raise para.error(
            "object", "says no pixel_height_m, expected the pixel size that positions are read by"
        )
    if width and abs(width - pixel) > SQUARE * pixel:
        raise para.error("object", f"has pixels of {pixel:g} x {width:g} m, expected square ones")
    obj = para.complex_array("object")
    layers = obj.reshape(-1, *obj.shape[-2:])
    positions_m, probe, notes = scan_and_probe(para, len(layers))
    return Measurement(
        path=dp.path,
        kind=KIND,
        frames=frames,
        positions_px=centred_px(positions_m, pixel, layers.shape, n),
        probe=probe,
        obj=layers[0] if len(layers) == 1 else None,
        pixel_size_m=pixel,
        notes=notes,
    )


def scan_and_probe(
    file: Hdf5, n_layers: int
) -> tuple[NDArray[np.float64], NDArray[np.complexfloating], tuple[str, ...]]:
    """Return positions (n, 2) in m, y first, the probe (modes, N, N), and what is left out.

    Parameters
    ----------
    n_layers : int
        Of the object, which is left out where it has several.
    """
    positions_m = np.column_stack(
        [file.array(f"probe_position_{axis}_m").ravel().astype(float) for axis in "yx"]
    )
    probe, notes = first_of_opr(file, "probe")
    if n_layers > 1:
        notes += (f"object: {n_layers} slices are left out, slices = {n_layers} finds as many",)
    return positions_m, probe, notes


def first_of_opr(file: Hdf5, key: str) -> tuple[NDArray[np.complexfloating], tuple[str, ...]]:
    """Return the modes (modes, N, N) of a probe ([opr, modes,] N, N), and what is left out."""
    probe = file.complex_array(key)
    probe = probe.reshape(*(4 - probe.ndim) * (1,), *probe.shape) if probe.ndim < 4 else probe
    if probe.ndim > 4:
        raise file.error(key, f"has shape {probe.shape}, expected ([opr, modes,] N, N)")
    left = len(probe) - 1
    notes = (f"{key}: {left} OPR modes are left out, opr_modes = {left} finds as many",)
    return probe[0], notes if left else ()


def _of_fold_slice(dp: Hdf5, para: Hdf5) -> Measurement:
    frames = dp.frames("dp")
    pixel = para.number("dx")
    wavelength = para.number_or_none("lambda")
    positions_m = np.column_stack([para.array(key).ravel().astype(float) for key in ("ppY", "ppX")])
    return Measurement(
        path=dp.path,
        kind="fold_slice pair",
        frames=frames,
        positions_px=centred_px(positions_m, pixel, None, frames.shape[-1]),
        pixel_size_m=pixel,
        energy_ev=HC_EV_M / wavelength if wavelength else None,
    )
