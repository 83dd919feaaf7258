"""The study as doit tasks: what a `dodo.py` is made of."""

from fly64tasks.tasks.graph import base, recon, report, score, simulate, views
from fly64tasks.tasks.manifest import about, about_scans, describe
from fly64tasks.tasks.measured import recon_part, report_scans, score_scan
from fly64tasks.tasks.programs import train
from fly64tasks.tasks.variables import VARIABLES, load_scans, load_study

__all__ = [
    "VARIABLES",
    "about",
    "about_scans",
    "base",
    "describe",
    "load_scans",
    "load_study",
    "recon",
    "recon_part",
    "report",
    "report_scans",
    "score",
    "score_scan",
    "simulate",
    "train",
    "views",
]
