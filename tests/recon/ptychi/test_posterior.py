"""The objective against its formula in numpy, its gradient against finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fly64tasks.recon.ptychi.likelihood import PoissonLikelihood
from fly64tasks.recon.ptychi.posterior import Posterior, roughness
from fly64tasks.recon.ptychi.scan import Scan
from fly64tasks.recon.ptychi.windows import Windows

SHAPE = (17, 19)
CASES = [
    pytest.param(size, modes, mask, id=f"{size} px, {modes} modes, {mask} mask")
    for size, modes, mask in [
        (8, 1, "no"),
        (7, 1, "no"),
        (8, 2, "one"),
        (7, 3, "a frame's own"),
    ]
]


class Problem:
    """Frames of a random object and probe, in double precision."""

    def __init__(
        self,
        size: int,
        modes: int,
        mask: str,
        n: int = 11,
        chunk: int = 4,
        offsets: int = 0,
        moving: bool = False,
    ) -> None:
        rng = np.random.default_rng([size, modes])

        def waves(*shape: int) -> NDArray[np.complex128]:
            return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

        self.size = size
        self.obj, self.probe = 1 + 0.1 * waves(*SHAPE), waves(modes, size, size) / size
        self.corners = rng.integers(0, np.array(SHAPE) - size + 1, (n, 2))
        self.shifts = rng.uniform(-0.5, 0.5, (n, 2))
        if offsets:
            self.shifts = self.shifts[rng.integers(0, offsets, n)]
        self.counts = rng.poisson(3, (n, size, size)).astype(float)
        self.valid: NDArray[np.bool_] | None = None
        if mask != "no":
            shape = (size, size) if mask == "one" else (n, size, size)
            self.valid = rng.random(shape) > 0.2
        self.windows = Windows(self.corners, size, SHAPE, torch.device("cpu"))
        self.likelihood = PoissonLikelihood(
            torch.from_numpy(self.counts),
            self.windows,
            torch.from_numpy(self.shifts),
            None if self.valid is None else torch.from_numpy(self.valid),
            chunk,
            moving=moving,
        )

    def posterior(self, *, scan: Scan | None = None, **settings: float | None) -> Posterior:
        defaults = {"prior": 70.0, "edge": 0.05, "probe_trust": 0.1, "low_frequency": 0.04}
        chosen = {**defaults, **settings}
        probe = torch.from_numpy(self.probe)
        return Posterior(self.likelihood, probe, scan=scan, **chosen)  # type: ignore[arg-type]

    def point(self, posterior: Posterior, seed: int = 0) -> Tensor:
        """Return a point near the guess."""
        rng = np.random.default_rng(seed)
        positions = self.scan().given_px
        start = posterior.join(torch.from_numpy(self.obj), torch.from_numpy(self.probe), positions)
        return start + 0.02 * torch.from_numpy(rng.standard_normal(len(start)))

    def scan(self) -> Scan:
        """Return positions that may change, of windows that lie where they do."""
        nearest = torch.from_numpy(self.corners + (self.size - 1) / 2)
        given = nearest + torch.from_numpy(self.shifts)
        return Scan(given, nearest, torch.zeros(2).double(), self.size, SHAPE)

    def nats(self, obj: NDArray[np.complex128], probe: NDArray[np.complex128]) -> float:
        """Return the formula, frame by frame."""
        k = np.fft.fftfreq(self.size)
        total = 0.0
        valid = np.broadcast_to(True if self.valid is None else self.valid, self.counts.shape)
        for (y, x), (sy, sx), n, good in zip(
            self.corners, self.shifts, self.counts, valid, strict=True
        ):
            ramp = np.exp(-2j * np.pi * (k[:, None] * sy + k * sx))
            shifted = np.fft.ifft2(np.fft.fft2(probe) * ramp)
            waves = np.fft.fft2(shifted * obj[y : y + self.size, x : x + self.size])
            expected = (np.abs(waves) ** 2).sum(0) + self.likelihood.background
            term = expected - n * np.log(expected)
            perfect = n - n * np.log(np.where(n, n, 1))
            total += (term - perfect)[good].sum()
        return total


def slopes(f: object, point: Tensor, directions: Sequence[Tensor], h: float) -> list[float]:
    return [float(f(point + h * d)[0] - f(point - h * d)[0]) / (2 * h) for d in directions]  # type: ignore[operator]


@pytest.mark.parametrize("offsets", [0, 3], ids=["shifts of their own", "three shifts"])
@pytest.mark.parametrize(("size", "modes", "mask"), CASES)
def test_objective_is_the_formula(size: int, modes: int, mask: str, offsets: int):
    problem = Problem(size, modes, mask, offsets=offsets)
    posterior = problem.posterior()
    vector = problem.point(posterior)
    obj, probe = (part.numpy() for part in posterior.split(vector)[:2])  # type: ignore[union-attr]
    down, right = np.diff(obj, axis=0, append=obj[-1:]), np.diff(obj, axis=1, append=obj[:, -1:])
    slope = np.hypot(np.abs(down), np.abs(right))
    rough = (2 * 0.05**2 * (np.sqrt(1 + (slope / 0.05) ** 2) - 1)).sum()
    off = (np.abs(probe - problem.probe) ** 2).sum()
    stiffness = 1 / (0.1**2 * (np.abs(problem.probe) ** 2).mean())
    expected = problem.nats(obj, probe) + 70 * rough + stiffness * off
    assert float(posterior(vector)[0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("offsets", [0, 3], ids=["shifts of their own", "three shifts"])
@pytest.mark.parametrize(("size", "modes", "mask"), CASES)
@pytest.mark.parametrize("settings", [{}, {"prior": 0.0}, {"probe_trust": None}], ids=str)
def test_gradient_is_that_of_finite_differences(
    size: int, modes: int, mask: str, settings: dict[str, float | None], offsets: int
):
    problem = Problem(size, modes, mask, offsets=offsets)
    posterior = problem.posterior(**settings)
    point = problem.point(posterior)
    gradient = posterior(point)[1]
    rng = np.random.default_rng(1)
    directions = [torch.from_numpy(rng.standard_normal(len(point))) for _ in range(5)]
    found = slopes(posterior, point, directions, h=1e-6)
    assert [float(gradient @ d) for d in directions] == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize(("size", "modes", "mask"), CASES)
@pytest.mark.parametrize("settings", [{}, {"probe_trust": None}], ids=str)
def test_gradient_of_positions_is_that_of_finite_differences(
    size: int, modes: int, mask: str, settings: dict[str, float | None]
):
    problem = Problem(size, modes, mask, moving=True)
    scan = problem.scan()
    posterior = problem.posterior(**settings, scan=scan)
    rng = np.random.default_rng(1)
    shape = scan.given_px.shape
    moved = scan.given_px + torch.from_numpy(rng.standard_normal(shape))
    point = posterior.join(torch.from_numpy(problem.obj), torch.from_numpy(problem.probe), moved)
    gradient = posterior(point)[1]
    directions = [torch.from_numpy(rng.standard_normal(len(point))) for _ in range(5)]
    for direction in directions:  # all frames at once may not move
        moves = posterior.split(direction)[2]
        assert moves is not None
        moves -= moves.mean(0)
    found = slopes(posterior, point, directions, h=1e-6)
    assert [float(gradient @ d) for d in directions] == pytest.approx(found, rel=1e-5)
    pull = posterior.split(gradient)[2]
    assert pull is not None
    assert float(pull.mean(0).abs().max()) < 1e-12 * float(pull.abs().max()) * len(pull)


def test_frames_tell_where_they_are_only_where_the_object_changes():
    problem = Problem(8, 1, "no")
    flat = torch.ones(SHAPE, dtype=torch.complex128)
    probe = torch.from_numpy(problem.probe)
    assert (problem.likelihood.curvature(flat, probe) == 0).all()
    y = torch.arange(SHAPE[0])[:, None] * torch.ones(SHAPE[1])
    ramp = torch.exp(0.1j * y.double())
    photons = problem.size**2 * float((probe.abs() ** 2).sum())
    curvature = problem.likelihood.curvature(ramp, probe)
    assert curvature[:, 0].tolist() == pytest.approx(
        [2 * photons * np.sin(0.1) ** 2] * 11, rel=0.01
    )
    assert float(curvature[:, 1].abs().max()) < 1e-12


def test_chunks_change_rounding_alone():
    values = []
    for chunk in (1, 3, 100):
        problem = Problem(8, 2, "one", chunk=chunk)
        posterior = problem.posterior()
        values.append(posterior(problem.point(posterior)))
    for nats, gradient in values[1:]:
        assert float(nats) == pytest.approx(float(values[0][0]), rel=1e-13)
        torch.testing.assert_close(gradient, values[0][1], rtol=1e-10, atol=1e-10)


def test_masked_pixels_say_nothing_whatever_they_hold():
    problem, other = Problem(8, 1, "one"), Problem(8, 1, "one")
    assert other.valid is not None
    other.counts[:, ~other.valid] = np.nan  # the likelihood shares this memory
    results = [p.posterior()(p.point(p.posterior())) for p in (problem, other)]
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])
    assert problem.likelihood.n_valid == problem.valid.sum() * 11  # type: ignore[union-attr]


@pytest.mark.parametrize("moves", [False, True], ids=["held", "moving"])
@pytest.mark.parametrize("settings", [{}, {"prior": 0.0}, {"low_frequency": 0.0}], ids=str)
def test_metric_is_symmetric_and_positive(settings: dict[str, float], moves: bool):
    problem = Problem(8, 2, "no", moving=moves)
    posterior = problem.posterior(**settings, scan=problem.scan() if moves else None)
    point = problem.point(posterior)
    a, b = problem.point(posterior, 1) - point, problem.point(posterior, 2) - point
    metric, squares = posterior.metric_at(point)
    forth = float(a @ metric(b))
    assert forth == pytest.approx(float(b @ metric(a)), rel=1e-10)
    assert float(a @ metric(a)) == pytest.approx(float(squares(a)), rel=1e-10)
    assert float(squares(a)) > 0


def test_roughness_is_the_slope_squared_and_at_an_edge_its_height():
    pairs = 5 * 11
    ramp = torch.arange(12.0).repeat(5, 1).to(torch.complex128)
    assert float(roughness(1e-4 * ramp, 0.05)[0]) == pytest.approx(pairs * 1e-8, rel=1e-5)
    assert float(roughness(100 * ramp, 0.05)[0]) == pytest.approx(pairs * 2 * 0.05 * 100, rel=1e-3)
    assert roughness(torch.ones(5, 12, dtype=torch.complex128), 0.05)[0] == 0


def test_illumination_counts_every_photon():
    problem = Problem(8, 2, "no")
    photons = problem.size**2 * (np.abs(problem.probe) ** 2).sum()  # of a frame, by Parseval
    total = float(problem.likelihood.illumination(torch.from_numpy(problem.probe)).sum())
    assert total == pytest.approx(11 * photons)


def test_background_is_a_small_share_of_few_photons():
    problem = Problem(8, 1, "no")
    assert problem.likelihood.background == 1e-3
    few = PoissonLikelihood(
        torch.from_numpy(problem.counts * 1e-3),
        problem.windows,
        torch.from_numpy(problem.shifts),
        None,
        4,
    )
    assert few.background == pytest.approx(problem.counts.mean() * 1e-3 / 200)
