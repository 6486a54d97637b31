"""The helpers of the small lane: is it seen that files wait for one, also while work is being given out?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

from penstock.engine.journey import Journey, Peer, ends_of
from penstock.engine.messages import MoverLimits
from penstock.engine.outbox import Outbox
from penstock.engine.running import Running
from penstock.engine.small_lane import Helpers
from penstock.transfer.steps import Awaited, Pause, Steps
from penstock.transfer.transfer import Outcome, Verdict
from tests.fixtures.gate import transfer

LOOK_S = 0.2


class Interrupted(dict[Peer, int]):
    """What is busy; whenever that is asked, which is in the middle of giving out work, another thread looks as well."""

    def __init__(self, helpers: Helpers, busy: dict[Peer, int]) -> None:
        super().__init__(busy)
        self._helpers = helpers
        self._threads: list[threading.Thread] = []
        self._seen: list[bool] = []

    def get(self, key: Peer, default: int = 0) -> int:  # type: ignore[override]
        looking = threading.Thread(target=lambda: self._seen.append(self._helpers.is_waited_for))
        looking.start()
        looking.join(LOOK_S)  # who looks under the lock sees nothing before the work is given out
        self._threads.append(looking)
        return super().get(key, default)

    def seen(self) -> list[bool]:
        for thread in self._threads:
            thread.join(60)
        return self._seen


def journeys(file_system_id: str = "fs-1") -> Iterator[Journey]:
    outbox = Outbox(
        mover="m", limits=MoverLimits(), send=lambda report: None, pressed=lambda: False, clock_s=lambda: 0.0
    )

    def steps(running: Running) -> Steps[Outcome]:
        yield Pause.ASIDE
        return Outcome(sub_task_id=running.transfer.sub_task_id, attempt=1, verdict=Verdict.COMPLETE)

    place = 0
    while True:
        running = Running(
            transfer(sub_task_id=f"f{place}", file_system_id=file_system_id),
            number=place,
            desk=outbox,
            clock_s=lambda: 0.0,
        )
        yield Journey(running, steps(running), place)
        place += 1


def test_that_files_wait_is_seen_while_work_is_given_out() -> None:
    """Else those that are to stop may stay behind the others until somebody happens to look again."""
    helpers = Helpers(1, lambda journey, reached: None)  # not started: whoever is given one holds it
    coming = journeys()
    for _ in range(2):
        helpers.take(next(coming))
    assert helpers.is_waited_for
    helpers._busy = interrupted = Interrupted(helpers, helpers._busy)
    helpers.take(next(coming))
    assert interrupted.seen() == [True]


def test_files_that_hold_a_place_at_the_store_do_not_wait_behind_those_that_want_one() -> None:
    """Their answers lie there unread meanwhile, and nobody gets a place before they are read."""
    helpers = Helpers(2, lambda journey, reached: None)
    coming = journeys()
    for _ in range(4):
        helpers.take(next(coming))
    assert helpers._queue.qsize() == 2
    answered = next(coming)
    answered.awaited = cast("Awaited", object())
    helpers.take(answered)
    assert helpers._queue.qsize() == 3
    assert not helpers.has_room_for(ends_of(answered.running.transfer))


def test_a_file_system_whose_files_hold_helpers_leaves_some_to_others_of_the_same_bucket() -> None:
    helpers = Helpers(2, lambda journey, reached: None)
    hung, coming = journeys("fs-hung"), journeys()
    for _ in range(4):
        helpers.take(next(hung))
    assert helpers._queue.qsize() == 2
    assert not helpers.has_room_for(ends_of(next(hung).running.transfer))
    other = next(coming)
    assert helpers.has_room_for(ends_of(other.running.transfer))
    helpers.take(other)
    assert helpers._queue.qsize() == 3
