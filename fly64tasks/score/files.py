"""What scoring writes beside a reconstruction."""

SCORES = "scores.json"
FRC = "frc.csv"
COMPARISON = "comparison.png"
THUMBNAIL = "thumbnail.png"
TRUTH_THUMBNAIL = "truth.png"
SCORE_FILES = (SCORES, FRC, COMPARISON, THUMBNAIL, TRUTH_THUMBNAIL)
MEASURED_SCORE_FILES = (SCORES, FRC, COMPARISON, THUMBNAIL)
"""Of a scan that has no truth."""
