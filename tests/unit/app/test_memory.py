"""Is the memory of all who were in a crowd given back, in however many looks they go, and that of few left alone?"""

from __future__ import annotations

import pytest

from penstock.app.memory import CROWD_MIN, LOOKS_UNTIL_CALM, AfterCrowds, trim


def given_back(*counts: int) -> list[int]:
    """The counts at which memory was given back."""
    given: list[int] = []
    now = 0
    after = AfterCrowds(lambda: given.append(now))
    for now in counts:
        after.look(now)
    return given


def test_nothing_is_done_for_few_and_not_before_more_than_half_has_gone() -> None:
    assert given_back(10, CROWD_MIN - 1, 0, CROWD_MIN, CROWD_MIN // 2) == []


def test_a_crowd_that_goes_at_once_takes_one_time() -> None:
    assert given_back(4096, 1, 0, 0, CROWD_MIN - 1, 0) == [1]


@pytest.mark.parametrize("rest", [1023, 600, 300])
def test_the_rest_of_a_crowd_goes_too(rest: int) -> None:
    """A look came while they were going: up to 80 MiB stayed for good, as no thousand were left."""
    assert given_back(4096, rest, rest, 0, 0) == [rest, 0]
    assert given_back(4096, 0, rest, 0) == [0, 0], "they had waited to be accepted"


def test_a_crowd_that_goes_slowly_leaves_what_few_took() -> None:
    assert given_back(*range(4000, -1, -100)) == [1900, 900, 400, 100]


def test_what_timers_still_held_goes_once_it_is_calm() -> None:
    assert given_back(4096, 1, *[2] * (LOOKS_UNTIL_CALM - 1)) == [1]
    assert given_back(4096, 1, *[2] * LOOKS_UNTIL_CALM) == [1, 2]
    assert given_back(4096, 1, *[2] * 100) == [1, 2]


def test_it_can_be_done() -> None:
    trim()
