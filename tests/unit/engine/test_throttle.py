"""Does one bucket's trouble stay its own, and does a file begin only where its bucket can serve it?"""

from __future__ import annotations

import pytest

from penstock.engine.messages import Lane, MoverLimits
from penstock.engine.throttle import PROBE_EVERY_S, SILENT_S, Throttle
from penstock.errors import ObjectNotFoundError, StoreUnavailableError, ThrottledError
from penstock.stores.pacer import Weight
from penstock.transfer.transfer import Outcome, Verdict

THREADS = {Lane.SMALL: 10, Lane.LARGE: 6, Lane.SWEEP: 4}
WELL = Outcome(sub_task_id="s", attempt=1, verdict=Verdict.COMPLETE)


class Hand:
    """A throttle and its clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.throttle = Throttle(threads=THREADS, clock_s=lambda: self.now_s)

    def admitted(self, bucket: str = "b", lane: Lane = Lane.SMALL, *, file_system: str = "fs", most: int = 100) -> int:
        """How many more may begin now."""
        count = 0
        while count < most and self.throttle.admit((bucket, file_system), lane):
            count += 1
        return count

    def refuse(self, retry_after_s: float | None = None) -> None:
        """A request of its own is refused."""
        pacer = self.throttle.pacer("b")
        assert pacer.enter(0)
        pacer.leave()
        pacer.refused("GET", ThrottledError("slow down", retry_after_s=retry_after_s), began_s=self.now_s)


def test_a_bucket_leaves_places_to_others() -> None:
    hand = Hand()
    assert hand.admitted() == 8
    assert hand.admitted(lane=Lane.LARGE) == 4
    assert hand.admitted("other", most=2) == 2


def test_a_file_system_leaves_places_of_its_bucket_to_others() -> None:
    """It may hang: what it has comes back only with it."""
    hand = Hand()
    assert hand.admitted(lane=Lane.LARGE) == 4
    assert hand.admitted(lane=Lane.LARGE, file_system="well") == 1
    assert hand.admitted("other", Lane.LARGE, most=1) == 1
    assert hand.admitted(lane=Lane.SWEEP) == 2
    assert hand.admitted(lane=Lane.SWEEP, file_system="well") == 1
    hand.throttle.ended(("b", "well"), Lane.SWEEP, WELL)
    assert hand.admitted(lane=Lane.SWEEP, file_system="well") == 1


def test_no_file_begins_in_a_pause_but_those_of_other_buckets_and_withdrawals() -> None:
    hand = Hand()
    hand.refuse(7.0)
    assert hand.admitted() == 0
    assert hand.admitted("other") == 8
    assert hand.admitted(lane=Lane.SWEEP, most=50) == 2  # a thread is left to other buckets
    assert hand.admitted("other", Lane.SWEEP, most=50) == 2
    hand.now_s += 7.0
    assert hand.admitted() == 8


def test_while_requests_queue_no_more_files_begin_than_requests_may_be_in_flight() -> None:
    hand = Hand()
    pacer = hand.throttle.pacer("b")
    while pacer.enter(0):
        pass
    assert hand.admitted() == int(pacer.window) == 4
    pacer.leave()
    assert hand.admitted() == 4  # those under way are at their files, not at the store
    hand.throttle.ended(("b", "fs"), Lane.SMALL, WELL)
    assert hand.admitted() == 1


def test_large_files_begin_whatever_the_window_is_for_their_parts_take_turns_but_not_in_a_pause() -> None:
    hand = Hand()
    pacer = hand.throttle.pacer("b")
    while pacer.enter(0, weight=Weight.PART):
        pass
    assert hand.admitted(lane=Lane.LARGE, most=3) == 3
    pacer.leave(Weight.PART)
    hand.refuse(3.0)
    assert hand.admitted(lane=Lane.LARGE) == 0
    hand.now_s += 3.0
    assert hand.admitted(lane=Lane.LARGE) == 1


@pytest.mark.parametrize("large_files", range(1, 65))
def test_between_a_bucket_and_a_file_system_as_many_large_files_go_as_are_asked_for_and_others_have_places_besides(
    large_files: int,
) -> None:
    hand = Hand()
    places = MoverLimits(large_files=large_files).large_places
    hand.throttle = Throttle(threads={Lane.LARGE: places}, clock_s=lambda: hand.now_s)
    assert hand.admitted(lane=Lane.LARGE) == large_files
    assert hand.admitted(lane=Lane.LARGE, file_system="other") == large_files // 4
    assert hand.admitted("other", lane=Lane.LARGE) >= large_files // 4
    assert places == large_files + 2 * (large_files // 4)


def test_a_store_that_is_opened_anew_keeps_its_pace() -> None:
    hand = Hand()
    hand.refuse(5.0)
    assert hand.throttle.pacer("b") is hand.throttle.pacer("b")
    assert [figures.bucket for figures in hand.throttle.figures()] == ["b"]


def test_sweeps_of_a_silent_bucket_are_told_so_but_for_one_that_finds_out() -> None:
    hand = Hand()
    pacer = hand.throttle.pacer("b")
    assert pacer.enter(0)
    pacer.sent()
    assert hand.throttle.silence("b") is None
    hand.now_s += SILENT_S
    assert hand.admitted(lane=Lane.SWEEP, most=2) == 2
    assert [hand.throttle.silence("b") for _ in range(3)] == [None, SILENT_S, SILENT_S]
    hand.now_s += PROBE_EVERY_S
    assert hand.throttle.silence("b") is None
    hand.now_s += PROBE_EVERY_S
    assert hand.admitted(lane=Lane.SWEEP, most=50) == 50  # only to be told so
    assert hand.throttle.silence("b") == SILENT_S + 2 * PROBE_EVERY_S
    pacer.refused("HEAD", StoreUnavailableError("no answer"), began_s=0)
    assert hand.throttle.silence("b") is not None
    pacer.refused("HEAD", ObjectNotFoundError("not there", status=404), began_s=0)
    assert hand.throttle.silence("b") is None
    for _ in range(52):
        hand.throttle.ended(("b", "fs"), Lane.SWEEP, WELL)
    assert hand.admitted(lane=Lane.SWEEP) == 2
