"""|z|^2 without the modulus, for pty-chi on a CPU.

Of a complex number torch takes the modulus by a hypotenuse that can not overflow, which takes
longer than a transform of the frame; pty-chi squares it again. Amplitudes are far from what
overflows: ours is the root of re^2 + im^2, the same to rounding. Its other way, ``maths.abs2``,
multiplies by the conjugate: re^2 + im^2 has the same bytes in a third of the time. We replace these
for the length of a run or an epoch, in versions that ours were held against
(docs/decisions/0013-fourier-shift.md). On a GPU, and for autograd, which has no slope of a root at
0, theirs stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from ptychi import maths
from torch import Tensor

from fly64tasks.recon.ptychi import overrides

CHECKED_VERSIONS = ("2.2.0",)
"""pty-chi's versions whose own ways these were held against."""

_abs, _abs2 = torch.abs, maths.abs2


def squares(values: Tensor) -> Tensor:
    """Return |values|^2, as ``ptychi.maths.abs2``."""
    if not _is_ours(values):
        theirs: Tensor = _abs2(values)  # type: ignore[no-untyped-call]
        return theirs
    parts = torch.view_as_real(values).square()
    return parts[..., 0] + parts[..., 1]


def modulus(values: Any, *, out: Tensor | None = None) -> Tensor:
    """Return |values|, as ``torch.abs``."""
    if out is not None or not _is_ours(values):
        return _abs(values, out=out)
    return squares(values).sqrt_()


def _is_ours(values: Any) -> bool:
    if not isinstance(values, Tensor) or not values.is_complex() or values.is_conj():
        return False
    return values.device.type == "cpu" and not (values.requires_grad and torch.is_grad_enabled())


def squares_installed() -> contextlib.AbstractContextManager[None]:
    """Have pty-chi use our squares within the context, where its version was checked."""
    if not overrides.is_checked(CHECKED_VERSIONS):
        return contextlib.nullcontext()
    return overrides.replaced(maths, "abs2", squares)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Have all that pty-chi takes the modulus of take ours within the context, likewise."""
    if not overrides.is_checked(CHECKED_VERSIONS):
        yield
        return
    with (
        overrides.replaced(torch, "abs", modulus),
        overrides.replaced(torch.Tensor, "abs", modulus),
    ):
        yield
