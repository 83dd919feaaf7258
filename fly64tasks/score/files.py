"""What scoring writes beside a reconstruction."""

from fly64tasks.data.ownership import Mark

SCORES = "scores.json"
FRC = "frc.csv"
COMPARISON = "comparison.png"
THUMBNAIL = "thumbnail.png"
TRUTH_THUMBNAIL = "truth.png"
PANELS = "panels.png"
FRC_COLUMNS = (
    "spatial_frequency_cycles_per_px",
    "frc",
    "threshold_1bit",
    "threshold_halfbit",
    "n_pixels",
)
MARKS: dict[str, Mark | None] = {
    SCORES: None,
    FRC: ",".join(FRC_COLUMNS).encode(),
    COMPARISON: None,
    THUMBNAIL: None,
    TRUTH_THUMBNAIL: None,
    PANELS: None,
}
"""What scoring writes, with the marks by which it is known for ours."""
SCORE_FILES = tuple(MARKS)
MEASURED_MARKS = {
    name: mark for name, mark in MARKS.items() if name not in (TRUTH_THUMBNAIL, PANELS)
}
"""What scoring a scan writes, which has no truth."""
