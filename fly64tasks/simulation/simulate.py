"""Phase C: simulate the diffraction of every frame at one dose, split in train and test.

The commands here read, call the physics in `fly64tasks.physics`, and write.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data import lineage
from fly64tasks.data.dataset import Base, PtychoDataset
from fly64tasks.data.metadata import geometry_of
from fly64tasks.data.readers.npz import read_base
from fly64tasks.data.writers.npz import write_base, write_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics import optics, scan
from fly64tasks.study.cases import SPLITS
from fly64tasks.study.stages import BaseSpec, Geometry, SimulationSpec

logger = logging.getLogger(__name__)


def make_base(target: Path, *, spec: BaseSpec, geometry: Geometry) -> None:
    """Write the built-in base: probe, object and scan."""
    probe = optics.zone_plate_probe(spec, geometry)
    base = Base(
        object_guess=optics.synthetic_object(spec),
        probe_guess=probe[None],
        positions_px=scan.raster_positions(spec),
        metadata={
            "stage": "base",
            "geometry": geometry.to_dict(),
            lineage.KEY: lineage.lineage_of_base(spec, geometry),
        },
    )
    write_base(target, base)


def simulate(
    base_path: Path,
    targets: dict[str, Path],
    *,
    dose: float,
    spec: SimulationSpec,
    geometry: Geometry,
    base_lineage: dict[str, Any] | None = None,
) -> None:
    """Write the simulated train and test sets of one dose.

    Parameters
    ----------
    base_path : Path
        NPZ with ``objectGuess``, ``probeGuess``, ``xcoords``, ``ycoords``.
    targets : dict
        Path to write for each split.
    dose : float
        Incident photons per frame: a frame sums to the dose times the object's transmission.
    geometry : Geometry
        Physical sizes where the base says none.
    base_lineage : dict, optional
        What the base is to be made from.

    Raises
    ------
    DatasetError
        The base breaks the contract or was made from anything else, or its scan lies off its
        object.
    """
    with lineage.unchanged(base_path):
        base = read_base(base_path)
        made_from = lineage.lineage_of_set(base_path, dose, spec, geometry)
    if base_lineage is not None:
        lineage.refuse_other_base(base.metadata, base_lineage, base_path)
    for doubt in base.warnings:
        logger.warning("%s: %s", base_path, doubt)
    sizes = geometry_of(base.metadata, geometry, str(base_path))
    probe = base.probe_guess * np.sqrt(dose / (np.abs(base.probe_guess) ** 2).sum())
    canvas = scan.canvas_of(
        base.positions_px, probe.shape[-1], base.object_guess.shape, str(base_path)
    )
    if canvas.frame != "object":
        raise DatasetError(
            f"{base_path}: the scan lies off the object (median y, x: "
            f"{np.median(base.positions_px, axis=0).round(1).tolist()}); expected patch centres "
            "in the object's frame"
        )
    edge = optics.edge_energy(probe)
    shifted = "probe" if edge < optics.EDGE_ENERGY_LIMIT else "object"
    if shifted == "object":
        logger.warning(
            "%s: probeGuess has %.1e of its energy in the outer two pixels, expected under %g: it "
            "would wrap around, so that the object is shifted instead, and reconstructions carry a "
            "model error of a few per cent",
            base_path,
            edge,
            optics.EDGE_ENERGY_LIMIT,
        )
    frames = scan.split_at_median(base.positions_px, spec.split_axis)
    for index, split in enumerate(SPLITS):
        rng = np.random.default_rng([spec.seed, int(dose), index])
        positions = base.positions_px[frames[split]]
        metadata: dict[str, Any] = {
            "stage": "phase_c",
            "simulated": True,
            "diffraction_order": "NHW",
            "dose_photons_per_frame": dose,
            "split": split,
            "geometry": sizes.to_dict(),
            lineage.KEY: made_from,
            "base": base.metadata,
            "subpixel_shift_of": shifted,
            "probe_edge_energy": edge,
        }
        dataset = PtychoDataset(
            diffraction_amplitude=simulate_amplitude(
                probe, base.object_guess, positions, rng if spec.noise == "poisson" else None
            ),
            object_guess=base.object_guess.astype(np.complex64),
            probe_guess=probe.astype(np.complex64),
            positions_px=positions,
            object_patches=(
                object_patches(base.object_guess, positions, probe.shape[-1])
                if spec.patches
                else None
            ),
            filenames=np.array([f"frame_{i:05d}" for i in frames[split]]),
            metadata=metadata,
        )
        write_dataset(targets[split], dataset)


def simulate_amplitude(
    probe: NDArray[np.complexfloating],
    obj: NDArray[np.complexfloating],
    positions_px: NDArray[np.float64],
    rng: np.random.Generator | None,
) -> NDArray[np.float32]:
    """Return the diffraction amplitude of each frame, with Poisson counts where ``rng`` is given.

    Parameters
    ----------
    probe : (modes, N, N) complex
        In sqrt(photons) per pixel.
    obj : (H, W) complex
    positions_px : (n, 2) float
        Patch centres, y first.
    rng : numpy.random.Generator or None
        None gives the expected amplitude, without noise.

    Returns
    -------
    amplitude : (n, N, N) float32
        Square root of photon counts, zero frequency centred.
    """
    amplitude = np.empty((len(positions_px), *probe.shape[-2:]), np.float32)
    begin = 0
    for waves in optics.exit_waves(probe, obj, positions_px):
        intensity = optics.diffraction_intensity(waves)
        counted = intensity if rng is None else rng.poisson(intensity)
        amplitude[begin : begin + len(waves)] = np.sqrt(counted)
        begin += len(waves)
    return amplitude


def object_patches(
    obj: NDArray[np.complexfloating], positions_px: NDArray[np.float64], size: int
) -> NDArray[np.complex64]:
    """Return the object patch of each frame, centred on its sub-pixel position.

    Returns
    -------
    patches : (n, size, size) complex64
    """
    patches = np.empty((len(positions_px), size, size), np.complex64)
    for block in optics.blocks_of(len(patches), size**2):
        patches[block] = optics.extract_patches(obj, positions_px[block], size)
    return patches
