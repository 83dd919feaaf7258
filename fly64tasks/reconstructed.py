"""`reconstruction.npz` as it was written: the only reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.errors import DatasetError
from fly64tasks.npz import WRITER, Archive
from fly64tasks.spec import parse_spec
from fly64tasks.study import Geometry, ReconSpec


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
        obj, probe = (
            arrays.numbers(key, kinds="c", expected="complex numbers")
            for key in ("object", "probe")
        )
        positions, loss = (
            arrays.numbers(key, kinds="f", expected="float numbers")
            for key in ("positions_px", "loss")
        )
    return Reconstructed(
        path, obj.astype(complex), probe.astype(complex), positions, loss, metadata
    )
