"""PtychoPINN as a method of a study: the inference of a model that it was trained to before.

    [methods.ptychopinn]
    command = ["python", "ptychopinn.py", "wts.h5.zip", "{input_npz}", "{output}"]
    files = ["wts.h5.zip"]      # what PtychoPINN's training wrote

It needs PtychoPINN (https://github.com/hoidn/PtychoPINN) and TensorFlow, which nothing else here
does: name the Python that has them in place of "python". PtychoPINN's own inference script
(scripts/inference/inference.py) writes pictures alone, so that this calls the same functions and
writes the object.

**Never run against PtychoPINN itself.** It is on no package index (`pip download` finds neither
ptychopinn nor ptycho-torch, and TensorFlow alone is of no use), and GitHub could not be reached.
What it is held to is the source as published, read: load_inference_bundle takes a folder with
wts.h5.zip and returns the model with its N and gridsize; RawData takes frames first and amplitudes,
which generate_grouped_data scales to a mean of (N / 2)^2 a frame; load_data is passed by, since it
takes fewer frames than pixels for frames that come last; nsamples counts groups, not repeats;
reassemble_position centres a square canvas on the mean of the offsets, which are x first. The tests
run it on a stand-in of these functions. They have moved between versions: load_model of a prefix
and a name, and loader.reassemble_position, are of older ones.

To train within the study too, have `train` write wts.h5.zip to {model}.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

NEIGHBOURS = 4
CENTRAL_PX = 20
"""Of each patch this much is used, as PtychoPINN's script does."""


def main(model_zip: str, input_npz: str, output: str) -> None:
    """Write the object that a trained model makes of a set."""
    from ptycho import loader
    from ptycho.nbutils import reconstruct_image
    from ptycho.raw_data import RawData
    from ptycho.tf_helper import reassemble_position
    from ptycho.workflows.components import load_inference_bundle

    folder = Path("model_files")
    folder.mkdir()
    shutil.copy(model_zip, folder / "wts.h5.zip")
    model, config = load_inference_bundle(folder)

    with np.load(input_npz) as file:
        frames, probe = file["diffraction"].astype(np.float32), file["probeGuess"]
        x, y = file["xcoords"].astype(float), file["ycoords"].astype(float)
        shape = file["objectGuess"].shape
    if frames.shape[1] != config["N"]:
        sys.exit(f"frames are {frames.shape[1]} px wide, expected {config['N']}: the model's")
    first_mode = probe.reshape(-1, *probe.shape[-2:])[0].astype(np.complex64)

    n = len(frames)
    data = RawData.from_coords_without_pc(x, y, frames, first_mode, np.zeros(n, int))
    grouped = data.generate_grouped_data(
        config["N"], K=NEIGHBOURS, nsamples=n, seed=0, gridsize=config.get("gridsize", 1)
    )
    container = loader.load(lambda: grouped, first_mode, which=None, create_split=False)
    patches, offsets = reconstruct_image(container, diffraction_to_obj=model)
    stitched = np.asarray(reassemble_position(patches, offsets, M=CENTRAL_PX))[..., 0]

    mean_x, mean_y = np.asarray(offsets).reshape(-1, 2).mean(axis=0)
    np.savez(output, object=placed(stitched, (float(mean_y), float(mean_x)), shape))


def placed(part: np.ndarray, centre_px: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
    """Return an object of a shape, with a part that is centred on a pixel, y first.

    Where no patch has been, it is as bright as the mean of the others.

    >>> placed(np.array([[5j, 5j], [5j, 0]]), (1.0, 2.0), (3, 4)).imag.astype(int).tolist()
    [[0, 5, 5, 0], [0, 5, 0, 0], [0, 0, 0, 0]]
    """
    obj = np.zeros(shape, complex)
    first = [round(c) - n // 2 for c, n in zip(centre_px, part.shape, strict=True)]
    inside = [
        slice(max(f, 0), min(f + n, most))
        for f, n, most in zip(first, part.shape, shape, strict=True)
    ]
    taken = tuple(slice(i.start - f, i.stop - f) for i, f in zip(inside, first, strict=True))
    obj[tuple(inside)] = part[taken]
    obj[obj == 0] = np.abs(obj[obj != 0]).mean()
    return obj


if __name__ == "__main__":
    main(*sys.argv[1:])
