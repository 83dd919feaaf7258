"""SIGINT, SIGTERM and SIGHUP as one exception, so that all end doit in the same orderly way.

`stoppable` raises it wherever the program is. What can only stop at certain points, as between two
steps of a long calculation, asks `why_stop` there, within `noted`, or `held` where doit is to end
with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

_AGAIN_S = 1.0
"""A signal so soon after the first is the same request: groups of processes are told twice."""


class Stopped(KeyboardInterrupt):
    """A signal asked doit to stop.

    Parameters
    ----------
    signum : int
        SIGINT, SIGTERM or SIGHUP.
    """

    def __init__(self, signum: int) -> None:
        self.name = signal.Signals(signum).name
        super().__init__(f"stopped by {self.name}")
        self.exit_code = 128 + signum


class _Stops:
    """The handler of the signals: what came, and whether it waits."""

    def __init__(self) -> None:
        self._came: int | None = None
        self._at = 0.0
        self.waits = False

    def __call__(self, signum: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._came is None:
            self._came, self._at = signum, now
            if not self.waits:
                raise Stopped(signum)
            name = signal.Signals(signum).name
            with contextlib.suppress(OSError):  # the terminal may be what went
                print(f"{name}: stops after this step; again ends it at once", file=sys.stderr)
        elif not self.waits:
            os._exit(128 + signum)
        elif now - self._at >= _AGAIN_S:
            self.waits = False
            raise Stopped(signum)

    def why(self) -> str | None:
        """Return why to stop, in words; None while nothing came."""
        return None if self._came is None else str(Stopped(self._came))

    def stop(self) -> None:
        """Raise `Stopped` where a signal came."""
        if self._came is not None:
            raise Stopped(self._came)


_stops: _Stops | None = None
_elsewhere: Callable[[], str | None] | None = None


def why_stop() -> str | None:
    """Return why what is going on is to stop, in words; None where nothing asks."""
    return (_stops.why() if _stops else None) or (_elsewhere() if _elsewhere else None)


@contextlib.contextmanager
def asked_elsewhere(ask: Callable[[], str | None]) -> Iterator[None]:
    """Have `why_stop` ask this, too: what was told another process, as doit's to a worker."""
    global _elsewhere
    former, _elsewhere = _elsewhere, ask
    try:
        yield
    finally:
        _elsewhere = former


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the main thread at the first signal; end at once at the second.

    SIGHUP comes when a terminal is closed; where it is ignored (`nohup`) it stays so. Does nothing
    in other threads, where Python allows no signal handlers.
    """
    global _stops
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signums = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signums.append(signal.SIGHUP)
    outer, _stops = _stops, _Stops()
    former = {signum: signal.signal(signum, _stops) for signum in signums}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
        _stops = outer


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """Have a signal within the block do no more than make `why_stop` say so.

    A second one, a second later or more, raises `Stopped`. In another thread than the main one no
    signal is seen.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with contextlib.ExitStack() as stack:
        if _stops is None:
            stack.enter_context(stoppable())
        stops = _stops
        assert stops is not None
        stops.waits = True
        try:
            yield
        finally:
            stops.waits = False


@contextlib.contextmanager
def held() -> Iterator[None]:
    """As `noted`, and raise `Stopped` at the end of the block where a signal came."""
    with noted():
        try:
            yield
        finally:
            if _stops and threading.current_thread() is threading.main_thread():
                _stops.stop()
