"""A word now and then, where long nothing was said."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

QUIET_S = 60.0
"""After so many seconds of silence something is said; if it goes on, after twice as many."""

_LONGEST = 10
"""Times `QUIET_S`: no silence is longer."""


class Quiet:
    """Calls a function after a while in which nothing was heard.

    Parameters
    ----------
    say : callable
        Called in a thread of its own; where it can not write, it is not called again.
    """

    def __init__(self, say: Callable[[], None]) -> None:
        self._say = say
        self._heard = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def heard(self) -> None:
        """Something was said: the silence begins anew."""
        self._heard.set()

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._heard.set()
        self._thread.join()

    def _listen(self) -> None:
        silence = QUIET_S
        with contextlib.suppress(OSError, ValueError):
            while not self._closed:
                if self._heard.wait(silence):
                    self._heard.clear()
                    silence = QUIET_S
                else:
                    self._say()
                    silence = min(2 * silence, _LONGEST * QUIET_S)
