"""A stand-in of PtychoPINN: the functions of its published source that the adapter calls.

Names, arguments, shapes and conventions are those of the source; the model has learned its object.
"""

from __future__ import annotations

from pathlib import Path

MODULES = {
    "__init__.py": "",
    "workflows/__init__.py": "",
    "workflows/components.py": """
def load_inference_bundle(model_dir):
    assert (model_dir / "wts.h5.zip").read_text() == "weights"
    return (lambda frames: frames), {"N": 32, "gridsize": 1, "intensity_scale": 3.0}
""",
    "raw_data.py": """
import numpy as np

class RawData:
    @staticmethod
    def from_coords_without_pc(xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess=None):
        assert diff3d.ndim == 3 and diff3d.shape[1] == diff3d.shape[2] and probeGuess.ndim == 2
        assert len(xcoords) == len(ycoords) == len(diff3d) == len(scan_index)
        data = RawData()
        data.x, data.y, data.frames = xcoords, ycoords, diff3d
        return data

    def generate_grouped_data(self, N, K=4, nsamples=1, dataset_path=None, seed=None,
                              sequential_sampling=False, gridsize=None):
        chosen = slice(0, nsamples)
        offsets = np.stack([self.x, self.y], 1)[chosen][:, None, :, None]
        return {"X_full": self.frames[chosen, :, :, None], "coords_offsets": offsets}
""",
    "loader.py": """
from types import SimpleNamespace

def load(cb, probeGuess, which, create_split):
    grouped = cb()
    return SimpleNamespace(X=grouped["X_full"], global_offsets=grouped["coords_offsets"])
""",
    "nbutils.py": """
import numpy as np

def reconstruct_image(test_data, diffraction_to_obj=None):
    assert len(diffraction_to_obj(test_data.X)) == len(test_data.global_offsets)
    truth = np.load(TRUTH)["objectGuess"]
    corners = [(round(y) - 16, round(x) - 16) for x, y in test_data.global_offsets[:, 0, :, 0]]
    patches = np.stack([truth[y:y + 32, x:x + 32] for y, x in corners])
    return 0.3 * patches[..., None].astype(np.complex64), test_data.global_offsets
""",
    "tf_helper.py": """
import numpy as np

def reassemble_position(obj_tensor, global_offsets, M=10):
    assert obj_tensor.dtype == np.complex64 and global_offsets.dtype == np.float64
    N = obj_tensor.shape[1]
    central = obj_tensor[:, N // 2 - M // 2:N // 2 + M // 2, N // 2 - M // 2:N // 2 + M // 2, :]
    away = global_offsets - global_offsets.mean(axis=0)
    pad = int(np.ceil(np.abs(away).max()))
    pad += pad % 2
    total = np.zeros((M + 2 * pad, M + 2 * pad, 1), np.complex64)
    count = np.full(total.shape, 1e-9)
    for patch, (x, y) in zip(central, np.rint(away[:, 0, :, 0]).astype(int)):
        there = np.s_[pad + y:pad + y + M, pad + x:pad + x + M]
        total[there] += patch
        count[there] += 1
    return total / count
""",
}


def installed(site: Path, truth: Path) -> None:
    """Write it below a folder that is on the path of modules; patches are of this set's truth."""
    for name, code in MODULES.items():
        path = site / "ptycho" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code.replace("TRUTH", repr(str(truth))), "utf-8")
