"""SIGINT, SIGTERM and SIGHUP as one exception, so that all end doit in the same orderly way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType


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


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the main thread at the first signal; end at once at the second.

    SIGHUP comes when a terminal is closed; where it is ignored (`nohup`) it stays so. Does nothing
    in other threads, where Python allows no signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def stop(signum: int, _: FrameType | None) -> None:
        received.append(signum)
        if len(received) > 1:
            os._exit(128 + signum)
        raise Stopped(signum)

    signums = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signums.append(signal.SIGHUP)
    former = {signum: signal.signal(signum, stop) for signum in signums}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
