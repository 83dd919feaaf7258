"""Any HDF5 file, by a key map: a TOML file that says where everything is and how to take it.

A key map with ``format`` reads another reader's format and applies its edits: crop, rebin and so
on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from fly64tasks.data.measurement import EV_J
from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.study.spec import Count, Positive, Spec, read_spec

METRES = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9}
EV = {"eV": 1.0, "keV": 1e3, "J": 1 / EV_J}
HDF5 = "hdf5"

Length = Literal["m", "mm", "um", "nm"]
Number = Annotated[float, Meta(gt=0)] | str
"""A number, or the key that holds it."""


class KeyMap(Spec, frozen=True):
    """Where a scan is in an HDF5 file, and how it is taken; ``/a/b`` is a key, else a number.

    Attributes
    ----------
    file : str
        The file, from the key map's own folder.
    format : str
        ``hdf5``, where the keys below say all; or the format of another reader, whose scan
        is then edited.
    frames : str
        Counts (n, N, N); more leading axes are a raster.
    frames_are : str
        ``counts`` or ``amplitude``, their square root.
    zero_frequency : str
        ``centre``, or the ``corner``.
    positions : str
        (n, 2) or (2, n), y first, in place of the two below.
    positions_y, positions_x : str
        Each (n,), or as the raster is.
    positions_file : str
        Where the positions are in another file.
    positions_unit : str
        m, mm, um, nm, or px of the object.
    positions_of : str
        What moved: the ``probe``, or the ``sample``, which moves the other way.
    energy, energy_unit : number or key; eV, keV or J
    wavelength, wavelength_unit : number or key, in place of the energy
    distance, distance_unit : number or key
        From sample to detector.
    detector_pixel_size, detector_pixel_size_unit : number or key
        As in the file, before rebinning.
    pixel_size, pixel_size_unit : number or key
        Of the object, in place of energy, distance and detector pixel; as in the file, before
        the frames are cut.
    probe, object : str
    defocus, defocus_unit : float
        How far from its focus the probe is that is guessed where the file has none.
    mask : str
        (N, N), nonzero where a pixel is good.
    bad_pixels : str
        (N, N), nonzero where a pixel is bad.
    dark, flat : str
        Subtracted from, and divided out of, each frame; a stack is averaged.
    counts_per_photon : float
        Divided out of the frames, after the dark.
    first_frame, last_frame, every : int
        Which frames are taken; the last one too.
    good_frames : str
        (n,), nonzero for the frames that are taken.
    detector_transpose, detector_flip_y, detector_flip_x : bool
        Done to each frame, in this order.
    centre_px : (y, x)
        Pixel of the zero frequency in the file's frames; the middle unless given.
    crop_px : int
        Side of the square that is cut out about it.
    rebin : int
        Detector pixels a side that are summed into one, after cutting.
    swap_xy, flip_y, flip_x : bool
        Done to the positions, in this order.
    """

    file: str
    format: str = HDF5
    frames: str | None = None
    frames_are: Literal["counts", "amplitude"] = "counts"
    zero_frequency: Literal["centre", "corner"] = "centre"
    positions: str | None = None
    positions_y: str | None = None
    positions_x: str | None = None
    positions_file: str | None = None
    positions_unit: Literal["m", "mm", "um", "nm", "px"] = "m"
    positions_of: Literal["probe", "sample"] = "probe"
    energy: Number | None = None
    energy_unit: Literal["eV", "keV", "J"] = "eV"
    wavelength: Number | None = None
    wavelength_unit: Length = "m"
    distance: Number | None = None
    distance_unit: Length = "m"
    detector_pixel_size: Number | None = None
    detector_pixel_size_unit: Length = "m"
    pixel_size: Number | None = None
    pixel_size_unit: Length = "m"
    probe: str | None = None
    object: str | None = None
    defocus: float = 0.0
    defocus_unit: Length = "um"
    mask: str | None = None
    bad_pixels: str | None = None
    dark: str | None = None
    flat: str | None = None
    counts_per_photon: Positive | None = None
    first_frame: Annotated[int, Meta(ge=0)] = 0
    last_frame: Annotated[int, Meta(ge=0)] | None = None
    every: Count = 1
    good_frames: str | None = None
    detector_transpose: bool = False
    detector_flip_y: bool = False
    detector_flip_x: bool = False
    centre_px: tuple[float, float] | None = None
    crop_px: Annotated[int, Meta(ge=4, le=2**15)] | None = None
    rebin: Annotated[int, Meta(ge=1, le=256)] = 1
    swap_xy: bool = False
    flip_y: bool = False
    flip_x: bool = False


_OF_FORMATS = {
    "file",
    "format",
    "defocus",
    "defocus_unit",
    "first_frame",
    "last_frame",
    "every",
    "detector_transpose",
    "detector_flip_y",
    "detector_flip_x",
    "centre_px",
    "crop_px",
    "rebin",
    "swap_xy",
    "flip_y",
    "flip_x",
}
"""What a key map may say of a file that another reader reads."""


def read_keymap(path: Path, formats: tuple[str, ...]) -> KeyMap:
    """Read and check a key map; ``formats`` are those that it may name.

    Raises
    ------
    DatasetError
        A key is unknown (with the nearest known one), a value out of range, or two contradict.
    """
    try:
        keymap = read_spec(KeyMap, path, "a key map")
    except StudyError as error:
        raise DatasetError(str(error)) from None
    known = (HDF5, *formats)
    if keymap.format not in known:
        raise DatasetError(
            f"{path}: format is {keymap.format!r:.60}, expected one of {', '.join(known)}"
        )
    if keymap.format != HDF5:
        default = KeyMap(file="")
        for name, value in keymap.to_dict().items():
            if name not in _OF_FORMATS and value != getattr(default, name):
                raise DatasetError(
                    f"{path}: {name} is for format = {HDF5!r}, expected none with "
                    f"{keymap.format!r}, which says it itself"
                )
        return keymap
    if keymap.frames is None:
        raise DatasetError(f"{path}: frames is missing, expected the key of the counts")
    if (keymap.positions is None) == (keymap.positions_y is None or keymap.positions_x is None):
        raise DatasetError(f"{path}: expected either positions, or positions_y and positions_x")
    if keymap.mask and keymap.bad_pixels:
        raise DatasetError(f"{path}: has mask and bad_pixels, expected one of them")
    return keymap
