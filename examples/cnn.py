"""A small network as a method of a study: trained on one set, applied to others.

    [methods.cnn]
    train = ["python", "cnn.py", "train", "{train_npz}", "{model}", "{seed}"]
    command = ["python", "cnn.py", "apply", "{input_npz}", "{model}", "{output}"]

It needs torch and numpy, two CPU cores and under a minute. It sees no truth: the network makes a
patch of the object of each frame, the patches are laid on each other where they overlap, and what
is trained for is that the diffraction of the whole agrees with what was measured. A frame comes in
as the object that it alone suggests: its amplitudes with the phases of the probe's own far field,
back at the sample, and divided by the probe.

It is an example, not a contender: read it to see what a program gets, and what it has to write.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn

STEPS = 120
LEARNING_RATE = 5e-3
CHANNELS = 16


class Set:
    """What a program is given: frames, positions, a probe, and the shape of the object."""

    def __init__(self, path: str) -> None:
        with np.load(path) as file:
            self.amplitude = torch.from_numpy(file["diffraction"])  # (n, N, N), centred
            probe = torch.from_numpy(file["probeGuess"])
            self.shape = file["objectGuess"].shape  # all ones: only the shape is told
            positions = np.column_stack([file["ycoords"], file["xcoords"]])
        self.probe = probe if probe.ndim == 2 else probe[0]
        self.size = self.amplitude.shape[-1]
        # Pixel N // 2 of a patch lies at its position; the rest of it shifts the probe.
        corner = np.round(positions).astype(int) - self.size // 2
        away = torch.from_numpy(positions - np.round(positions))
        self.probes = shifted(self.probe, away)
        steps = np.arange(self.size)
        rows = corner[:, 0, None, None] + steps[:, None]
        columns = corner[:, 1, None, None] + steps
        self.where = torch.from_numpy(rows * self.shape[1] + columns)  # (n, N, N), flat
        weight = self.probes.abs().square()
        self.weight = weight / weight.max()
        self.covered = self.laid(self.weight) + 1e-3

    def laid(self, patches: torch.Tensor) -> torch.Tensor:
        """Return patches, (n, N, N), summed where they lie in the object, flat."""
        total = torch.zeros(self.shape[0] * self.shape[1], dtype=patches.dtype)
        return total.index_add(0, self.where.ravel(), patches.ravel())

    def first_guess(self) -> torch.Tensor:
        """Return the patch, (n, N, N), that each frame alone suggests."""
        far = far_field(self.probes)
        wave = at_sample(self.amplitude * torch.exp(1j * far.angle()))
        intensity = self.probes.abs().square()
        floor = 0.05 * intensity.amax(dim=(1, 2), keepdim=True)
        return (self.probes.conj() * wave + floor) / (intensity + floor)


def shifted(probe: torch.Tensor, by_px: torch.Tensor) -> torch.Tensor:
    """Return a probe, (N, N), shifted by (n, 2) parts of a pixel, y first: (n, N, N)."""
    frequency = torch.fft.fftfreq(probe.shape[-1], dtype=torch.float64)
    phase = by_px[:, 0, None, None] * frequency[:, None] + by_px[:, 1, None, None] * frequency
    ramp = torch.exp(-2j * torch.pi * phase)
    return torch.fft.ifft2(torch.fft.fft2(probe) * ramp).to(torch.complex64)


def far_field(wave: torch.Tensor) -> torch.Tensor:
    """Return waves, (n, N, N), on the detector, zero frequency centred; photons stay as many."""
    return torch.fft.fftshift(torch.fft.fft2(wave, norm="ortho"), dim=(-2, -1))


def at_sample(wave: torch.Tensor) -> torch.Tensor:
    """Return the waves at the sample that `far_field` takes to these."""
    return torch.fft.ifft2(torch.fft.ifftshift(wave, dim=(-2, -1)), norm="ortho")


class Network(nn.Module):
    """Convolutions that correct a patch; real and imaginary parts are channels."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for dilation in (1, 2, 4, 2, 1):
            layers += [
                nn.Conv2d(inputs, CHANNELS, 3, padding=dilation, dilation=dilation),
                nn.GELU(),
            ]
            inputs = CHANNELS
        last = nn.Conv2d(CHANNELS, 2, 3, padding=1)
        nn.init.zeros_(last.weight)  # it begins with what it is given
        self.layers = nn.Sequential(*layers, last).to(memory_format=torch.channels_last)

    def forward(self, given: Set) -> torch.Tensor:
        """Return the object, (H, W) complex, of a set."""
        guess = given.first_guess()
        shown = torch.stack([guess.real - 1, guess.imag, given.weight], dim=1)
        shown = shown.contiguous(memory_format=torch.channels_last)  # twice as fast on CPUs
        change = self.layers(shown)
        patches = guess + torch.complex(change[:, 0], change[:, 1])
        # Where the probe is weak the patch says little; where nothing was lit, the object is 1.
        total = given.laid(given.weight * patches) + 1e-3
        return (total / given.covered).reshape(given.shape)


def disagreement(obj: torch.Tensor, given: Set) -> torch.Tensor:
    """Return the mean squared difference of predicted and measured amplitudes, 1/4 for noise."""
    waves = given.probes * obj.ravel()[given.where]
    predicted = (far_field(waves).abs().square() + 1e-3).sqrt()
    return (predicted - given.amplitude).square().mean()


def roughness(obj: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of neighbouring pixels."""
    along_y, along_x = obj.diff(dim=0).abs().square(), obj.diff(dim=1).abs().square()
    return along_y.mean() + along_x.mean()


def train(train_npz: str, model: str, seed: int) -> None:
    """Train a network on one set, and write it."""
    torch.manual_seed(seed)
    given, network = Set(train_npz), Network()
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS)
    for step in range(STEPS):
        optimizer.zero_grad()
        obj = network(given)
        loss = disagreement(obj, given) + roughness(obj)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 40 == 0 or step == STEPS - 1:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    torch.save(network.state_dict(), model)


def apply(input_npz: str, model: str, output: str) -> None:
    """Write the object that a trained network makes of a set."""
    network = Network()
    network.load_state_dict(torch.load(model, weights_only=True))
    given = Set(input_npz)
    with torch.no_grad():
        obj = network(given)
        print(f"disagreement {disagreement(obj, given).item():.4f}")
    np.savez(output, object=obj.numpy())


if __name__ == "__main__":
    step, *words = sys.argv[1:]
    if step == "train":
        train(words[0], words[1], int(words[2]))
    else:
        apply(*words)
