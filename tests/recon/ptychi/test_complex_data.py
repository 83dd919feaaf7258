"""What pty-chi does that costs time and changes no byte, left out on the CPU."""

from __future__ import annotations

import contextlib

import numpy as np
import ptychi.api  # noqa: F401 - before its parts, which import each other
import pytest
import torch
from ptychi.data_structures.base import ComplexTensor

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.recon.ptychi import complex_data, modulus
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import arrays_of, new_task, run_epoch
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec

THEIRS = ComplexTensor.complex


def run(dataset: PtychoDataset, algorithm: str) -> tuple[bytes, bytes, float, bool]:
    """Return object, probe and loss after two epochs, and whether a default device was set."""
    spec = ReconSpec(algorithm=algorithm, num_epochs=2, warmup_epochs=0).resolved()
    start = start_of(dataset, spec, "set")
    probe = start.scale.to_ptychi(start.probe)
    with new_task(ptychi_options(start, spec, "cpu"), start, start.obj, probe) as task:
        is_set = bool(torch.overrides._get_current_function_mode_stack())
        losses = [run_epoch(task, epoch) for epoch in (1, 2)]
        obj, found = arrays_of(task)
        return obj.tobytes(), found.tobytes(), losses[-1], is_set


@pytest.mark.parametrize("algorithm", ["LSQML", "EPIE", "AD", "DM"])
def test_cheaper_epochs_give_the_same_bytes(
    small_set: PtychoDataset, algorithm: str, monkeypatch: pytest.MonkeyPatch
):
    *ours, is_set = run(small_set, algorithm)
    assert not is_set
    monkeypatch.setattr(complex_data, "CHECKED_VERSIONS", ())
    monkeypatch.setattr(modulus, "CHECKED_VERSIONS", ())
    monkeypatch.setattr(torch, "set_default_device", set_device_that_stays)
    *theirs, is_set = run(small_set, algorithm)
    assert is_set
    assert ours == theirs


SET_DEVICE = torch.set_default_device


def set_device_that_stays(device: str | None) -> None:
    if device is not None:
        SET_DEVICE(device)


@pytest.fixture(autouse=True)
def no_default_device():
    yield
    SET_DEVICE(None)


def test_copy_keeps_its_values_and_has_the_gradients_of_ptychis():
    generator = np.random.default_rng(5)
    data = generator.standard_normal((2, 3, 4)) + 1j * generator.standard_normal((2, 3, 4))
    gradients = []
    for of in (complex_data.complex_of, THEIRS):
        parameter = ComplexTensor(data)
        value = of(parameter)
        assert value.dtype == torch.complex64
        (value * value.conj() * torch.linspace(0, 1, 4)).real.sum().backward()
        gradients.append(parameter.data.grad)
        before = value.detach().clone()
        with torch.no_grad():
            parameter.set_data(torch.zeros(2, 3, 4, dtype=torch.complex64))
        assert torch.equal(value, before)
    assert torch.equal(*gradients)


def test_installed_for_the_context_alone():
    with contextlib.suppress(RuntimeError), complex_data.installed():
        assert ComplexTensor.complex is complex_data.complex_of
        raise RuntimeError("in a run")
    assert ComplexTensor.complex is THEIRS
