"""What the scores of measured scans say, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from fly64tasks.report.measured.scans import ScanJob
from fly64tasks.report.wording import counted, listed, with_unit
from fly64tasks.score.halves import HALVES_METRICS

RESOLUTION = HALVES_METRICS[0]

_NAMED = 6


def headline(jobs: Sequence[ScanJob]) -> list[str]:
    """Return the sentences above everything: which scans fit, how far halves agree, what lacks."""
    scored = [job for job in jobs if job.scores]
    sentences = [f"{counted(len(jobs), 'scan')}, {len(scored)} scored."]
    kinds = (
        ("fits to the noise", "fit to the noise", True),
        ("does not fit", "do not fit", False),
        ("can not be judged by its fit", "can not be judged by their fit", None),
    )
    for one, many, fits in kinds:
        found = [job.scan for job in scored if job.fit and job.fit.fits is fits]
        if found:
            sentences.append(f"{_named(found)} {one if len(found) == 1 else many}.")
    sentences += _halves(scored)
    missing = [f"{job.scan} ({job.state})" for job in jobs if job.why]
    if missing:
        sentences.append(f"Not scored: {_named(missing)}.")
    doubted = [job.scan for job in jobs if job.warnings]
    if doubted:
        sentences.append(f"There are warnings of {_named(doubted)}.")
    return sentences


def _halves(jobs: Sequence[ScanJob]) -> list[str]:
    """Return to which length the halves of the scans agree."""
    found = [(value, job) for job in jobs if (value := job.value(RESOLUTION)) is not None]
    nowhere = [job.scan for job in jobs if job.is_unresolved(RESOLUTION)]
    sentences = []
    if found:
        shown = sorted(found, key=lambda pair: pair[0])[:_NAMED]
        texts = [
            f"{with_unit(job.text(RESOLUTION), job.unit(RESOLUTION))} in {job.scan}"
            for _, job in shown
        ]
        most = "" if len(shown) == len(found) else f", the best of {len(found)}"
        sentences.append(
            "Even and odd frames, reconstructed apart, agree (½ bit) down to a period of "
            f"{listed(texts)}{most}."
        )
    if nowhere:
        sentences.append(f"The halves of {_named(nowhere)} agree nowhere.")
    apart = [
        job.scan
        for job in jobs
        if job.value(RESOLUTION) is None and job.scan not in nowhere and _was_asked_for(job)
    ]
    if apart:
        sentences.append(f"The halves of {_named(apart)} can not be compared.")
    return sentences


def _was_asked_for(job: ScanJob) -> bool:
    """Return whether a job was to have halves: its scores say why they are not compared."""
    return job.scores is not None and RESOLUTION.key in job.scores.notes


def _named(names: Sequence[str]) -> str:
    """Return names as a sentence lists them, the first few of many."""
    if len(names) <= _NAMED:
        return listed(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
