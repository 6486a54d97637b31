"""Is a machine that stands still forgiven, and nothing else?"""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from tests.fixtures import waiting
from tests.fixtures.stopwatch import Stopwatch, looker
from tests.fixtures.waiting import wait_until

STILL_S = 0.8


class Clock:
    """Time that passes only in naps and looks; a nap may last longer than it was meant to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, overslept_s: float = 0.0) -> None:
        self.now_s = 100.0
        self.looks = 0
        self._overslept_s = overslept_s
        monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: self.now_s, sleep=self._sleep))

    def _sleep(self, nap_s: float) -> None:
        self.now_s += nap_s + self._overslept_s

    def look(self, *, lasts_s: float, sees_at: int) -> bool:
        self.now_s += lasts_s
        self.looks += 1
        return self.looks == sees_at


def test_patience_is_not_spent_by_a_machine_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, overslept_s=100.0)
    assert wait_until(lambda: clock.look(lasts_s=0.01, sees_at=10), 1.0, "it did not come")


def test_one_look_never_spends_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert wait_until(lambda: clock.look(lasts_s=100.0, sees_at=3), 1.0, "it did not come")


@pytest.mark.parametrize("lasts_s", [0.0, 0.2, 100.0])
def test_patience_ends(monkeypatch: pytest.MonkeyPatch, lasts_s: float) -> None:
    clock = Clock(monkeypatch)
    with pytest.raises(TimeoutError, match="it did not come within 1 s"):
        wait_until(lambda: clock.look(lasts_s=lasts_s, sees_at=0), 1.0, "it did not come")
    assert 3 <= clock.looks <= 1.0 / waiting.LOOK_AGAIN_S + 1


def test_a_stopwatch_leaves_out_what_kept_its_looker_from_looking() -> None:
    """Stopping that one alone looks to it as if all had stood still."""
    watch = Stopwatch()
    os.kill(looker().pid, signal.SIGSTOP)
    threading.Event().wait(STILL_S)
    os.kill(looker().pid, signal.SIGCONT)
    assert watch.stood_s() > STILL_S / 2
    assert not watch.is_past(STILL_S / 2)


def test_a_stopwatch_counts_what_this_process_takes() -> None:
    watch = Stopwatch()
    threading.Event().wait(STILL_S)
    assert watch.took_s() > STILL_S / 2
    assert watch.is_past(STILL_S / 2)
