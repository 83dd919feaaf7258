"""One run of a program of others: what it is given, where it runs, and its failures in its name."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fly64tasks.data.blinded import blinded
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.ownership import is_ours
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.doitext.errors import printable
from fly64tasks.engine.folder import OwnFolder
from fly64tasks.errors import DatasetError, ReconstructionError, shortened
from fly64tasks.recon import files
from fly64tasks.recon.programs import process
from fly64tasks.recon.start import Start
from fly64tasks.study.methods import ProgramSpec, Step

P = ParamSpec("P")
T = TypeVar("T")

SET = {"train": "train.npz", "command": "input.npz"}
_README = "README"
_WHY_KEPT = """fly64tasks kept this: run/ is the folder of a program that failed, as it left it.
It is removed when the job runs again, and by doit clean.
"""


class Job:
    """One run of a program: its folder, its command line, and its failures in its name."""

    def __init__(
        self,
        method: str,
        spec: ProgramSpec,
        step: Step,
        folder: Path,
        program_files: Mapping[str, Path],
        why_stop: Callable[[], str | None],
    ) -> None:
        self._method, self._spec, self._step = method, spec, step
        self._log = folder / files.PROGRAM_LOG
        self._kept = folder / files.KEPT
        self._files = program_files
        self._why_stop = why_stop

    @property
    def _names(self) -> dict[str, str]:
        """Return what the files of the program are called where it runs."""
        return {word: path.name for word, path in self._files.items()}

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a folder for the program to run in: gone afterwards, and kept where it failed."""
        with OwnFolder(Path(tempfile.gettempdir()), "fly64-program-") as own:
            folder = own / "run"
            folder.mkdir()
            for path in self._files.values():
                shutil.copy(path, folder)
            try:
                yield folder
            except ReconstructionError as error:
                if not folder.is_dir():
                    raise
                self._kept.mkdir()
                (self._kept / _README).write_text(_WHY_KEPT, "utf-8")
                with contextlib.suppress(OSError):  # a pipe or a socket in it can not be moved
                    shutil.move(folder, self._kept / "run")
                raise ReconstructionError(f"{error}; its folder is kept: {self._kept}") from None

    def write_set(self, folder: Path, dataset: PtychoDataset, start: Start) -> None:
        """Write the set as the program is to see it."""
        shape, origin = start.canvas.shape, start.canvas.origin_px
        shown = blinded(
            dataset,
            start.geometry,
            (shape[0], shape[1]),
            (origin[0], origin[1]),
            sees_truth=self._spec.sees_truth,
        )
        write_dataset(folder / SET[self._step], shown)

    def run(self, folder: Path, values: Mapping[str, object], of_run: dict[str, Any]) -> None:
        """Run it, and record that; raises ReconstructionError where it fails."""
        values = {**values, "seed": self._spec.seed}
        words = self.taken(process.words_of, self._spec.words(self._step), values, self._names)
        ended = process.run(words, folder, self._log, self._spec.timeout_s, self._why_stop)
        of_run["program"] = {"command": words, **ended.said()}
        what = f"method {self._method}: {self._step}"
        if ended.exit_code is None:
            raise ReconstructionError(
                f"{what} ran into its time limit of {self._spec.timeout_s:g} s"
            )
        if ended.exit_code:
            code = ended.exit_code
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            last = f": {printable(shortened(ended.tail[-1]))}" if ended.tail else ""
            raise ReconstructionError(f"{what} {how}{last}")

    def taken(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function whose failures are the program's."""
        try:
            return fn(*args, **kwargs)
        except (ReconstructionError, DatasetError) as error:
            step = "train: " if self._step == "train" else ""
            raise ReconstructionError(f"method {self._method}: {step}{error}") from None


def remove_kept(folder: Path) -> bool:
    """Remove the folder of a program that failed; return whether it was there.

    Raises
    ------
    DatasetError
        There is one that is not ours.
    """
    if not folder.exists():
        return False
    if not is_ours(folder / _README, _WHY_KEPT.encode()):
        raise DatasetError(f"{folder}: exists and is not ours; expected a free name: move it away")
    shutil.rmtree(folder)
    return True
