"""The study as doit tasks: what a `dodo.py` is made of."""

from fly64tasks.tasks.graph import base, recon, report, score, simulate, views
from fly64tasks.tasks.manifest import about, describe
from fly64tasks.tasks.variables import VARIABLES, load_study

__all__ = [
    "VARIABLES",
    "about",
    "base",
    "describe",
    "load_study",
    "recon",
    "report",
    "score",
    "simulate",
    "views",
]
