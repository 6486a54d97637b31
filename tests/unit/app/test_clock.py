"""Does the service's time go on evenly while the system's is put back or forward?"""

from __future__ import annotations

import logging

import pytest

from penstock.app.clock import SteadyClock

S = 1_000_000_000
HOUR = 3600 * S


class System:
    """A system's clocks; `pass_s` lets time pass, `wall_ns` may be put anywhere."""

    def __init__(self) -> None:
        self.wall_ns, self.monotonic_ns = 1_000_000 * S, 5 * S
        self.steady = SteadyClock(wall_ns=lambda: self.wall_ns, monotonic_ns=lambda: self.monotonic_ns)

    def pass_s(self, seconds: int) -> int:
        self.wall_ns += seconds * S
        self.monotonic_ns += seconds * S
        return self.steady.now_ns()


def test_it_is_the_systems_time_as_long_as_that_goes_on() -> None:
    system = System()
    for seconds in (0, 1, 3600, 7):
        assert system.pass_s(seconds) == system.wall_ns


def test_after_a_jump_back_it_goes_on_slower_until_the_system_has_caught_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock")
    system = System()
    before = system.pass_s(10)
    system.wall_ns -= HOUR
    assert system.pass_s(0) == before
    assert system.pass_s(60) == before + 30 * S
    assert "clock.jumped by_s=-3600.0 ahead_of_the_system_s=3600.0" in caplog.text
    told = len(caplog.records)
    for _ in range(7140):
        now = system.pass_s(1)
        assert before < now
        before = now
    assert system.pass_s(0) == system.wall_ns
    assert system.pass_s(5) == system.wall_ns
    assert len(caplog.records) == told


def test_a_jump_forward_is_followed_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock")
    system = System()
    system.wall_ns += 24 * HOUR
    assert system.pass_s(1) == system.wall_ns
    assert "clock.jumped by_s=86400.0 ahead_of_the_system_s=0.0" in caplog.text


def test_small_corrections_are_followed_silently(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock")
    system = System()
    system.wall_ns -= S
    first = system.pass_s(1)
    assert first >= system.wall_ns
    assert system.pass_s(4) == system.wall_ns
    assert not caplog.records
