"""The NPZ contract DATA-001: the only reader and writer of study NPZs.

`numpy.load` opens the archive without pickle; all that the contract asks is checked here, before
anything else sees an array, each violation with its own message.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.doitext.atomic import replaced
from fly64tasks.errors import DatasetError

WRITER = "fly64tasks"


@dataclass(frozen=True)
class PtychoDataset:
    """One ptychographic set, as the contract has it.

    Attributes
    ----------
    diffraction_amplitude : (n, N, N) float32
        Square root of photon counts, zero frequency centred (key ``diffraction``).
    object_guess : (H, W) complex64
        Object; the ground truth in simulated sets (``objectGuess``).
    probe_guess : (modes, N, N) complex64
        Illumination in sqrt(photons) per pixel (``probeGuess``, also (N, N)).
    positions_px : (n, 2) float64
        Patch centres in the object's frame, y first (``ycoords``, ``xcoords``).
    object_patches : (n, M, M) complex64 or None
        Object patch of each frame (``Y``).
    filenames : (n,) str or None
        Name of each frame.
    metadata : dict
        JSON of ``_metadata``; empty where the file has none.
    """

    diffraction_amplitude: NDArray[np.float32]
    object_guess: NDArray[np.complex64]
    probe_guess: NDArray[np.complex64]
    positions_px: NDArray[np.float64]
    object_patches: NDArray[np.complex64] | None = None
    filenames: NDArray[np.str_] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def frame_size_px(self) -> int:
        """Return N, the width of a diffraction frame."""
        return int(self.diffraction_amplitude.shape[-1])

    @property
    def is_simulated(self) -> bool:
        """Return whether the object is the truth that the diffraction was simulated from."""
        return bool(self.metadata.get("simulated", False))

    def select(self, frames: NDArray[np.integer]) -> PtychoDataset:
        """Return the set with these frames only, by index, in the order given."""
        return replace(
            self,
            diffraction_amplitude=self.diffraction_amplitude[frames],
            positions_px=self.positions_px[frames],
            object_patches=None if self.object_patches is None else self.object_patches[frames],
            filenames=None if self.filenames is None else self.filenames[frames],
        )


@dataclass(frozen=True)
class Base:
    """What a study simulates from: object, probe and scan; no diffraction.

    Attributes
    ----------
    object_guess : (H, W) complex
    probe_guess : (modes, N, N) complex
        In any scale: each dose sets the power.
    positions_px : (n, 2) float64
        Patch centres in the object's frame, y first.
    metadata : dict
    """

    object_guess: NDArray[np.complexfloating]
    probe_guess: NDArray[np.complexfloating]
    positions_px: NDArray[np.float64]
    metadata: dict[str, Any] = field(default_factory=dict)


def read_dataset(path: Path) -> PtychoDataset:
    """Read a Phase C or Phase D set and check it against the contract.

    Raises
    ------
    DatasetError
        One line: the file, what was found, what the contract expects.
    """
    with _Archive(path) as arrays:
        return _dataset(arrays)


def _dataset(arrays: _Archive) -> PtychoDataset:
    metadata = arrays.metadata()
    positions = arrays.positions()
    n = len(positions)
    amplitude = _frames_first(arrays, n, metadata)
    size = amplitude.shape[-1]
    if size < 4:
        raise arrays.error("diffraction", f"has frames of {size} px, expected at least 4")
    if amplitude.min() < 0:
        raise arrays.error(
            "diffraction", f"holds {amplitude.min():g}, expected amplitudes, 0 or more"
        )
    if not amplitude.any():
        raise arrays.error("diffraction", "is zero everywhere, expected measured amplitudes")
    if amplitude.max() > 1 and np.array_equal(amplitude, np.round(amplitude)):
        raise arrays.error(
            "diffraction",
            "holds whole numbers only, as photon counts do; expected amplitude, the square root "
            "of counts",
        )
    probe = _probe(arrays)
    if probe.shape[-1] != size:
        raise arrays.error(
            "probeGuess", f"is {size_text(probe.shape)}, expected N = {size} to match diffraction"
        )
    return PtychoDataset(
        diffraction_amplitude=amplitude.astype(np.float32, copy=False),
        object_guess=_object(arrays).astype(np.complex64),
        probe_guess=probe.astype(np.complex64),
        positions_px=positions,
        object_patches=_object_patches(arrays, n),
        filenames=_filenames(arrays, n),
        metadata=metadata,
    )


def read_base(path: Path) -> Base:
    """Read object, probe and scan to simulate from; any diffraction in the file is ignored.

    Raises
    ------
    DatasetError
        As `read_dataset`.
    """
    with _Archive(path) as arrays:
        return Base(_object(arrays), _probe(arrays), arrays.positions(), arrays.metadata())


def write_dataset(path: Path, dataset: PtychoDataset) -> None:
    """Write a set; the same set gives the same bytes.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    arrays: dict[str, NDArray[Any]] = {
        "diffraction": dataset.diffraction_amplitude.astype(np.float32, copy=False),
        "objectGuess": dataset.object_guess.astype(np.complex64),
        "probeGuess": _squeeze_single_mode(dataset.probe_guess).astype(np.complex64),
        "xcoords": dataset.positions_px[:, 1],
        "ycoords": dataset.positions_px[:, 0],
    }
    if dataset.object_patches is not None:
        arrays["Y"] = dataset.object_patches.astype(np.complex64, copy=False)
    if dataset.filenames is not None:
        arrays["filenames"] = dataset.filenames
    write_npz(path, arrays, dataset.metadata)


def write_base(path: Path, base: Base) -> None:
    """Write a base; raises as `write_dataset`."""
    write_npz(
        path,
        {
            "objectGuess": base.object_guess,
            "probeGuess": _squeeze_single_mode(base.probe_guess),
            "xcoords": base.positions_px[:, 1],
            "ycoords": base.positions_px[:, 0],
        },
        base.metadata,
    )


def write_npz(path: Path, arrays: dict[str, NDArray[Any]], metadata: dict[str, Any]) -> None:
    """Write arrays and ``_metadata`` whole or not at all, over our own files only.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    refuse_foreign(path)
    text = json.dumps({"writer": WRITER, **metadata}, ensure_ascii=False)
    with replaced(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, _metadata=np.array(text))


def refuse_foreign(path: Path) -> None:
    """Refuse to write over a file that is not ours: an NPZ or JSON that does not carry our mark.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    if path.exists() and not _is_ours(path):
        raise DatasetError(
            f"{path}: exists and was not written by {WRITER}; expected a free name: move it away "
            "or choose another folder"
        )


def size_text(shape: tuple[int, ...]) -> str:
    """Return a shape in words.

    >>> size_text((8, 64, 64))
    '8 x 64 x 64'
    """
    return " x ".join(map(str, shape)) or "a scalar"


class _Archive:
    """An open NPZ whose every failure names the file and the key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                if file.read(2) != b"PK":
                    raise DatasetError(f"{path}: not an NPZ (zip) file; expected one of DATA-001")
            if not zipfile.is_zipfile(path):
                raise zipfile.BadZipFile("its zip directory is missing")
            self._npz = np.load(path, allow_pickle=False)
        except OSError as error:
            raise DatasetError(
                f"{path}: {(error.strerror or str(error)).lower()}; expected an NPZ file"
            ) from None
        except (zipfile.BadZipFile, ValueError) as error:
            raise DatasetError(
                f"{path}: damaged or truncated NPZ ({error}); write it again"
            ) from None

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *raised: object) -> None:
        self._npz.close()

    def __contains__(self, key: str) -> bool:
        return key in self._npz.files

    def error(self, key: str, problem: str) -> DatasetError:
        return DatasetError(f"{self.path}: {key} {problem}")

    def get(self, *keys: str) -> NDArray[Any]:
        """Return the array of the first key that is there."""
        for key in keys:
            if key not in self:
                continue
            try:
                array: NDArray[Any] = self._npz[key]
            except ValueError as error:
                if "pickle" in str(error):
                    raise self.error(
                        key, "is a pickled object array, expected plain numbers or text"
                    ) from None
                raise self.error(key, f"can not be read ({error}); write the file again") from None
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
                raise self.error(key, f"is damaged ({error}); write the file again") from None
            return array
        raise DatasetError(
            f"{self.path}: {' or '.join(keys)} is missing, found "
            f"{', '.join(self._npz.files) or 'no key'}"
        )

    def numbers(self, *keys: str, kinds: str, expected: str) -> NDArray[Any]:
        """Return a finite array of one of these dtype kinds."""
        array = self.get(*keys)
        key = next(key for key in keys if key in self)
        if array.dtype.kind not in kinds:
            raise self.error(key, f"has dtype {array.dtype}, expected {expected}")
        if array.size == 0:
            raise self.error(key, f"is empty (shape {array.shape}), expected at least one frame")
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise self.error(key, f"holds {bad} NaN or infinite values, expected finite numbers")
        return array

    def positions(self) -> NDArray[np.float64]:
        """Return (n, 2) positions, y first."""
        axes = {}
        for key in ("ycoords", "xcoords"):
            array = self.numbers(key, kinds="fiu", expected="float positions in px")
            if array.ndim != 1:
                raise self.error(key, f"has shape {array.shape}, expected (n,)")
            axes[key] = array.astype(np.float64)
        if len(axes["xcoords"]) != len(axes["ycoords"]):
            raise self.error(
                "xcoords",
                f"has shape {axes['xcoords'].shape}, expected {axes['ycoords'].shape} to match "
                "ycoords",
            )
        return np.column_stack([axes["ycoords"], axes["xcoords"]])

    def metadata(self) -> dict[str, Any]:
        """Return the JSON of ``_metadata``, or an empty dict."""
        if "_metadata" not in self:
            return {}
        array = self.get("_metadata")
        try:
            if array.shape != () or array.dtype.kind != "U":
                raise ValueError(f"dtype {array.dtype}, shape {array.shape}")
            metadata = json.loads(str(array))
            if not isinstance(metadata, dict):
                raise ValueError(f"JSON {type(metadata).__name__}")  # noqa: TRY004
        except ValueError as error:
            raise self.error(
                "_metadata", f"is not readable ({error}), expected JSON text of an object"
            ) from None
        return metadata


def _frames_first(arrays: _Archive, n: int, metadata: dict[str, Any]) -> NDArray[np.floating]:
    """Return diffraction as (n, N, N), turned round from (N, N, n) where that is certain."""
    key = "diffraction" if "diffraction" in arrays else "diff3d"
    array = arrays.numbers(
        "diffraction", "diff3d", kinds="f", expected="float amplitude (square root of counts)"
    )
    if array.ndim != 3:
        raise arrays.error(key, f"has shape {array.shape}, expected (n, N, N)")
    frames_first = array.shape[0] == n and array.shape[1] == array.shape[2]
    frames_last = array.shape[2] == n and array.shape[0] == array.shape[1]
    if frames_first and frames_last and metadata.get("diffraction_order") != "NHW":
        raise arrays.error(
            key,
            f"has shape {array.shape} with {n} positions: (n, N, N) and (N, N, n) both fit; "
            'expected an unambiguous order: say {"diffraction_order": "NHW"} in _metadata or '
            "leave a frame out",
        )
    if frames_first:
        return array
    if frames_last:
        return np.ascontiguousarray(np.moveaxis(array, 2, 0))
    raise arrays.error(
        key,
        f"has shape {array.shape}, expected ({n}, N, N) with square frames to match the {n} "
        "positions of xcoords and ycoords",
    )


def _object(arrays: _Archive) -> NDArray[np.complexfloating]:
    array = arrays.numbers("objectGuess", kinds="c", expected="complex")
    if array.ndim != 2:
        raise arrays.error("objectGuess", f"has shape {array.shape}, expected (H, W)")
    return array


def _probe(arrays: _Archive) -> NDArray[np.complexfloating]:
    array = arrays.numbers("probeGuess", kinds="c", expected="complex")
    if array.ndim not in (2, 3) or array.shape[-1] != array.shape[-2]:
        raise arrays.error(
            "probeGuess", f"has shape {array.shape}, expected (N, N) or (modes, N, N)"
        )
    if not array.any():
        raise arrays.error("probeGuess", "is zero everywhere, expected an illumination")
    return array.reshape(-1, *array.shape[-2:])


def _object_patches(arrays: _Archive, n: int) -> NDArray[np.complex64] | None:
    if "Y" not in arrays:
        return None
    array = arrays.numbers("Y", kinds="c", expected="complex")
    if array.ndim != 3 or array.shape[0] != n or array.shape[1] != array.shape[2]:
        raise arrays.error("Y", f"has shape {array.shape}, expected ({n}, M, M)")
    return array.astype(np.complex64, copy=False)


def _filenames(arrays: _Archive, n: int) -> NDArray[np.str_] | None:
    if "filenames" not in arrays:
        return None
    array = arrays.get("filenames")
    if array.dtype.kind not in "US" or array.shape != (n,):
        raise arrays.error(
            "filenames", f"has dtype {array.dtype}, shape {array.shape}, expected text, ({n},)"
        )
    return array.astype(np.str_)


def _squeeze_single_mode(probe: NDArray[Any]) -> NDArray[Any]:
    return probe[0] if probe.shape[0] == 1 else probe


def _is_ours(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            found = json.loads(path.read_text("utf-8"))
            return isinstance(found, dict) and found.get("writer") == WRITER
        with _Archive(path) as arrays:
            return arrays.metadata().get("writer") == WRITER
    except (DatasetError, ValueError):
        return False
