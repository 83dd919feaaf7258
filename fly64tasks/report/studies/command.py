"""`fly64tasks compare STUDY STUDY ...`: settings and scores that differ, from what studies left.

Exit codes: 0 done, 2 usage, 3 a folder can not be used, 74 the machine failed it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.errors import printable

PROG = "python -m fly64tasks compare"
MAIN_METRICS = ("complex_nrmse", "frc_halfbit_period_nm", "chi2", "halves_frc_halfbit_period_nm")
CSV_COLUMNS = ("study", "against", "case", "metric", "unit", "old", "new", "difference", "verdict")


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    parser = make_parser(prog)
    options = parser.parse_args(arguments)
    if len(options.studies) < 2:
        parser.error("expected two studies or more")
    return exit_code_of(lambda: _compare(options))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        usage="%(prog)s STUDY STUDY [STUDY ...] [options]",
        description="Say which settings and which scores of studies differ. Each is held against "
        "the first, job by job, by the jobs' names.",
        epilog=f"example:\n  {prog} study_a study_b --html compared.html",
    )
    parser.add_argument(
        "studies",
        nargs="*",
        type=Path,
        metavar="STUDY",
        help="a study's folder, or the folder that its reports lie in",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    form.add_argument("--csv", action="store_true", help="print every score as CSV")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page that needs no network"
    )
    return parser


def _compare(options: argparse.Namespace) -> int:
    from fly64tasks.report.files import PAGE_MARK
    from fly64tasks.report.studies.differences import differences_of
    from fly64tasks.report.studies.records import read_records

    if options.html is not None:
        refuse_foreign(options.html, f"{PAGE_MARK}\n<title>Studies compared".encode())
    first, *others = read_records(options.studies)
    compared = [differences_of(first, other) for other in others]
    if options.html is not None:
        from fly64tasks.report.studies.page import render

        page = render(compared)
        with replaced(options.html) as temporary:
            temporary.write_text(page, "utf-8")
    if options.json:
        print(json.dumps(as_json(compared), indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(csv_text(compared) if options.csv else text_of(compared))
    return 0


def text_of(compared: Sequence[Any]) -> str:
    """Return the tables that are printed: settings, the main scores that differ, and a summary."""
    lines = []
    for pair in compared:
        lines += [f"{printable(pair.new.name)} against {printable(pair.old.name)}", ""]
        lines += [*_settings(pair), ""]
        changed = [score for score in pair.changed if score.metric.key in MAIN_METRICS]
        if changed:
            width = max(len("job"), *(len(printable(score.job)) for score in changed))
            labels = {
                score.metric.key: f"{score.metric.label} {score.metric.unit}".rstrip()
                for score in changed
            }
            label = max(map(len, labels.values()))
            lines.append(f"  {'job':<{width}}  {'':<{label}}  {'old':>10}  {'new':>10}  difference")
            for score in changed:
                old, new = (_number(value) for value in (score.old, score.new))
                lines.append(
                    f"  {printable(score.job):<{width}}  {labels[score.metric.key]:<{label}}  "
                    f"{old:>10}  {new:>10}  {_number(score.difference, '+'):>10}  {score.verdict}"
                )
            lines.append("")
        lines += [f"  {sentence}" for sentence in pair.words] or ["  No score stands in both."]
        lines += [f"  {printable(job)}" for job in pair.alone_in_words] + [""]
    return "\n".join(lines)


def _settings(pair: Any) -> list[str]:
    if not pair.settings:
        return ["  No setting differs."]
    width = max(len(setting.key) for setting in pair.settings)
    n = sum(job in pair.new.jobs for job in pair.old.jobs)
    return [
        f"  {printable(setting.key):<{width}}  {printable(setting.text)}"
        + (f"  ({len(setting.jobs)} of {n} jobs)" if 0 < len(setting.jobs) < n else "")
        for setting in pair.settings
    ]


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4g}"


def csv_text(compared: Sequence[Any]) -> str:
    """Return one row per pair of studies, job and metric, with the header `CSV_COLUMNS`."""
    from fly64tasks.report.summary import as_text

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for pair in compared:
        for score in pair.scores:
            numbers = (score.old, score.new, score.difference)
            writer.writerow(
                [
                    *(as_text(name) for name in (pair.new.name, pair.old.name, score.job)),
                    score.metric.key,
                    score.metric.unit,
                    *("" if value is None else repr(float(value)) for value in numbers),
                    score.verdict,
                ]
            )
    return buffer.getvalue()


def as_json(compared: Sequence[Any]) -> dict[str, Any]:
    """Return everything as JSON-ready records."""
    return {
        "writer": WRITER,
        "schema": 1,
        "compared": [
            {
                "old": str(pair.old.folder),
                "new": str(pair.new.folder),
                "settings": [
                    {"key": each.key, "old": each.old, "new": each.new, "jobs": list(each.jobs)}
                    for each in pair.settings
                ],
                "scores": [
                    {
                        "case": score.job,
                        "metric": score.metric.key,
                        "old": score.old,
                        "new": score.new,
                        "difference": score.difference,
                        "verdict": score.verdict,
                    }
                    for score in pair.scores
                ],
                "only_in_one": pair.only_in_one,
            }
            for pair in compared
        ],
    }
