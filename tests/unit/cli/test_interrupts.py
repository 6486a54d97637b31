"""Does a Ctrl-C end whoever only looks, wherever it comes?"""

from __future__ import annotations

import io
import signal

import pytest

from penstock.cli.interrupts import End


class Dying(io.RawIOBase):
    """Something that a Ctrl-C meets while Python lets go of it."""

    met = False

    def close(self) -> None:
        if not Dying.met:
            Dying.met = True
            signal.raise_signal(signal.SIGINT)
        super().close()


def test_it_is_raised_at_once_and_noted() -> None:
    end = End()
    with pytest.raises(KeyboardInterrupt), end:
        signal.raise_signal(signal.SIGINT)
    assert end.came


def test_what_is_raised_into_nowhere_is_noted() -> None:
    Dying.met = False
    with End() as end:
        Dying()
        assert Dying.met
        assert end.came


def test_afterwards_it_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with End():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) is before
