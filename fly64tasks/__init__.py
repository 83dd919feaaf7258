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
        PlannedTask,
        StudyProject,
        load_study,
        make_set,
        read_reconstruction,
        read_set,
        reconstruct,
        score_reconstruction,
        write_set,
    )
    from fly64tasks.data.dataset import PtychoDataset
    from fly64tasks.errors import (
        DatasetError,
        Fly64Error,
        MachineError,
        ReconstructionError,
        StudyError,
    )
    from fly64tasks.recon.result import Reconstructed
    from fly64tasks.study.recon import ReconSpec
    from fly64tasks.study.stages import Geometry, ScoreSpec
    from fly64tasks.study.study import Study

__version__ = "0.1.0"

__all__ = [
    "DatasetError",
    "Fly64Error",
    "Geometry",
    "MachineError",
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
    "score_reconstruction",
    "write_set",
]

_ELSEWHERE = {
    "Geometry": "study.stages",
    "PtychoDataset": "data.dataset",
    "ReconSpec": "study.recon",
    "Reconstructed": "recon.result",
    "ScoreSpec": "study.stages",
    "Study": "study.study",
    **{name: "errors" for name in __all__ if name.endswith("Error")},
}
"""The modules of names that are not `fly64tasks.api`'s own."""


def __getattr__(name: str) -> Any:
    """Load a public name (PEP 562); a module of ours for it would cost more than these lines."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'api')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*__all__, "__version__"])
