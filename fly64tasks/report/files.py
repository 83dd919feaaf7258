"""What the report writes."""

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
)

MARKS: dict[str, Mark | None] = {
    REPORT: PAGE_MARK.encode(),
    SUMMARY_CSV: ",".join(CSV_COLUMNS[:10]).encode(),  # columns are added at the end
    SUMMARY_MD: MARKDOWN_MARK.encode(),
    **{f"{FIGURES}/{name}.{suffix}": None for name in FIGURE_NAMES for suffix in FIGURE_FORMATS},
}
"""What the report writes, relative to the artifact root, with the marks by which it is known."""
REPORT_FILES = tuple(MARKS)
"""Always all of it."""
