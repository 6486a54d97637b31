"""The runner: claims what is due, shares it fairly among tasks, and hands it to movers.

One `step` looks at both lanes once. Polling is the truth; bells only say when to look. The runner ends no flight and settles
nothing itself: what it cannot hand over it gives to the settler.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from penstock import failpoints, telemetry
from penstock.catalog.catalog import Catalog
from penstock.catalog.verbs import Claimed, ClaimLane, Claims, Demand, Grant
from penstock.catalog.writer import Ahead
from penstock.engine.executor import Executor, MoverGoneError
from penstock.engine.fair import Fairness, Offer
from penstock.engine.flights import Flight, Flights
from penstock.engine.loops import FOREVER_S
from penstock.engine.messages import Control, Lane, Lease
from penstock.engine.options import NS_PER_S, EngineOptions, to_ns
from penstock.engine.orders import Refusal, order_of
from penstock.engine.owners import Owners
from penstock.engine.rooms import Rooms
from penstock.engine.settler import Settler
from penstock.model import Registry

LIMITED_LEAST = 8
"""So many small files of a task are claimed ahead, however little its dataflow may move."""


class Runner:
    """Claims and hands over. `owners` is under whose name leases are taken."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        executor: Executor,
        flights: Flights,
        fairness: Mapping[ClaimLane, Fairness],
        rooms: Rooms,
        settler: Settler,
        owners: Owners,
        registry: Callable[[], Registry],
        options: EngineOptions,
        now_ns: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._executor = executor
        self._flights = flights
        self._fairness = fairness
        self._rooms = rooms
        self._settler = settler
        self._owners = owners
        self._registry = registry
        self._options = options
        self._now_ns = now_ns
        self._held: deque[Flight] = deque()  # suspects that wait for the quarantine
        self._waiting_since_ns: dict[str, int] = {}  # tasks whose large files find no place
        self._seek_due_ns = 0
        self._kept_due_ns = dict.fromkeys(ClaimLane, 0)
        self._look_again_s = options.claim.look_again_s
        self._ahead: tuple[str, Ahead[Claims]] | None = None
        self._closed = False

    async def step(self) -> float:
        """Claim what there is room for and hand it over; returns how long nothing is due, in seconds."""
        self._release_suspects()
        now_ns = self._now_ns()
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not ahead[1].withdraw():
            return await self._take_ahead(*ahead, now_ns)
        if self._closed:
            return FOREVER_S
        demands = self._demands(now_ns)
        if not demands:
            return self._look_again_s
        owner = self._owners.current
        claims = await self._claim(demands, owner, now_ns)
        if self._take_all(claims, owner, now_ns):
            return 0.0
        self._claim_ahead(demands, owner)
        return self._pause_s(claims.next_due_ns)

    def close(self) -> None:
        """Claim nothing from now on; what is held back here goes back to the catalog."""
        self._closed = True
        if self._ahead is not None and self._ahead[1].withdraw():
            self._ahead = None
        self._settler.give_back(self._held)
        self._held.clear()

    def withdraw_held(self, flight: Flight) -> None:
        """A flight that is held back here was canceled: give it back, so that it is claimed again to be withdrawn."""
        if flight in self._held:
            self._held.remove(flight)
            self._settler.give_back((flight,))

    # ------------------------------------------------------------------------------------------------------------- claims

    def _demands(self, now_ns: int) -> list[Demand]:
        """What there is room for. Now and then all lanes are looked at without room, too: for buckets that have little under
        way, and for large files, of which some may have to make room."""
        options = self._options.claim
        self._look_again_s = options.look_again_s
        if self._settler.unsettled > options.unsettled_max:
            return []
        demands: list[Demand] = []
        for lane in ClaimLane:
            floor, kept = self._rooms.floor(lane, now_ns), self._rooms.kept(lane)
            seeks = lane is ClaimLane.LARGE and now_ns >= self._seek_due_ns
            if floor.free == 0 and kept.free > 0:
                self._look_again_s = min(self._look_again_s, options.kept_look_s)
                if now_ns >= self._kept_due_ns[lane]:
                    self._kept_due_ns[lane] = now_ns + to_ns(options.kept_look_s)
                    seeks = True
            if floor.free > 0 or seeks:
                offer = self._fairness[lane].offer(floor, self._flights.by_task(lane), kept)
                share = partial(self._shared, offer, self._limited(lane))
                demands.append(Demand(lane=lane, ready_max=options.ready_tasks_max, share=share))
        return demands

    def _limited(self, lane: ClaimLane) -> Mapping[str, int]:
        """How many small files more each task may claim whose dataflow may only move so much: what would wait for that in a mover
        would stand in the others' way."""
        if lane is not ClaimLane.SMALL:
            return {}
        limited: dict[str, int] = {}
        under_way = self._flights.by_task(lane)
        for data_flow_id, files_per_s in self._executor.files_per_s().items():
            most = max(LIMITED_LEAST, int(files_per_s))
            for task in self._flights.tasks_of(data_flow_id):
                limited[task] = max(0, most - under_way.get(task, 0))
        return limited

    def _shared(self, offer: Offer, limited: Mapping[str, int], ready: Sequence[str]) -> Sequence[tuple[str, int]]:
        """How an offer is divided; called in the catalog's thread, so it looks at nothing but its arguments and options."""
        batch_max = self._options.claim.batch_max
        may = [task for task in ready if limited.get(task, batch_max)]
        return [
            (one.task_id, min(one.count, limited.get(one.task_id, batch_max), batch_max)) for one in offer.shares(may)
        ]

    async def _claim(self, demands: Sequence[Demand], owner: str, now_ns: int) -> Claims:
        until_ns = now_ns + to_ns(self._options.keeper.lease_s)
        failpoints.passing("claim")
        return await self._answered(self._catalog.claim(demands, owner=owner, lease_until_ns=until_ns), owner)

    def _claim_ahead(self, demands: Sequence[Demand], owner: str) -> None:
        """Where nothing is under way and nothing could be claimed, ask for the first that comes (docs/decisions/0017).

        Whatever changes what there is room for until then rings, and the next step asks anew.
        """
        if not len(self._flights) and not self._settler.unsettled and not self._closed:
            lease_ns = to_ns(self._options.keeper.lease_s)
            self._ahead = (owner, self._catalog.claim_ahead(demands, owner=owner, lease_ns=lease_ns))

    async def _take_ahead(self, owner: str, ahead: Ahead[Claims], now_ns: int) -> float:
        """Hand over what was claimed together with what brought it. What came meanwhile is looked for a little later."""
        claims = await self._answered(ahead.done, owner)
        return 0.0 if self._take_all(claims, owner, now_ns) else self._options.claim.after_ahead_s

    async def _answered(self, claims: Awaitable[Claims], owner: str) -> Claims:
        try:
            return await claims
        except BaseException:
            if owner == self._owners.current:
                self._owners.retire()
            raise

    def _take_all(self, claims: Claims, owner: str, now_ns: int) -> bool:
        more = [self._take(grant, owner, now_ns) for grant in claims.grants]
        return any(more)

    def _take(self, grant: Grant, owner: str, now_ns: int) -> bool:
        """Hand over what was granted; True when there may be more to claim at once.

        What no mover can work on is settled, the rest is under way from here on.
        """
        fairness = self._fairness[grant.lane]
        fairness.saw(grant.ready, self._flights.by_task(grant.lane))
        if grant.lane is ClaimLane.LARGE:
            self._seek_places(grant.ready, now_ns)
        flights: list[Flight] = []
        more = False
        for (task_id, asked), rows in zip(grant.shares, grant.claimed, strict=True):
            entered = self._entered(rows, owner, now_ns)
            fairness.claimed(task_id, len(entered))
            flights += entered
            more = more or len(rows) >= asked
        self._hand_over(grant.lane, flights)
        return more

    def _entered(self, rows: Sequence[Claimed], owner: str, now_ns: int) -> list[Flight]:
        registry = self._registry()
        flights: list[Flight] = []
        refusals: list[Refusal] = []
        for row in rows:
            order = order_of(row, registry, self._options.retry, now_ns=now_ns)
            if isinstance(order, Refusal):
                telemetry.event("engine.refused", sub_task_id=row.sub_task.sub_task_id, code=order.reason.code)
                refusals.append(order)
            else:
                flights.append(Flight(order, owner=owner))
        self._flights.enter(flights)
        if refusals:
            self._settler.refuse(refusals)
        return flights

    # ---------------------------------------------------------------------------------------------------------- hand-over

    def _hand_over(self, lane: ClaimLane, flights: Sequence[Flight]) -> None:
        if not flights:
            return
        if self._closed:
            self._settler.give_back(flights)
            return
        self._held.extend(flight for flight in flights if flight.order.suspect)
        innocent = [flight for flight in flights if not flight.order.suspect]
        spread = self._rooms.spread(innocent, lane, self._now_ns())
        if innocent and not spread:
            self._settler.give_back(innocent)
        for mover, given in spread.items():
            self._submit(mover, given)
        self._release_suspects()

    def _submit(self, mover: str, flights: Sequence[Flight]) -> None:
        self._flights.hand_over(flights, mover, self._now_ns())
        for lane in Lane:
            transfers = tuple(flight.order.transfer for flight in flights if flight.order.lane is lane)
            if not transfers:
                continue
            failpoints.passing("claimed")
            try:
                self._executor.submit(mover, Lease(transfers=transfers, lane=lane))
            except MoverGoneError:
                self._settler.give_back(flight for flight in flights if flight.order.lane is lane)
            failpoints.passing("leased")

    def _release_suspects(self) -> None:
        """One suspect at a time, alone in a mover, so that the file that kills movers becomes known and no other suffers.

        One that has been there for a while without killing it (its store may be silent) gets company of another bucket first.
        """
        while self._held:
            mover = self._rooms.quarantine(self._now_ns())
            if not mover:
                return
            there = {flight.order.transfer.bucket for flight in self._flights.at(mover)}
            others = (flight for flight in self._held if flight.order.transfer.bucket not in there)
            suspect = next(others, self._held[0])
            self._held.remove(suspect)
            self._submit(mover, [suspect])

    # ------------------------------------------------------------------------------------------------------------- waiting

    def _seek_places(self, ready: Sequence[str], now_ns: int) -> None:
        """Where a task's large files have found no place for long, ask the most served task for one of its places."""
        self._seek_due_ns = now_ns + to_ns(self._options.claim.look_again_s)
        under_way = self._flights.by_task(ClaimLane.LARGE)
        waiting = [task for task in ready if not under_way.get(task)]
        self._waiting_since_ns = {task: self._waiting_since_ns.get(task, now_ns) for task in waiting}
        patient_ns = now_ns - to_ns(self._options.claim.patience_s)
        starving = sum(1 for since_ns in self._waiting_since_ns.values() if since_ns <= patient_ns)
        if not starving:
            return  # as nearly always: then nobody's flights are gone through
        leaving = sum(1 for flight in self._flights if flight.yielding)
        if starving <= leaving:
            return
        long_ns = now_ns - to_ns(self._options.claim.yield_after_s)
        settled_in = [
            flight
            for flight in self._flights
            if flight.order.lane is Lane.LARGE and flight.mover and not flight.yielding and flight.since_ns <= long_ns
        ]
        task = self._fairness[ClaimLane.LARGE].most_served({flight.task_id for flight in settled_in})
        victims = [flight for flight in settled_in if flight.task_id == task]
        if victims:
            victim = min(victims, key=lambda flight: flight.charged_bytes)
            victim.yielding = True
            telemetry.event("engine.asked_to_yield", sub_task_id=victim.attempt[0], task_id=victim.task_id)
            self._executor.control(victim.mover, Control(yielded=(victim.attempt,)))

    def _pause_s(self, next_due_ns: int | None) -> float:
        """Until the next work is due; what was due already waits for room or for its target, and both wake us."""
        if next_due_ns is None:
            return self._look_again_s
        return max(0.001, min(self._look_again_s, (next_due_ns - self._now_ns()) / NS_PER_S))
