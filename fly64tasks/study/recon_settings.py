"""The settings of a reconstruction: `[recon]` in a study, and options of the runner.

A field of `ReconSpec`, described in its docstring, is all that a new setting takes: the key in the
study file, the option with its help, and the reason that a dry run gives follow from it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from fly64tasks.study import algorithms, ptychi_options
from fly64tasks.study.algorithms import Algorithm
from fly64tasks.study.spec import Count, NotNegative, Positive, Seed, Spec
from fly64tasks.study.stages import Geometry, Length

Batching = Literal["COMPACT", "RANDOM", "UNIFORM"]


class ReconSpec(Spec, frozen=True):
    """One pty-chi reconstruction; the defaults are those that measured best (docs/settings.md).

    ``num_epochs``, ``batch_size``, ``batching`` and ``update_probe`` are what suits the algorithm
    where they are None (`resolved`). LSQML starts with ``warmup_epochs`` of small batches
    (`stages`), which count among ``num_epochs``; ``refine`` says what follows them. MAP, in either
    place, ends before ``num_epochs`` once it has converged.

    Attributes
    ----------
    algorithm : str
        MAP, LSQML, PIE, EPIE, RPIE, DM, BH, AD.
    num_epochs : int, what suits the algorithm unless given
        Passes over all frames; MAP may end before.
    batch_size : int, what suits the algorithm unless given
        Frames in a minibatch, at most.
    batching : str, what suits the algorithm unless given
        COMPACT, RANDOM or UNIFORM minibatches.
    noise_model : str
        GAUSSIAN or POISSON (LSQML).
    momentum : float
        Momentum acceleration gain, 0 for none (LSQML).
    damping : float
        Restraint where the illumination is weak, as a share of its peak (LSQML).
    warmup_epochs : int
        First epochs, in small random minibatches; 0 for none (LSQML).
    warmup_batch_size : int
        Frames in a minibatch of those, at most.
    plateau_epochs : int, never unless given
        Stop early once so many epochs brought no lower loss.
    plateau_tolerance : float
        The relative fall of the loss that counts as lower.
    fast_fourier_shift : bool
        True or false: our faster form of pty-chi's sub-pixel shift.
    object_init : str
        Ones, noise, or guess for the set's objectGuess.
    update_probe : bool, what suits the algorithm unless given
        True or false: let the probe change.
    n_images : int, all unless given
        So many frames at most, at random.
    subsampling_seed : int
        Seed of that draw.
    seed : int
        Seed of the reconstruction.
    refine : str
        LSQML or MAP: what follows the warm-up of LSQML.
    prior : float
        Smoothness in nats, 0 for none.
    edge : float
        Neighbouring pixels that differ by more, of an object of about 1, are an edge (MAP).
    probe_trust : float
        How far the probe may be off, as a share of its root mean square (MAP).
    low_frequency : float
        Below so many cycles per px the convergence of the phase is helped (MAP).
    tolerance_nats : float
        Ends once five epochs bring less than this per lit pixel of the object (MAP).
    probe_modes : int, the set's unless given
        Mutually incoherent modes of the probe, as a partly coherent beam has.
    correct_positions : bool
        True or false: let each frame's position change too.
    half : str, both unless given
        Every other frame alone: even or odd.
    opr_modes : int
        Modes by which the probe's first may change from frame to frame, 0 for none.
    slices : int
        Layers of the object along the beam.
    slice_spacing_m : float, none unless given
        Distance between two layers.
    fast_modulus : bool
        True or false: the modulus of pty-chi's waves from their squares, to rounding.
    cuda_graph : bool
        True or false: on a GPU, launch an epoch's work as graphs, to the same bytes (MAP).
    ptychi : dict, pty-chi's own and ours unless given
        An option of pty-chi's own, say object_options.l1_norm_constraint.enabled=true.
    """

    added_later: ClassVar = (
        *("probe_modes", "correct_positions", "half", "opr_modes", "slices", "slice_spacing_m"),
        *("fast_modulus", "cuda_graph", "ptychi"),
    )

    algorithm: Algorithm = "MAP"
    num_epochs: Count | None = None
    batch_size: Count | None = None
    batching: Batching | None = None
    noise_model: Literal["GAUSSIAN", "POISSON"] = "GAUSSIAN"
    momentum: NotNegative = 2.0
    damping: NotNegative = 0.5
    warmup_epochs: Annotated[int, Meta(ge=0)] = 24
    warmup_batch_size: Count = 24
    plateau_epochs: Count | None = None
    plateau_tolerance: NotNegative = 1e-3
    fast_fourier_shift: bool = True
    object_init: Literal["ones", "noise", "guess"] = "ones"
    update_probe: bool | None = None
    n_images: Annotated[int, Meta(ge=2)] | None = None
    subsampling_seed: Seed = 456
    seed: Seed = 0
    refine: Literal["LSQML", "MAP"] = "LSQML"
    prior: NotNegative = 70.0
    edge: Positive = 0.05
    probe_trust: Positive = 0.1
    low_frequency: NotNegative = 0.04
    tolerance_nats: NotNegative = 5e-3
    probe_modes: Annotated[int, Meta(ge=1, le=64)] | None = None
    correct_positions: bool = False
    half: Literal["even", "odd"] | None = None
    opr_modes: Annotated[int, Meta(ge=0, le=64)] = 0
    slices: Annotated[int, Meta(ge=1, le=64)] = 1
    slice_spacing_m: Length | None = None
    fast_modulus: bool = False
    cuda_graph: bool = True
    ptychi: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.ptychi == {}:
            msgspec.structs.force_setattr(self, "ptychi", None)
        if self.ptychi is not None:
            ran = [self.algorithm, *(["MAP"] if self.ends_in_map else [])]
            ptychi_options.refuse_wrong(self.ptychi, list(dict.fromkeys(ran)))
        if self.algorithm == "PIE" and self.update_probe and self.batch_size != 1:
            raise ValueError(
                "update_probe is true, expected false for PIE with batch_size other than 1, where "
                "pty-chi 2.2 fails: set batch_size to 1 or use EPIE"
            )

        self._refuse_relaxation()
        self._refuse_slices()

    def _refuse_relaxation(self) -> None:
        """Refuse a probe that is to change from frame to frame where nothing would change it."""
        if not self.opr_modes:
            return
        asked = f"opr_modes is {self.opr_modes}"
        if self.ends_in_map or self.algorithm not in algorithms.HAVE_RELAXATION:
            raise ValueError(f"{asked}, expected 0 for {self._instead(algorithms.HAVE_RELAXATION)}")
        if self.update_probe is False:
            raise ValueError(
                f"{asked} with update_probe false, expected true: its modes are what the probe "
                "changes by"
            )
        sizes = {"batch_size": self.batch_size}
        if self.algorithm == "LSQML" and self.warmup_epochs:
            sizes["warmup_batch_size"] = self.warmup_batch_size
        alone = [key for key, size in sizes.items() if size == 1 and self.algorithm != "AD"]
        if alone:
            raise ValueError(
                f"{asked} with {alone[0]} 1, expected at least 2: {self.algorithm} finds them by "
                "how the frames of a batch differ"
            )

    def _refuse_slices(self) -> None:
        """Refuse layers that an algorithm does not have, or whose distance nobody says."""
        if self.slices > 1 and (self.ends_in_map or self.algorithm not in algorithms.HAVE_LAYERS):
            raise ValueError(
                f"slices is {self.slices}, expected 1 for {self._instead(algorithms.HAVE_LAYERS)}"
            )
        if self.slices > 1 and self.slice_spacing_m is None:
            raise ValueError(
                f"slices is {self.slices} without slice_spacing_m, expected the distance between "
                "two layers, in m"
            )
        if self.slices == 1 and self.slice_spacing_m is not None:
            raise ValueError(
                f"slice_spacing_m is {self.slice_spacing_m:g} with one slice, expected slices of 2 "
                "or more beside it"
            )

    def _instead(self, having: tuple[str, ...]) -> str:
        """Return the algorithm that can not do it, and what to set instead."""
        if self.ends_in_map and self.algorithm != "MAP":
            return 'refine = "MAP": use refine = "LSQML"'
        return f"{self.algorithm}: use one of {', '.join(having)}"

    def resolved(self) -> ReconSpec:
        """Return the spec with every choice made.

        >>> ReconSpec(algorithm="PIE").resolved().update_probe
        False
        """
        suited = {
            "num_epochs": algorithms.MAP_EPOCHS if self.ends_in_map else 50,
            **algorithms.SUITED[self.algorithm],
        }
        chosen = {key: value for key, value in suited.items() if getattr(self, key) is None}
        return msgspec.structs.replace(self, **chosen) if chosen else self

    def settings(self) -> dict[str, Any]:
        """Return what a result depends on besides its files, as JSON-ready values."""
        return self.resolved().to_dict()

    def lacks_sizes(self, geometry: Geometry) -> str | None:
        """Return in words that measured sizes are asked for, None where these will do."""
        if self.slices == 1 or not geometry.assumed:
            return None
        return (
            f"slices = {self.slices} asks for pixel size and photon energy, found assumed ones; "
            "expected --pixel-size-m and --energy-ev, or assumed = false in the study's [geometry]"
        )

    @property
    def ends_in_map(self) -> bool:
        """Return whether the last stage is MAP, which stops by itself."""
        return self.algorithm == "MAP" or (self.algorithm == "LSQML" and self.refine == "MAP")

    @property
    def most_epochs(self) -> int:
        """Return the epochs that a run has at most."""
        return self.resolved().num_epochs or 0

    @property
    def in_words(self) -> str:
        """Return what a list of tasks says of it.

        >>> ReconSpec().in_words, ReconSpec(algorithm="EPIE", num_epochs=10).in_words
        ('MAP, at most 200 epochs', 'EPIE, 10 epochs')
        """
        most = "at most " if self.ends_in_map else ""
        return f"{self.algorithm}, {most}{self.most_epochs} epochs"

    def stages(self) -> tuple[ReconSpec, ...]:
        """Return the spec of each pty-chi run, in order: LSQML's warm-up, then what refines it.

        A run of few epochs is the beginning of a longer one.

        >>> lsqml = ReconSpec(algorithm="LSQML")
        >>> [(stage.batching, stage.num_epochs) for stage in lsqml.resolved().stages()]
        [('RANDOM', 24), ('COMPACT', 26)]
        >>> [stage.num_epochs for stage in ReconSpec(algorithm="LSQML", num_epochs=3).stages()]
        [3]
        >>> [stage.algorithm for stage in ReconSpec(algorithm="LSQML", refine="MAP").stages()]
        ['LSQML', 'MAP']
        >>> [stage.algorithm for stage in ReconSpec().stages()]
        ['MAP']
        """
        most = self.most_epochs
        warmup = min(self.warmup_epochs, most) if self.algorithm == "LSQML" else 0
        refining = algorithms.REFINING if self.algorithm != "MAP" and self.ends_in_map else {}
        changes: list[dict[str, Any]] = [
            {"num_epochs": warmup, "batch_size": self.warmup_batch_size, **algorithms.WARMUP},
            {"num_epochs": most - warmup, **refining},
        ]
        return tuple(
            msgspec.structs.replace(self, **change, **self._options_of(change))
            for change in changes
            if change["num_epochs"]
        )

    def _options_of(self, change: dict[str, Any]) -> dict[str, Any]:
        """Return those of pty-chi's options that a stage has."""
        algorithm = change.get("algorithm", self.algorithm)
        return {"ptychi": ptychi_options.of_algorithm(self.ptychi, algorithm)}
