"""tike: NPZ of ``data`` (n, N, N), ``scan`` (n, 2) and ``probe`` (..., modes, N, N).

``data`` are counts with the zero frequency in the corner, ``scan`` says where the first pixel of
each patch lies, y first, in px.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fly64tasks.data.archive import Archive
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement

KIND = "tike"


def claims(path: Path) -> bool:
    """Return whether an NPZ is one of tike's."""
    with Archive(path) as arrays:
        return "data" in arrays and "scan" in arrays and "probe" in arrays


def read(path: Path) -> Measurement:
    """Return the scan of a tike NPZ.

    Raises
    ------
    DatasetError
        An array has another shape or dtype than tike's.
    """
    with Archive(path) as arrays:
        data = arrays.get("data")
        scan = arrays.numbers("scan", kinds="fiu", expected="positions in px")
        probe = arrays.numbers("probe", kinds="c", expected="complex")
        if data.dtype.kind not in "iuf" or data.ndim != 3:
            raise arrays.error("data", f"is {data.dtype} {data.shape}, expected counts (n, N, N)")
        if scan.ndim != 2 or scan.shape[1] != 2:
            raise arrays.error("scan", f"has shape {scan.shape}, expected (n, 2)")
        n = data.shape[-1]
        eigen = "eigen_probe" in arrays
    return Measurement(
        path=path,
        kind=KIND,
        frames=FrameStack.of(data).mapped(lambda block: np.fft.fftshift(block, axes=(-2, -1))),
        positions_px=scan.astype(float) + n // 2,
        probe=probe.reshape(-1, *probe.shape[-2:]),
        notes=("eigen_probe: left out",) if eigen else (),
    )
