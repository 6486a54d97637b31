"""File systems that are away, read-only or full, and full buckets: what waits for room is tried again soon after there is, a
little at a time. (What is away has no room either; exports from there are looked for among those to their bucket.)

Nobody is told when room is made, and how much, or when a mount is back. So as long as anything waits for it, some of that is
made due again and again: one file at first, twice as many each time that files arrive and none is refused, one again when one
is. What is due first comes first, so that each gets its turn: the last of the waits has no jitter there (see `settling`). Looks
lie seconds apart, then up to a minute: each may fetch a whole file in vain. Memory only; what waits is in the catalog, and a
new service asks that where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from penstock import telemetry
from penstock.catalog.catalog import Catalog
from penstock.catalog.verbs import Room
from penstock.engine.loops import FOREVER_S
from penstock.engine.options import NS_PER_S, RetryOptions, to_ns
from penstock.errors import FailureCode
from penstock.model import Direction
from penstock.transfer.transfer import Transfer

BATCH_MAX = 512
NO_ROOM = frozenset({FailureCode.NO_SPACE, FailureCode.READ_ONLY, FailureCode.FILE_SYSTEM_UNAVAILABLE})


class _Place:
    """What has been seen of one place since the last look, when the next is due, and how many files are tried then."""

    __slots__ = ("batch", "due_ns", "has_moved", "is_refused", "pause_s")

    def __init__(self, due_ns: int, pause_s: float) -> None:
        self.due_ns = due_ns
        self.pause_s = pause_s
        self.batch = 1
        self.has_moved = False
        self.is_refused = False


class Spaces:
    """`missed` and `moved` are called on the event loop; `wake` is called when `step` has something to wait for.

    `unsettled` tells how many outcomes the catalog does not hold yet: one that was missed may be among them.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        options: RetryOptions,
        now_ns: Callable[[], int],
        wake: Callable[[], None],
        unsettled: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._options = options
        self._now_ns = now_ns
        self._wake = wake
        self._unsettled = unsettled
        self._places: dict[Room, _Place] = {}

    async def begin(self, file_systems: Iterable[str], buckets: Iterable[str]) -> None:
        """A service begins: those of these places are looked at where something waits for room. CatalogError."""
        rooms = {Room(direction=Direction.IMPORT, name=name) for name in file_systems}
        rooms |= {Room(direction=Direction.EXPORT, name=name) for name in buckets}
        for room in sorted(rooms & await self._catalog.without_room()):
            self._places[room] = _Place(self._now_ns(), self._options.scout_every_s)

    @property
    def are_full(self) -> bool:
        """Whether there is any to be told about files that arrive: nearly always not, and many arrive."""
        return bool(self._places)

    def full(self) -> dict[Room, int]:
        """The places without room, and when some files look at each again."""
        return {room: place.due_ns for room, place in self._places.items()}

    def missed(self, transfer: Transfer) -> None:
        """A file found no room where it was to go."""
        place = self._places.get(_room_of(transfer))
        if place is None:
            pause_s = self._options.scout_every_s
            place = self._places[_room_of(transfer)] = _Place(self._now_ns() + to_ns(pause_s), pause_s)
            self._wake()
        place.is_refused = True

    def moved(self, transfer: Transfer) -> None:
        """A file arrived: if none was refused since the last look, the next one is soon."""
        place = self._places.get(_room_of(transfer))
        if place is None or place.has_moved:
            return
        place.has_moved = True
        soon_ns = self._now_ns() + to_ns(self._options.scout_every_s)
        if not place.is_refused and soon_ns < place.due_ns:
            place.due_ns = soon_ns
            self._wake()

    async def step(self) -> float:
        """Make due some of what waits for room; returns how long nothing has to be done."""
        for room, place in list(self._places.items()):
            if place.due_ns <= self._now_ns():
                await self._look(room, place)
        if not self._places:
            return FOREVER_S
        return max(0.0, (min(place.due_ns for place in self._places.values()) - self._now_ns()) / NS_PER_S)

    async def _look(self, room: Room, place: _Place) -> None:
        if place.is_refused:
            place.batch, place.pause_s = 1, min(2 * place.pause_s, self._options.room_look_max_s)
        elif place.has_moved:
            place.batch, place.pause_s = min(2 * place.batch, BATCH_MAX), self._options.scout_every_s
        place.has_moved = place.is_refused = False
        place.due_ns = self._now_ns() + to_ns(place.pause_s)
        all_wait = not self._unsettled()
        woken = await self._catalog.wake_for_room(room, limit=place.batch)
        if woken:
            telemetry.event("engine.room_tried", level=telemetry.Level.DEBUG, place=room.name, woken=woken)
        elif all_wait and not place.is_refused:  # meanwhile: that one waits by now, or will soon
            del self._places[room]


def _room_of(transfer: Transfer) -> Room:
    is_import = transfer.direction is Direction.IMPORT
    return Room(direction=transfer.direction, name=transfer.file_system_id if is_import else transfer.bucket)
