"""`reconstruction.npz`: its only writer and its only reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fly64tasks.data.archive import Archive, write_npz
from fly64tasks.data.frames import Kind
from fly64tasks.data.ownership import WRITER
from fly64tasks.errors import DatasetError
from fly64tasks.physics.relaxation import Relaxation
from fly64tasks.recon.found import Reconstruction
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.stages import TURNS, Geometry, Orientation

_REPEATED = ("stage", "spec", "data", "versions", "input", "start", "set")
"""What its metadata repeat of ``run.json``, where it is there."""


class _Input(Struct):
    path: str
    sha256: str
    beside: dict[str, str] = msgspec.field(default_factory=dict, name="with")


class _Start(Struct):
    frame_of_reference: str
    truth_seeded: bool
    canvas_origin_px: tuple[float, float] = (0.0, 0.0)
    left_out_frames: tuple[int, ...] = ()


class _Data(Struct):
    diffraction: Kind = "auto"
    swap_xy: bool = False
    flip_y: bool = False
    flip_x: bool = False
    detector_transpose: bool = False


class _Set(Struct):
    geometry: dict[str, Any]


class _Made(Struct):
    """What the metadata have to say."""

    spec: dict[str, Any]
    versions: dict[str, str]
    input: _Input
    start: _Start
    set: _Set
    data: _Data | None = None


@dataclass(frozen=True)
class Reconstructed:
    """A reconstruction, as `fly64tasks.runner` wrote it.

    Attributes
    ----------
    path : Path or None
        Where it was read from; None where it is in memory alone.
    obj : (H, W) complex
        The product of its layers, where it has several.
    probe : (modes, N, N) complex
    positions_px : (n, 2) float
        In pixels of ``obj``, y first.
    given_positions_px : (n, 2) float
        Those that the set has: the same where they were not corrected.
    loss : (epochs,) float
    metadata : dict
    relaxation : Relaxation or None
        What the probe changes by from frame to frame; None where it is the same in all.
    slices : (layers, H, W) complex or None
        Of an object of several; the beam meets the first one first.
    """

    path: Path | None
    obj: NDArray[np.complexfloating]
    probe: NDArray[np.complexfloating]
    positions_px: NDArray[np.float64]
    given_positions_px: NDArray[np.float64]
    loss: NDArray[np.float64]
    metadata: dict[str, Any]
    relaxation: Relaxation | None = None
    slices: NDArray[np.complexfloating] | None = None

    @property
    def name(self) -> str:
        """Return what it is called in errors."""
        return str(self.path or "the reconstruction")

    @property
    def spec(self) -> ReconSpec:
        """Return the settings that it was made with; a program of others is given every frame."""
        if "command" in self.metadata["spec"]:
            return ReconSpec()
        return parse_spec(ReconSpec, self.metadata["spec"], self.name)

    @property
    def diffraction(self) -> Kind:
        """Return what the diffraction of its set was said to be."""
        said: Kind = self.metadata.get("data", {}).get("diffraction", "auto")
        return said

    @property
    def orientation(self) -> Orientation:
        """Return how its set was turned."""
        said = self.metadata.get("data", {})
        return Orientation(**{name: said[name] for name in TURNS if name in said})

    @property
    def left_out_frames(self) -> tuple[int, ...]:
        """Return the frames of its set that were not used, as they hold no photons."""
        return tuple(self.metadata["start"].get("left_out_frames", ()))

    @property
    def geometry(self) -> Geometry:
        """Return the physical sizes that it was made with."""
        return parse_spec(Geometry, self.metadata["set"]["geometry"], self.name)


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
        positions = arrays.numbers("positions_px", kinds="f", expected="float numbers")
        loss = np.empty(0)  # of a program of others, which may say none
        if "loss" not in arrays or arrays.header("loss").shape != (0,):
            loss = arrays.numbers("loss", kinds="f", expected="float numbers")
        given = positions
        if "given_positions_px" in arrays:
            given = arrays.numbers("given_positions_px", kinds="f", expected="float numbers")
        for key, array, axes in (
            ("object", obj, 2),
            ("probe", probe, 3),
            ("positions_px", positions, 2),
            ("loss", loss, 1),
        ):
            if array.ndim != axes:
                raise arrays.error(key, f"has shape {array.shape}, expected {axes} axes")
        if given.shape != positions.shape:
            found = f"has shape {given.shape}, expected {positions.shape}"
            raise arrays.error("given_positions_px", found)
        relaxation = _relaxation(arrays, len(positions), probe.shape[-1])
        slices = _slices(arrays, obj.shape)
    if positions.shape[1] != 2 or probe.shape[1] != probe.shape[2]:
        raise DatasetError(
            f"{path}: positions_px and probe have shapes {positions.shape} and {probe.shape}, "
            "expected (n, 2) and (modes, N, N)"
        )
    return Reconstructed(
        path,
        obj.astype(complex),
        probe.astype(complex),
        positions,
        given,
        loss,
        metadata,
        relaxation,
        slices,
    )


def _relaxation(arrays: Archive, n_frames: int, size_px: int) -> Relaxation | None:
    if "opr_modes" not in arrays:
        return None
    modes = arrays.numbers("opr_modes", kinds="c", expected="complex numbers")
    if modes.shape[1:] != (size_px, size_px):
        found = f"has shape {modes.shape}, expected (K, {size_px}, {size_px}) as the probe"
        raise arrays.error("opr_modes", found)
    weights = arrays.numbers("opr_weights", kinds="f", expected="float numbers")
    expected = (n_frames, 1 + len(modes))
    if weights.shape != expected:
        raise arrays.error("opr_weights", f"has shape {weights.shape}, expected {expected}")
    return Relaxation(modes.astype(complex), weights)


def _slices(arrays: Archive, shape: tuple[int, ...]) -> NDArray[np.complexfloating] | None:
    if "object_slices" not in arrays:
        return None
    slices = arrays.numbers("object_slices", kinds="c", expected="complex numbers")
    if slices.ndim != 3 or slices.shape[1:] != shape:
        found = f"has shape {slices.shape}, expected (layers, {shape[0]}, {shape[1]}) as object"
        raise arrays.error("object_slices", found)
    return slices.astype(complex)


def write_reconstruction(
    path: Path,
    found: Reconstruction,
    given_positions_px: NDArray[np.float64] | None,
    record: dict[str, Any],
) -> None:
    """Write a ``reconstruction.npz``, whole or not at all.

    Parameters
    ----------
    given_positions_px : (n, 2) float or None
        Those that the set has, where they were corrected.
    record : dict
        ``run.json``, of which the metadata repeat what the result depends on.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    arrays: dict[str, NDArray[Any]] = {
        "object": found.obj,
        "probe": found.probe,
        "positions_px": found.positions_px,
        "loss": np.array(found.loss),
    }
    if given_positions_px is not None:
        arrays["given_positions_px"] = given_positions_px
    if found.relaxation is not None:
        arrays["opr_modes"] = found.relaxation.modes
        arrays["opr_weights"] = found.relaxation.weights
    if found.slices is not None:
        arrays["object_slices"] = found.slices
    write_npz(path, arrays, {key: record[key] for key in _REPEATED if key in record})
