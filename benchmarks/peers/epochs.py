"""What the scripts that time another package's epochs share."""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def asked(package: str) -> argparse.Namespace:
    """Return the options of a script; ``package`` is the distribution whose version it says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input_npz", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=2, help="timed, after one that is not")
    parser.add_argument("--device", default="cpu")
    parser.set_defaults(package=package)
    return parser.parse_args()


class Epochs:
    """The seconds of epochs: of the CPU on the CPU, of the wall on a GPU."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._clock = time.process_time if options.device == "cpu" else time.perf_counter
        self._seconds: list[float] = []

    def _now(self) -> float:
        if self._options.device != "cpu":
            import torch

            torch.cuda.synchronize()
        return self._clock()

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a call of an epoch that is timed."""

        @functools.wraps(call)
        def timing(*args: Any, **kwargs: Any) -> Any:
            began = self._now()
            result = call(*args, **kwargs)
            self._seconds.append(self._now() - began)
            return result

        return timing

    def say(self) -> None:
        """Print the least seconds of an epoch but the first, and the version, as JSON."""
        self._say(min(self._seconds[1:]))

    def say_longer_by(self, epochs: int) -> None:
        """Print the same of the last call, which was by so many epochs longer than the others."""
        self._say((self._seconds[-1] - min(self._seconds[:-1])) / epochs)

    def _say(self, seconds: float) -> None:
        version = importlib.metadata.version(self._options.package)
        print(json.dumps({"seconds": seconds, "version": version}))
