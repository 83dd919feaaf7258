"""HDF5 files of others: opened to be read, every failure one line that names file and key."""

from __future__ import annotations

import fnmatch
import importlib
import math
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.doitext.errors import machine_fault, nearest
from fly64tasks.errors import DatasetError, machine_error

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CHUNK_CACHE_BYTES = 64 * 2**20
"""What HDF5 keeps of chunks it has unpacked; its own 1 MB is less than one chunk of many frames."""
MOST_BYTES = 2**31
"""Most that an array may take which is not frames: positions, masks, a dark stack."""
_MOST_NAMES = 5000
_DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError)


class Hdf5:
    """An open file; those opened beside it close with it.

    Parameters
    ----------
    path : Path
    stack : ExitStack
        Closes it.
    opened : list of Path
        Gets its path, and that of each file opened beside it.
    """

    def __init__(self, path: Path, stack: ExitStack, opened: list[Path]) -> None:
        self.path, self.stack, self.opened = path, stack, opened
        opened.append(path)
        try:
            self.file = stack.enter_context(
                h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES, locking="best-effort")
            )
        except OSError as error:
            if machine_fault(error):
                raise machine_error(error) from None
            if isinstance(error, FileNotFoundError) or not path.exists():
                raise DatasetError(f"{path}: no such file or directory") from None
            raise DatasetError(f"{path}: can not be opened as HDF5 ({_said(error)})") from None

    def __contains__(self, key: str) -> bool:
        try:
            return key in self.file
        except _DAMAGE:
            return False

    def beside(self, path: Path) -> Hdf5:
        """Open another file."""
        return Hdf5(path, self.stack, self.opened)

    def error(self, key: str, problem: str) -> DatasetError:
        return DatasetError(f"{self.path}: {key} {problem}")

    def refusal(self, problem: str) -> DatasetError:
        return DatasetError(f"{self.path}: {problem}")

    def dataset(self, *keys: str) -> h5py.Dataset:
        """Return the dataset of the first key that is there.

        Raises
        ------
        DatasetError
            None is; with the nearest name that the file has.
        """
        for key in keys:
            if key in self:
                found = self.file[key]
                if not isinstance(found, h5py.Dataset):
                    raise self.error(key, "is a group, expected a dataset")
                self._need_filters(key, found)
                return found
        names = self.names()
        near = nearest(keys[0], names)
        hint = f"did you mean {near}?" if near else f"found {', '.join(names[:12]) or 'nothing'}"
        raise self.error(" or ".join(keys), f"is missing; {hint}")

    def names(self) -> list[str]:
        """Return the paths of the datasets, of a few thousand at most."""
        found: list[str] = []

        def note(name: str, item: Any) -> bool | None:
            if isinstance(item, h5py.Dataset):
                found.append(f"/{name}")
            return True if len(found) > _MOST_NAMES else None

        with suppress(*_DAMAGE):
            self.file.visititems(note)
        return found

    def array(self, *keys: str, kinds: str = "biuf") -> NDArray[Any]:
        """Return an array of one of these dtype kinds."""
        found = self.dataset(*keys)
        key = str(found.name)
        if found.dtype.kind not in kinds and not _is_complex_pair(found.dtype):
            raise self.error(key, f"has dtype {found.dtype}, expected numbers")
        if found.nbytes > MOST_BYTES:  # what is never written takes no room in the file
            raise self.error(
                key, f"takes {found.nbytes / 1e9:.3g} GB, expected at most {MOST_BYTES / 1e9:.3g}"
            )
        try:
            array = np.asarray(found[()])
        except _DAMAGE as error:
            raise self._unreadable(key, error) from None
        if _is_complex_pair(array.dtype):  # as MATLAB writes complex numbers
            real, imaginary = (array[name] for name in array.dtype.names or ())
            return np.asarray(real + 1j * imaginary)
        return array

    def complex_array(self, *keys: str) -> NDArray[np.complexfloating]:
        """Return an array as complex numbers, finite ones."""
        array = self.array(*keys, kinds="biufc")
        if not np.isfinite(array).all():
            raise self.error(keys[0], "holds NaN or infinite values, expected finite numbers")
        return array.astype(np.complex128, copy=False)

    def number(self, *keys: str) -> float:
        """Return one number, of a dataset of one element or of the mean of several equal ones."""
        array = self.array(*keys)
        if array.size == 0:
            raise self.error(keys[0], "is empty, expected a number")
        first = float(array.ravel()[0])
        if not math.isfinite(first) or not np.allclose(array, first, rtol=1e-3, atol=0):
            raise self.error(keys[0], f"holds {array.size} different values, expected one number")
        return float(array.mean()) if array.size > 1 else first

    def number_or_none(self, *keys: str) -> float | None:
        """Return one number, or None where no key is there."""
        there = [key for key in keys if key in self]
        return self.number(*there) if there else None

    def attribute(self, name: str, key: str = "/") -> float | None:
        """Return an attribute that is a number, or None."""
        value = self.file[key].attrs.get(name)
        if value is None:
            return None
        try:
            return float(np.asarray(value).ravel()[0])
        except (TypeError, ValueError, IndexError):
            raise self.error(f"{key}@{name}", f"is {value!r:.60}, expected a number") from None

    def units(self, key: str) -> str:
        """Return what a dataset's attribute ``units`` says, in lower case."""
        found = self.file[key].attrs.get("units", "")
        return (found.decode() if isinstance(found, bytes) else str(found)).strip().lower()

    def text(self, *keys: str) -> str:
        """Return a text, empty where no key is there."""
        for key in keys:
            if key in self and isinstance(self.file[key], h5py.Dataset):
                value = self.file[key][()]
                first = np.asarray(value).ravel()
                item = first[0] if first.size else ""
                return item.decode(errors="replace") if isinstance(item, bytes) else str(item)
        return ""

    def frames(self, *keys: str) -> FrameStack:
        """Return frames (n, height, width) of a dataset; leading axes are one, in their order.

        A key whose last part has a ``*`` is all datasets that it fits, in the order of their names,
        as detectors write them that begin a new one every thousand frames.

        Raises
        ------
        DatasetError
            It has fewer than three axes, or holds no real numbers.
        """
        if "*" in keys[0]:
            group, _, pattern = keys[0].rpartition("/")
            there = self.file[group or "/"] if (group or "/") in self else ()
            names = sorted(fnmatch.filter(there, pattern))
            if not names:
                raise self.error(
                    keys[0], f"fits none of {', '.join(list(there)[:12]) or 'nothing'}"
                )
            parts = [self.dataset(f"{group}/{name}") for name in names]
            if len({part.shape[1:] for part in parts}) > 1:
                raise self.error(keys[0], "fits datasets with frames of several sizes")
        else:
            parts = [self.dataset(*keys)]
        return FrameStack.of(*map(self._flat, parts))

    def _flat(self, found: h5py.Dataset) -> _Flat:
        key = str(found.name)
        if found.dtype.kind not in "iuf":
            raise self.error(key, f"has dtype {found.dtype}, expected counts")
        if found.ndim < 3 or 0 in found.shape:
            raise self.error(key, f"has shape {found.shape}, expected (n, N, N)")
        return _Flat(self, key, found)

    def _need_filters(self, key: str, dataset: h5py.Dataset) -> None:
        """Refuse a compression that nothing here unpacks, and say what does."""
        for missing in _missing_filters(dataset):
            with suppress(ModuleNotFoundError):
                importlib.import_module("hdf5plugin")
            if not _missing_filters(dataset):
                return
            raise self.error(
                key,
                f"is compressed by HDF5 filter {missing}; install what unpacks it: "
                "pip install hdf5plugin",
            )

    def _unreadable(self, key: str, error: Exception) -> DatasetError:
        return self.error(key, f"can not be read ({_said(error)}); is the file whole?")


class _Flat:
    """A dataset (..., height, width) as frames (n, height, width)."""

    def __init__(self, file: Hdf5, key: str, dataset: h5py.Dataset) -> None:
        self._file, self._key, self._dataset = file, key, dataset
        *leading, height, width = dataset.shape
        self._leading = tuple(leading)
        self.shape = (math.prod(leading), height, width)
        self.dtype = dataset.dtype

    def __getitem__(self, key: slice) -> Any:
        start, stop, _ = key.indices(self.shape[0])
        try:
            if len(self._leading) == 1:
                return self._dataset[start:stop]
            last = self._leading[-1]
            rows = []
            while start < stop:  # as many as one row of the innermost leading axis has
                *outer, inner = np.unravel_index(start, self._leading)
                count = min(stop - start, last - int(inner))
                rows.append(self._dataset[(*map(int, outer), slice(inner, inner + count))])
                start += count
            return np.concatenate(rows)
        except _DAMAGE as error:
            raise self._file._unreadable(self._key, error) from None


def _missing_filters(dataset: h5py.Dataset) -> list[str]:
    try:
        properties = dataset.id.get_create_plist()
        used = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    except _DAMAGE:
        return []
    return [
        f"{code} ({name.decode(errors='replace').partition(';')[0] or 'no name'})"
        for code, _, _, name in used
        if not h5py.h5z.filter_avail(code)
    ]


def _is_complex_pair(dtype: np.dtype[Any]) -> bool:
    return bool(dtype.names) and len(dtype.names or ()) == 2


def _said(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0][:200] if text else type(error).__name__
