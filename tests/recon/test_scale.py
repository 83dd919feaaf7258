import numpy as np
import pytest

from fly64tasks.recon.scale import factor_to, known_scale


@pytest.mark.parametrize(
    ("probe", "known_from"),
    [(0.99, "frames"), (1.0, "probe"), (1.2, "probe"), (5.0, "probe"), (5.1, "frames")],
)
def test_probe_is_believed_where_the_object_absorbs_what_it_has_more(probe: float, known_from: str):
    scale = known_scale(probe * 800.0, 800.0)
    assert scale.known_from == known_from
    assert scale.photons == pytest.approx(probe * 800 if known_from == "probe" else 800)


def test_factor_brings_a_probe_to_its_photons():
    probe = np.full((2, 3, 3), 2 + 1j, np.complex64)
    factor = factor_to(720.0, probe)
    assert (np.abs(factor * probe) ** 2).sum() == pytest.approx(720)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_probe_that_no_factor_helps_is_left(value: float):
    assert factor_to(1.0, np.full((1, 2, 2), value, np.complex64)) == 1
