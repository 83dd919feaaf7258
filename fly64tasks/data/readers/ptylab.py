"""PtyLab: ``ptychogram`` (n, N, N) counts, ``encoder`` (n, 2), ``wavelength``, ``dxd``, ``zo`` (m).

``orientation`` turns the frames, in ptypy's code: 4 transposes, 2 flips rows, 1 flips columns.
"""

from __future__ import annotations

from fly64tasks.data.edits import oriented
from fly64tasks.data.measurement import Measurement, centred_px, object_pixel_m
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.study.stages import HC_EV_M

KIND = "PtyLab"


def claims(file: Hdf5) -> bool:
    """Return whether a file is one of PtyLab's."""
    return "ptychogram" in file


def read(file: Hdf5) -> Measurement:
    """Return the scan of a PtyLab file.

    Raises
    ------
    DatasetError
        It is of Fourier ptychography, or lacks a key.
    """
    if "zled" in file or "zo" not in file:
        raise file.refusal(
            "is of Fourier ptychography (it has no zo), expected a scan of a probe over an object"
        )
    frames = file.frames("ptychogram")
    n = frames.shape[-1]
    energy = HC_EV_M / file.number("wavelength")
    detector_pixel = file.number("dxd")
    pixel = object_pixel_m(energy, file.number("zo"), detector_pixel, n)
    encoder = file.array("encoder").astype(float)
    if encoder.ndim == 2 and encoder.shape[0] == 2 < encoder.shape[1]:
        encoder = encoder.T
    if pixel is None or encoder.shape != (len(frames), 2):
        raise file.error("encoder", f"has shape {encoder.shape}, expected ({len(frames)}, 2) in m")
    code = int(file.number_or_none("orientation") or 0)
    found = Measurement(
        path=file.path,
        kind=KIND,
        frames=frames,
        positions_px=centred_px(encoder, pixel, None, n),
        pixel_size_m=pixel,
        energy_ev=energy,
        detector_pixel_size_m=detector_pixel,
    )
    return oriented(found, transpose=bool(code & 4), flip_y=bool(code & 2), flip_x=bool(code & 1))
