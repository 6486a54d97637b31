"""Does the number of parts at once follow what the store and this machine can do, and no further?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transfer.width import HOLD_S, Width

MIB = 1 << 20


def climb(width: Width, rate: Callable[[int], float], *, seconds: float) -> list[int]:
    """The widths of each tenth of a second, while parts move at `rate(width)` bytes a second."""
    moved, now_s, seen = 0.0, 0.0, []
    while now_s < seconds:
        width.look(now_s, int(moved))
        seen.append(width.now)
        moved += rate(width.now) * 0.1
        now_s += 0.1
    return seen


def test_a_store_far_away_gets_as_many_as_are_allowed_within_seconds() -> None:
    seen = climb(Width(least=4, most=16), lambda width: width * 50 * MIB, seconds=10)
    assert seen[-1] == 16
    assert seen.index(16) < 60


def test_a_machine_that_is_busy_already_keeps_the_least_nearly_all_of_the_time() -> None:
    seen = climb(Width(least=4, most=16), lambda width: 1000 * MIB, seconds=120)
    assert set(seen) == {4, 6}
    assert seen.count(6) < len(seen) * 0.06


@pytest.mark.parametrize("enough", [5, 8, 11])
def test_it_stops_where_more_bring_nothing(enough: int) -> None:
    seen = climb(Width(least=4, most=64), lambda width: min(width, enough) * 50 * MIB, seconds=25)
    assert enough * 0.85 <= seen[-1] <= enough * 1.5


def test_what_moved_while_places_were_free_says_nothing() -> None:
    width = Width(least=4, most=16)
    for step in range(100):
        width.look(step * 0.5, step * MIB)
        width.rested()
    assert width.now == 4


def test_more_is_tried_again_after_a_while() -> None:
    width = Width(least=4, most=16)
    climb(width, lambda width: 1000 * MIB, seconds=5)
    assert width.now == 4
    moved, now_s = 0, 5 + HOLD_S
    for _ in range(60):
        width.look(now_s, moved)
        now_s += 0.5
        moved += width.now * 50 * MIB
    assert width.now == 16


@given(rates=st.lists(st.integers(0, 10**10), max_size=80), least=st.integers(1, 8), most=st.integers(0, 64))
def test_it_stays_within_its_bounds_whatever_is_measured(rates: list[int], least: int, most: int) -> None:
    width = Width(least=least, most=most)
    moved = 0
    for second, rate in enumerate(rates):
        width.look(float(second), moved)
        moved += rate
        assert least <= width.now <= max(least, most)


def test_a_peer_that_is_silent_is_given_no_more() -> None:
    width = Width(least=4, most=16)
    assert set(climb(width, lambda _: 0, seconds=60)) == {4}
