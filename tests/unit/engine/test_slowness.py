"""Is a file system whose calls wait told from one that is quick, whatever else the machine does?"""

from __future__ import annotations

import select

import pytest

from penstock.engine.slowness import (
    LONG_S,
    LOOK_EVERY_S,
    MEMORY_STEPS,
    REST_MAX_S,
    REST_S,
    SAMPLE_EVERY,
    SLOW_S,
    SURELY_S,
    Slowness,
    Spent,
    spent_here,
)

NETWORK, DISK = "fs-network", "fs-disk"


class Clocks:
    """What the loop's thread has spent, as the test says."""

    def __init__(self) -> None:
        self.spent = Spent(0.0, 0.0, 0)

    def now_s(self) -> float:
        return self.spent.wall_s

    def spend(self, *, wall_s: float, cpu_s: float, sleeps: int) -> None:
        self.spent = Spent(self.spent.wall_s + wall_s, self.spent.cpu_s + cpu_s, self.spent.sleeps + sleeps)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def slowness(clocks: Clocks) -> Slowness:
    return Slowness(clocks.now_s, lambda: clocks.spent)


def take_steps(slowness: Slowness, clocks: Clocks, count: int, **spent: float) -> None:
    """So many steps on NETWORK, each measured."""
    for _ in range(count):
        with slowness.measured(NETWORK):
            clocks.spend(wall_s=spent["wall_s"], cpu_s=spent["cpu_s"], sleeps=int(spent["sleeps"]))


def test_steps_that_sleep_make_a_file_system_slow_and_no_other(slowness: Slowness, clocks: Clocks) -> None:
    assert not slowness.is_slow(NETWORK)
    take_steps(slowness, clocks, MEMORY_STEPS, wall_s=4 * SLOW_S, cpu_s=SLOW_S, sleeps=3)
    assert slowness.is_slow(NETWORK)
    assert not slowness.is_slow(DISK)


def test_steps_that_others_push_aside_do_not(slowness: Slowness, clocks: Clocks) -> None:
    """On a crowded machine a step may take ten times its CPU, without having waited for anything but its turn."""
    take_steps(slowness, clocks, 1000, wall_s=10 * SLOW_S, cpu_s=SLOW_S / 2, sleeps=0)
    assert not slowness.is_slow(NETWORK)


def test_a_disk_that_stands_still_now_and_then_is_not_slow(slowness: Slowness, clocks: Clocks) -> None:
    for _ in range(20):
        take_steps(slowness, clocks, 1, wall_s=LONG_S / 2, cpu_s=0.0, sleeps=1)
        assert not slowness.is_slow(NETWORK)
        take_steps(slowness, clocks, MEMORY_STEPS - 1, wall_s=SLOW_S / 4, cpu_s=SLOW_S / 4, sleeps=0)


def test_a_slow_one_is_looked_at_again_until_it_is_quick(slowness: Slowness, clocks: Clocks) -> None:
    """The loop takes one of its steps in a while, and measures that, once hands have shown that it is not long."""
    take_steps(slowness, clocks, MEMORY_STEPS, wall_s=4 * SLOW_S, cpu_s=0.0, sleeps=3)
    clocks.spend(wall_s=LOOK_EVERY_S, cpu_s=0.0, sleeps=0)
    assert not slowness.is_to_be_measured(NETWORK)
    slowness.shown(NETWORK, LONG_S / 2)
    begun_s, looks = clocks.now_s(), 0
    while slowness.is_slow(NETWORK):
        clocks.spend(wall_s=LOOK_EVERY_S / 10, cpu_s=0.0, sleeps=0)
        if slowness.is_to_be_measured(NETWORK):
            looks += 1
            take_steps(slowness, clocks, 1, wall_s=SLOW_S / 10, cpu_s=SLOW_S / 10, sleeps=0)
        assert looks <= 1 + (clocks.now_s() - begun_s) / LOOK_EVERY_S
        assert looks <= 3 * MEMORY_STEPS


@pytest.mark.parametrize("waited_s", [LONG_S, 60.0])
def test_one_long_wait_is_enough(slowness: Slowness, clocks: Clocks, waited_s: float) -> None:
    take_steps(slowness, clocks, 1, wall_s=waited_s, cpu_s=0.0, sleeps=1)
    assert slowness.is_slow(NETWORK)
    assert not slowness.is_slow(DISK)


@pytest.mark.parametrize("waited_s", [LONG_S, 60.0])
def test_after_a_hiccup_a_disk_is_quick_again_soon(slowness: Slowness, clocks: Clocks, waited_s: float) -> None:
    """Within seconds of its rest; and no look is the loop's before a hand's was not long."""
    take_steps(slowness, clocks, 1, wall_s=waited_s, cpu_s=0.0, sleeps=1)
    clocks.spend(wall_s=REST_S if waited_s < 1 else REST_MAX_S, cpu_s=0.0, sleeps=0)
    slowness.shown(NETWORK, waited_s)
    assert not slowness.is_to_be_measured(NETWORK)
    slowness.shown(NETWORK, SLOW_S / 10)
    begun_s = clocks.now_s()
    while slowness.is_slow(NETWORK):
        assert slowness.is_to_be_measured(NETWORK)
        take_steps(slowness, clocks, 1, wall_s=SLOW_S / 10, cpu_s=SLOW_S / 10, sleeps=0)
        clocks.spend(wall_s=LOOK_EVERY_S, cpu_s=0.0, sleeps=0)
        assert clocks.now_s() - begun_s < 2.0


def test_a_look_that_waits_long_is_the_last_for_a_while(slowness: Slowness, clocks: Clocks) -> None:
    """What the loop waits is a small part of the time, however often hands are luckier."""
    waited_s, begun_s, looks = 0.1, clocks.now_s(), 0
    take_steps(slowness, clocks, 1, wall_s=waited_s, cpu_s=0.0, sleeps=1)
    for _ in range(10_000):
        clocks.spend(wall_s=0.01, cpu_s=0.0, sleeps=0)
        slowness.shown(NETWORK, 0.001)
        if slowness.is_to_be_measured(NETWORK):
            looks += 1
            take_steps(slowness, clocks, 1, wall_s=waited_s, cpu_s=0.0, sleeps=1)
    assert looks > 1
    assert looks * waited_s <= (clocks.now_s() - begun_s) / 15


def test_a_long_step_that_was_not_measured_has_the_next_ones_measured(slowness: Slowness) -> None:
    """It may have been pushed aside only; who took longer than that has surely waited."""
    slowness.took(NETWORK, LONG_S)
    assert not slowness.is_slow(NETWORK)
    assert all(slowness.is_to_be_measured(NETWORK) for _ in range(MEMORY_STEPS))
    assert sum(slowness.is_to_be_measured(NETWORK) for _ in range(10 * SAMPLE_EVERY)) == 10
    slowness.took(NETWORK, SURELY_S)
    assert slowness.is_slow(NETWORK)


def test_one_step_in_some_is_measured(slowness: Slowness) -> None:
    assert sum(slowness.is_to_be_measured(DISK) for _ in range(10 * SAMPLE_EVERY)) == 10


def test_a_thread_that_waits_is_seen_to_sleep() -> None:
    """The kernel's own figures, which everything else here rests on."""
    before = spent_here()
    select.select([], [], [], 0.01)
    after = spent_here()
    assert after.sleeps > before.sleeps
    assert after.wall_s - before.wall_s >= 0.01
    assert after.cpu_s - before.cpu_s < after.wall_s - before.wall_s
