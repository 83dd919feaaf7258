"""What the report writes."""

REPORT = "index.html"
SUMMARY_CSV = "summary.csv"
SUMMARY_MD = "summary.md"
FIGURES = "figures"
FIGURE_NAMES = ("error_versus_dose", "resolution_versus_dose", "frc_curves", "reconstructions")
FIGURE_FORMATS = ("svg", "pdf")
REPORT_FILES = (
    REPORT,
    SUMMARY_CSV,
    SUMMARY_MD,
    *(f"{FIGURES}/{name}.{suffix}" for name in FIGURE_NAMES for suffix in FIGURE_FORMATS),
)
"""What the report writes, relative to the artifact root: always all of it."""
FRC_OF_HALVES = "frc_of_halves"
MEASURED_REPORT_FILES = (
    REPORT,
    SUMMARY_CSV,
    SUMMARY_MD,
    *(f"{FIGURES}/{FRC_OF_HALVES}.{suffix}" for suffix in FIGURE_FORMATS),
)
"""What the report on measured scans writes: always all of it."""
