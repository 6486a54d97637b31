"""Do threads wait for their turn as the pace says, in order, and never longer than is sensible?"""

from __future__ import annotations

import threading
import time
import timeit
from functools import partial

import pytest

from penstock.engine.pacer import PATIENCE_S, BucketPacer
from penstock.errors import StoreSilentError, StoreUnavailableError, ThrottledError
from penstock.stores.pacer import Weight
from penstock.telemetry.meters import LATENCY_BOUNDS_S
from tests.fixtures.waiting import wait_until

PATIENT_S = 20.0


def made(*, most: int = 64) -> BucketPacer:
    return BucketPacer("b", most=most, clock_s=time.monotonic)


def queued(pacer: BucketPacer, count: int) -> bool:
    return pacer.figures().waiting == count


def test_threads_get_their_turn_in_order() -> None:
    pacer = made(most=1)
    assert pacer.enter(0)
    turns: list[int] = []

    def ask(number: int) -> None:
        assert pacer.enter(PATIENT_S)
        turns.append(number)
        pacer.leave()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for count, thread in enumerate(threads):
        thread.start()
        wait_until(partial(queued, pacer, count + 1), PATIENT_S, "the thread did not queue")
    assert not pacer.enter(0)
    pacer.leave()
    for thread in threads:
        thread.join(PATIENT_S)
    assert turns == [0, 1, 2, 3, 4]
    figures = pacer.figures()
    assert (figures.in_flight, figures.waiting) == (0, 0)


class Crowd:
    """Threads that wait for a turn, and the order in which they get it; each keeps its place."""

    def __init__(self, pacer: BucketPacer) -> None:
        self.pacer = pacer
        self.turns: list[Weight] = []
        self._threads: list[threading.Thread] = []

    def ask(self, weight: Weight) -> None:
        """Return once one more stands in the queue."""

        def enter() -> None:
            if self.pacer.enter(PATIENT_S, None, weight):
                self.turns.append(weight)

        before = self.pacer.figures().waiting
        thread = threading.Thread(target=enter)
        thread.start()
        self._threads.append(thread)
        wait_until(partial(queued, self.pacer, before + 1), PATIENT_S, "the thread did not queue")

    def free(self, weight: Weight) -> None:
        """A request ends; return once somebody has its place."""
        count = len(self.turns) + 1
        self.pacer.leave(weight)
        wait_until(lambda: len(self.turns) == count, PATIENT_S, "nobody got the place")

    def end(self) -> None:
        """All that entered leave."""
        for thread in self._threads:
            thread.join(PATIENT_S)


def test_a_whole_request_waits_for_no_part() -> None:
    pacer = made(most=4)
    for _ in range(4):
        assert pacer.enter(0, None, Weight.PART)
    crowd = Crowd(pacer)
    for _ in range(8):
        crowd.ask(Weight.PART)
    assert not pacer.enter(0, None, Weight.PART)
    assert pacer.enter(0)  # beyond the window: one for four of it
    assert not pacer.enter(0)
    crowd.ask(Weight.WHOLE)
    crowd.free(Weight.WHOLE)
    assert crowd.turns == [Weight.WHOLE]
    crowd.ask(Weight.WHOLE)
    pacer.leave(Weight.PART)  # five were in flight
    assert not crowd.turns[1:]
    crowd.free(Weight.PART)
    assert crowd.turns == [Weight.WHOLE] * 2  # ahead of eight parts
    for _ in range(8):
        crowd.free(Weight.PART)
    crowd.end()
    assert crowd.turns[2:] == [Weight.PART] * 8


def test_parts_have_a_turn_of_four_however_many_whole_requests_wait() -> None:
    pacer = made(most=4)
    for _ in range(4):
        assert pacer.enter(0)
    crowd = Crowd(pacer)
    for _ in range(3):
        crowd.ask(Weight.PART)
    for _ in range(9):
        crowd.ask(Weight.WHOLE)
    for _ in range(9):
        crowd.free(Weight.WHOLE)
    assert crowd.turns.count(Weight.PART) >= 2
    while len(crowd.turns) < 12:
        crowd.free(Weight.WHOLE)
    crowd.end()


def test_patience_ends() -> None:
    pacer = made(most=1)
    assert pacer.enter(0)
    assert not pacer.enter(0.01)
    assert pacer.figures().waiting == 0


def test_a_long_pause_is_told_and_not_waited_for() -> None:
    pacer = made()
    assert pacer.enter(0)
    pacer.leave()
    pacer.refused("GET", ThrottledError("slow", retry_after_s=PATIENCE_S + 5), began_s=time.monotonic())
    for patience_s in (0, PATIENT_S):
        with pytest.raises(ThrottledError, match="left alone for") as caught:
            pacer.enter(patience_s)
        assert caught.value.retry_after_s is not None
        assert PATIENCE_S < caught.value.retry_after_s <= PATIENCE_S + 5


def test_a_pause_that_begins_while_others_wait_reaches_them() -> None:
    pacer = made(most=1)
    assert pacer.enter(0)
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            pacer.enter(PATIENT_S)
        except ThrottledError as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: pacer.figures().waiting == 1, PATIENT_S, "the thread did not queue")
    pacer.refused("PUT", ThrottledError("slow", retry_after_s=9), began_s=time.monotonic())
    pacer.leave()
    thread.join(PATIENT_S)
    assert len(caught) == 1


def test_figures_count_by_method_and_by_what_came_of_it() -> None:
    pacer = made()
    now_s = time.monotonic()
    for began_s in (now_s, now_s - 100):
        pacer.enter(0)
        pacer.answered("GET", "GET", began_s=began_s, looked_s=began_s, held_back_s=None)
    pacer.refused("GET", ThrottledError("slow"), began_s=now_s)
    pacer.refused("PUT", StoreUnavailableError("gone"), began_s=now_s)
    get, put = pacer.figures().methods
    assert (get.method, get.ok, get.throttled, get.unavailable, get.refused) == ("GET", 2, 1, 0, 0)
    assert (put.method, put.ok, put.unavailable) == ("PUT", 0, 1)
    assert len(get.latency_slots) == len(LATENCY_BOUNDS_S) + 1
    assert sum(get.latency_slots) == 2
    assert get.latency_slots[-1] == 1
    assert get.latency_s > 100


def test_it_costs_a_few_microseconds_a_request() -> None:
    """Of the processor: small files cost about 400 in all. The bound leaves room for slow ones."""
    pacer = made()

    def request() -> None:
        pacer.enter(0)
        now_s = time.monotonic()
        pacer.answered("GET", "GET", began_s=now_s, looked_s=now_s, held_back_s=None)
        pacer.leave()

    assert min(timeit.repeat(request, timer=time.thread_time, number=2000, repeat=5)) / 2000 < 40e-6


@pytest.mark.parametrize(("waited_s", "eases"), [(0.5, False), (6.0, True)])
def test_what_was_given_up_late_counts_as_a_missing_answer(waited_s: float, eases: bool) -> None:
    now_s = 100.0
    pacer = BucketPacer("b", most=64, clock_s=lambda: now_s)
    for _ in range(4):
        assert pacer.enter(0)
    before = pacer.window
    began_s, now_s = now_s, now_s + waited_s
    pacer.lost(began_s=began_s)
    assert (pacer.window < before) is eases


class Quiet:
    """A pacer and its clock, for how long nothing is heard."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.pacer = BucketPacer("b", most=64, clock_s=lambda: self.now_s)

    def after(self, wait_s: float) -> float:
        """For how long the store seems silent then."""
        self.now_s += wait_s
        return self.pacer.silent_s

    def ask(self) -> float:
        """Send a request; returns when."""
        assert self.pacer.enter(0)
        self.pacer.sent()
        return self.now_s

    def miss(self, began_s: float) -> None:
        """No answer comes to it."""
        self.pacer.leave()
        self.pacer.refused("GET", StoreUnavailableError("no answer"), began_s=began_s)

    def hear(self, began_s: float) -> None:
        """An answer does."""
        self.pacer.answered("GET", "GET", began_s=began_s, looked_s=began_s, held_back_s=None)
        self.pacer.leave()


def test_a_store_that_is_being_sent_a_body_is_not_silent() -> None:
    quiet = Quiet()
    for _ in range(4):
        assert quiet.pacer.enter(0, None, Weight.PART)
    assert quiet.after(60.0) == 0.0
    quiet.pacer.sent()
    assert quiet.after(7.0) == 7.0
    quiet.pacer.leave(Weight.PART)  # an answer without a body is over before it is told
    quiet.pacer.answered("PUT", 12, began_s=100.0, looked_s=160.0, held_back_s=None)
    assert quiet.after(60.0) == 0.0


def test_what_was_given_up_soon_leaves_no_silence_behind() -> None:
    quiet = Quiet()
    began_s = quiet.ask()
    assert quiet.after(1.0) == 1.0
    quiet.pacer.lost(began_s=began_s)
    quiet.pacer.leave()
    assert quiet.after(600.0) == 0.0
    quiet.ask()
    assert quiet.after(2.0) == 2.0


@pytest.mark.parametrize("how", ["missed", "given up late"])
def test_a_store_that_answers_none_stays_silent_until_it_answers(how: str) -> None:
    quiet = Quiet()
    for asked in range(3):
        began_s = quiet.ask()
        assert quiet.after(30.0) == 40.0 * asked + 30.0
        if how == "missed":
            quiet.miss(began_s)
        else:
            quiet.pacer.lost(began_s=began_s)
            quiet.pacer.leave()
        assert quiet.after(10.0) == 40.0 * asked + 40.0
    quiet.hear(quiet.ask())
    assert quiet.after(10.0) == 0.0


def test_a_store_is_silent_since_its_last_answer_at_most() -> None:
    quiet = Quiet()
    missed_s = quiet.ask()
    quiet.after(40.0)
    quiet.hear(quiet.ask())
    quiet.after(20.0)
    quiet.miss(missed_s)
    assert quiet.after(0.0) == 20.0


def test_a_store_that_stops_in_the_middle_of_a_body_is_silent() -> None:
    """Its head was an answer, and what is owed since is the rest."""
    quiet = Quiet()
    began_s = quiet.ask()
    quiet.pacer.answered("GET", "GET", began_s=began_s, looked_s=began_s, held_back_s=None)
    assert quiet.after(3.0) == 3.0
    quiet.pacer.moved()
    assert quiet.after(4.0) == 4.0
    quiet.pacer.lost(began_s=began_s)
    quiet.pacer.leave()
    assert quiet.after(6.0) == 10.0
    quiet.hear(quiet.ask())
    assert quiet.after(60.0) == 0.0


def test_what_is_still_being_sent_is_quiet_before_it_is_silent() -> None:
    quiet = Quiet()
    quiet.after(50.0)
    assert quiet.pacer.quiet_s == 0.0
    assert quiet.pacer.enter(0)
    assert (quiet.after(7.0), quiet.pacer.quiet_s) == (0.0, 7.0)
    quiet.pacer.sent()
    assert (quiet.after(2.0), quiet.pacer.quiet_s) == (2.0, 9.0)
    quiet.hear(0.0)
    assert (quiet.after(9.0), quiet.pacer.quiet_s) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("is_silent", "error", "words"),
    [(True, StoreSilentError, "has answered nothing for"), (False, ThrottledError, "allows too few requests")],
)
def test_who_gets_no_turn_is_told_why(is_silent: bool, error: type[Exception], words: str) -> None:
    """A store that is away has not asked anybody to slow down."""
    began_s = time.monotonic()
    pacer = BucketPacer("b", most=1, clock_s=lambda: began_s + 10 * (time.monotonic() - began_s))
    assert pacer.enter(0)
    if is_silent:
        pacer.sent()
    with pytest.raises(error, match=words):
        pacer.enter(PATIENT_S, lambda: False, Weight.PART)


class Parts:
    """Threads that each have a part's request in flight, and do with it what they are told."""

    def __init__(self, pacer: BucketPacer, count: int) -> None:
        self.pacer = pacer
        self._go_on = threading.Event()
        self._away = threading.Barrier(count + 1)
        self._threads = [threading.Thread(target=self._hang) for _ in range(count)]
        for thread in self._threads:
            thread.start()
        self._away.wait(PATIENT_S)

    def _hang(self) -> None:
        assert self.pacer.enter(0, weight=Weight.PART)
        self.pacer.sent()
        self.pacer.answered("GET", "GET", began_s=time.monotonic(), looked_s=time.monotonic(), held_back_s=None)
        self.pacer.turned_away()
        self._away.wait(PATIENT_S)
        assert self._go_on.wait(PATIENT_S)
        self.pacer.turned_back()
        self.pacer.leave(Weight.PART)

    def end(self) -> None:
        self._go_on.set()
        for thread in self._threads:
            thread.join(PATIENT_S)


def test_parts_whose_file_system_hangs_hold_up_no_other_requests_and_make_no_store_silent() -> None:
    now_s = [100.0]
    pacer = BucketPacer("b", most=4, clock_s=lambda: now_s[0])
    parts = Parts(pacer, 4)
    assert not pacer.enter(0, weight=Weight.PART)
    now_s[0] += 60
    assert pacer.silent_s == 0
    assert pacer.has_room
    assert pacer.enter(0, weight=Weight.PART)
    pacer.sent()  # of this one an answer is owed
    now_s[0] += 7
    assert pacer.silent_s == 7
    pacer.leave(Weight.PART)
    parts.end()
    for _ in range(4):
        assert pacer.enter(0, weight=Weight.WHOLE)
    assert not pacer.enter(0, weight=Weight.PART)
    assert pacer.figures().in_flight == 4


@pytest.mark.parametrize("how", ["missed", "over before that is told", "given up late"])
def test_a_hung_file_system_does_not_hide_that_its_bucket_answers_none(how: str) -> None:
    quiet = Quiet()
    parts = Parts(quiet.pacer, 1)
    try:
        for asked in range(3):
            began_s = quiet.ask()
            quiet.after(30.0)
            if how == "over before that is told":
                quiet.miss(began_s)
            else:
                if how == "missed":
                    quiet.pacer.refused("GET", StoreUnavailableError("no answer"), began_s=began_s)
                else:
                    quiet.pacer.lost(began_s=began_s)
                assert quiet.pacer.silent_s == 30.0 * asked + 30.0
                quiet.pacer.leave()
            assert quiet.pacer.silent_s == 30.0 * asked + 30.0
        quiet.hear(quiet.ask())
        assert quiet.after(60.0) == 0.0
    finally:
        parts.end()


def test_a_body_that_is_given_up_beside_a_hung_file_system_makes_no_store_silent() -> None:
    """An answer is owed to nobody but who does not listen."""
    quiet = Quiet()
    parts = Parts(quiet.pacer, 1)
    try:
        quiet.after(60.0)
        assert quiet.pacer.enter(0)
        assert quiet.after(30.0) == 0.0
        quiet.pacer.lost(began_s=quiet.now_s - 30.0)  # before it was sent to its end
        quiet.pacer.sent()
        quiet.pacer.leave()
        assert quiet.after(30.0) == 0.0
    finally:
        parts.end()
