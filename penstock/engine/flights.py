"""Flights: the attempts that this engine has claimed and not yet seen the end of, by sub-task, mover and task.

The runner enters them, the settler takes them out. Memory only; the catalog holds everything that must last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from penstock.catalog.verbs import ClaimLane
from penstock.engine.executor import Attempt
from penstock.engine.journey import Ends, ends_of
from penstock.engine.messages import Lane, PartsMoved
from penstock.engine.options import NS_PER_S
from penstock.engine.orders import Order
from penstock.transfer.transfer import Checkpoint, Progress

TASKS_REMEMBERED = 1024


class Pulse:
    """How fast the bytes of one attempt move, as its mover tells, and how far its parts are."""

    __slots__ = ("at_ns", "bytes_done", "parts", "speed")

    def __init__(self, bytes_done: int, at_ns: int) -> None:
        self.bytes_done = bytes_done
        self.at_ns = at_ns
        self.speed = 0.0  # bytes a second, over the last few tellings
        self.parts: PartsMoved | None = None

    def beat(self, bytes_done: int, at_ns: int) -> None:
        """So many by now. What an earlier attempt had left, and is read again, counts as moved."""
        took_s = (at_ns - self.at_ns) / NS_PER_S
        if took_s <= 0:
            return
        now = (bytes_done - self.bytes_done) / took_s
        self.speed = now if self.speed == 0.0 else (self.speed + now) / 2
        self.bytes_done, self.at_ns = bytes_done, at_ns


class Flight:
    """One claimed attempt on its way. `mover` is empty while it is held back here."""

    __slots__ = (
        "attempt",
        "begun_ns",
        "canceled_ns",
        "canceling",
        "charged_bytes",
        "checkpoint",
        "is_explained",
        "is_queued",
        "mover",
        "order",
        "owner",
        "progress",
        "pulse",
        "since_ns",
        "task_id",
        "yielding",
    )

    def __init__(self, order: Order, *, owner: str) -> None:
        transfer = order.transfer
        self.attempt: Attempt = (transfer.sub_task_id, transfer.attempt)  # what messages call it
        self.task_id = transfer.task_id
        self.order = order
        self.owner = owner
        self.mover = ""
        self.since_ns = 0  # when it was handed to its mover
        self.canceling = order.canceling
        self.canceled_ns = 0  # when its mover was told so; 0: it was so when it was claimed
        self.is_explained = False  # why that takes long is in the catalog
        self.is_queued = False  # the catalog says that its withdrawal waits for its turn
        self.begun_ns = 0  # when that was seen to have begun after all
        self.yielding = False
        self.charged_bytes = 0  # what its task was charged for its bytes so far
        self.progress: Progress | None = None
        self.pulse: Pulse | None = None  # how fast that goes on
        self.checkpoint: Checkpoint | None = transfer.checkpoint  # the newest that is durable


class Flights:
    """All flights, with the counts that the runner divides room by."""

    def __init__(self) -> None:
        self._all: dict[Attempt, Flight] = {}
        self._by_mover: dict[str, dict[Attempt, Flight]] = {}
        self._by_task: dict[ClaimLane, Counter[str]] = {lane: Counter() for lane in ClaimLane}
        self._ends_of: dict[str, Ends] = {}  # of tasks, also of those that have nothing under way
        self._flow_of: dict[str, str] = {}  # likewise
        self._by_owner: Counter[str] = Counter()
        self._places: Counter[tuple[str, bool]] = Counter()  # by mover, and whether it is a large file's place

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._all.values())

    def enter(self, flights: Iterable[Flight]) -> None:
        """Note attempts that were claimed."""
        for flight in flights:
            self._all[flight.attempt] = flight
            self._by_task[flight.order.claim_lane][flight.task_id] += 1
            self._by_owner[flight.owner] += 1
            self._ends_of.pop(flight.task_id, None)  # the latest is last, and forgotten last
            self._ends_of[flight.task_id] = ends_of(flight.order.transfer)
            self._flow_of[flight.task_id] = flight.order.data_flow_id
        for task in list(self._ends_of)[: max(0, len(self._ends_of) - TASKS_REMEMBERED)]:
            del self._ends_of[task], self._flow_of[task]

    def hand_over(self, flights: Iterable[Flight], mover: str, now_ns: int) -> None:
        """Note that they were given to `mover`."""
        held = self._by_mover.setdefault(mover, {})
        for flight in flights:
            flight.mover = mover
            flight.since_ns = now_ns
            held[flight.attempt] = flight
            self._places[mover, flight.order.lane is Lane.LARGE] += 1

    def find(self, attempt: Attempt) -> Flight | None:
        """The flight of this attempt, if it is still under way."""
        return self._all.get(attempt)

    def at(self, mover: str) -> tuple[Flight, ...]:
        """All that `mover` was given and has not ended."""
        return tuple(self._by_mover.get(mover, {}).values())

    def beat(self, flight: Flight, bytes_done: int, now_ns: int) -> None:
        """Its mover tells how far it is."""
        if flight.pulse is None:
            flight.pulse = Pulse(0, flight.since_ns)
        flight.pulse.beat(bytes_done, now_ns)

    def of_sub_task(self, sub_task_id: str) -> Flight | None:
        """The flight of a sub-task, whichever attempt it is."""
        return next((flight for (name, _), flight in self._all.items() if name == sub_task_id), None)

    def end(self, attempt: Attempt) -> Flight | None:
        """Take a flight out: its place is free. None when it was not (or no longer) under way."""
        flight = self._all.pop(attempt, None)
        if flight is None:
            return None
        if flight.mover:
            self._by_mover[flight.mover].pop(attempt, None)
            if not self._by_mover[flight.mover]:
                del self._by_mover[flight.mover]
            place = (flight.mover, flight.order.lane is Lane.LARGE)
            self._places[place] -= 1
            if self._places[place] <= 0:
                del self._places[place]
        tasks = self._by_task[flight.order.claim_lane]
        tasks[flight.task_id] -= 1
        if tasks[flight.task_id] <= 0:
            del tasks[flight.task_id]
        self._by_owner[flight.owner] -= 1
        if self._by_owner[flight.owner] <= 0:
            del self._by_owner[flight.owner]
        return flight

    def by_task(self, lane: ClaimLane) -> Mapping[str, int]:
        """How many flights each task has that were claimed in this lane."""
        return self._by_task[lane]

    def by_ends(self, lane: ClaimLane) -> Mapping[Ends, int]:
        """The same by bucket and file system."""
        counts = Counter[Ends]()
        for task, count in self._by_task[lane].items():
            counts[self._ends_of.get(task, ("", ""))] += count
        return counts

    @property
    def ends_of(self) -> Mapping[str, Ends]:
        """The buckets and file systems of tasks that were under way lately."""
        return dict(self._ends_of)

    def tasks_of(self, data_flow_id: str) -> Sequence[str]:
        """The tasks of a dataflow that were under way lately."""
        return [task for task, flow in self._flow_of.items() if flow == data_flow_id]

    def owners(self) -> frozenset[str]:
        """Owners with flights under way."""
        return frozenset(self._by_owner)

    def count_at(self, mover: str, lane: Lane) -> int:
        """How many places of `lane` are taken at `mover`; sweeps take small places."""
        return self._places[mover, lane is Lane.LARGE]
