"""Ptychodus products: a reconstruction as an HDF5 file that the field's own tools open.

Written with h5py alone, because the `ptychodus` package brings a desktop application with it; the
tests read every file with the real one. The same file carries a NeXus default plot (NXdata), so
that silx, h5web and napari's NeXus readers show the object's phase when they open it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.doitext.atomic import replaced
from fly64tasks.study.stages import Geometry

SIZES_ARE = "Pixel size, energy and distance are"
"""In a product's comments, before ``assumed`` or ``as given``: Ptychodus has no word for it."""
_UNKNOWN = 0.0
"""What Ptychodus itself takes for a number that nobody gave."""


def write_product(
    path: Path,
    *,
    name: str,
    comments: str,
    obj: NDArray[np.complexfloating],
    probe: NDArray[np.complexfloating],
    positions_px: NDArray[np.float64],
    loss: Sequence[float],
    geometry: Geometry,
    given_positions_px: NDArray[np.float64] | None = None,
    opr_modes: NDArray[np.complexfloating] | None = None,
    opr_weights: NDArray[np.floating] | None = None,
    mean_photons: float | None = None,
    slices: NDArray[np.complexfloating] | None = None,
    slice_spacing_m: float | None = None,
) -> None:
    """Write a reconstruction as a Ptychodus product; the same one gives the same bytes.

    Parameters
    ----------
    name, comments : str
    obj : (H, W) complex
    probe : (modes, N, N) complex
        In sqrt(photons) per pixel.
    positions_px : (n, 2) float
        Patch centres in pixels of ``obj``, y first: pixel ``N // 2`` of a patch lies there.
    loss : (epochs,) float
    geometry : Geometry
        The detector's distance is the one that its pixel size and the object's pixel ask for.
    given_positions_px : (n, 2) float, optional
        Those before they were corrected: ``given_position_x_m``, ``_y_m``, which are ours.
    opr_modes : (K, N, N) complex, optional
        What the probe's first mode changes by from frame to frame: they follow in ``probe``, with
        nothing for its other, incoherent modes.
    opr_weights : (n, 1 + K) float, optional
        Of the first mode and of those, in each frame.
    mean_photons : float, optional
        What the probe holds in the mean over frames, where it changes.
    slices : (layers, H, W) complex, optional
        The layers of ``obj``, which the default plot shows.
    slice_spacing_m : float, optional
        Between two of them.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    refuse_foreign(path)
    size, n = geometry.pixel_size_m, probe.shape[-1]
    y_m, x_m = _positions_m(positions_px, obj.shape, n, size).T
    photons = float((np.abs(probe) ** 2).sum()) if mean_photons is None else mean_photons
    probes = probe[None]
    if opr_modes is not None:
        other = np.zeros((len(opr_modes), *probe.shape), probe.dtype)
        other[:, 0] = opr_modes
        probes = np.concatenate([probes, other])
    content = io.BytesIO()  # HDF5 itself may abort the process on a full disk
    with h5py.File(content, "w") as file:
        file.attrs.update(
            writer=WRITER,
            name=name,
            comments=comments,
            detector_object_distance_m=geometry.detector_distance_m(n),
            photon_energy_eV=geometry.energy_ev,
            probe_energy_eV=geometry.energy_ev,  # its name for readers up to 1.6
            probe_photon_count=photons,
            exposure_time_s=_UNKNOWN,
            mass_attenuation_m2_per_kg=_UNKNOWN,
            tomography_angle_deg=_UNKNOWN,
            far_field=True,
        )
        layers = file.create_dataset("object", data=obj[None] if slices is None else slices)
        layers.attrs.update(pixel_width_m=size, pixel_height_m=size, center_x_m=0.0, center_y_m=0.0)
        file["object_layer_spacing_m"] = np.full(len(layers) - 1, slice_spacing_m or _UNKNOWN)
        modes = file.create_dataset("probe", data=probes)
        modes.attrs.update(pixel_width_m=size, pixel_height_m=size)
        if opr_weights is not None:
            file["opr_weights"] = opr_weights
        file["probe_position_indexes"] = np.arange(len(positions_px))
        file["probe_position_x_m"], file["probe_position_y_m"] = x_m, y_m
        if given_positions_px is not None:
            given_y_m, given_x_m = _positions_m(given_positions_px, obj.shape, n, size).T
            file["given_position_x_m"], file["given_position_y_m"] = given_x_m, given_y_m
        file["loss_epochs"] = np.arange(1, len(loss) + 1)
        file["loss_values"] = np.asarray(loss, dtype=float)
        _add_default_plot(file, obj, size)
    with replaced(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _positions_m(
    positions_px: NDArray[np.float64], shape: tuple[int, ...], n: int, pixel_size_m: float
) -> NDArray[np.float64]:
    """Return positions as Ptychodus has them: from the object's centre to a patch's centre.

    Its centres lie at (size - 1) / 2 px for the object and for the patch alike
    (`ptychodus.api.probe.ProbeGeometry.resolve_patch_bounds`), half a pixel before pixel ``N // 2``
    where N is even.
    """
    patch_centre = positions_px - n // 2 + (n - 1) / 2
    positions_m: NDArray[np.float64] = (patch_centre - (np.array(shape) - 1) / 2) * pixel_size_m
    return positions_m


def _add_default_plot(file: h5py.File, obj: NDArray[np.complexfloating], size: float) -> None:
    """Add NXentry/NXdata groups whose default is the phase of the object, with axes in um."""
    file.attrs["default"] = "entry"
    entry = file.create_group("entry")
    entry.attrs.update(NX_class="NXentry", default="object_phase")
    for kind, image, units in (
        ("phase", np.angle(obj), "rad"),
        ("amplitude", np.abs(obj), ""),
    ):
        data = entry.create_group(f"object_{kind}")
        data.attrs.update(NX_class="NXdata", signal=kind, axes=["y", "x"])
        data.attrs["title"] = f"{kind} of the object"
        values = data.create_dataset(kind, data=image.astype(np.float32))
        values.attrs.update(units=units, interpretation="image")
        for axis, length in zip("yx", image.shape, strict=True):
            along: Any = (np.arange(length) - (length - 1) / 2) * size * 1e6
            data.create_dataset(axis, data=along).attrs["units"] = "um"
