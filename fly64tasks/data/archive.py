"""NPZ archives: opened without pickle, every failure one line that names file and key.

Written whole or not at all, over our own files only. numpy's own reader takes a file at its word:
here what a member declares is held against what it holds, and what inflates against a limit of the
memory that reading the file takes, before memory is asked for.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.metadata import COMPRESSIONS, METADATA_LIMIT_BYTES, parse_metadata
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.errors import machine_fault
from fly64tasks.errors import (
    DatasetError,
    Fly64Error,
    MachineError,
    machine_error,
    shortened,
)

MAGNITUDE_LIMIT = 1e9
INFLATED_LIMIT_GB = 8.0
"""Most memory that reading a file's compressed arrays may take, copies of them included."""
INFLATED_LIMIT_VARIABLE = "FLY64TASKS_MAX_INFLATED_GB"
HEADER_LIMIT_BYTES = 1024
"""Most that the header of an array may take; numpy's take 128 or little more."""
_MAGIC = b"\x93NUMPY"
_LONG_OF_PYTHON_2 = re.compile(rb"(?<=[0-9])L(?=[,)])")
"""The letter in ``(12L, 16L)``: a shape as Python 2 wrote it."""
_BLOCK = 2**18
"""Numbers that are read or looked at at once."""
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted, a compression that zipfile does not know, recursion
    MemoryError,
    ValueError,
    OverflowError,
    SyntaxError,  # these three from headers that numpy reads as Python literals
    TokenError,
    TypeError,
)


class Unreadable(DatasetError):
    """A member that is whole, and holds what is never read or can not be understood."""


class _Declared(NamedTuple):
    """What the header of an array says, and where its numbers begin."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    begin: int

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Stored:
    """An array inside a file, read in parts along its first axis."""

    path: Path
    begin: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, key: slice) -> Any:
        start, stop, _ = key.indices(self.shape[0])
        size = math.prod(self.shape[1:])
        where = self.begin + start * size * self.dtype.itemsize
        count = max(stop - start, 0) * size
        read = np.fromfile(self.path, self.dtype, count, offset=where)
        if read.size < count:
            raise DatasetError(f"{self.path}: ends early; write it again")
        return read.reshape(-1, *self.shape[1:])


def blocks_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the numbers of an array in flat parts, so that a look at them takes no memory.

    >>> [part.tolist() for part in blocks_of(np.array([[1, 2], [3, 4]]))]
    [[1, 2, 3, 4]]
    """
    flat = array.ravel(order="K")  # no copy of what is contiguous in either order
    for begin in range(0, flat.size, _BLOCK):
        yield flat[begin : begin + _BLOCK]


class Archive:
    """An open NPZ whose every failure names the file and the key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken_bytes = 0
        try:
            str(path).encode()
            path.stat()
            if not path.is_file():
                what = "is a directory" if path.is_dir() else "is neither a file nor a link to one"
                raise DatasetError(f"{path}: {what}; expected a file")
            with path.open("rb") as file:
                if file.read(2) != b"PK":
                    raise DatasetError(
                        f"{path}: not an NPZ (zip) file; expected one, or of a scan HDF5 or a key "
                        "map (.toml)"
                    )
            if not zipfile.is_zipfile(path):
                raise zipfile.BadZipFile("its zip directory is missing")
            self._zip = zipfile.ZipFile(path)
        except UnicodeEncodeError:
            raise DatasetError(f"{path}: its name is not UTF-8; rename it") from None
        except OSError as error:
            if machine_fault(error) and not isinstance(error, PermissionError):
                raise machine_error(error) from None
            said = (error.strerror or str(error)).lower()
            raise DatasetError(f"{path}: {said}; expected a file") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DatasetError(
                f"{path}: damaged or truncated NPZ ({shortened(error)}); write it again"
            ) from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            key = member.filename.removesuffix(".npy")
            if key in self._members:
                self._zip.close()
                raise self.error(key, "is there twice; write the file with numpy.savez")
            self._members[key] = member

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *raised: object) -> None:
        self._zip.close()

    def __contains__(self, key: str) -> bool:
        return key in self._members

    @property
    def names(self) -> tuple[str, ...]:
        """Return the keys, in the order of the file."""
        return tuple(self._members)

    def error(self, key: str, problem: str) -> DatasetError:
        return DatasetError(f"{self.path}: {shortened(key)} {problem}")

    def unreadable(self, key: str, problem: str) -> Unreadable:
        return Unreadable(f"{self.path}: {shortened(key)} {problem}")

    def get(self, *keys: str) -> NDArray[Any]:
        """Return the array of the first key that is there."""
        for key in keys:
            if key in self:
                declared = self._declared(key)
                self.take(key, declared.size_bytes)
                with self._reading(key) as file:
                    return self._read(key, file, declared)
        raise self.lacks(" or ".join(keys))

    def lacks(self, *keys: str, helps: str = "") -> DatasetError:
        """Return the error of keys that are not there; ``helps`` ends it."""
        found = _some(list(self._members)) or "no key"
        verb = "is" if len(keys) == 1 else "are"
        return DatasetError(f"{self.path}: {', '.join(keys)} {verb} missing, found {found}{helps}")

    def stored(self, key: str) -> Stored | None:
        """Return an array that can be read in parts; None where it is compressed, or in columns."""
        declared, member = self._declared(key), self._members[key]
        if member.compress_type != zipfile.ZIP_STORED or declared.is_fortran:
            return None
        with self.path.open("rb") as file:
            file.seek(member.header_offset)
            local = file.read(30)  # of a member: two lengths end it, a name and an extra follow
        lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        begin = member.header_offset + 30 + lengths + declared.begin
        return Stored(self.path, begin, declared.shape, declared.dtype)

    def take(self, key: str, size: int) -> None:
        """Count so many bytes of memory that reading ``key`` takes; of stored arrays none count.

        Raises
        ------
        DatasetError
            With what the file's other arrays have taken they are over the limit.
        """
        member = self._members[key]
        if member.compress_type == zipfile.ZIP_STORED:  # no larger than the file
            return
        self._taken_bytes += size
        limit = _inflated_limit_gb()
        if self._taken_bytes > limit * 1e9:
            raise self.error(
                key,
                f"inflates to {member.file_size / 1e9:.3g} GB from {member.compress_size:,} bytes; "
                f"the file would take {self._taken_bytes / 1e9:.3g} GB of memory, expected at most "
                f"{limit:g} GB; if you trust the file, set {INFLATED_LIMIT_VARIABLE}",
            )

    def _read(self, key: str, file: IO[bytes], declared: _Declared) -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.empty(math.prod(declared.shape), declared.dtype)
        except MemoryError as error:  # what it declares is what it holds: no damage
            raise MachineError(
                f"{self.path}: {key} does not fit into memory ({error}); use more memory"
            ) from None
        file.read(declared.begin)
        if declared.size_bytes:
            for part in blocks_of(array.view(np.uint8)):
                read = file.read(part.size)
                if len(read) < part.size:
                    raise EOFError("it ends early")
                part[:] = np.frombuffer(read, np.uint8)
        file.read(1)  # nothing: at its end the checksum is looked at
        return array.reshape(declared.shape, order="F" if declared.is_fortran else "C")

    @contextmanager
    def _reading(self, key: str) -> Iterator[IO[bytes]]:
        """Open a member; whatever its bytes do to zipfile and numpy is one line."""
        try:
            with self._zip.open(self._members[key]) as file:
                yield file
        except Fly64Error:
            raise
        except _DAMAGE as error:
            if isinstance(error, OSError) and machine_fault(error):
                error.filename = str(self.path)
                raise machine_error(error) from None
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise self.error(key, f"is damaged ({shortened(said)}); write the file again") from None

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and dtype of a member that is a plain array, and holds what it declares."""
        declared = self._declared(key)
        return declared.shape, declared.dtype

    def _declared(self, key: str) -> _Declared:
        """Return what a member declares; refuse one that is no plain array, or holds another."""
        member = self._members[key]
        if member.compress_type not in COMPRESSIONS:
            raise self.error(
                key,
                "is compressed in a way of its own, expected numpy.savez or savez_compressed",
            )
        with self._reading(key) as file:
            start = file.read(12)
            if start[:6] != _MAGIC:
                raise self.unreadable(key, "is not an array; write the file with numpy.savez")
            wide = start[6:8] == b"\x02\x00"
            if not wide and start[6:8] != b"\x01\x00":
                raise self.unreadable(key, "is an array of records, expected plain numbers or text")
            length = int.from_bytes(start[8 : 12 if wide else 10], "little")
            if length > HEADER_LIMIT_BYTES:
                raise self.error(
                    key, f"has a header of {length} bytes, expected at most {HEADER_LIMIT_BYTES}"
                )
            begin = (12 if wide else 10) + length
            header = (start[12 if wide else 10 :] + file.read(length))[:length]
            header = _LONG_OF_PYTHON_2.sub(b"", header)  # numpy would warn of it
            counted = len(header).to_bytes(4 if wide else 2, "little") + header
            formats = np.lib.format
            read = formats.read_array_header_2_0 if wide else formats.read_array_header_1_0
            shape, is_fortran, dtype = read(io.BytesIO(counted))
        if dtype.hasobject:
            raise self.unreadable(key, "is a pickled object array, expected plain numbers or text")
        if dtype.kind not in "biufcUS":
            raise self.unreadable(key, f"has dtype {dtype.kind}, expected plain numbers or text")
        if any(not 0 <= extent < 2**48 for extent in shape) or len(shape) > 8:
            raise self.error(key, "declares a shape that no array has; write the file again")
        declared = _Declared(shape, is_fortran, dtype, begin)
        size = declared.size_bytes
        if key == "_metadata" and size > METADATA_LIMIT_BYTES:
            raise self.error(
                key, f"takes {size:,} bytes, expected at most {METADATA_LIMIT_BYTES:,}"
            )
        stored = member.compress_type == zipfile.ZIP_STORED
        if begin + size != member.file_size or (stored and member.compress_size != begin + size):
            raise self.error(
                key,
                f"declares {size:,} bytes of {dtype}, shape {shape}, but holds "
                f"{min(member.file_size, 2**62) - begin:,}; it is damaged: write the file again",
            )
        return declared

    def numbers(self, *keys: str, kinds: str, expected: str) -> NDArray[Any]:
        """Return an array of one of these dtype kinds, finite and within single precision."""
        array = self.get(*keys)
        key = next(key for key in keys if key in self)
        if array.dtype.kind not in kinds:
            raise self.error(key, f"has dtype {array.dtype}, expected {expected}")
        if array.size == 0:
            raise self.error(key, f"is empty (shape {array.shape}), expected at least one frame")
        bad = sum(part.size - int(np.isfinite(part).sum()) for part in blocks_of(array))
        if bad:
            raise self.error(key, f"holds {bad} NaN or infinite values, expected finite numbers")
        largest = max(float(np.abs(part).max()) for part in blocks_of(array))
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
            return parse_metadata(str(array))
        except ValueError as error:
            raise self.unreadable(
                "_metadata", f"is not readable ({error}), expected JSON text of an object"
            ) from None


def _inflated_limit_gb() -> float:
    """Return how much memory the compressed arrays of a file may take while they are read."""
    text = os.environ.get(INFLATED_LIMIT_VARIABLE, "")
    try:
        limit = float(text or INFLATED_LIMIT_GB)
        if not 0 < limit < math.inf:
            raise ValueError
    except ValueError:
        raise DatasetError(
            f"{INFLATED_LIMIT_VARIABLE} is {text!r}, expected a number of GB, as 64"
        ) from None
    return limit


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(map(shortened, names[:20])) + more


def write_npz(
    path: Path, arrays: Mapping[str, NDArray[Any] | FrameStack], metadata: dict[str, Any]
) -> None:
    """Write ``_metadata`` and arrays whole or not at all, over our own files only.

    The same bytes as `numpy.savez`, which would hold all frames at once.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    refuse_foreign(path)
    text = json.dumps({"writer": WRITER, **metadata}, ensure_ascii=False)
    with replaced(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key, array in {"_metadata": np.array(text), **arrays}.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                _write_array(member, array)


def _write_array(member: IO[bytes], array: NDArray[Any] | FrameStack) -> None:
    if not isinstance(array, FrameStack):
        np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
        return
    described = np.lib.format.dtype_to_descr(array.dtype)
    header = {"descr": described, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(member, header)
    for block in array.blocks():
        member.write(np.ascontiguousarray(block).data)
