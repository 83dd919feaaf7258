"""What the tasks of a case have in common: what its set is made from, words and filters."""

from __future__ import annotations

import functools
from typing import Any

from fly64tasks.data.lineage import AskedSet, lineage_of_base
from fly64tasks.study.cases import BASELINE, MAIN, Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.stages import ASSUMED, DataSpec, Geometry
from fly64tasks.study.study import Study


def is_ours(layout: Layout, view: str) -> bool:
    """Return whether the sets of a view are made by us."""
    return layout.makes_phase_c if view == BASELINE else layout.makes_phase_d


def data_of(study: Study, *, made_by_us: bool) -> DataSpec:
    """Return what the study says of a set; of one of ours, which says it itself, nothing."""
    return DataSpec() if made_by_us else study.data


def read_with(study: Study, layout: Layout, case: Case) -> tuple[Geometry, DataSpec]:
    """Return the sizes that a case's set is read with, and how it is read."""
    simulated = layout.makes_phase_c and is_ours(layout, case.view)
    # What we simulate says its sizes itself: where they change, the set does.
    geometry = ASSUMED if simulated else study.geometry
    return geometry, data_of(study, made_by_us=is_ours(layout, case.view))


def base_lineage(study: Study, layout: Layout) -> dict[str, Any] | None:
    """Return what the base is made from, None for one of the user's."""
    return _lineage(study.base, study.geometry) if layout.makes_base else None


_lineage = functools.lru_cache(maxsize=8)(lineage_of_base)


def asked_of(study: Study, layout: Layout, dose: float, view: str, repeat: int) -> AskedSet | None:
    """Return what a set is to be made from, None for one of the user's."""
    thinned = view != BASELINE
    if not is_ours(layout, view):
        return None
    return AskedSet(
        base=layout.base,
        base_lineage=base_lineage(study, layout),
        dose=dose,
        simulation=study.simulation_of(repeat),
        geometry=study.geometry,
        view=study.view_spec(view) if thinned else None,
        own_source=not layout.makes_phase_c,
    )


def words(case: Case) -> str:
    """Return what the words of a task say of its case."""
    by = "" if case.method == MAIN else f", by {case.method}"
    return f"{case.dose:g} photons per frame, {case.view}, {case.split}{by}{drawn(case.repeat)}"


def drawn(repeat: int) -> str:
    """Return what the words of a task say of a draw of the noise: nothing of the first."""
    return "" if repeat == 1 else f", draw {repeat}"


def filtered_by(study: Study, case: Case) -> dict[str, Any]:
    """Return what filters look for in a task; methods and draws only where there are some."""
    variant = () if study.is_plain else ("method", "repeat")
    return {key: getattr(case, key) for key in ("dose", "view", "split", "gridsize", *variant)}
