"""What a set says of its physical sizes, and what is taken where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fly64tasks.data.metadata import geometry_of
from fly64tasks.errors import DatasetError
from fly64tasks.study.stages import ASSUMED, SIZES, Geometry

MEASURED = Geometry(pixel_size_m=7e-9, energy_ev=8e3, assumed=False)
OWN = {"pixel_size_m": 4e-9, "energy_ev": 6e3, "detector_pixel_size_m": 55e-6, "assumed": False}
CASES: dict[str, tuple[dict[str, Any] | None, Geometry, Geometry]] = {
    "nothing is known": (None, ASSUMED, ASSUMED),
    "the study alone": (None, MEASURED, MEASURED),
    "an empty table": ({}, MEASURED, MEASURED),
    "the set alone": (OWN, ASSUMED, Geometry(**OWN)),
    "the set before the study": (OWN, MEASURED, Geometry(**OWN)),
    "a part of the set's own": (
        {"pixel_size_m": 4e-9, "assumed": False},
        MEASURED,
        Geometry(pixel_size_m=4e-9, energy_ev=8e3, assumed=False),
    ),
    "a part, the rest unknown": ({"pixel_size_m": 4e-9}, ASSUMED, Geometry(pixel_size_m=4e-9)),
    "a part, the rest measured": (
        {"pixel_size_m": 4e-9},
        MEASURED,
        Geometry(pixel_size_m=4e-9, energy_ev=8e3, assumed=False),
    ),
    "all said without a word": (
        {key: OWN[key] for key in SIZES},
        ASSUMED,
        Geometry(**OWN),
    ),
    "measured before assumed": (ASSUMED.to_dict(), MEASURED, MEASURED),
}


@pytest.mark.parametrize(("table", "otherwise", "expected"), CASES.values(), ids=CASES.keys())
def test_sizes_of_a_set(table: dict[str, Any] | None, otherwise: Geometry, expected: Geometry):
    assert geometry_of({"geometry": table}, otherwise, "set.npz") == expected


def test_sizes_that_were_asked_for_are_used_or_refused():
    assert geometry_of({"geometry": OWN}, MEASURED, "set.npz", given=()).energy_ev == 6e3
    with pytest.raises(DatasetError, match="says energy_ev 6000, asked for is 8000; expected one"):
        geometry_of({"geometry": OWN}, MEASURED, "set.npz", given=["energy_ev"])
    same = OWN | {"energy_ev": 8e3}
    assert (
        geometry_of({"geometry": same}, MEASURED, "set.npz", given=["energy_ev"]).assumed is False
    )


def test_what_a_set_lacks_can_be_given_and_what_it_assumes_be_said_better():
    energy = Geometry(energy_ev=7e3)
    found = geometry_of({"geometry": {"pixel_size_m": 4e-9}}, energy, "set.npz", ["energy_ev"])
    assert (found.pixel_size_m, found.energy_ev, found.assumed) == (4e-9, 7e3, True)
    both = ["energy_ev", "detector_pixel_size_m"]
    found = geometry_of({"geometry": {"pixel_size_m": 4e-9}}, energy, "set.npz", both)
    assert (found.pixel_size_m, found.energy_ev, found.assumed) == (4e-9, 7e3, False)
    found = geometry_of({"geometry": ASSUMED.to_dict()}, energy, "set.npz", ["energy_ev"])
    assert (found.pixel_size_m, found.energy_ev, found.assumed) == (10e-9, 7e3, True)


NO_SIZES = [
    *([], "10 nm", {"pixel_size_m": 0}, {"pixel_size": 1e-8}),
    *({"pixel_size_m": 1e18}, {"pixel_size_m": 5e-324}, {"energy_ev": 1e-320}),
]


@pytest.mark.parametrize("table", NO_SIZES)
def test_sizes_that_are_none_are_refused(table: Any):
    with pytest.raises(DatasetError, match=r"^set.npz: _metadata.geometry"):
        geometry_of({"geometry": table}, ASSUMED, "set.npz")
