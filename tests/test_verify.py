"""``doit verify`` on the real graph: what it says after each kind of damage."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from small_study import ONE_DOSE, doit

from fly64tasks import runner
from fly64tasks.study.recon_settings import ReconSpec

CASE = "dose_1000_dense_train"
ONE = ("--dose", "1000", "--view", "dense", "--split", "train")
STUDY = ONE_DOSE.replace("num_epochs = 3", "num_epochs = 2")


def found(folder: Path, *arguments: str, code: int = 1) -> dict[str, set[str]]:
    """Return what verify says besides ``whole``: the details by task and word."""
    said = json.loads(doit(folder, "verify", "--json", *arguments, code=code))
    problems: dict[str, set[str]] = {}
    for item in said["found"]:
        if item["word"] != "whole":
            problems.setdefault(f"{item['task']} {item['word']}", set()).add(item["detail"])
    return problems


def test_verify_names_every_kind_of_damage_in_a_study(
    project: Path, small_sets: dict[str, Path], tmp_path: Path
):
    own = project / "own.npz"
    shutil.copy(small_sets["train"].parent / "base.npz", own)
    (project / "study.toml").write_text(f'base_npz = "own.npz"\n{STUDY}', "utf-8")
    doit(project, *ONE)
    selected = ("simulate", "views:dose_1000_dense", f"recon:{CASE}", f"score:{CASE}")
    assert doit(project, "verify", *selected) == "15 of 15 artifacts whole.\n"
    assert found(project, "recon:dose_1000_sparse_test") == {
        "recon:dose_1000_sparse_test never made": {""}
    }

    source = project / "data/phase_d/dose_1000/dense/dense_train.npz"
    results = project / "reports/dose_1000/dense/train"
    kept = {path: path.read_bytes() for path in [own, *results.iterdir()]}

    where = "reports/dose_1000/dense/train"
    content = bytearray(kept[results / "product.h5"])
    content[len(content) // 2] ^= 1
    (results / "product.h5").write_bytes(content)
    os.truncate(results / "losses.csv", 5)
    os.truncate(results / "scores.json", 0)
    (results / "comparison.png").unlink()
    (results / "ptychi.log").write_text("all is well")
    manifest = project / "reports/reconstruction_manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace('"done"', '"failed"'), "utf-8")
    assert found(project)[" altered"] == {"reports/reconstruction_manifest.json: other content"}
    assert found(project, *selected) == {
        f"recon:{CASE} altered": {f"{where}/product.h5: {len(content)} bytes, other content"},
        f"recon:{CASE} truncated": {
            f"{where}/losses.csv: 5 of {len(kept[results / 'losses.csv'])} bytes",
            f"{where}/ptychi.log: 11 of {len(kept[results / 'ptychi.log'])} bytes",
        },
        f"score:{CASE} truncated": {
            f"{where}/scores.json: 0 of {len(kept[results / 'scores.json'])} bytes"
        },
        f"score:{CASE} missing": {f"{where}/comparison.png"},
    }

    # what is cut or empty is made again; a flipped byte is for `doit verify` alone to find
    for path, content in kept.items():
        path.write_bytes(content)
    for path, size in (
        (source, 3000),
        (results / "reconstruction.npz", 3000),
        (results / "run.json", 0),
        (results / "product.h5", 3000),
        (results / "scores.json", 100),
        (results / "comparison.png", 500),
    ):
        os.truncate(path, size)
    printed = doit(project, "-n", *ONE)
    assert f"target truncated: {source.relative_to(project)} (3000 of " in printed
    doit(project, *ONE)
    assert doit(project, "verify", *selected) == "15 of 15 artifacts whole.\n"
    for name in ("reconstruction.npz", "product.h5", "scores.json", "comparison.png"):
        assert (results / name).read_bytes() == kept[results / name]
    for name in ("run.json", "ptychi.log"):  # they have times
        kept[results / name] = (results / name).read_bytes()

    # what other settings made, put in its place
    runner.run(source, tmp_path / "other", ReconSpec(num_epochs=1), device="cpu")
    for path, content in kept.items():
        path.write_bytes(content)
    shutil.copy(tmp_path / "other/reconstruction.npz", results)
    problems = found(project, *selected)
    assert {key.split()[0] for key in problems} == {f"recon:{CASE}", f"score:{CASE}"}
    assert problems[f"score:{CASE} inputs changed"] == {
        f"{where}/reconstruction.npz: not what the task read"
    }

    for path, content in kept.items():
        path.write_bytes(content)
    changed = STUDY.replace("num_epochs = 2", "num_epochs = 1")
    (project / "study.toml").write_text(f'base_npz = "own.npz"\n{changed}', "utf-8")
    assert found(project, *selected) == {f"recon:{CASE} settings changed": {"num_epochs 2 -> 1"}}

    # the user's own base is another one now
    with np.load(own) as base:
        arrays = dict(base)
    arrays["xcoords"] = arrays["xcoords"][::-1]
    np.savez(own, **arrays)
    problems = found(project, *selected)
    assert problems["simulate:dose_1000 inputs changed"] == {
        "own.npz: not what the task read (no task makes it)"
    }
