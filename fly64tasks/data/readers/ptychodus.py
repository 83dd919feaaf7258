"""Ptychodus: ``diffraction.h5`` and ``product.h5``, of one folder; and our own products.

Diffraction: ``patterns`` (n, N, N) with attributes ``detector_pixel_width_m`` and ``_height_m``,
``indexes`` (n,), ``bad_pixels`` (N, N). Product: see `fly64tasks.data.writers.product`. The two are
joined by index, as Ptychodus does: frames without a position, and positions without a frame, are
left out. A product of ours without a ``diffraction.h5`` beside it takes its frames from the set
that the ``run.json`` beside it names.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from fly64tasks.data.edits import oriented
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import SQUARE, Measurement, centred_px
from fly64tasks.data.ownership import WRITER
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.data.readers.pair import scan_and_probe
from fly64tasks.data.writers.product import SIZES_ARE

KIND = "Ptychodus"
DIFFRACTION, PRODUCT, RUN_RECORD = "diffraction.h5", "product.h5", "run.json"


def claims(file: Hdf5) -> bool:
    """Return whether a file is a diffraction file or a product."""
    return ("patterns" in file and "indexes" in file) or is_product(file)


def is_product(file: Hdf5) -> bool:
    """Return whether a file is a Ptychodus product."""
    return "probe_position_x_m" in file and "detector_object_distance_m" in file.file.attrs


def read(file: Hdf5) -> Measurement:
    """Return the scan of a diffraction file and a product, of which either was named.

    Raises
    ------
    DatasetError
        The other one is not beside it, or the product is of another model than the far field.
    """
    named_product = is_product(file)
    other = file.path.with_name(DIFFRACTION if named_product else PRODUCT)
    if other.exists() and other != file.path:
        beside = file.beside(other)
        product, diffraction = (file, beside) if named_product else (beside, file)
        return _joined(diffraction, product)
    if not named_product:
        raise file.refusal(
            f"holds frames without positions, expected the product that has them beside it as "
            f"{PRODUCT}"
        )
    return _with_its_set(file)


def _joined(diffraction: Hdf5, product: Hdf5) -> Measurement:
    frames = diffraction.frames("patterns")
    indexes = diffraction.array("indexes").ravel().astype(int)
    found = of_product(product, frames.shape[-1])
    where = {int(index): row for row, index in enumerate(_position_indexes(product))}
    kept = np.flatnonzero([index in where for index in indexes])
    if len(kept) == 0:
        raise product.error(
            "probe_position_indexes", f"has none of the indexes of {diffraction.path.name}"
        )
    rows = [where[int(index)] for index in indexes[kept]]
    left = [
        f"{count} {what} are left out"
        for count, what in (
            (len(indexes) - len(kept), "frames without a position"),
            (len(where) - len(kept), "positions without a frame"),
        )
        if count
    ]
    pixel = diffraction.attribute("detector_pixel_width_m", "patterns")
    height = diffraction.attribute("detector_pixel_height_m", "patterns")
    if pixel and height and abs(pixel - height) > SQUARE * pixel:
        raise diffraction.error(
            "patterns", f"has pixels of {height:g} x {pixel:g} m, expected square ones"
        )
    bad = diffraction.array("bad_pixels") if "bad_pixels" in diffraction else None
    return replace(
        found,
        path=diffraction.path,
        frames=frames if len(kept) == len(indexes) else frames.kept(kept),
        positions_px=found.positions_px[rows],
        mask=None if bad is None or not bad.any() else bad == 0,
        detector_pixel_size_m=pixel or None,
        notes=found.notes + tuple(left),
    )


def _position_indexes(product: Hdf5) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if "probe_position_indexes" in product:
        return product.array("probe_position_indexes").ravel().astype(np.int64)
    return np.arange(product.dataset("probe_position_x_m").shape[0])


def of_product(file: Hdf5, frame_size_px: int | None = None) -> Measurement:
    """Return what a product says of a scan; it has no frames (n, 0, 0) of its own.

    Parameters
    ----------
    frame_size_px : int, optional
        Of the frames that go with it; that of its probe unless given.
    """
    if file.file.attrs.get("far_field", True) in (False, 0):
        raise file.refusal(
            "is a near-field product (far_field = False), expected the far field: the forward "
            "model here is one Fourier transform"
        )
    obj = file.complex_array("object")
    layers = obj.reshape(-1, *obj.shape[-2:])
    pixel = file.attribute("pixel_width_m", "object")
    height = file.attribute("pixel_height_m", "object")
    if not pixel or not height:
        raise file.error("object", "says no pixel_width_m and pixel_height_m, expected them")
    if abs(pixel - height) > SQUARE * pixel:
        raise file.error("object", f"has pixels of {height:g} x {pixel:g} m, expected square ones")
    centre = [file.attribute(f"center_{axis}_m", "object") or 0.0 for axis in "yx"]
    positions_m, probe, notes = scan_and_probe(file, len(layers))
    size = frame_size_px or probe.shape[-1]
    energy = file.attribute("photon_energy_eV") or file.attribute("probe_energy_eV")
    fits = probe.shape[-1] == size
    if not fits:
        notes += (f"probe: left out, {probe.shape[-1]} px for {size} px frames",)
    return Measurement(
        path=file.path,
        kind=KIND,
        frames=FrameStack((len(positions_m), 0, 0), np.int64, lambda start, stop: np.empty(0)),
        positions_px=centred_px(positions_m - centre, pixel, layers.shape, size),
        probe=probe if fits else None,
        obj=layers[0] if len(layers) == 1 else None,
        pixel_size_m=pixel,
        energy_ev=energy or None,
        sizes_assumed=f"{SIZES_ARE} assumed." in str(file.file.attrs.get("comments", "")),
        notes=notes,
    )


def _with_its_set(product: Hdf5) -> Measurement:
    """Return the scan of our own product, with the frames of the set that it was made from."""
    from fly64tasks.data.readers import open_measurement

    found = of_product(product)
    record = product.path.with_name(RUN_RECORD)
    try:
        said = json.loads(record.read_text("utf-8"))
        if said.get("writer") != WRITER:
            raise ValueError
        source = Path(said["input"]["path"])
        n = int(said["start"]["n_frames_in_set"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise product.refusal(
            f"holds no frames, expected them in {DIFFRACTION} beside it (or, for a product of "
            f"ours, in the set that {RUN_RECORD} beside it names)"
        ) from None
    if not source.exists():
        raise product.refusal(
            f"was made from {source}, which is not there: {RUN_RECORD} beside it names it; "
            f"expected that set, or {DIFFRACTION} beside the product"
        )
    made_from = product.stack.enter_context(open_measurement(source))
    read_as = said.get("data", {})
    if isinstance(read_as, dict) and read_as.get("detector_transpose") is True:  # as the run had it
        made_from = oriented(made_from, transpose=True, flip_y=False, flip_x=False)
    if n != len(found.positions_px) or n != len(made_from.frames):
        raise product.refusal(
            f"has {len(found.positions_px)} positions and its set {source} has "
            f"{len(made_from.frames)} frames, expected as many: it was made of some of them"
        )
    return replace(
        found,
        path=product.path,
        kind="product of ours",
        files=(source, *made_from.files),
        frames=made_from.frames,
        mask=made_from.mask,
        detector_pixel_size_m=made_from.detector_pixel_size_m,
    )
