"""ptypy: ``.ptyd`` files.

``meta/`` has energy (keV), distance (m), psize (detector pixel, m), center (px), propagation;
``chunks/<i>/`` have data (m, N, N), indices (m,), positions (m, 2), y first, in m, and weights, as
data or empty. A value of ``None`` is one that is not there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.edits import cropped
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement, centred_px, object_pixel_m
from fly64tasks.data.readers.hdf5 import Hdf5

KIND = "ptypy"


def claims(file: Hdf5) -> bool:
    """Return whether a file is a ptyd file."""
    return "chunks" in file and "meta" in file


def read(file: Hdf5) -> Measurement:
    """Return the scan of a ptyd file.

    Raises
    ------
    DatasetError
        It is of a near field, or says no energy, distance or pixel size.
    """
    propagation = file.text("meta/propagation").lower()
    if propagation.startswith("near"):
        raise file.refusal(
            "is a near-field scan (meta/propagation), expected the far field: the forward model "
            "here is one Fourier transform"
        )
    names = sorted((name for name in file.file["chunks"] if name.isdigit()), key=int)
    data = {name: f"chunks/{name}/data" for name in names}
    names = [name for name, key in data.items() if key in file and file.dataset(key).size]
    if not names:
        raise file.error("chunks", "holds no data, expected chunks/0/data and so on")
    frames, weighted = _frames(file, names)
    n = frames.shape[-1]
    energy_kev = _number(file, "meta/energy")
    detector_pixel = _number(file, "meta/psize")
    energy = energy_kev * 1e3 if energy_kev else None
    pixel = object_pixel_m(energy, _number(file, "meta/distance"), detector_pixel, n)
    if pixel is None:
        raise file.error(
            "meta", "says no energy, distance or psize, expected them: positions are in metres"
        )
    positions_m = np.concatenate(
        [file.array(f"chunks/{name}/positions").reshape(-1, 2) for name in names]
    ).astype(float)
    found = Measurement(
        path=file.path,
        kind=KIND,
        frames=frames,
        positions_px=centred_px(positions_m, pixel, None, n),
        mask=_mask(file, frames.shape[1:], weighted),
        pixel_size_m=pixel,
        energy_ev=energy,
        detector_pixel_size_m=detector_pixel,
    )
    centre = _centre(file, frames.shape[1:])
    return found if centre is None else cropped(found, n, centre)


def _frames(file: Hdf5, names: list[str]) -> tuple[FrameStack, bool]:
    """Return the frames, NaN where a weight of their own is 0, and whether they have weights."""
    parts = [file.frames(f"chunks/{name}/data") for name in names]
    whole = FrameStack.of(*map(_Part, parts))
    weights = [
        file.frames(f"chunks/{name}/weights")
        if f"chunks/{name}/weights" in file and file.dataset(f"chunks/{name}/weights").ndim == 3
        else None
        for name in names
    ]
    there = [weight for weight in weights if weight is not None]
    if len(there) < len(parts) or any(
        w.shape != p.shape for w, p in zip(there, parts, strict=True)
    ):
        return whole, False
    return (
        whole.zipped(
            FrameStack.of(*map(_Part, there)),
            lambda counts, weight: np.where(weight > 0, counts, np.nan).astype(np.float32),
            np.float32,
        ),
        True,
    )


class _Part:
    """Frames as a source of others."""

    def __init__(self, frames: FrameStack) -> None:
        self.shape, self.dtype, self._frames = frames.shape, frames.dtype, frames

    def __getitem__(self, key: slice) -> NDArray[np.generic]:
        start, stop, _ = key.indices(self.shape[0])
        return self._frames.read(start, stop)


def _mask(file: Hdf5, shape: tuple[int, int], weighted: bool) -> NDArray[np.bool_] | None:
    for key in ("meta/weight2d", "common/weight2d", "info/weight2d"):
        if key in file:
            dataset = file.dataset(key)
            if dataset.shape == shape:
                return np.asarray(file.array(key) > 0)
    return np.ones(shape, bool) if weighted else None


def _centre(file: Hdf5, shape: tuple[int, int]) -> tuple[float, float] | None:
    """Return the pixel of the optical axis where the file says another than N // 2."""
    if "meta/center" not in file or file.dataset("meta/center").dtype.kind not in "iuf":
        return None
    centre = file.array("meta/center").astype(float).ravel()
    if centre.size != 2 or not np.isfinite(centre).all():
        return None
    y, x = (float(round(where)) for where in centre)
    inside = 0 <= y < shape[0] and 0 <= x < shape[1]
    return (y, x) if inside and (y, x) != (shape[0] // 2, shape[1] // 2) else None


def _number(file: Hdf5, key: str) -> float | None:
    if key not in file or file.dataset(key).dtype.kind not in "iuf":
        return None  # 'None'
    return file.number(key)
