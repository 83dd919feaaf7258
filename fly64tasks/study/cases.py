"""The jobs of a study by name: doses, views, splits."""

from __future__ import annotations

from msgspec import Struct

BASELINE = "baseline"
SPLITS = ("train", "test")


class Case(Struct, frozen=True):
    """One job of the study: a dose (photons per frame), a view and a split."""

    dose: float
    view: str
    split: str
    gridsize: int

    @property
    def name(self) -> str:
        """Return the case's name.

        >>> Case(dose=1e3, view="dense", split="train", gridsize=2).name
        'dose_1000_dense_train'
        """
        return f"{dose_name(self.dose)}_{self.view}_{self.split}"


def dose_name(dose: float) -> str:
    """Return the name of a dose in paths and tasks.

    >>> dose_name(1e5)
    'dose_100000'
    """
    return f"dose_{int(dose)}"
