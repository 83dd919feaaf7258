"""Sets with the faults that people's sets have: each comes out right, or is told in one line.

docs/doubts.md has the same table in words; `test_docs_have_every_case` holds them together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_sets import save
from doubtful_sets import (
    Arrays,
    annular_probe,
    counts_of,
    expected_counts,
    good_set,
    near_field,
    scan,
)
from small_study import PROJECT

from fly64tasks import runner
from fly64tasks.recon.start import read_start
from fly64tasks.score.command import score
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ScoreSpec


@dataclass(frozen=True)
class Doubtful:
    """A set with a fault.

    Attributes
    ----------
    make : callable
        Returns it.
    said : tuple of str
        What is said of it: of each warning a part, in order; of a refusal a part.
    code : int
        The exit code.
    error_below : float or None
        The complex NRMSE that the result has at most, where it comes out right.
    epochs : int or None
        At most so many: what is said is said of the start.
    """

    make: Callable[[], Arrays]
    said: tuple[str, ...] = ()
    code: int = 0
    error_below: float | None = None
    epochs: int | None = None


def good(**changed: Any) -> Arrays:
    """Return a good set with other keys; None takes one out."""
    arrays = {**_good(), **changed}
    return {key: value for key, value in arrays.items() if value is not None}


@cache
def _good() -> Arrays:
    return good_set()


def frames(edit: Callable[[Any], Any]) -> Arrays:
    """Return a good set whose amplitudes, (n, N, N), are edited."""
    amplitude = _good()["diffraction"].copy()
    found = edit(amplitude)
    return good(diffraction=amplitude if found is None else found)


def at(index: Any, value: float) -> Callable[[Any], None]:
    def edit(amplitude: Any) -> None:
        amplitude[index] = value

    return edit


def positions(edit: Callable[[Any, Any], tuple[Any, Any]]) -> Arrays:
    y, x = edit(_good()["ycoords"], _good()["xcoords"])
    return good(ycoords=y, xcoords=x)


def gap() -> Any:
    """Return the pixels of a gap between modules and of two dead columns."""
    bad = np.zeros((32, 32), bool)
    bad[15:17] = True
    bad[:, 20:22] = True
    return bad


def blurred() -> Arrays:
    """Return a fly scan: each frame moves by a step."""
    probe = _good()["probeGuess"][None]
    moved = (expected_counts(probe, scan() + np.array([0, dx])) for dx in np.linspace(-2.5, 2.5, 5))
    return good(diffraction=np.sqrt(counts_of(sum(moved) / 5)).astype(np.float32))


def partially_coherent() -> Arrays:
    p = annular_probe()
    y, x = np.mgrid[-16:16, -16:16]
    return good_set(probe=np.stack([p, p * x / 12, p * y / 20]))


def jittered() -> Arrays:
    off = np.random.default_rng(0).normal(0, 1.0, (2, len(scan())))
    return positions(lambda y, x: ((y + off[0]).clip(17, 67), (x + off[1]).clip(17, 67)))


def clipped(amplitude: Any) -> Any:
    return np.sqrt(np.minimum(amplitude.astype(float) ** 2, 1023)).astype(np.float32)


MISFIT = "does not fit: chi2 is "
NOT_CONVERGED = "MAP had not converged after 200 epochs, its bound"

DOUBTFUL = {
    "positions in metres": Doubtful(
        lambda: positions(lambda y, x: (y * 1e-8, x * 1e-8)),
        (r"all 100 positions lie within .*e-07 px of each .* \(metres\? multiply by 1e\+08,",),
        code=3,
    ),
    "positions in micrometres": Doubtful(
        lambda: positions(lambda y, x: (y * 1e-2, x * 1e-2)),
        ("the scan spans 0.47 px, the probe is 21.6 px wide: micrometres? multiply by 100,",),
        epochs=2,
    ),
    "positions ten times too large": Doubtful(
        lambda: positions(lambda y, x: (y * 10, x * 10)),
        ("neighbouring frames overlap by 0% of the probe: ",),
        epochs=2,
    ),
    "positions a thousand times too large": Doubtful(
        lambda: positions(lambda y, x: (y * 1000, x * 1000)),
        ("neighbouring positions lie ",),
        code=3,
    ),
    "all frames at one place": Doubtful(
        lambda: positions(lambda y, x: (0 * y + 42, 0 * x + 42)),
        ("all 100 positions are equal, expected a scan",),
        code=3,
    ),
    "a near-field scan": Doubtful(
        near_field,
        ("is a near-field scan: its frames are shadows of the sample",),
        code=3,
    ),
    "y axis flipped": Doubtful(lambda: positions(lambda y, x: (84 - y, x)), (MISFIT,)),
    "x and y swapped": Doubtful(lambda: positions(lambda y, x: (x, y)), (MISFIT,)),
    "positions off by a pixel": Doubtful(jittered, (MISFIT,)),
    "zero frequency in the corner": Doubtful(
        lambda: frames(lambda a: np.fft.ifftshift(a, axes=(1, 2))),
        ("the brightest part of the mean frame lies in the corners",),
        epochs=2,
    ),
    "zero frequency at an edge": Doubtful(
        lambda: frames(lambda a: np.fft.ifftshift(a, axes=1)),
        ("the brightest part of the mean frame lies at the upper and lower edge",),
        epochs=2,
    ),
    "a gap of zeros, and a mask": Doubtful(
        lambda: {**frames(at(np.s_[:, gap()], 0)), "mask": ~gap()}, error_below=0.04
    ),
    "a gap of zeros, and bad_pixels": Doubtful(
        lambda: {**frames(at(np.s_[:, gap()], 0)), "bad_pixels": gap().astype(np.uint8)},
        error_below=0.04,
    ),
    "a gap of zeros": Doubtful(
        lambda: frames(at(np.s_[:, gap()], 0)),
        ("124 pixels of the detector (first: y 0, x 20) are dead",),
        epochs=2,
    ),
    "a gap of marks": Doubtful(
        lambda: frames(at(np.s_[:, gap()], np.sqrt(2**32 - 1))),
        ("12400 x 65536 = sqrt(2^32 - 1) (a detector's mark), 124 pixels in every frame",),
        code=3,
    ),
    "a gap of marks, and a mask": Doubtful(
        lambda: {**frames(at(np.s_[:, gap()], np.sqrt(2**32 - 1))), "mask": ~gap()},
        error_below=0.04,
    ),
    "a pixel of NaN": Doubtful(
        lambda: frames(at(np.s_[:, 14, 12], np.nan)),
        ("100 x NaN or infinite, 1 pixels in every frame (0.00098 of all); they are masked",),
        error_below=0.03,
    ),
    "hot pixels": Doubtful(
        lambda: frames(at(np.s_[:, [3, 20, 9, 28], [4, 25, 9, 14]], np.sqrt(2e4))),
        ("4 pixels of the detector (first: y 3, x 4) are hot or stuck",),
        epochs=2,
    ),
    "a cosmic ray": Doubtful(
        lambda: frames(at(np.s_[7, 3, 4:6], np.sqrt([2e4, 9e3]))),
        ("2 pixels of the detector (first: y 3, x 4) are struck: 20000 counts in frame 7",),
        epochs=2,
    ),
    "hot pixels, and a mask": Doubtful(
        lambda: {
            **frames(at(np.s_[:, [3, 20], [4, 25]], np.sqrt(2e4))),
            "bad_pixels": np.isin(np.arange(1024).reshape(32, 32), [3 * 32 + 4, 20 * 32 + 25]),
        },
        error_below=0.03,
    ),
    "a saturated detector": Doubtful(
        lambda: frames(clipped),
        ("pixels hold 1023 counts and none holds more",),
        epochs=2,
    ),
    "every tenth frame is empty": Doubtful(
        lambda: frames(at(np.s_[::10], 0)),
        ("10 of 100 frames hold no photon (first: frame 0)",),
        error_below=0.04,
    ),
    "a frame exposed twelve times": Doubtful(
        lambda: frames(lambda a: a * np.where(np.arange(100) == 7, np.sqrt(12), 1)[:, None, None]),
        ("1 of 100 frames hold more than 10 times the photons of the median",),
        epochs=2,
    ),
    "a beam stop of zeros": Doubtful(
        lambda: frames(at(np.s_[:, 8:16, 13:19], 0)),
        ("29 pixels of the detector (first: y 9, x 16) are dead",),
        epochs=2,
    ),
    "frames that repeat the one before": Doubtful(
        lambda: frames(lambda a: a[np.arange(100) - (np.arange(100) % 20 == 7)]),
        ("5 of 100 frames repeat the one before them, though the scan went on (first: frame 7)",),
        epochs=2,
    ),
    "a probe of the other defocus": Doubtful(
        lambda: good(probeGuess=(annular_probe(-6, 0) * np.sqrt(1e5)).astype(np.complex64)),
        (MISFIT,),
    ),
    "a probe with its centre in the corner": Doubtful(
        lambda: good(probeGuess=np.fft.ifftshift(_good()["probeGuess"])),
        ("probeGuess has its energy in the corners",),
        epochs=2,
    ),
    "a probe of another power": Doubtful(
        lambda: good(probeGuess=_good()["probeGuess"] * np.float32(30)),
        ("probeGuess holds 9e+07 photons, the mean frame ",),
        error_below=0.03,
    ),
    "a partially coherent beam": Doubtful(partially_coherent, (MISFIT,)),
    "a fly scan": Doubtful(blurred, ("fits less well than it should: chi2 is ",)),
    "30 photons a frame": Doubtful(lambda: good_set(30.0)),
    "100 photons a frame": Doubtful(lambda: good_set(100.0)),
    "an object larger than the scan": Doubtful(
        lambda: good(_metadata=None, objectGuess=np.ones((3000, 3000), np.complex64))
    ),
    "no objectGuess": Doubtful(lambda: good(_metadata=None, objectGuess=None)),
    "axes of length 1": Doubtful(
        lambda: good(
            probeGuess=_good()["probeGuess"][None, None], objectGuess=_good()["objectGuess"][None]
        ),
        error_below=0.03,
    ),
    "a truth of ones": Doubtful(
        lambda: good(objectGuess=np.ones((84, 84), np.complex64)),
        ("objectGuess is the same everywhere, it can not be the truth",),
        epochs=2,
    ),
    "diffraction and diff3d": Doubtful(
        lambda: good(diff3d=np.round(_good()["diffraction"].astype(float) ** 2)),
        ("diffraction and diff3d are both there, expected one of them",),
        code=3,
    ),
    "counts": Doubtful(
        lambda: good(
            diffraction=np.round(_good()["diffraction"].astype(float) ** 2).astype(np.uint16)
        ),
        error_below=0.03,
    ),
    "keys of other tools that can not be read": Doubtful(
        lambda: good(
            _metadata=np.array({"simulated": True}, dtype=object),
            Y=np.ones((1, 32, 32, 1), complex),
        ),
        ("_metadata is a pickled object array", "Y has dtype complex128, shape (1, 32, 32, 1)"),
        epochs=2,
    ),
    "a good set": Doubtful(good, error_below=0.03),
}


@pytest.mark.parametrize("case", DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_fault_is_told_or_comes_out_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Doubtful
):
    path, out = save(tmp_path / "set.npz", case.make()), tmp_path / "out"
    epochs = ["--num-epochs", str(case.epochs)] if case.epochs else []
    code = runner.main(["--input-npz", str(path), "--output-dir", str(out), *epochs])
    error = capsys.readouterr().err
    assert code == case.code, error
    if code:
        assert error.startswith(f"error: {path}: ")
        assert error.count("\n") == 1
        assert matches(case.said[0], error)
        return
    record = json.loads((out / "run.json").read_text("utf-8"))
    for part in case.said:
        assert any(matches(part, said) for said in record["warnings"]), record["warnings"]
    if not case.said:
        assert record["warnings"] == []
    log = (out / "ptychi.log").read_text("utf-8")
    assert all(f"{path}: {said}" in log for said in record["warnings"])
    if case.error_below is not None:
        metrics = score(path, out, ScoreSpec())["metrics"]
        assert metrics["complex_nrmse"] < case.error_below


def matches(part: str, text: str) -> bool:
    return part in text or (".*" in part and re.search(part, text) is not None)


def test_docs_have_every_case():
    text = (PROJECT / "docs" / "doubts.md").read_text("utf-8")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows == ["set", *DOUBTFUL]


def test_sets_of_the_suite_raise_no_doubt(small_sets: dict[str, Path]):
    for path in small_sets.values():
        assert read_start(path, ReconSpec()).warnings == ()
