"""A program of others as a script of a few lines, run on a set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fly64tasks.recon.programs import command as program
from fly64tasks.study.methods import ProgramSpec

BEGIN = """
import os, sys, time
import numpy as np
given = np.load("input.npz")
shape = given["objectGuess"].shape
"""
ONES = "np.ones(shape, complex)"
APPLY = ("python", "it.py", "{input_npz}", "{output}")


def reconstruct(
    source: Path, folder: Path, script: str, spec: ProgramSpec | None = None, **more: Any
) -> dict[str, Any]:
    path = folder.with_name("it.py")
    path.write_text(BEGIN + script, "utf-8")
    spec = spec or ProgramSpec(command=APPLY)
    return program.reconstruct(source, folder, "it", spec, program_files={"it.py": path}, **more)


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found
