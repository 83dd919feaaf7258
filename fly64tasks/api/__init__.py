"""What a notebook may use; `fly64tasks` itself hands these names on, and loads them when asked.

Paths are strings or `pathlib.Path`. Results are arrays, dataclasses and plain records, so that
`pandas.DataFrame(records)` makes a table where pandas is there. torch and pty-chi are imported by
`reconstruct` alone.
"""

from fly64tasks.api.jobs import (
    read_reconstruction,
    reconstruct,
    score_object,
    score_reconstruction,
)
from fly64tasks.api.project import PlannedTask, StudyProject, load_study
from fly64tasks.api.sets import make_set, read_set, write_set
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import (
    DatasetError,
    Fly64Error,
    MachineError,
    ReconstructionError,
    StudyError,
)
from fly64tasks.recon.result import Reconstructed
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry, Orientation, ScoreSpec
from fly64tasks.study.study import Study

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
