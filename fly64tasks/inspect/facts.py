"""What is known of a scan before it is reconstructed: read, and doubted, as a run does it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.contents import Declared, arrays_in
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frames import Kind
from fly64tasks.data.metadata import geometry_of
from fly64tasks.data.readers import is_contract, read_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics.optics import probe_diameter_px
from fly64tasks.physics.overlap import nearest_overlap
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import AS_STORED, ASSUMED, SIZES, Geometry, Orientation


@dataclass(frozen=True)
class Inspection:
    """A scan that was looked at.

    Attributes
    ----------
    path : Path
    kind : str
        Its format, in words.
    contents : dict
        The arrays of each file that it was read from, and how many more there are.
    dataset : PtychoDataset
    geometry : Geometry
        Its own sizes, else those given, else assumed.
    assumed : tuple of str
        Which of them nobody says that they were measured.
    unit : str or None
        ``photons`` where intensities are whole counts, else ``arbitrary``; None of a refused one.
    doubts : tuple of str
        What a run would warn of.
    refusal : str or None
        Why a run would refuse it.
    """

    path: Path
    kind: str
    contents: dict[Path, tuple[list[Declared], int]]
    dataset: PtychoDataset
    geometry: Geometry
    assumed: tuple[str, ...]
    unit: str | None
    doubts: tuple[str, ...]
    refusal: str | None

    @cached_property
    def photons(self) -> NDArray[np.float64]:
        """Return the intensity of each frame, (n,), over the pixels that count."""
        amplitude = self.dataset.diffraction_amplitude
        return np.array([np.square(frame, dtype=np.float64).sum() for frame in amplitude])

    @cached_property
    def probe_diameter_px(self) -> float:
        """Return the second-moment diameter of the probe."""
        return probe_diameter_px(self.dataset.probe_guess.astype(complex))

    def said(self) -> dict[str, Any]:
        """Return all of it, JSON-ready; a number that does not exist is None."""
        dataset, geometry = self.dataset, self.geometry
        mask, obj = dataset.mask, dataset.object_guess
        span_px = np.ptp(dataset.positions_px, axis=0)
        least, median, most = (function(self.photons) for function in (np.min, np.median, np.max))
        return {
            "path": str(self.path),
            "format": self.kind,
            "files": [
                {
                    "path": str(path),
                    "arrays": [array._asdict() for array in arrays],
                    "and_more": more,
                }
                for path, (arrays, more) in self.contents.items()
            ],
            "frames": {
                "count": len(dataset.positions_px),
                "size_px": dataset.frame_size_px,
                "unit": self.unit,
                "diffraction_from": dataset.diffraction_from,
                "masked_share": 0.0 if mask is None else float(1 - mask.mean()),
            },
            "photons_per_frame": {
                "least": number(least),
                "median": number(median),
                "most": number(most),
            },
            "scan": {
                "span_px": [number(span) for span in span_px],
                "span_m": [number(span * geometry.pixel_size_m) for span in span_px],
                **self._overlap(),
            },
            "probe": {
                "modes": len(dataset.probe_guess),
                "diameter_px": number(self.probe_diameter_px),
                "diameter_m": number(self.probe_diameter_px * geometry.pixel_size_m),
            },
            "geometry": geometry.to_dict(),
            "assumed_sizes": list(self.assumed),
            "object": None if obj is None else {"shape": list(obj.shape)},
            "truth": "objectGuess" if dataset.is_simulated else None,
            "doubts": list(self.doubts),
            "refusal": self.refusal,
        }

    def _overlap(self) -> dict[str, float | None]:
        if len(self.dataset.positions_px) < 2:
            return {}
        found = nearest_overlap(self.dataset.positions_px, self.probe_diameter_px)
        found.pop("probe_diameter_px")
        return {name: number(value) for name, value in found.items()}


def inspect(
    path: Path,
    *,
    diffraction: Kind = "auto",
    orientation: Orientation = AS_STORED,
    geometry: Geometry = ASSUMED,
    given: dict[str, Any] | None = None,
) -> Inspection:
    """Read a scan of any format and look at it as a reconstruction does before it starts.

    Parameters
    ----------
    diffraction, orientation, geometry, given
        As `fly64tasks.recon.command.run` has them.

    Raises
    ------
    DatasetError
        It can not be read. Of one that can, and is refused, the inspection says so.
    """
    dataset = read_dataset(path, diffraction=diffraction, orientation=orientation, extras=False)
    geometry = geometry_of(dataset.metadata, geometry, str(path), given or {})
    own = dataset.metadata.get("geometry") or {}
    known = {*(given or ()), *(() if own.get("assumed") else own)}
    doubts, unit, refusal = dataset.warnings, None, None
    try:
        start = start_of(dataset, ReconSpec(), str(path), geometry)
    except DatasetError as error:
        refusal = str(error)
    else:
        doubts, unit = start.warnings, "photons" if start.scale.counts else "arbitrary"
    kind = "NPZ of DATA-001"
    if not is_contract(path):
        kind = str(dataset.metadata.get("taken_from", {}).get("format"))
    sources = [source for source in (path, *dataset.files) if source.suffix.lower() != ".toml"]
    return Inspection(
        path=path,
        kind=kind,
        contents={source: arrays_in(source) for source in sources},
        dataset=dataset,
        geometry=geometry,
        assumed=tuple(name for name in SIZES if geometry.assumed and name not in known),
        unit=unit,
        doubts=doubts,
        refusal=refusal,
    )


def number(value: float) -> float | None:
    """Return a number as JSON has it: none where it is not finite.

    >>> number(2), number(float("nan"))
    (2.0, None)
    """
    found = float(value)
    return found if math.isfinite(found) else None
