"""`reconstruction.npz`: its only writer and its only reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fly64tasks.data.archive import Archive, write_npz
from fly64tasks.data.ownership import WRITER
from fly64tasks.errors import DatasetError
from fly64tasks.study.recon import ReconSpec
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.stages import Geometry

if TYPE_CHECKING:
    from fly64tasks.recon.files import Finished


_REPEATED = ("stage", "spec", "versions", "input", "start", "set")
"""What its metadata repeat of ``run.json``."""


class _Input(Struct):
    path: str
    sha256: str


class _Start(Struct):
    frame_of_reference: str
    truth_seeded: bool


class _Set(Struct):
    geometry: dict[str, Any]


class _Made(Struct):
    """What the metadata have to say."""

    spec: dict[str, Any]
    versions: dict[str, str]
    input: _Input
    start: _Start
    set: _Set


@dataclass(frozen=True)
class Reconstructed:
    """A reconstruction, as `fly64tasks.runner` wrote it.

    Attributes
    ----------
    obj : (H, W) complex
    probe : (modes, N, N) complex
    positions_px : (n, 2) float
        In pixels of ``obj``, y first.
    loss : (epochs,) float
    metadata : dict
    """

    path: Path
    obj: NDArray[np.complexfloating]
    probe: NDArray[np.complexfloating]
    positions_px: NDArray[np.float64]
    loss: NDArray[np.float64]
    metadata: dict[str, Any]

    @property
    def spec(self) -> ReconSpec:
        """Return the settings that it was made with."""
        return parse_spec(ReconSpec, self.metadata["spec"], str(self.path))

    @property
    def geometry(self) -> Geometry:
        """Return the physical sizes that it was made with."""
        return parse_spec(Geometry, self.metadata["set"]["geometry"], str(self.path))


def read_reconstruction(path: Path) -> Reconstructed:
    """Read a ``reconstruction.npz``.

    Raises
    ------
    DatasetError
        It is not one.
    """
    with Archive(path) as arrays:
        metadata = arrays.metadata()
        if metadata.get("writer") != WRITER or metadata.get("stage") != "recon":
            raise DatasetError(
                f"{path}: not a reconstruction by {WRITER}; expected the reconstruction.npz that "
                "`python -m fly64tasks.runner` writes"
            )
        try:
            msgspec.convert(metadata, _Made)
        except msgspec.ValidationError as error:
            raise arrays.error("_metadata", f"is not the runner's: {error}") from None
        obj, probe = (
            arrays.numbers(key, kinds="c", expected="complex numbers")
            for key in ("object", "probe")
        )
        positions, loss = (
            arrays.numbers(key, kinds="f", expected="float numbers")
            for key in ("positions_px", "loss")
        )
        for key, array, axes in (
            ("object", obj, 2),
            ("probe", probe, 3),
            ("positions_px", positions, 2),
            ("loss", loss, 1),
        ):
            if array.ndim != axes:
                raise arrays.error(key, f"has shape {array.shape}, expected {axes} axes")
    if positions.shape[1] != 2 or probe.shape[1] != probe.shape[2]:
        raise DatasetError(
            f"{path}: positions_px and probe have shapes {positions.shape} and {probe.shape}, "
            "expected (n, 2) and (modes, N, N)"
        )
    return Reconstructed(
        path, obj.astype(complex), probe.astype(complex), positions, loss, metadata
    )


def write_reconstruction(path: Path, finished: Finished) -> None:
    """Write a ``reconstruction.npz``, whole or not at all.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    write_npz(
        path,
        {
            "object": finished.result.obj,
            "probe": finished.result.probe,
            "positions_px": finished.start.positions_px,
            "loss": np.array(finished.result.loss),
        },
        {key: finished.record[key] for key in _REPEATED},
    )
