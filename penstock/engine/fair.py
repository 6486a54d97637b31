"""Who may claim next, and how much: deficit round robin whose deficits are kept as what each task was served.

A file's size is mostly unknown before the first contact, so a task is charged a fixed cost a file when it claims and the bytes
as they become known. The least served task goes first; a task that (re)appears starts level with the least served one that is
active, so neither past idleness nor past solitude is held for or against it. Pure: no clock, no catalog, no randomness.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.engine.journey import Ends

AHEAD_KEPT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A task may claim up to `count` files now."""

    task_id: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The room there is: `free` places of which the last `reserved` are only for tasks with fewer than that under way."""

    free: int
    reserved: int

    def must_leave(self, under_way: int) -> int:
        """How many places a task with `under_way` files must leave free."""
        return self.reserved if under_way >= self.reserved else 0

    def for_one_alone(self, free: int, under_way: int) -> int:
        """How many of `free` places a task with `under_way` files may take at once when nobody else asks."""
        entitled = min(free, max(0, self.reserved - under_way))
        return max(entitled, free - self.reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Places beyond the floor for files of buckets that have little under way, so that a store that falls silent holds up
    nobody else, however much of it its tasks want: `free` in all, of which each bucket may have as many as bring it to `each`.
    Where its bucket has that many already, a file system may still have `newcomer` with it: it may be another one that hangs.

    Of a task of which neither is known yet, `newcomer` files may go ahead and make them known. (Hundreds of new tasks of one
    silent bucket can so hold what is kept, until it is known of each; their requests then time out.)
    """

    free: int = 0
    each: int = 0
    newcomer: int = 0
    under_way: Mapping[Ends, int] = field(default_factory=dict)
    ends_of: Mapping[str, Ends] = field(default_factory=dict)  # by task

    def rooms_of(self, tasks: Iterable[str]) -> Iterator[tuple[str, Hashable, int]]:
        """Each of the tasks, whose places it would take, and how many there are for it."""
        taken: Counter[str] = Counter()  # by bucket; once for all tasks: there may be thousands, and hundreds of ends
        for ends, count in self.under_way.items():
            taken[ends[0]] += count
        for task in tasks:
            known = self.ends_of.get(task)
            if known is None:
                yield task, task, self.newcomer
            elif (left := self.each - taken[known[0]]) > 0:
                yield task, known[0], left
            else:
                yield task, known, self.newcomer - self.under_way.get(known, 0)


NOTHING_KEPT = Kept()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The room of a lane and the account of its tasks at one moment: a value of its own, to be divided in any thread."""

    floor: Floor
    kept: Kept
    file_cost_bytes: int
    level: int
    turn: int
    served: Mapping[str, int]
    last_turn: Mapping[str, int]
    under_way: Mapping[str, int]

    def shares(self, ready: Sequence[str]) -> list[Share]:
        """Divide the free places among the ready tasks; the answer's order is the order of service."""
        level = _level(self.level, self.served, _active(ready, self.under_way))
        queue = [
            (max(self.served.get(task, level), level), self.last_turn.get(task, self.turn), position)
            for position, task in enumerate(ready)
        ]
        heapq.heapify(queue)
        counts: dict[str, int] = {}
        free = self.floor.free
        while free > 0 and queue:
            served, turn, position = heapq.heappop(queue)
            task = ready[position]
            count = counts.get(task, 0)
            under_way = self.under_way.get(task, 0) + count
            if free <= self.floor.must_leave(under_way):
                continue
            taken = 1 if queue else self.floor.for_one_alone(free, under_way)
            counts[task] = count + taken
            free -= taken
            heapq.heappush(queue, (served + self.file_cost_bytes, turn, position))
        self._add_kept(sorted(ready, key=lambda task: max(self.served.get(task, level), level)), counts)
        return [Share(task_id=task, count=count) for task, count in counts.items()]

    def _add_kept(self, ready: Sequence[str], counts: dict[str, int]) -> None:
        """Give the places that are kept for buckets, one by one to each task whose bucket may have another."""
        places: dict[Hashable, int] = {}
        peers: dict[str, Hashable] = {}
        for task, peer, count in self.kept.rooms_of(ready if self.kept.free > 0 else ()):
            peers[task] = peer
            places[peer] = places.get(peer, count) - counts.get(task, 0)
        left = self.kept.free
        while left > 0 and any(places[peer] > 0 for peer in peers.values()):
            for task, peer in peers.items():
                if places[peer] > 0 and left > 0:
                    counts[task] = counts.get(task, 0) + 1
                    places[peer] -= 1
                    left -= 1


class Fairness:
    """One lane's account of what each active task was served."""

    def __init__(self, *, file_cost_bytes: int) -> None:
        self._file_cost = file_cost_bytes
        self._served: dict[str, int] = {}
        self._level = 0
        self._turn = 0
        self._last_turn: dict[str, int] = {}

    def shares(self, ready: Sequence[str], floor: Floor, under_way: Mapping[str, int]) -> list[Share]:
        """Divide the free places among the ready tasks; the answer's order is the order of service.

        `under_way` counts the files of each task that hold a place. What is not claimed in the end costs nothing:
        call `claimed` with what was.
        """
        self.saw(ready, under_way)
        return self.offer(floor, under_way).shares(ready)

    def offer(self, floor: Floor, under_way: Mapping[str, int], kept: Kept = NOTHING_KEPT) -> Offer:
        """The account as it is now. What comes of it is told by `saw` and `claimed`."""
        return Offer(
            floor=floor,
            kept=kept,
            file_cost_bytes=self._file_cost,
            level=self._level,
            turn=self._turn,
            served=dict(self._served),
            last_turn=dict(self._last_turn),
            under_way=dict(under_way),
        )

    def saw(self, ready: Sequence[str], under_way: Mapping[str, int]) -> None:
        """These tasks are ready: they, and those with files under way, are the active ones."""
        self._keep_active(_active(ready, under_way))

    def claimed(self, task_id: str, count: int) -> None:
        """The task has claimed `count` files: charge their fixed cost."""
        if count > 0:
            self._turn += 1
            self._last_turn[task_id] = self._turn
            self.charge(task_id, count * self._file_cost)

    def charge(self, task_id: str, cost_bytes: int) -> None:
        """Charge bytes that have become known; a task that has been forgotten owes nothing."""
        if task_id in self._served:
            self._served[task_id] += cost_bytes

    def most_served(self, tasks: Iterable[str]) -> str | None:
        """The one of `tasks` that was served most; None when there is none."""
        return max(tasks, key=lambda task: (self._served.get(task, 0), task), default=None)

    def _keep_active(self, active: set[str]) -> None:
        """Start newcomers level with the least served active task; forget who is gone and not ahead of that level.

        A task that goes while it is ahead is remembered, else coming and going would beat waiting; at most AHEAD_KEPT are.
        """
        self._level = _level(self._level, self._served, active)
        gone = [task for task, served in self._served.items() if task not in active]
        ahead = [task for task in gone if self._served[task] > self._level][-AHEAD_KEPT:]
        kept = {task: self._served[task] for task in ahead}
        kept.update({task: max(self._served.get(task, self._level), self._level) for task in active})
        self._served = kept
        self._last_turn = {task: self._last_turn.get(task, self._turn) for task in kept}


def _active(ready: Iterable[str], under_way: Mapping[str, int]) -> set[str]:
    return {*ready, *(task for task, count in under_way.items() if count > 0)}


def _level(level: int, served: Mapping[str, int], active: Iterable[str]) -> int:
    """What the least served active task was served; never falls."""
    return max(level, min((served[task] for task in active if task in served), default=level))
