"""NPZ archives: opened without pickle, every failure one line that names file and key.

Written whole or not at all, over our own files only.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.doitext.atomic import replaced
from fly64tasks.errors import DatasetError

WRITER = "fly64tasks"
MAGNITUDE_LIMIT = 1e9
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted
    NotImplementedError,  # a compression that zipfile does not know
    MemoryError,  # a shape that can not be meant
)


class Archive:
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

    def __enter__(self) -> Archive:
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
            except _DAMAGE as error:
                raise self.error(key, f"is damaged ({error}); write the file again") from None
            if not isinstance(array, np.ndarray):
                raise self.error(key, "is not an array; write the file with numpy.savez")
            return array
        raise DatasetError(
            f"{self.path}: {' or '.join(keys)} is missing, found "
            f"{', '.join(self._npz.files) or 'no key'}"
        )

    def numbers(self, *keys: str, kinds: str, expected: str) -> NDArray[Any]:
        """Return an array of one of these dtype kinds, finite and within single precision."""
        array = self.get(*keys)
        key = next(key for key in keys if key in self)
        if array.dtype.kind not in kinds:
            raise self.error(key, f"has dtype {array.dtype}, expected {expected}")
        if array.size == 0:
            raise self.error(key, f"is empty (shape {array.shape}), expected at least one frame")
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise self.error(key, f"holds {bad} NaN or infinite values, expected finite numbers")
        largest = float(np.abs(array).max())
        if largest > MAGNITUDE_LIMIT:
            raise self.error(
                key, f"holds magnitudes up to {largest:.3g}, expected at most {MAGNITUDE_LIMIT:g}"
            )
        return array

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


def _is_ours(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            found = json.loads(path.read_text("utf-8"))
            return isinstance(found, dict) and found.get("writer") == WRITER
        with Archive(path) as arrays:
            return arrays.metadata().get("writer") == WRITER
    except (DatasetError, ValueError):
        return False
