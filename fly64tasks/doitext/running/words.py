"""What is said of tasks that run: spans of time, and a line of each that fits."""

from __future__ import annotations

from ..progress import Progress

_BAR = 20
_GAP = "  "


def duration(seconds: float) -> str:
    """A time span in words.

    Examples
    --------
    >>> duration(0.21), duration(24.4), duration(3 * 60 + 5), duration(2 * 3600 + 60)
    ('0.2 s', '24 s', '3m 05s', '2h 01m')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def still(seconds: float, known: bool) -> str:
    """How long something still takes, where `known` is whether that is all of it.

    Nothing is said of what takes longer than it was to.

    Examples
    --------
    >>> still(125.0, True), still(125.0, False), still(0.0, True)
    ('about 2m 05s left', 'at least 2m 05s left', '')
    """
    return f"{'about' if known else 'at least'} {duration(seconds)} left" if seconds else ""


def left_of(report: Progress | None, since: float) -> float | None:
    """The seconds that a task still needs that has reported so much in `since` seconds."""
    if report is None or not 0 < report.done <= report.total:
        return None
    return since * (report.total - report.done) / report.done


def steps(report: Progress) -> str:
    """How far it is, as wide as it will ever be: `` 7/50``."""
    total = f"{report.total:g}"
    return f"{report.done:>{len(total)}g}/{total}"


def running_row(name: str, since: float, report: Progress | None, width: int, names: int) -> str:
    """A line of at most `width` columns on a task that runs.

    What has no room is left out: first the bar, then the numbers, then the time; the name is cut
    in its middle.

    Parameters
    ----------
    name : str
    since : float
        Seconds since it began.
    report : Progress or None
        What it last said.
    width : int
    names : int
        The width of the longest name among such lines.

    Examples
    --------
    >>> said = Progress(12, 50, {"loss": 0.046})
    >>> print(running_row("recon:dose_1000_dense_train", 24.0, said, 100, 27))
    recon:dose_1000_dense_train  ━━━━━───────────────  12/50   1m 16s left  loss 0.046
    >>> print(running_row("recon:dose_1000_dense_train", 24.0, said, 30, 27))
    recon:dose_…dense_train  12/50
    """
    if report is None:
        parts = [_padded(duration(since), 7)]
        order = [0]
    else:
        done = min(1.0, max(0.0, report.done / report.total)) if report.total else 0.0
        bar = "━" * round(_BAR * done) + "─" * (_BAR - round(_BAR * done))
        left = left_of(report, since)
        time = "" if left is None else f"{duration(left)} left"
        parts = [bar, steps(report), _padded(time, 12), report.words()]
        order = [1, 2, 3, 0]
    shown: set[int] = set()
    room = width
    for index in order:
        needed = len(_GAP) + len(parts[index])
        if index == order[0] or names + needed <= room:
            shown.add(index)
            room -= needed
    head = f"{_cut(name, room):<{min(names, room)}}"
    row = _GAP.join([head, *(parts[index] for index in sorted(shown))])
    return row.rstrip()[:width]


def _padded(text: str, width: int) -> str:
    return f"{text:>{width}}"


def _cut(name: str, width: int) -> str:
    if len(name) <= width:
        return name
    if width < 3:
        return name[: max(0, width)]
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"
