"""The jobs of a study by name: doses, views, splits, methods, draws of the noise."""

from __future__ import annotations

import hashlib

from msgspec import Struct

BASELINE = "baseline"
SPLITS = ("train", "test")
MAIN = "main"
"""The method that is `[recon]` itself."""


class Case(Struct, frozen=True):
    """One job of the study: a dose (photons per frame), a view and a split.

    By a method, of a draw of the noise; the first has the number 1.
    """

    dose: float
    view: str
    split: str
    gridsize: int
    method: str = MAIN
    repeat: int = 1

    @property
    def name(self) -> str:
        """Return the case's name.

        >>> Case(dose=1e3, view="dense", split="train", gridsize=2).name
        'dose_1000_dense_train'
        >>> Case(1e3, "dense", "train", gridsize=2, method="epie", repeat=2).name
        'dose_1000_dense_train@epie@2'
        """
        return f"{dose_name(self.dose)}_{self.view}_{self.split}{self.variant}"

    @property
    def variant(self) -> str:
        """Return what its name ends in, and that of its folder: nothing for the plain one.

        >>> Case(1e3, "dense", "train", gridsize=2, repeat=3).variant
        '@3'
        """
        return variant_name(self.method, self.repeat)

    @property
    def model_name(self) -> str:
        """Return the name of what its method was trained to, of both splits.

        >>> Case(1e3, "dense", "test", gridsize=2, method="cnn", repeat=2).model_name
        'dose_1000_dense@cnn@2'
        """
        return f"{dose_name(self.dose)}_{self.view}{self.variant}"


def dose_name(dose: float) -> str:
    """Return the name of a dose in paths and tasks.

    >>> dose_name(1e5)
    'dose_100000'
    """
    return f"dose_{int(dose)}"


def variant_name(method: str = MAIN, repeat: int = 1) -> str:
    """Return what tells a job from the plain one of its cell; no method's name begins with a digit.

    >>> variant_name("epie"), variant_name(repeat=2), variant_name("epie", 2), variant_name()
    ('@epie', '@2', '@epie@2', '')
    """
    return ("" if method == MAIN else f"@{method}") + ("" if repeat == 1 else f"@{repeat}")


def set_name(dose: float, view: str = BASELINE, repeat: int = 1) -> str:
    """Return the name of the sets of a dose, of both splits, or of a view of it.

    >>> set_name(1e3, repeat=2), set_name(1e3, "dense")
    ('dose_1000@2', 'dose_1000_dense')
    """
    thinned = "" if view == BASELINE else f"_{view}"
    return f"{dose_name(dose)}{thinned}{variant_name(repeat=repeat)}"


def seed_of(seed: int, repeat: int) -> int:
    """Return the seed of a draw: that of the study for the first, another for each further one.

    >>> seed_of(42, 1), seed_of(42, 2), seed_of(42, 3)
    (42, 4155490744, 4188865782)
    """
    if repeat == 1:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}, draw {repeat}".encode()).digest()[:4], "big")
