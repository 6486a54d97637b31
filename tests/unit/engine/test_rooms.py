"""Rooms: is there always a place for a task that has nothing under way, however much another one holds?"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock.catalog.verbs import ClaimLane
from penstock.engine.executor import MoverPurpose, MoverRoom
from penstock.engine.fair import Fairness
from penstock.engine.flights import Flights
from penstock.engine.messages import Lane
from penstock.engine.options import ClaimOptions
from penstock.engine.rooms import Rooms

SECOND_NS = 1_000_000_000
THREADS = 8


@dataclass(slots=True)
class Harbour:
    """Two movers, and what they hold: nothing ends but by the test."""

    flights: Flights = field(default_factory=Flights)
    rooms: Rooms = field(init=False)
    given: int = 0

    def __post_init__(self) -> None:
        movers = tuple(
            MoverRoom(mover=name, purpose=MoverPurpose.WORK, small_threads=THREADS, large_files=8) for name in "mn"
        )
        executor = SimpleNamespace(movers=lambda: movers)
        self.rooms = Rooms(executor=cast("Any", executor), flights=self.flights, options=ClaimOptions())

    def give(
        self,
        task: str,
        count: int,
        *,
        bucket: str = "b",
        file_system: str = "fs",
        lane: ClaimLane = ClaimLane.SMALL,
        mover: str = "",
    ) -> None:
        transfer = SimpleNamespace(bucket=bucket, file_system_id=file_system)
        order = SimpleNamespace(claim_lane=lane, lane=Lane(lane.value), transfer=transfer, data_flow_id="df")
        for _ in range(count):
            self.given += 1
            flight: Any = SimpleNamespace(
                attempt=(str(self.given), 1), task_id=task, owner="o", order=order, mover="", since_ns=0
            )
            self.flights.enter([flight])
            self.flights.hand_over([flight], mover or "mn"[self.given % 2], 0)

    def claims(self, *tasks: str, now_ns: int) -> dict[str, int]:
        """What these tasks may claim now; taken by them."""
        floor = self.rooms.floor(ClaimLane.SMALL, now_ns)
        shares = Fairness(file_cost_bytes=1).shares(tasks, floor, self.flights.by_task(ClaimLane.SMALL))
        for share in shares:
            self.give(share.task_id, share.count)
        return {share.task_id: share.count for share in shares}


@pytest.mark.parametrize("held", [40, 251, 1000])
def test_who_has_nothing_under_way_finds_places_while_another_one_holds_all(held: int) -> None:
    harbour = Harbour()
    for name in "mn":
        harbour.rooms.ended(name, 1000, 0)
    harbour.give("silent", held)
    later_ns = 60 * SECOND_NS
    assert harbour.claims("silent", now_ns=later_ns) == {}
    assert harbour.claims("silent", "other", now_ns=later_ns) == {"other": 2 * 2 * THREADS}
    assert harbour.claims("silent", "other", now_ns=later_ns) == {}
    assert harbour.claims("silent", "other", "third", now_ns=later_ns) == {"third": 2 * 2 * THREADS}


def test_many_small_tasks_do_not_add_up_to_more_than_is_kept() -> None:
    harbour = Harbour()
    harbour.give("silent", 100)
    for number in range(100):
        harbour.give(f"t{number}", 1)
    assert harbour.claims(*(f"t{number}" for number in range(200)), now_ns=0) == {}


def test_what_is_kept_has_an_end() -> None:
    harbour = Harbour()
    harbour.give("silent", 2 * 2 * ClaimOptions().window_files_max)
    assert harbour.claims("other", now_ns=0) == {}


def test_one_alone_gets_three_quarters() -> None:
    harbour = Harbour()
    for name in "mn":
        harbour.rooms.ended(name, 100, 0)  # a window of 100 each
    while harbour.claims("alone", now_ns=0):
        pass
    assert harbour.flights.by_task(ClaimLane.SMALL)["alone"] == 150


@pytest.mark.parametrize(
    ("lane", "tasks", "held", "kept"), [(ClaimLane.SMALL, 3, 11, 2 * THREADS // 2), (ClaimLane.LARGE, 2, 8, 2)]
)
def test_a_bucket_finds_places_while_the_tasks_of_another_one_hold_all(
    lane: ClaimLane, tasks: int, held: int, kept: int
) -> None:
    """Each of the tasks alone holds too little to count as one that holds all."""
    harbour = Harbour()
    names = [f"silent{number}" for number in range(tasks)]
    for name in names:
        harbour.give(name, held, bucket="silent", lane=lane)

    def shares(*ready: str) -> dict[str, int]:
        floor = harbour.rooms.floor(lane, 60 * SECOND_NS)
        offer = Fairness(file_cost_bytes=1).offer(floor, harbour.flights.by_task(lane), harbour.rooms.kept(lane))
        return {share.task_id: share.count for share in offer.shares(ready) if share.count}

    found = shares(*names, "other")
    assert set(found) == {"other"}
    assert 0 < found["other"] < kept  # its bucket is not known
    harbour.give("other", found["other"], bucket="other", lane=lane)
    if found["other"] < kept:
        assert shares(*names, "other") == {"other": kept - found["other"]}
        harbour.give("other", kept - found["other"], bucket="other", lane=lane)
    assert shares(*names, "other") == {}


@pytest.mark.parametrize(("lane", "tasks", "held"), [(ClaimLane.SMALL, 3, 11), (ClaimLane.LARGE, 2, 8)])
def test_a_file_system_finds_places_while_the_tasks_of_another_one_hold_all_with_its_bucket(
    lane: ClaimLane, tasks: int, held: int
) -> None:
    harbour = Harbour()
    names = [f"hung{number}" for number in range(tasks)]
    for name in names:
        harbour.give(name, held, file_system="hung", lane=lane)

    def shares(*ready: str) -> dict[str, int]:
        floor = harbour.rooms.floor(lane, 60 * SECOND_NS)
        offer = Fairness(file_cost_bytes=1).offer(floor, harbour.flights.by_task(lane), harbour.rooms.kept(lane))
        return {share.task_id: share.count for share in offer.shares(ready) if share.count}

    harbour.give("well", 1, file_system="well", lane=lane)  # known by now,
    harbour.flights.end((str(harbour.given), 1))  # and it goes on as soon as that one has ended
    found = shares(*names, "well")
    assert set(found) == {"well"}
    harbour.give("well", found["well"], file_system="well", lane=lane)
    assert shares(*names, "well") == {}


def test_places_that_are_kept_are_spread_over_movers_that_hold_too_much() -> None:
    """Each mover keeps a thread for another bucket: the second file of it goes where that one is idle."""
    harbour = Harbour()
    harbour.give("silent", 16, bucket="silent", lane=ClaimLane.LARGE)
    movers = []
    for number in range(2):
        (given,) = harbour.rooms.spread(cast("Any", [number]), ClaimLane.LARGE, 0)
        movers.append(given)
        harbour.give("other", 1, bucket="other", lane=ClaimLane.LARGE, mover=given)
    assert sorted(movers) == ["m", "n"]
