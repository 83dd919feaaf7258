"""PtychoPINN as a method of a study: the inference of a model that it was trained to before.

    [methods.ptychopinn]
    command = ["python", "ptychopinn.py", "model.zip", "{input_npz}", "{output}"]
    files = ["model.zip"]       # the folder that PtychoPINN's training wrote, packed

It needs PtychoPINN (https://github.com/hoidn/PtychoPINN) and TensorFlow, which nothing else here
does: name the Python that has them in place of "python". Its own inference script writes pictures
alone, so that this calls the same functions and writes the object. It follows that script as it was
published (scripts/inference/inference.py); it is no part of what is tested here, and PtychoPINN's
functions have moved between versions.

To train within the study too, have `train` write such an archive to {model}.
"""

from __future__ import annotations

import sys
import zipfile

import numpy as np

NEIGHBOURS = 7
CENTRAL_PX = 20
"""Of each patch this much is used, as PtychoPINN's script does."""


def main(model_zip: str, input_npz: str, output: str) -> None:
    """Write the object that a trained model makes of a set."""
    from ptycho import loader, params, probe
    from ptycho.model_manager import ModelManager
    from ptycho.nbutils import reconstruct_image
    from ptycho.workflows.components import load_data

    with zipfile.ZipFile(model_zip) as archive:
        archive.extractall("model_files")
    model = ModelManager.load_model("model_files/wts.h5", "diffraction_to_obj")

    with np.load(input_npz) as file:
        given = {key: file[key] for key in file.files if key != "_metadata"}
    given["xcoords_start"], given["ycoords_start"] = given["xcoords"], given["ycoords"]
    np.savez("as_ptychopinn_has_it.npz", **given)
    data = load_data("as_ptychopinn_has_it.npz")

    probe.set_probe_guess(None, data.probeGuess)
    grouped = data.generate_grouped_data(params.cfg["N"], K=NEIGHBOURS, nsamples=1)
    container = loader.load(lambda: grouped, data.probeGuess, which=None, create_split=False)
    patches, offsets = reconstruct_image(container, diffraction_to_obj=model)
    stitched = np.squeeze(np.asarray(loader.reassemble_position(patches, offsets, M=CENTRAL_PX)))

    # What is stitched is centred on the mean of the groups' positions, which are x first.
    mean_x, mean_y = np.asarray(offsets).reshape(-1, 2).mean(axis=0)
    centre = (float(mean_y), float(mean_x))
    np.savez(output, object=placed(stitched, centre, given["objectGuess"].shape))


def placed(part: np.ndarray, centre_px: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
    """Return an object of a shape, ones but for a part that is centred on a pixel, y first.

    >>> placed(np.full((2, 2), 5j), (1.0, 2.0), (3, 4)).imag.astype(int).tolist()
    [[0, 5, 5, 0], [0, 5, 5, 0], [0, 0, 0, 0]]
    """
    obj = np.ones(shape, complex)
    first = [round(c) - n // 2 for c, n in zip(centre_px, part.shape, strict=True)]
    inside = [
        slice(max(f, 0), min(f + n, most))
        for f, n, most in zip(first, part.shape, shape, strict=True)
    ]
    taken = tuple(slice(i.start - f, i.stop - f) for i, f in zip(inside, first, strict=True))
    obj[tuple(inside)] = part[taken]
    return obj


if __name__ == "__main__":
    main(*sys.argv[1:])
