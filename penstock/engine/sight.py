"""The engine as people are shown it: what moves and how fast, what limits that, how buckets, file systems and movers are.

Reads flights, movements and what movers tell; changes nothing, and asks neither catalog nor store. Used on the event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest

from penstock.catalog.live import (
    EngineView,
    FlowPulse,
    Flying,
    Limit,
    Moved,
    PartMap,
    Speed,
    Stay,
)
from penstock.catalog.views import Counts, LedgerView
from penstock.engine.executor import Watched
from penstock.engine.flights import Flight, Flights
from penstock.engine.journey import ends_of
from penstock.engine.limiter import Situation, limit_of
from penstock.engine.messages import Lane, PartsMoved
from penstock.engine.movements import Stream
from penstock.engine.options import NS_PER_S, EngineOptions
from penstock.engine.outages import Outages
from penstock.engine.rooms import Rooms
from penstock.engine.settler import Settler
from penstock.engine.soundness import MountTrouble, Troubles, buckets_seen, mounts_seen, movers_seen, stay_of
from penstock.engine.spaces import Spaces
from penstock.model import DataFlowStatus, Direction, Registry

FRESH_NS = 3 * NS_PER_S
"""Whose mover has told no progress for so long stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The engine's parts that are looked at. `mounts` tells what is wrong with roots, "" where a look found one well; `idle` the
    part of all processors that nobody used lately."""

    flights: Flights
    rooms: Rooms
    settler: Settler
    outages: Outages
    spaces: Spaces
    executor: Watched
    registry: Callable[[], Registry]
    options: EngineOptions
    now_ns: Callable[[], int]
    mounts: Callable[[], Mapping[str, MountTrouble]]
    idle: Callable[[], float | None]


class Sight:
    """Everything is of the moment in which it is asked for."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started_ns = parts.now_ns()

    def view(self, file_systems: Collection[str], ledger: LedgerView | None) -> EngineView:
        """The engine, as far as these file systems are concerned. `ledger` is theirs, None where it cannot be read now."""
        parts, now_ns = self._parts, self._parts.now_ns()
        held = [flight for flight in parts.flights if flight.mover and _is_of(flight, file_systems)]
        silent, mounts = parts.outages.silent(), parts.mounts()
        troubles = Troubles(silent=silent, refused=parts.outages.refused())
        seen = [flight for flight in held if stay_of(flight.order.transfer, silent, mounts) is None]
        flows = self._flows(file_systems, seen, ledger, now_ns)
        names = _buckets(ledger) | {flight.order.transfer.bucket for flight in held}
        figures = parts.executor.figures()
        registry = parts.registry()
        health = parts.executor.health()
        sees_all = registry.file_systems.keys() <= set(file_systems)
        known = [bucket for bucket in registry.buckets if sees_all or bucket in names]
        roots = [registry.file_systems[name] for name in file_systems if name in registry.file_systems]
        return EngineView(
            as_of_ns=now_ns,
            started_ns=self._started_ns,
            moving=len(seen),
            moved=_moved_of(
                (direction, stream) for _, direction, stream in parts.settler.movements.among(file_systems)
            ),
            speed=_speed_of(
                ((direction, stream) for _, direction, stream in parts.settler.movements.among(file_systems)), now_ns
            ),
            flows=flows,
            limit=self._limit(ledger, file_systems, known),
            buckets=buckets_seen(known, figures, troubles, parts.spaces.full(), ledger),
            mounts=mounts_seen(roots, mounts, parts.spaces.full(), figures.slow_file_systems),
            movers=movers_seen(health, parts.executor.movers(), parts.flights, now_ns),
            unsettled=parts.settler.unsettled,
            held_up=len(held) - len(seen),
        )

    def flying(self, file_systems: Collection[str], most: int) -> tuple[Flying, ...]:
        """What movers have now: the fastest first, then those that were begun first."""
        now_ns = self._parts.now_ns()
        seen = (flight for flight in self._parts.flights if flight.mover and _is_of(flight, file_systems))
        first = nlargest(most, seen, key=lambda flight: (_speed(flight, now_ns), -flight.since_ns))
        return tuple(self._shown(flight, now_ns) for flight in first)

    def bucket_asked(self, bucket: str, code: str, message: str) -> None:
        """Somebody else has asked this bucket something: why that came to nothing, "" where it answered."""
        self._parts.outages.asked(bucket, code, message)

    def flying_of(self, sub_task_id: str) -> Flying | None:
        """One attempt, if a mover has it or is to have it."""
        flight = self._parts.flights.of_sub_task(sub_task_id)
        return None if flight is None else self._shown(flight, self._parts.now_ns())

    def moving(self, sub_task_ids: Collection[str]) -> Mapping[str, Flying]:
        """Of these, those whose movers have told how far they are, or that are kept from moving."""
        now_ns = self._parts.now_ns()
        shown = (
            self._shown(flight, now_ns)
            for flight in self._parts.flights
            if flight.mover and flight.attempt[0] in sub_task_ids
        )
        return {flying.sub_task_id: flying for flying in shown if flying.is_moving or flying.stay is not None}

    # ------------------------------------------------------------------------------------------------------------ within

    def _shown(self, flight: Flight, now_ns: int) -> Flying:
        stay = stay_of(flight.order.transfer, self._parts.outages.silent(), self._parts.mounts())
        return _flying(flight, stay if flight.mover else None, now_ns)

    def _flows(
        self, file_systems: Collection[str], seen: Iterable[Flight], ledger: LedgerView | None, now_ns: int
    ) -> Mapping[str, FlowPulse]:
        streams: dict[str, list[tuple[Direction, Stream]]] = {}
        for data_flow_id, direction, stream in self._parts.settler.movements.among(file_systems):
            streams.setdefault(data_flow_id, []).append((direction, stream))
        moving = Counter(flight.order.data_flow_id for flight in seen)
        shown = {*streams, *moving}
        if ledger is not None:
            shown = {view.flow.data_flow_id for view in ledger.flows}
        return {
            data_flow_id: FlowPulse(
                data_flow_id=data_flow_id,
                moving=moving[data_flow_id],
                moved=_moved_of(streams.get(data_flow_id, ())),
                speed=_speed_of(streams.get(data_flow_id, ()), now_ns),
            )
            for data_flow_id in shown
        }

    def _limit(self, ledger: LedgerView | None, file_systems: Collection[str], buckets: Collection[str]) -> Limit:
        """Of the whole service; what the caller may not see is not named."""
        parts, now_ns = self._parts, self._parts.now_ns()
        silent, mounts = parts.outages.silent(), parts.mounts()
        held = [flight for flight in parts.flights if flight.mover]
        flights = [flight for flight in held if stay_of(flight.order.transfer, silent, mounts) is None]
        if 2 * len(flights) < len(held):
            flights = []  # what is broken says more than the few that get by
        large = sum(1 for flight in flights if flight.order.lane is Lane.LARGE)
        movers = parts.executor.movers()
        counts = Counts() if ledger is None else ledger.counts
        registered = parts.registry().file_systems
        situation = Situation(
            movers_up=sum(1 for health in parts.executor.health() if health.process_id is not None),
            catalog_lags=parts.settler.unsettled > parts.options.claim.unsettled_max,
            moving=Counter(ends_of(flight.order.transfer) for flight in flights),
            large=large,
            small=len(flights) - large,
            places_small=sum(parts.rooms.places(mover, now_ns) for mover in movers),
            waiting=counts.waiting,
            live=counts.live,
            startable=0 if ledger is None else _startable(ledger),
            running=counts.running + counts.canceling,
            figures=parts.executor.figures(),
            silent=silent,
            troubled_file_systems={
                *(room.name for room in parts.spaces.full() if room.direction is Direction.IMPORT),
                *(name for name, trouble in mounts.items() if trouble.code and name in registered),
            },
            idle=parts.idle(),
            limited=_limited(flights, parts.executor.limited()),
        )
        limit = limit_of(situation)
        flows = () if ledger is None else (view.flow.data_flow_id for view in ledger.flows)
        return limit if limit.about in {"", *file_systems, *buckets, *flows} else Limit(limiter=limit.limiter)


def _startable(ledger: LedgerView) -> int:
    return sum(
        view.counts.live if view.flow.status is DataFlowStatus.RUNNING else view.counts.canceling
        for view in ledger.flows
    )


def _limited(flights: Iterable[Flight], limited: Collection[str]) -> str:
    """The dataflow of most attempts, if it is one of these."""
    ((first, _),) = Counter(flight.order.data_flow_id for flight in flights).most_common(1) or (("", 0),)
    return first if first in limited else ""


def _buckets(ledger: LedgerView | None) -> set[str]:
    return set() if ledger is None else {view.flow.bucket for view in ledger.flows}


def _is_of(flight: Flight, file_systems: Collection[str]) -> bool:
    return flight.order.transfer.file_system_id in file_systems


def _moved_of(streams: Iterable[tuple[Direction, Stream]]) -> Moved:
    bytes_of, files_of = Counter[Direction](), Counter[Direction]()
    for direction, stream in streams:
        bytes_of[direction] += stream.bytes
        files_of[direction] += stream.files
    return Moved(
        bytes_in=bytes_of[Direction.IMPORT],
        bytes_out=bytes_of[Direction.EXPORT],
        files_in=files_of[Direction.IMPORT],
        files_out=files_of[Direction.EXPORT],
    )


def _speed_of(streams: Iterable[tuple[Direction, Stream]], now_ns: int) -> Speed:
    rates = dict.fromkeys(Direction, 0.0)
    files_per_s = 0.0
    for direction, stream in streams:
        bytes_rate, files_rate = stream.rates(now_ns)
        rates[direction] += bytes_rate
        files_per_s += files_rate
    return Speed(
        bytes_in_per_s=int(rates[Direction.IMPORT]),
        bytes_out_per_s=int(rates[Direction.EXPORT]),
        files_per_s=files_per_s,
    )


def _speed(flight: Flight, now_ns: int) -> int:
    pulse = flight.pulse
    return int(pulse.speed) if pulse is not None and now_ns - pulse.at_ns < FRESH_NS else 0


def _flying(flight: Flight, stay: Stay | None, now_ns: int) -> Flying:
    transfer, progress = flight.order.transfer, flight.progress
    numbers = flight.order.amounts if progress is None else progress
    speed = _speed(flight, now_ns) if stay is None else 0
    left = numbers.bytes_total - numbers.bytes_done
    return Flying(
        file_system_id=transfer.file_system_id,
        data_flow_id=flight.order.data_flow_id,
        task_id=transfer.task_id,
        sub_task_id=transfer.sub_task_id,
        direction=transfer.direction,
        bucket=transfer.bucket,
        path=transfer.path,
        key=transfer.key,
        attempt=transfer.attempt,
        mover=flight.mover,
        is_large=flight.order.lane is Lane.LARGE,
        is_moving=progress is not None,
        since_ns=flight.since_ns,
        bytes_total=numbers.bytes_total,
        bytes_done=numbers.bytes_done,
        speed=speed,
        eta_s=-(-left // speed) if speed > 0 and progress is not None else None,
        progress_ns=None if flight.pulse is None else flight.pulse.at_ns,
        parts=None if flight.pulse is None else _part_map(flight.pulse.parts),
        stay=stay,
    )


def _part_map(parts: PartsMoved | None) -> PartMap | None:
    if parts is None:
        return None
    return PartMap(
        part_size_bytes=parts.part_size_bytes,
        parts=parts.parts,
        done=parts.done,
        moving=parts.moving,
        cells=parts.cells,
    )
