"""Does one bucket's trouble stay its own, and does a store that asks for less get less?"""

from __future__ import annotations

from penstock.engine.messages import Lane
from penstock.engine.throttle import Throttle
from penstock.errors import FailureCode
from penstock.transfer.transfer import Outcome, Verdict

THREADS = {Lane.SMALL: 10, Lane.LARGE: 5, Lane.SWEEP: 2}
WELL = Outcome(sub_task_id="s", attempt=1, verdict=Verdict.COMPLETE)


def refused(retry_after_s: float | None = None) -> Outcome:
    return Outcome(
        sub_task_id="s",
        attempt=1,
        verdict=Verdict.RETRY,
        code=FailureCode.STORE_THROTTLED,
        retry_after_s=retry_after_s,
    )


class Hand:
    """A throttle and its clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.throttle = Throttle(threads=THREADS, clock_s=lambda: self.now_s)

    def admitted(self, bucket: str = "b", lane: Lane = Lane.SMALL, *, most: int = 100) -> int:
        """How many more may begin now."""
        count = 0
        while count < most and self.throttle.admit(bucket, lane):
            count += 1
        return count


def test_a_bucket_leaves_threads_to_others() -> None:
    hand = Hand()
    assert hand.admitted() == 8
    assert hand.admitted(lane=Lane.LARGE) == 4
    assert hand.admitted("other", most=2) == 2


def test_a_refusal_pauses_the_whole_bucket_and_halves_it() -> None:
    hand = Hand()
    assert hand.admitted() == 8
    for _ in range(8):
        hand.throttle.ended("b", Lane.SMALL, refused())
    assert hand.admitted() == 0
    assert hand.admitted("other") == 8
    hand.now_s += 0.6
    assert hand.admitted() == 4


def test_pauses_grow_and_the_stores_wish_counts() -> None:
    hand = Hand()
    hand.admitted()
    hand.throttle.ended("b", Lane.SMALL, refused(7.0))
    hand.now_s += 6.9
    assert hand.admitted() == 0
    hand.now_s += 0.2
    for expected_s in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        assert hand.throttle.admit("b", Lane.SMALL) or hand.throttle._paces["b"].running.total() >= 1
        hand.throttle.ended("b", Lane.SMALL, refused())
        assert hand.throttle._paces["b"].until_s == hand.now_s + expected_s
        hand.now_s += expected_s


def test_files_that_end_well_bring_it_back() -> None:
    hand = Hand()
    hand.admitted()
    for _ in range(8):
        hand.throttle.ended("b", Lane.SMALL, refused())
    hand.now_s += 1
    for _ in range(100):
        hand.throttle.admit("b", Lane.SMALL)
        hand.throttle.ended("b", Lane.SMALL, WELL)
    assert hand.admitted() == 8


def test_a_store_that_holds_requests_back_gets_one_less_at_a_time() -> None:
    hand = Hand()
    hand.admitted()
    hand.throttle.held_back("b", 0.2)
    hand.throttle.held_back("b", 0.2)
    for _ in range(8):
        hand.throttle.ended("b", Lane.SMALL, Outcome(sub_task_id="s", attempt=1, verdict=Verdict.RETURNED))
    assert hand.admitted() == 7


def test_withdrawals_are_never_held_up() -> None:
    hand = Hand()
    hand.admitted()
    hand.throttle.ended("b", Lane.SMALL, refused(30))
    assert hand.admitted(lane=Lane.SWEEP, most=50) == 50


def test_at_least_one_file_may_always_be_tried() -> None:
    hand = Hand()
    for _ in range(30):
        assert hand.throttle.admit("b", Lane.SMALL)
        hand.throttle.ended("b", Lane.SMALL, refused())
        hand.now_s += 31
