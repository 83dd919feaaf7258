"""Running tasks on a terminal. The only module that needs rich, loaded only when shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text


class LiveDisplay:
    """Lines at the foot of a terminal that change, below those that stay.

    Parameters
    ----------
    outstream : file
        A terminal.
    rows : callable
        ``rows(width)`` gives the changing lines, none wider than so many columns.
    """

    def __init__(self, outstream: IO[str], rows: Callable[[int], list[str]]) -> None:
        self._rows = rows
        self._console = Console(file=outstream, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
        self._live.start()

    def line(self, text: str, alarming: str = "") -> None:
        """Print a line above what changes, one word of it in red; without, where NO_COLOR is."""
        said = Text(text)
        if alarming and (at := text.find(alarming)) >= 0:
            said.stylize("bold red", at, at + len(alarming))
        self._console.print(said, soft_wrap=True)

    def close(self) -> None:
        """Show what changes no longer; lines can be printed still."""
        self._live.stop()

    def _render(self) -> RenderableType:
        rows = self._rows(self._console.width)
        return Group(*(Text(row, no_wrap=True, overflow="ellipsis") for row in rows))
