"""|z|^2 without the modulus: pty-chi's own to rounding, and where it changes no byte always on."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import ptychi.api
import pytest
import torch
from ptychi import maths

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.recon.ptychi import modulus
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import new_task, run_epoch
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec

ABS, METHOD, ABS2 = torch.abs, torch.Tensor.abs, maths.abs2


def waves(dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(3, 2, 16, 16, dtype=dtype, generator=generator)
    found[0, 0, :3] = 0
    return found * torch.logspace(-6, 6, 16)


@pytest.mark.parametrize("dtype", [torch.complex128, torch.complex64])
def test_modulus_is_torchs(dtype: torch.dtype):
    values = waves(dtype)
    nearness = 1e-15 if dtype == torch.complex128 else 3e-7
    torch.testing.assert_close(modulus.modulus(values), ABS(values), rtol=nearness, atol=0)
    torch.testing.assert_close(modulus.squares(values), ABS(values) ** 2, rtol=nearness, atol=0)


def test_squares_are_the_bytes_of_ptychis():
    values = waves(torch.complex64)
    assert torch.equal(modulus.squares(values), ABS2(values))
    assert modulus.squares(values.real).equal(ABS2(values.real))


def test_autograd_keeps_torchs_own():
    values = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    modulus.modulus(values).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, torch.zeros(3, dtype=torch.complex64))


def test_installed_for_the_context_alone():
    with contextlib.suppress(RuntimeError), modulus.installed(), modulus.squares_installed():
        assert torch.abs is torch.Tensor.abs is modulus.modulus
        assert maths.abs2 is modulus.squares
        assert torch.tensor([3 + 4j]).abs() == abs(torch.tensor([3 + 4j])) == 5
        raise RuntimeError("in a run")
    assert torch.abs is ABS
    assert torch.Tensor.abs is METHOD
    assert maths.abs2 is ABS2


@pytest.mark.parametrize("algorithm", ["LSQML", "EPIE", "RPIE", "DM", "BH"])
def test_epochs_in_double_precision_are_ptychis_own(small_set: PtychoDataset, algorithm: str):
    """Of single precision dark pixels' phases are rounding, which grows."""
    spec = ReconSpec(algorithm=algorithm, num_epochs=2, warmup_epochs=0).resolved()
    start = start_of(small_set, spec, "set")
    objects = []
    for replacing in (modulus.installed, contextlib.nullcontext):
        options = ptychi_options(start, spec, "cpu")
        options.reconstructor_options.default_dtype = ptychi.api.Dtypes.FLOAT64
        try:
            probe = start.scale.to_ptychi(start.probe)
            with new_task(options, start, start.obj, probe) as task, replacing():
                for epoch in (1, 2):
                    run_epoch(task, epoch)
                objects.append(task.get_data("object").numpy())
        finally:
            torch.set_default_dtype(torch.float32)
    assert objects[0].dtype == np.complex128
    assert np.abs(objects[0] - objects[1]).max() < 1e-9


def test_a_run_takes_ours_where_its_settings_say_so(
    small_set: PtychoDataset, monkeypatch: pytest.MonkeyPatch
):
    called = []
    monkeypatch.setattr(
        modulus, "modulus", lambda values, **said: called.append(1) or ABS(values, **said)
    )
    for fast in (False, True):
        assert not called
        spec = ReconSpec(algorithm="EPIE", num_epochs=1, fast_modulus=fast)
        reconstruct(start_of(small_set, spec, "set"), spec)
    assert called


def test_a_task_warns_of_nothing_that_is_ptychis_own(small_set: PtychoDataset):
    spec = ReconSpec(num_epochs=1).resolved()
    start = start_of(small_set, spec, "set")
    options = ptychi_options(start, spec, "cpu")
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            new_task(options, start, start.obj, start.scale.to_ptychi(start.probe))
    finally:
        torch.set_warn_always(False)
