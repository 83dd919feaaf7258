"""pty-chi's complex parameters copied in one pass: the same bytes, and faster on a CPU.

pty-chi keeps a complex parameter as real numbers (..., 2) and makes a complex tensor of them each
time that it is looked at, by real + 1j imaginary: three passes and two tensors more than the copy
that it wants. Here the numbers are viewed as complex ones, and the view is copied: what holds an
old value keeps it. What we replace is one method, for the length of an epoch, and only in versions
that it was held against (docs/decisions/0013-fourier-shift.md). No bit of a result depends on it.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from ptychi.data_structures import base
from torch import Tensor

from fly64tasks.recon.ptychi import overrides

CHECKED_VERSIONS = ("2.2.0",)
"""pty-chi's versions whose own method this one was held against."""


def complex_of(parameter: base.ComplexTensor) -> Tensor:
    """Return a copy of a parameter's data, complex, as ``ComplexTensor.complex``."""
    data: Any = parameter.data
    return torch.view_as_complex(data).clone()


def installed() -> contextlib.AbstractContextManager[None]:
    """Have pty-chi use our method within the context, where its version was checked."""
    if not overrides.is_checked(CHECKED_VERSIONS):
        return contextlib.nullcontext()
    return overrides.replaced(base.ComplexTensor, "complex", complex_of)
