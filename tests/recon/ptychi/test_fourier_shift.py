"""Our sub-pixel shift against pty-chi's own, and when it stands in for it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from ptychi import image_proc, maths

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics import alignment, image_quality
from fly64tasks.recon.ptychi import fourier_shift
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec

THEIRS = image_proc.fourier_shift
TOLERANCE = 4e-6
"""Of the largest value: what float32 rounding of the two ramps may differ by."""


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    """As reconstructions run; pty-chi's own default is double."""
    before = maths.get_use_double_precision_for_fft()
    maths.set_use_double_precision_for_fft(False)
    yield
    maths.set_use_double_precision_for_fft(before)


def images_and_shifts(
    shape: tuple[int, int, int], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    images = torch.randn(shape, dtype=dtype, generator=generator)
    return images, 3 * torch.randn(shape[0], 2, generator=generator)


def gradients(shift, images: torch.Tensor, shifts: torch.Tensor) -> list[torch.Tensor]:
    leaves = [images.clone().requires_grad_(), shifts.clone().requires_grad_()]
    weights = torch.linspace(0, 1, images.numel()).reshape(images.shape)
    (weights * shift(*leaves).abs() ** 2).sum().backward()
    return [leaf.grad for leaf in leaves]


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("shape", [(1, 16, 16), (5, 64, 64), (3, 33, 33), (4, 31, 48), (2, 1, 7)])
def test_shift_and_its_gradients_are_ptychis(shape: tuple[int, int, int], dtype: torch.dtype):
    images, shifts = images_and_shifts(shape, dtype)
    assert_close(fourier_shift.fourier_shift(images, shifts), THEIRS(images, shifts))
    ours, theirs = (
        gradients(shift, images, shifts) for shift in (fourier_shift.fourier_shift, THEIRS)
    )
    for our, their in zip(ours, theirs, strict=True):
        assert (our - their).abs().max() <= 1e-4 * their.abs().max()


def test_zeros_are_preserved_as_ptychi_does():
    images, shifts = images_and_shifts((2, 16, 16), torch.complex64)
    images[:, :5] = 0
    ours = fourier_shift.fourier_shift(images, shifts, strictly_preserve_zeros=True)
    assert torch.equal(ours, THEIRS(images, shifts, strictly_preserve_zeros=True))


def test_installed_for_the_context_alone():
    with fourier_shift.installed():
        assert image_proc.fourier_shift is fourier_shift.fourier_shift
    assert image_proc.fourier_shift is THEIRS


def test_a_gpu_keeps_ptychis_own():
    with fourier_shift.installed("cuda:0"):
        assert image_proc.fourier_shift is THEIRS


def test_failure_in_the_context_leaves_ptychis_own():
    with contextlib.suppress(RuntimeError), fourier_shift.installed():
        raise RuntimeError("in a run")
    assert image_proc.fourier_shift is THEIRS


def test_the_version_installed_was_checked():
    assert importlib.metadata.version("ptychi") in fourier_shift.CHECKED_VERSIONS


def test_version_that_was_not_checked_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(fourier_shift, "CHECKED_VERSIONS", ("1.0",))
    with caplog.at_level(logging.INFO), fourier_shift.installed():
        assert image_proc.fourier_shift is THEIRS
    assert "keeps its own fourier_shift: the faster one was checked against 1.0" in caplog.text


@pytest.mark.parametrize("algorithm", ["LSQML", "AD"])
def test_reconstruction_is_as_good(small_set: PtychoDataset, algorithm: str):
    """Rounding grows where a frame is dark in theory and lit by noise, so that no bits agree."""
    truth = small_set.object_guess.astype(complex)
    errors, objects = [], []
    for fast in (False, True):
        spec = ReconSpec(
            algorithm=algorithm, num_epochs=4, warmup_epochs=2, fast_fourier_shift=fast
        )
        start = start_of(small_set, spec, "set")
        found = reconstruct(start, spec).obj
        region = alignment.illuminated_region(start.probe, start.positions_px, truth.shape)
        aligned = alignment.align(found.astype(complex), truth, region)
        errors.append(image_quality.complex_nrmse(aligned.obj, truth, region))
        objects.append(found[region])
    assert not np.array_equal(*objects)  # it was in use
    assert np.abs(objects[0] - objects[1]).mean() < 0.01
    assert errors[1] == pytest.approx(errors[0], rel=5e-3)
