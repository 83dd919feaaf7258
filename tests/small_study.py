"""A study small enough to run for real in seconds."""

from pathlib import Path

from fly64tasks.study import BaseSpec

PROJECT = Path(__file__).parent.parent

SMALL_BASE = BaseSpec(
    probe_size_px=32, object_size_px=112, scan_step_px=5.0, scan_jitter_px=0.8, defocus_m=18e-6
)

SMALL_STUDY = """
doses = [1e3, 1e4]

[base]
probe_size_px = 32
object_size_px = 112
scan_step_px = 5.0
scan_jitter_px = 0.8
defocus_m = 18e-6

[recon]
num_epochs = 3
"""
