"""Does a rate hold over all movers together, whoever dies or stands still, and does it cost nothing where there is none?"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from penstock.engine.allowances import CREDIT_NS, FIRST_USUAL_BYTES, Allowances

FLOW, OTHER = "df-1", "df-2"
MB = 1_000_000
NS = 1_000_000_000


class Clock:
    """Stands still until told otherwise."""

    ns = 1_000 * NS

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def control(clock: Clock) -> Iterator[Allowances]:
    made, descriptor = Allowances.make(clock)
    yield made
    os.close(descriptor)


def mover(control: Allowances, clock: Clock) -> Allowances:
    """Another process would have the same memory."""
    return Allowances(control._descriptor, clock)


def moved(movers: list[Allowances], clock: Clock, seconds: float, chance: random.Random) -> int:
    """So many bytes of files and parts begin within that time, if there is always something to begin."""
    total, end_ns = 0, clock.ns + int(seconds * NS)
    while clock.ns < end_ns:
        one = chance.choice(movers)
        if chance.random() < 0.7:
            size = chance.randrange(MB, 4 * MB)
            total += size if one.take(FLOW, size) else 0
        elif one.is_open(FLOW):
            size, charged = chance.randrange(MB // 8), one.take_usual(FLOW)
            one.settle(FLOW, charged_bytes=charged, moved_bytes=size)
            total += size
        clock.ns += chance.randrange(1_000_000)
    return total


@pytest.mark.parametrize("rate", [8 * MB, 100 * MB, 600 * MB])
def test_all_movers_together_move_as_much_as_they_may(control: Allowances, clock: Clock, rate: int) -> None:
    chance = random.Random(rate)
    movers = [mover(control, clock) for _ in range(3)]
    control.set({FLOW: rate})
    assert 0.97 * rate * 5 <= moved(movers, clock, 5, chance) <= 1.03 * rate * 5 + 4 * MB
    control.set({FLOW: 2 * rate})
    assert movers[0].is_open(FLOW), "it holds at once: what was owed before is forgotten"
    assert 0.97 * rate * 10 <= moved(movers, clock, 5, chance) <= 1.03 * rate * 10 + 4 * MB
    control.set({})
    assert all(movers[0].take(FLOW, 1 << 40) for _ in range(10))


def test_others_are_not_bounded_and_idle_time_is_not_saved_up(control: Allowances, clock: Clock) -> None:
    one = mover(control, clock)
    control.set({FLOW: 10 * MB})
    assert one.take(FLOW, 10 * MB)
    assert not one.take(FLOW, 1)
    assert one.take(OTHER, 1 << 40)
    assert one.take_usual(OTHER) == 0
    assert control.held() == {FLOW}
    clock.ns += 3600 * NS
    assert control.held() == frozenset()
    burst = 0
    while one.take(FLOW, 100_000):
        burst += 100_000
    assert burst <= 10 * MB * CREDIT_NS // NS + 100_000


def test_small_files_are_believed_to_be_as_large_as_those_before(control: Allowances, clock: Clock) -> None:
    one = mover(control, clock)
    control.set({FLOW: MB})
    assert control.files_per_s() == {FLOW: MB / FIRST_USUAL_BYTES}
    for _ in range(100):
        one.settle(FLOW, charged_bytes=one.take_usual(FLOW), moved_bytes=1000)
        clock.ns += NS
    assert control.files_per_s()[FLOW] == pytest.approx(1000, rel=0.01)
    owed_ns = one._paid_ns(one._account(FLOW), clock.ns)  # type: ignore[arg-type]
    assert owed_ns <= clock.ns


LOCKER = "import fcntl, sys; fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"


def test_a_mover_that_stands_still_with_the_lock_holds_up_nobody(control: Allowances, clock: Clock) -> None:
    control.set({FLOW: MB})
    one = mover(control, clock)
    number = control._descriptor
    command = [sys.executable, "-c", LOCKER, str(number)]
    with subprocess.Popen(command, pass_fds=[number], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        assert not one.take(FLOW, 1), "it is asked again soon"
        assert one.take_usual(FLOW) > 0
        other.communicate()
    clock.ns += NS
    assert one.take(FLOW, 1)


def test_accounts_that_bound_nobody_any_more_are_used_again(control: Allowances, clock: Clock) -> None:
    one = mover(control, clock)
    for number in range(3):
        control.set({f"df-{number}-{other}": MB for other in range(600)})
        assert one.take(f"df-{number}-599", 10 * MB)
        assert not one.take(f"df-{number}-599", 1)
    assert one.take("df-0-599", 1 << 40)
