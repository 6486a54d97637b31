"""Is a file system whose calls wait told from one that is quick, whatever else the machine does?"""

from __future__ import annotations

import select

import pytest

from penstock.engine.slowness import LOOK_EVERY_S, MEMORY_STEPS, SAMPLE_EVERY, SLOW_S, Slowness, Spent, spent_here

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
        take_steps(slowness, clocks, 1, wall_s=1000 * SLOW_S, cpu_s=0.0, sleeps=1)
        assert not slowness.is_slow(NETWORK)
        take_steps(slowness, clocks, MEMORY_STEPS - 1, wall_s=SLOW_S / 4, cpu_s=SLOW_S / 4, sleeps=0)


def test_a_slow_one_is_looked_at_again_until_it_is_quick(slowness: Slowness, clocks: Clocks) -> None:
    """The loop takes one of its steps in a while, and measures that."""
    take_steps(slowness, clocks, MEMORY_STEPS, wall_s=4 * SLOW_S, cpu_s=0.0, sleeps=3)
    begun_s, looks = clocks.now_s(), 0
    while slowness.is_slow(NETWORK):
        clocks.spend(wall_s=LOOK_EVERY_S / 10, cpu_s=0.0, sleeps=0)
        if slowness.is_to_be_measured(NETWORK):
            looks += 1
            take_steps(slowness, clocks, 1, wall_s=SLOW_S / 10, cpu_s=SLOW_S / 10, sleeps=0)
        assert looks <= 1 + (clocks.now_s() - begun_s) / LOOK_EVERY_S
        assert looks <= 3 * MEMORY_STEPS


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
