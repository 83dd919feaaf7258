"""Signals within steps that can not be left: they ask, and a second one ends it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from fly64tasks.doitext.running import signals
from fly64tasks.doitext.running.signals import (
    Stopped,
    asked_elsewhere,
    held,
    noted,
    stoppable,
    why_stop,
)


def send(signum: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), signum)


def test_signal_ends_what_does_not_wait_for_it():
    with pytest.raises(Stopped, match="stopped by SIGTERM"), stoppable():
        send(signal.SIGTERM)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_only_asks_within_noted(signum: signal.Signals, capsys: pytest.CaptureFixture[str]):
    with noted():
        assert why_stop() is None
        send(signum)
        assert why_stop() == f"stopped by {signum.name}"
    assert capsys.readouterr().err == (
        f"{signum.name}: stops after this step; again ends it at once\n"
    )


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with noted():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_was_held_stops_at_its_end():
    steps = []

    def work() -> None:
        with held():
            send()
            steps.append(why_stop())
        steps.append("gone on")

    with pytest.raises(Stopped) as stopped, stoppable():
        work()
    assert steps == ["stopped by SIGINT"]
    assert stopped.value.exit_code == 130


def test_its_end_is_the_stop_also_where_it_ended_by_an_error():
    def work() -> None:
        send()
        raise ValueError

    with pytest.raises(Stopped), held():
        work()


def test_two_at_once_are_one_request_and_a_later_one_ends_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(signals, "_AGAIN_S", 0.2)
    reached = []

    def work() -> None:
        send()
        send(signal.SIGTERM)
        reached.append("after two at once")
        time.sleep(0.3)
        send()
        reached.append("after a later one")

    with pytest.raises(Stopped), noted():
        work()
    assert reached == ["after two at once"]


def test_other_threads_are_never_asked():
    found = []

    def work() -> None:
        with held():
            found.append(why_stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]


def test_what_another_process_was_told_is_asked_too():
    assert why_stop() is None
    with asked_elsewhere(lambda: "stopped by SIGHUP"), held():
        assert why_stop() == "stopped by SIGHUP"
    assert why_stop() is None
