"""Where an object lies in the truth, and whether it lies there as it is, conjugated or turned.

Objects are told apart by what a global factor and a phase ramp leave alone: the products of pixels
a few px apart, ``o(r + d) conj(o(r))``, of which a ramp changes the phase as a whole. They are
correlated within the pixels that both have (Padfield, *IEEE Trans. Image Process.* 21, 2706
(2012)), by ours rather than scikit-image's, which is for real images of one channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2, next_fast_len
from scipy.ndimage import gaussian_filter

from fly64tasks.physics.alignment import BoolArray, ComplexArray

_STEP_PX = 4
"""How far apart the pixels are: nearer ones differ by noise, farther ones cost the edge."""
_SMOOTH_PX = 1.0
_ROUNDING = 1e-5
"""Share of the power that is rounding: an object of ones varies by it."""
_MIN_SHARED = 0.5
"""Of the pixels that both could share, those that they have to."""

Variant = Callable[[ComplexArray], ComplexArray]
AS_IT_IS = "as it is"
_TURNS: dict[str, Variant] = {
    AS_IT_IS: lambda o: o,
    "flipped up-down": lambda o: o[::-1],
    "flipped left-right": lambda o: o[:, ::-1],
    "turned by 180 degrees": lambda o: o[::-1, ::-1],
    "transposed": lambda o: o.T,
    "turned by 90 degrees": lambda o: o.T[:, ::-1],
    "turned by 270 degrees": lambda o: o.T[::-1],
    "transposed about the other diagonal": lambda o: o.T[::-1, ::-1],
}


_CONJUGATED = "conjugated"


def turn_of(variant: str) -> str:
    """Return what is turned in a variant, whether it is conjugated or not.

    >>> turn_of("conjugated and transposed"), turn_of("conjugated")
    ('transposed', 'as it is')
    """
    if variant == _CONJUGATED:
        return AS_IT_IS
    return variant.removeprefix(f"{_CONJUGATED} and ")


def _conjugated(turn: Variant) -> Variant:
    return lambda o: turn(o).conj()


VARIANTS: dict[str, Variant] = {
    **_TURNS,
    **{
        _CONJUGATED if name == AS_IT_IS else f"{_CONJUGATED} and {name}": _conjugated(turn)
        for name, turn in _TURNS.items()
    },
}
"""What an object may have to go through before it fits, by name; the first is nothing."""


@dataclass(frozen=True)
class Place:
    """Where an object lies.

    Attributes
    ----------
    variant : str
        Of `VARIANTS`.
    origin_px : (int, int)
        The pixel of the object, once it went through that, that lies on the truth's first; y first.
    correlation : float
        Of the products, 0 to 1.
    """

    variant: str
    origin_px: tuple[int, int]
    correlation: float


def locate(
    obj: ComplexArray, truth: ComplexArray, region: BoolArray, variant: str = AS_IT_IS
) -> Place:
    """Return where an object correlates best with the truth, to a pixel.

    Parameters
    ----------
    obj : (h, w) complex
    truth : (H, W) complex
    region : (H, W) bool
        Where the truth was seen.
    variant : str
        What the object goes through first, of `VARIANTS`.
    """
    obj = VARIANTS[variant](obj)
    shape = tuple(next_fast_len(a + b) for a, b in zip(obj.shape, truth.shape, strict=True))
    top = np.zeros(shape)
    varied = [np.zeros(shape), np.zeros(shape)]
    shared, least = np.full(shape, np.inf), np.inf
    obj, truth = (_smoothed(each) for each in (obj, truth))
    for axis in (0, 1):
        f, in_f = _products(obj, axis, np.ones(obj.shape, bool))
        g, in_g = _products(truth, axis, region)
        of_f, of_in_f, of_f2 = (fft2(each, shape) for each in (f, in_f, np.abs(f) ** 2))
        of_g, of_in_g, of_g2 = (fft2(each, shape).conj() for each in (g, in_g, np.abs(g) ** 2))
        n = np.maximum(np.round(ifft2(of_in_f * of_in_g).real), 1)
        sum_f, sum_g = ifft2(of_f * of_in_g), ifft2(of_in_f * of_g)
        top += np.abs(ifft2(of_f * of_g) - sum_f * sum_g / n)
        for variance, power, total in (
            (varied[0], of_f2 * of_in_g, sum_f),
            (varied[1], of_in_f * of_g2, sum_g),
        ):
            squares = ifft2(power).real
            rounding = max(_ROUNDING * squares.max(), np.finfo(np.float32).tiny)
            variance += np.maximum(squares - np.abs(total) ** 2 / n, rounding)
        shared, least = np.minimum(shared, n), min(least, in_f.sum(), in_g.sum())
    found = np.where(shared >= _MIN_SHARED * least, top / np.sqrt(varied[0] * varied[1]), 0.0)
    best = np.unravel_index(found.argmax(), shape)
    origin = [
        int(at) - (size if at >= extent else 0)
        for at, size, extent in zip(best, shape, obj.shape, strict=True)
    ]
    return Place(variant, (origin[0], origin[1]), float(min(found[best], 1.0)))


def _smoothed(obj: ComplexArray) -> ComplexArray:
    """Return an object in single precision, with less of the noise that differs from px to px.

    Whatever its unit, its largest pixel is brought near 1, exactly: by a power of two.
    """
    near_one = obj * 2.0 ** -int(np.frexp(np.abs(obj).max())[1])
    smooth: ComplexArray = gaussian_filter(near_one.astype(np.complex64), _SMOOTH_PX)
    return smooth


def _products(
    obj: ComplexArray, axis: int, seen: BoolArray
) -> tuple[ComplexArray, NDArray[np.float32]]:
    """Return o(r + d) conj(o(r)) of pixels `_STEP_PX` apart, 0 where one is not seen, and where."""
    ahead = tuple(slice(_STEP_PX, None) if i == axis else slice(None) for i in range(2))
    behind = tuple(slice(None, -_STEP_PX) if i == axis else slice(None) for i in range(2))
    both = np.zeros(obj.shape, bool)
    both[behind] = seen[ahead] & seen[behind]
    products = np.zeros(obj.shape, np.complex64)
    products[behind] = obj[ahead] * obj[behind].conj()
    return np.where(both, products, 0), both.astype(np.float32)
