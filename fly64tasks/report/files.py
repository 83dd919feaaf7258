"""What the report writes."""

from collections.abc import Iterable

from fly64tasks.data.ownership import WRITER, Mark

REPORT = "index.html"
SUMMARY_CSV = "summary.csv"
SUMMARY_MD = "summary.md"
FIGURES = "figures"
FIGURE_NAMES = ("error_versus_dose", "resolution_versus_dose", "frc_curves", "reconstructions")
FIGURE_FORMATS = ("svg", "pdf")
PAGE_MARK = f'<meta name="generator" content="{WRITER}">'
MARKDOWN_MARK = f"<!-- {WRITER} -->"
"""What a ``summary.md`` of ours begins with; Markdown does not show it."""
CSV_COLUMNS = (
    "case",
    "dose",
    "view",
    "split",
    "gridsize",
    "metric",
    "value",
    "unit",
    "is_bound",
    "note",
    "bound",
    "method",
    "repeat",
    "seed",
    "seconds",
    "photons_total",
    "photons_per_nm2",
    "frames",
    "spacing_diameters",
    "linear_overlap",
    "area_overlap",
)
MEASURED_CSV_COLUMNS = (
    "scan",
    "metric",
    "value",
    "unit",
    "is_bound",
    "note",
    "bound",
    "seconds",
    *CSV_COLUMNS[-6:],
)
FRC_OF_HALVES = "frc_of_halves"


def _marks(columns: Iterable[str], figures: Iterable[str]) -> dict[str, Mark | None]:
    return {
        REPORT: PAGE_MARK.encode(),
        SUMMARY_CSV: ",".join(columns).encode(),
        SUMMARY_MD: MARKDOWN_MARK.encode(),
        **{f"{FIGURES}/{name}.{suffix}": None for name in figures for suffix in FIGURE_FORMATS},
    }


MARKS = _marks(CSV_COLUMNS[:10], FIGURE_NAMES)  # columns are added at the end
"""What the report writes, relative to the artifact root, with the marks by which it is known."""
REPORT_FILES = tuple(MARKS)
"""Always all of it."""
MEASURED_MARKS = _marks(MEASURED_CSV_COLUMNS[:7], [FRC_OF_HALVES])
"""What the report on measured scans writes."""
