"""Ptychography dose/overlap studies as a doit task graph, reconstructed with pty-chi.

What a notebook may use is in `__all__`, and is loaded when it is asked for: importing this package,
or looking at it, imports no torch. See docs/api.md.

>>> import fly64tasks
>>> [case.name for case in fly64tasks.Study(doses=(1e3,)).cases()][:2]
['dose_1000_baseline_train', 'dose_1000_baseline_test']
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fly64tasks.api import (
        DatasetError,
        Fly64Error,
        Geometry,
        MachineError,
        Orientation,
        PlannedTask,
        PtychoDataset,
        ReconSpec,
        Reconstructed,
        ReconstructionError,
        ScoreSpec,
        Study,
        StudyError,
        StudyProject,
        load_study,
        make_set,
        read_reconstruction,
        read_set,
        reconstruct,
        score_object,
        score_reconstruction,
        write_set,
    )

__version__ = "0.1.0"

__all__ = [
    "DatasetError",
    "Fly64Error",
    "Geometry",
    "MachineError",
    "Orientation",
    "PlannedTask",
    "PtychoDataset",
    "ReconSpec",
    "Reconstructed",
    "ReconstructionError",
    "ScoreSpec",
    "Study",
    "StudyError",
    "StudyProject",
    "load_study",
    "make_set",
    "read_reconstruction",
    "read_set",
    "reconstruct",
    "score_object",
    "score_reconstruction",
    "write_set",
]


def __getattr__(name: str) -> Any:
    """Load a public name (PEP 562); a module of ours for it would cost more than these lines."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.api"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*__all__, "__version__"])
