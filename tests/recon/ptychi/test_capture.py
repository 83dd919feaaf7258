"""What is recorded and replayed: the same bytes, or the function by itself, and it is said.

There need be no GPU: `Tape` stands for a CUDA graph.
"""

from __future__ import annotations

from typing import Any

import pytest
from launches import Tape, raster, running

from fly64tasks.recon.ptychi.task import arrays_of

EPOCHS = 24


def outcome(record: Any, **settings: Any) -> tuple[list[bytes], Any]:
    """Return the bytes of all that a run of MAP ends with, and its reconstructor."""
    with running(raster(8), **settings) as task:
        reconstructor = task.reconstructor
        reconstructor.evaluate.record = reconstructor.descend.record = record
        task.run(EPOCHS)
        positions = task.get_data("probe_positions").numpy()
        found = [array.tobytes() for array in (*arrays_of(task), positions)]
        return [*found, repr(reconstructor.nats).encode()], reconstructor


@pytest.mark.parametrize(
    "settings", [{}, {"probe_modes": 2}, {"update_probe": False}, {"correct_positions": True}]
)
def test_recorded_run_ends_in_the_same_bytes(settings: dict[str, Any]):
    alone, _ = outcome(None, **settings)
    recorded, reconstructor = outcome(Tape.of, **settings)
    assert reconstructor.doubts == []
    assert recorded == alone
