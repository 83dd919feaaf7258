"""Running tasks on a terminal. The only module that needs rich, loaded only when shown."""

from __future__ import annotations

import threading
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .. import progress
from ..errors import printable


class LiveDisplay:
    """A bar for each running task, below the lines of those that have ended.

    Parameters
    ----------
    outstream : file
        A terminal.
    """

    def __init__(self, outstream: IO[str]) -> None:
        self._guard = threading.Lock()
        self._ids: dict[str, TaskID] = {}
        self._console = Console(file=outstream, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[steps]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self._console,
        )
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
        self._live.start()

    def begin(self, name: str) -> None:
        """Show a task as running."""
        with self._guard:
            self._ids[name] = self._bars.add_task(
                escape(printable(name)), total=None, steps="", numbers=""
            )

    def end(self, name: str) -> None:
        """Show it no longer."""
        with self._guard:
            if name in self._ids:
                self._bars.remove_task(self._ids.pop(name))

    def line(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Stop showing anything."""
        self._live.stop()

    def _render(self) -> RenderableType:
        with self._guard:
            for name, bar in self._ids.items():
                report = progress.latest(name)
                if report:
                    self._bars.update(
                        bar,
                        completed=report.done,
                        total=report.total,
                        steps=f"{report.done:g}/{report.total:g}",
                        numbers=report.words(),
                    )
        return Group(self._bars.get_renderable())
