"""NPZ archives: opened without pickle, every failure one line that names file and key.

Written whole or not at all, over our own files only. What a member declares (`npy`) is held against
what it holds, and what inflates against a limit of the memory that reading the file takes, before
memory is asked for.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.metadata import COMPRESSIONS, METADATA_LIMIT_BYTES, parse_metadata
from fly64tasks.data.npy import (
    Header,
    Stored,
    Unreadable,
    blocks_of,
    read_array,
    read_header,
    write_array,
)
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.errors import machine_fault
from fly64tasks.errors import DatasetError, Fly64Error, machine_error, shortened

MAGNITUDE_LIMIT = 1e9
INFLATED_LIMIT_GB = 8.0
"""Most memory that reading a file's compressed arrays may take, copies of them included."""
INFLATED_LIMIT_VARIABLE = "FLY64TASKS_MAX_INFLATED_GB"
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
        return DatasetError(f"{self._named(key)} {problem}")

    def _named(self, key: str) -> str:
        return f"{self.path}: {shortened(key)}"

    def get(self, *keys: str) -> NDArray[Any]:
        """Return the array of the first key that is there."""
        for key in keys:
            if key in self:
                header = self.header(key)
                self.take(key, header.size_bytes)
                with self._reading(key) as file:
                    return read_array(file, header, self._named(key))
        raise self.lacks(" or ".join(keys))

    def lacks(self, *keys: str, helps: str = "") -> DatasetError:
        """Return the error of keys that are not there; ``helps`` ends it."""
        found = _some(list(self._members)) or "no key"
        verb = "is" if len(keys) == 1 else "are"
        return DatasetError(f"{self.path}: {', '.join(keys)} {verb} missing, found {found}{helps}")

    def stored(self, key: str) -> Stored | None:
        """Return an array that can be read in parts; None where it is compressed, or in columns."""
        header, member = self.header(key), self._members[key]
        if member.compress_type != zipfile.ZIP_STORED or header.is_fortran:
            return None
        with self.path.open("rb") as file:
            file.seek(member.header_offset)
            local = file.read(30)  # of a member: two lengths end it, a name and an extra follow
        lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        begin = member.header_offset + 30 + lengths + header.begin
        return Stored(self.path, begin, header.shape, header.dtype)

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

    def header(self, key: str) -> Header:
        """Return what a member declares; refuse one that is no plain array, or holds another."""
        member = self._members[key]
        if member.compress_type not in COMPRESSIONS:
            raise self.error(
                key,
                "is compressed in a way of its own, expected numpy.savez or savez_compressed",
            )
        with self._reading(key) as file:
            header = read_header(file, self._named(key))
        size, begin = header.size_bytes, header.begin
        if key == "_metadata" and size > METADATA_LIMIT_BYTES:
            raise self.error(
                key, f"takes {size:,} bytes, expected at most {METADATA_LIMIT_BYTES:,}"
            )
        stored = member.compress_type == zipfile.ZIP_STORED
        if begin + size != member.file_size or (stored and member.compress_size != begin + size):
            raise self.error(
                key,
                f"declares {size:,} bytes of {header.dtype}, shape {header.shape}, but holds "
                f"{min(member.file_size, 2**62) - begin:,}; it is damaged: write the file again",
            )
        return header

    def numbers(self, key: str, *, kinds: str, expected: str) -> NDArray[Any]:
        """Return an array of one of these dtype kinds, finite and within single precision."""
        array = self.get(key)
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
            raise Unreadable(
                f"{self.path}: _metadata is not readable ({error}), expected JSON text of an object"
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
                write_array(member, array)
