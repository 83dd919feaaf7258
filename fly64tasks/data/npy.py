"""One array as NPY has it: a header that declares, then its numbers; neither is taken at its word.

numpy's own reader evaluates whatever a header holds, of any length, and makes room for what it
declares. Here a header is short and of a plain array, and numbers are read in parts.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.errors import DatasetError, MachineError

HEADER_LIMIT_BYTES = 1024
"""Most that the header of an array may take; numpy's take 128 or little more."""
_MAGIC = b"\x93NUMPY"
_LONG_OF_PYTHON_2 = re.compile(rb"(?<=[0-9])L(?=[,)])")
"""The letter in ``(12L, 16L)``: a shape as Python 2 wrote it."""
_BLOCK = 2**18
"""Numbers that are read or looked at at once."""


class Unreadable(DatasetError):
    """An array that is whole, and holds what is never read or can not be understood."""


class Header(NamedTuple):
    """What an array declares, and where its numbers begin."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    begin: int

    @property
    def size_bytes(self) -> int:
        """Return what its numbers take."""
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


def read_header(file: IO[bytes], name: str) -> Header:
    """Return what the array at the beginning of a file declares; ``name`` is its own in errors.

    Raises
    ------
    Unreadable
        It is no array of plain numbers or text.
    DatasetError
        Its header is too long, or declares what no array has.
    Exception
        Any that numpy and Python end in where a header is damaged.
    """
    start = file.read(12)
    if start[:6] != _MAGIC:
        raise Unreadable(f"{name} is not an array; write the file with numpy.savez")
    wide = start[6:8] == b"\x02\x00"
    if not wide and start[6:8] != b"\x01\x00":
        raise Unreadable(f"{name} is an array of records, expected plain numbers or text")
    length = int.from_bytes(start[8 : 12 if wide else 10], "little")
    if length > HEADER_LIMIT_BYTES:
        raise DatasetError(
            f"{name} has a header of {length} bytes, expected at most {HEADER_LIMIT_BYTES}"
        )
    begin = (12 if wide else 10) + length
    header = (start[12 if wide else 10 :] + file.read(length))[:length]
    header = _LONG_OF_PYTHON_2.sub(b"", header)  # numpy would warn of it
    counted = len(header).to_bytes(4 if wide else 2, "little") + header
    formats = np.lib.format
    read = formats.read_array_header_2_0 if wide else formats.read_array_header_1_0
    shape, is_fortran, dtype = read(io.BytesIO(counted))
    if dtype.hasobject:
        raise Unreadable(f"{name} is a pickled object array, expected plain numbers or text")
    if dtype.kind not in "biufcUS":
        raise Unreadable(f"{name} has dtype {dtype.kind}, expected plain numbers or text")
    if any(not 0 <= extent < 2**48 for extent in shape) or len(shape) > 8:
        raise DatasetError(f"{name} declares a shape that no array has; write the file again")
    return Header(shape, is_fortran, dtype, begin)


def read_array(file: IO[bytes], header: Header, name: str) -> NDArray[Any]:
    """Return the array of a file from its beginning to its end, whose header is known.

    Raises
    ------
    MachineError
        It does not fit into memory.
    EOFError
        The file ends before its numbers do.
    """
    try:
        array: NDArray[Any] = np.empty(math.prod(header.shape), header.dtype)
    except MemoryError as error:  # what it declares is what it holds: no damage
        raise MachineError(f"{name} does not fit into memory ({error}); use more memory") from None
    file.read(header.begin)
    if header.size_bytes:
        for part in blocks_of(array.view(np.uint8)):
            read = file.read(part.size)
            if len(read) < part.size:
                raise EOFError("it ends early")
            part[:] = np.frombuffer(read, np.uint8)
    file.read(1)  # nothing: at its end the checksum is looked at
    return array.reshape(header.shape, order="F" if header.is_fortran else "C")


def write_array(file: IO[bytes], array: NDArray[Any] | FrameStack) -> None:
    """Write an array; frames block by block, to the same bytes."""
    if not isinstance(array, FrameStack):
        np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
        return
    described = np.lib.format.dtype_to_descr(array.dtype)
    header = {"descr": described, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for block in array.blocks():
        file.write(np.ascontiguousarray(block).data)


def blocks_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the numbers of an array in flat parts, so that a look at them takes no memory.

    >>> [part.tolist() for part in blocks_of(np.array([[1, 2], [3, 4]]))]
    [[1, 2, 3, 4]]
    """
    flat = array.ravel(order="K")  # no copy of what is contiguous in either order
    for begin in range(0, flat.size, _BLOCK):
        yield flat[begin : begin + _BLOCK]
