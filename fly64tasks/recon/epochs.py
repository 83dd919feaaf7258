"""What a run shows of its epochs: a bar on a terminal, lines elsewhere, events in a file."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fly64tasks.errors import machine_error

logger = logging.getLogger(__name__)

EpochCallback = Callable[[int, int, float], None]
"""Called after each epoch with its number, from 1, the number of epochs, and the loss."""


@contextlib.contextmanager
def showing(events: Path | None) -> Iterator[EpochCallback]:
    """Yield a callback that shows epochs: a bar with loss and ETA on a terminal, else lines.

    What can no longer be shown (a full disk, a terminal that was closed) ends no run.
    """
    with contextlib.ExitStack() as stack:
        shown = [stack.enter_context(_bar()) if sys.stderr.isatty() else _lines()]
        if events is not None:
            shown.append(_events(events))

        def on_epoch(epoch: int, num_epochs: int, loss: float) -> None:
            for show in tuple(shown):
                try:
                    show(epoch, num_epochs, loss)
                except OSError as error:
                    shown.remove(show)
                    logger.warning("%s; the run goes on without", machine_error(error))

        yield on_epoch


@contextlib.contextmanager
def _bar() -> Iterator[EpochCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), "loss {task.fields[loss]:.4g}")
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("epochs", loss=float("nan"))

        def show(epoch: int, num_epochs: int, loss: float) -> None:
            progress.update(task, completed=epoch, total=num_epochs, loss=loss)

        yield show


def _lines(every: int = 10) -> EpochCallback:
    def show(epoch: int, num_epochs: int, loss: float) -> None:
        if epoch % every == 0 or epoch == num_epochs:
            print(f"epoch {epoch}/{num_epochs} loss {loss:.6g}", file=sys.stderr)

    return show


def _events(path: Path) -> EpochCallback:
    """Append to a file that the first epoch makes: an input that is refused leaves nothing."""
    began = time.perf_counter()

    def show(epoch: int, num_epochs: int, loss: float) -> None:
        event = {
            "event": "epoch",
            "epoch": epoch,
            "num_epochs": num_epochs,
            "loss": loss if math.isfinite(loss) else None,
            "seconds": round(time.perf_counter() - began, 3),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                print(json.dumps(event), file=file)
        except OSError as error:
            error.filename = str(path)  # where it is the disk that is full, nobody says which file
            raise

    return show
