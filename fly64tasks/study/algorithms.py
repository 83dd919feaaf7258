"""The algorithms, pty-chi's and MAP: what each is called, what suits it, what it can do."""

from __future__ import annotations

from typing import Any, Literal, get_args

Algorithm = Literal["MAP", "LSQML", "PIE", "EPIE", "RPIE", "DM", "BH", "AD"]
ALGORITHMS: tuple[str, ...] = get_args(Algorithm)

SUITED: dict[str, dict[str, Any]] = {
    "LSQML": {"batch_size": 96, "batching": "COMPACT", "update_probe": True},
    "PIE": {"batch_size": 16, "batching": "RANDOM", "update_probe": False},
    "EPIE": {"batch_size": 16, "batching": "RANDOM", "update_probe": True},
    "RPIE": {"batch_size": 16, "batching": "RANDOM", "update_probe": True},
    "DM": {"batch_size": 96, "batching": "RANDOM", "update_probe": True},
    "BH": {"batch_size": 100_000, "batching": "RANDOM", "update_probe": True},
    "AD": {"batch_size": 96, "batching": "RANDOM", "update_probe": True},
    "MAP": {"batch_size": 100_000, "batching": "RANDOM", "update_probe": True},
}
"""What settings are where nobody says them."""
MAP_EPOCHS = 200
"""A bound: it has converged before."""

HAVE_RELAXATION = ("LSQML", "EPIE", "RPIE", "AD")
"""Have OPR modes in pty-chi 2.2: PIE could, with a probe that it holds; DM and BH refuse them."""
HAVE_LAYERS = ("LSQML", "PIE", "EPIE", "RPIE", "AD")
"""Have objects of several slices."""

WARMUP: dict[str, Any] = {
    "batching": "RANDOM",
    "noise_model": "GAUSSIAN",  # pty-chi's POISSON can diverge with random batches
    "momentum": 0.0,
    "damping": 0.1,
    "plateau_epochs": None,
}
"""What LSQML starts with, in place of its settings."""
REFINING: dict[str, Any] = {"algorithm": "MAP", "batch_size": 100_000, "batching": "RANDOM"}
"""What follows it where MAP does."""
