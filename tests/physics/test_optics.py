import numpy as np
import pytest

from fly64tasks.physics.optics import (
    EDGE_ENERGY_LIMIT,
    diffraction_intensity,
    edge_energy,
    exit_waves,
    extract_patches,
    probe_diameter_px,
    synthetic_object,
    zone_plate_probe,
)
from fly64tasks.study.stages import BaseSpec, Geometry

PROBE = zone_plate_probe(BaseSpec(), Geometry())
OBJECT = synthetic_object(BaseSpec())


def test_builtin_probe_has_unit_power_and_dies_out_at_the_edge():
    assert np.sum(np.abs(PROBE) ** 2) == pytest.approx(1)
    assert edge_energy(PROBE) < EDGE_ENERGY_LIMIT


def test_builtin_probe_has_a_central_stop_in_its_pupil():
    pupil = diffraction_intensity(PROBE[None])
    assert pupil[32, 32] < 1e-2 * pupil.max()
    assert pupil[32, 32 + 9] > 0.9 * pupil.max()


def test_diameter_of_a_uniform_disc_is_its_own():
    y, x = np.indices((128, 128))
    disc = (np.hypot(y - 64, x - 64) <= 20).astype(complex)
    assert probe_diameter_px(disc) == pytest.approx(40, rel=0.01)


def test_object_absorbs_and_retards_strongly_and_weakly():
    amplitude, phase = np.abs(OBJECT), np.angle(OBJECT)
    assert amplitude.max() <= 1
    assert amplitude.min() > 0.4
    assert np.ptp(phase) > 1
    spectrum = np.abs(np.fft.fft2(OBJECT - OBJECT.mean())) ** 2
    k = np.hypot(np.fft.fftfreq(360)[:, None], np.fft.fftfreq(360)[None, :])
    shells = [spectrum[(k >= low) & (k < 2 * low)].sum() for low in (0.01, 0.03, 0.1, 0.25)]
    assert min(shells) > 1e-3 * sum(shells)


def test_object_is_the_same_for_the_same_seed_and_another_for_another():
    assert np.array_equal(OBJECT, synthetic_object(BaseSpec()))
    assert not np.array_equal(OBJECT, synthetic_object(BaseSpec(seed=2)))


def extract_patch(field: np.ndarray, y: float, x: float, size: int) -> np.ndarray:
    return extract_patches(field, np.array([[y, x]]), size)[0]


def test_patch_at_a_whole_position_is_a_slice_with_its_centre_there():
    patch = extract_patch(OBJECT, 100.0, 50.0, 64)
    assert patch[32, 32] == OBJECT[100, 50]
    assert patch.shape == (64, 64)


def test_patch_between_pixels_is_exact_for_a_plane_wave():
    y, x = np.indices((48, 48))
    wave = np.exp(2j * np.pi * (5 * y - 3 * x) / 48)
    patch = extract_patch(wave, 20.3, 25.8, 16)
    rows, cols = np.arange(16) - 8 + 20.3, np.arange(16) - 8 + 25.8
    expected = np.exp(2j * np.pi * (5 * rows[:, None] - 3 * cols[None, :]) / 48)
    assert np.abs(patch - expected).max() < 1e-12


@pytest.mark.parametrize("shape", [(47, 48), (48, 47)])
def test_patch_between_pixels_is_continuous_with_the_whole_positions(shape):
    field = synthetic_object(BaseSpec(object_size_px=64))[: shape[0], : shape[1]]
    near = extract_patch(field, 20.0 + 1e-7, 25.0, 16)
    assert np.abs(near - extract_patch(field, 20.0, 25.0, 16)).max() < 1e-5


def test_intensity_sums_to_the_photons_behind_the_object():
    (exit_wave,) = next(exit_waves(PROBE[None] * 100, OBJECT, np.array([[100.0, 100.0]])))
    photons = np.sum(np.abs(exit_wave) ** 2)
    assert diffraction_intensity(exit_wave).sum() == pytest.approx(photons)
    assert photons < 100**2


def test_shifting_probe_or_object_gives_the_same_diffraction_where_both_are_smooth():
    y, x = np.indices((128, 128))
    smooth = np.exp(0.5j * np.sin(2 * np.pi * (3 * y + 2 * x) / 128))
    position = np.array([[60.3, 61.6]])
    (shifted_probe,) = diffraction_intensity(next(exit_waves(PROBE[None], smooth, position)))
    patch = extract_patch(smooth, 60.3, 61.6, 64)
    shifted_object = diffraction_intensity(PROBE[None] * patch)
    assert np.abs(shifted_probe - shifted_object).max() < 1e-4 * shifted_object.max()


def test_probe_that_has_not_died_out_is_left_in_place():
    flat = np.ones((1, 16, 16), complex)
    position = np.array([[30.4, 30.0]])
    (exit_wave,) = next(exit_waves(flat, OBJECT, position))
    assert np.array_equal(exit_wave[0], extract_patch(OBJECT, 30.4, 30.0, 16))


@pytest.mark.parametrize("shift_probe", [True, False])
def test_frames_in_blocks_are_those_one_by_one(shift_probe: bool):
    rng = np.random.default_rng(3)
    positions = np.concatenate([rng.uniform(40, 300, (40, 2)), np.full((2, 2), 100.0)])
    positions[30:38, 0] = positions[30, 0]  # a row of a raster
    probe = np.stack([PROBE, PROBE.T * 1j])
    blocks = list(exit_waves(probe, OBJECT, positions, shift_probe=shift_probe))
    assert 1 < len(blocks) < len(positions)
    singly = [
        next(exit_waves(probe, OBJECT, position[None], shift_probe=shift_probe))
        for position in positions
    ]
    assert np.array_equal(np.concatenate(blocks), np.concatenate(singly))


def test_sample_on_a_pixel_is_that_pixel_and_frames_of_a_row_share_what_they_can():
    field = OBJECT[:47, :64]
    positions = np.array([[20.0, 30.25], [20.0, 31.25], [20.5, 31.25]])
    patches = extract_patches(field, positions, 16)
    assert np.abs(patches[0][:, 1:] - patches[1][:, :-1]).max() < 1e-12
    along_x = np.fft.fftfreq(64) * 64
    spectrum = np.fft.fft(field[12:28], axis=1)
    spectrum[:, 32] *= np.cos(np.pi / 4) / np.exp(2j * np.pi * along_x[32] * 0.25 / 64)
    shifted = np.fft.ifft(spectrum * np.exp(2j * np.pi * along_x * 0.25 / 64), axis=1)
    assert np.abs(patches[0] - shifted[:, 22:38]).max() < 1e-12
