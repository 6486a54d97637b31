"""The settler: takes what movers report, ends flights, and has the catalog keep the outcomes in batches.

It is the executor's `Inbox`: outcomes free their places at once and are settled right after; an outcome that the catalog cannot
take now is kept and tried again, so it is never lost while this process lives. Claims nothing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from msgspec.structs import replace

from penstock import failpoints, telemetry
from penstock.catalog.catalog import Catalog
from penstock.catalog.identifiers import sub_task_number
from penstock.catalog.verbs import ClaimLane, Settlement, Settling
from penstock.engine.executor import Death
from penstock.engine.fair import Fairness
from penstock.engine.flights import Flight, Flights
from penstock.engine.loops import FOREVER_S
from penstock.engine.messages import Report
from penstock.engine.movements import Movements
from penstock.engine.options import RetryOptions
from penstock.engine.orders import Amounts, Order, Refusal
from penstock.engine.outages import STORE_OUTAGES, Outages
from penstock.engine.recorder import Recorder
from penstock.engine.rooms import Rooms
from penstock.engine.settling import Chance, Ending, completed, mover_died, refused, returned, settlement_of
from penstock.engine.spaces import NO_ROOM, Spaces
from penstock.errors import FailureCode
from penstock.model import SubTaskStatus
from penstock.telemetry import meters
from penstock.telemetry.seldom import Seldom
from penstock.transfer.transfer import Outcome, Progress, Verdict

BATCH_MAX = 1000
_ENDS = {
    Settling.COMPLETE: SubTaskStatus.COMPLETE,
    Settling.FAILED: SubTaskStatus.FAILED,
    Settling.ABANDONED: SubTaskStatus.FAILED,
    Settling.CANCELED: SubTaskStatus.CANCELED,
}
BUCKET_TROUBLES = frozenset({FailureCode.BUCKET_ACCESS_DENIED, FailureCode.BUCKET_NOT_FOUND})


_FAILED_MOST, _FAILED_PERIOD_S = 60, 60.0


class Moved:
    """What one report says of one task's files: how many arrived, how many bytes moved."""

    __slots__ = ("data_flow_id", "files", "size_bytes", "ways")

    def __init__(self, order: Order) -> None:
        self.ways = order.ways
        self.data_flow_id = order.data_flow_id
        self.files = 0
        self.size_bytes = 0


class Settler:
    """Ends flights. `wake` is called when there is something to settle, `room` when a place came free."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        flights: Flights,
        fairness: Mapping[ClaimLane, Fairness],
        rooms: Rooms,
        recorder: Recorder,
        outages: Outages,
        spaces: Spaces,
        options: RetryOptions,
        now_ns: Callable[[], int],
        jitter: Callable[[], float],
        wake: Callable[[], None],
        room: Callable[[], None],
        bucket_trouble: Callable[[str], None],
    ) -> None:
        self._catalog = catalog
        self._flights = flights
        self._fairness = fairness
        self._rooms = rooms
        self._recorder = recorder
        self._outages = outages
        self._spaces = spaces
        self._options = options
        self._now_ns = now_ns
        self._jitter = jitter
        self._wake = wake
        self._room = room
        self._bucket_trouble = bucket_trouble
        self._failed = Seldom("engine.sub_task_failed", most=_FAILED_MOST, period_s=_FAILED_PERIOD_S)
        self._pending: deque[Settlement] = deque()
        self.movements = Movements()
        self._moved: dict[str, Moved] = {}  # by task, since it was last told to telemetry

    @property
    def unsettled(self) -> int:
        """Outcomes that the catalog does not hold yet."""
        return len(self._pending)

    async def step(self) -> float:
        """Settle what has come in, one batch. Raises what the catalog raises; nothing is lost then."""
        if not self._pending:
            return FOREVER_S
        batch = list(islice(self._pending, BATCH_MAX))
        failpoints.passing("settle")
        settled = set(await self._catalog.settle(batch))
        failpoints.passing("settled")
        for _ in batch:
            self._pending.popleft()
        kept: Counter[tuple[Settling, str]] = Counter()
        lasted: defaultdict[Settling, list[float]] = defaultdict(list)
        now_ns = self._now_ns()
        for settlement in batch:
            if settlement.sub_task_id in settled:
                kept[settlement.settling, settlement.error_code] += 1
                if settlement.settling is Settling.FAILED:
                    self._say_failed(settlement)
                lasted[settlement.settling].append((now_ns - sub_task_number(settlement.sub_task_id)) / 1e9)
            else:
                telemetry.numbers.count(meters.FENCED_OFF)
                telemetry.event("engine.fenced_off", sub_task_id=settlement.sub_task_id, attempt=settlement.attempt)
        for (settling, error_code), number in kept.items():
            _count(settling, error_code, number)
        for settling, durations_s in lasted.items():
            if (status := _ENDS.get(settling)) is not None:
                telemetry.numbers.observe_all(meters.SUB_TASK_DURATION, durations_s, (status.value,))
        self._room()
        return 0.0 if self._pending else FOREVER_S

    def _say_failed(self, settlement: Settlement) -> None:
        """A line for whoever reads logs; all of them are counted, and are in the catalog with their reasons."""
        self._failed.event(
            level=telemetry.Level.WARNING,
            sub_task_id=settlement.sub_task_id,
            attempt=settlement.attempt,
            code=settlement.error_code,
            message=settlement.error_message,
        )

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Let rows wait that were claimed and can go nowhere now."""
        for refusal in refusals:
            chance = Chance(now_ns=self._now_ns(), jitter=self._jitter())
            self._pending.append(refused(refusal, self._options, chance))
        self._wake()

    def give_back(self, flights: Iterable[Flight]) -> None:
        """End flights that never reached a mover: they cost nothing."""
        for flight in list(flights):
            if self._flights.end(flight.attempt) is not None:
                self._pending.append(returned(_ending(flight)))
        self._wake()

    # ----------------------------------------------------------------------------------------------- the executor's inbox

    def report(self, report: Report) -> None:
        """Take a mover's report. What speaks of no present flight (late, doubled) has no effect."""
        now_ns = self._now_ns()
        if report.figures is not None:
            self._outages.heard(report.mover, report.figures.buckets)
        for progress in report.progress:
            flight = self._flights.find((progress.sub_task_id, progress.attempt))
            if flight is not None and flight.mover == report.mover:
                self._charge(flight, progress)
                flight.progress = progress
                self._flights.beat(flight, progress.bytes_done, now_ns)
                self._recorder.add_progress(progress)
        for parts in report.parts:
            flight = self._flights.find((parts.sub_task_id, parts.attempt))
            if flight is not None and flight.pulse is not None and flight.mover == report.mover:
                flight.pulse.parts = parts
        for request in report.checkpoints:
            self._recorder.add_checkpoint(report.mover, request)
        ended = 0
        for outcome in report.outcomes:
            ended += self._take(report.mover, outcome, now_ns)
        self._tell_moved(now_ns)
        if ended:
            self._rooms.ended(report.mover, ended, now_ns)
            self._wake()
            if len(self._flights):  # the last one's room is told of when it is settled: no look for work holds that up
                self._room()

    def died(self, death: Death) -> None:
        """A mover is gone: what was under way failed (once more), what had not begun goes back for nothing."""
        name = "engine.mover_ended" if death.ordered else "engine.mover_died"
        telemetry.event(name, mover=death.mover, reason=death.reason, begun=len(death.begun))
        self._rooms.died(death.mover)
        self._outages.died(death.mover)
        for flight in self._flights.at(death.mover):
            self._flights.end(flight.attempt)
            self._recorder.forget(flight.attempt)
            if flight.attempt in death.begun and not death.ordered:
                chance = Chance(now_ns=self._now_ns(), jitter=self._jitter())
                self._pending.append(mover_died(_ending_untold(flight), self._options, chance, words=death.reason))
            else:
                self._pending.append(returned(_ending_untold(flight)))
        self._wake()
        self._room()

    def room_changed(self) -> None:
        """A mover came or went."""
        self._room()

    def _take(self, mover: str, outcome: Outcome, now_ns: int) -> int:
        attempt = (outcome.sub_task_id, outcome.attempt)
        flight = self._flights.find(attempt)
        if flight is None or flight.mover != mover:
            return 0
        self._flights.end(attempt)
        self._recorder.forget(attempt)
        self._charge(flight, outcome)
        if outcome.verdict is Verdict.COMPLETE:  # nearly all: no dice are thrown, and nothing else is looked at
            self._pending.append(completed(outcome))
            self._moved_of(flight).files += 1
            if self._spaces.are_full:
                self._spaces.moved(flight.order.transfer)
            return 1
        chance = Chance(now_ns=now_ns, jitter=self._jitter())
        settlement = settlement_of(outcome, _ending(flight), self._options, chance)
        bucket = flight.order.transfer.bucket
        if outcome.verdict is Verdict.RETRY and outcome.code in STORE_OUTAGES:
            due_ns = self._outages.missed(bucket, settlement.due_ns, outcome.retry_after_s)
            settlement = replace(settlement, due_ns=due_ns)
        if outcome.verdict is Verdict.RETRY and outcome.code in NO_ROOM:
            self._spaces.missed(flight.order.transfer)
        if outcome.verdict is Verdict.TIDIED and self._spaces.are_full:
            self._spaces.moved(flight.order.transfer)
        self._pending.append(settlement)
        if outcome.code in BUCKET_TROUBLES:
            self._bucket_trouble(bucket)
        return 1

    def _charge(self, flight: Flight, known: Progress | Outcome) -> None:
        """Charge the task for bytes that moved since it was last charged."""
        if known.actual_bytes > flight.charged_bytes:
            more = known.actual_bytes - flight.charged_bytes
            self._fairness[flight.order.claim_lane].charge(flight.task_id, more)
            flight.charged_bytes = known.actual_bytes
            self._moved_of(flight).size_bytes += more

    def _moved_of(self, flight: Flight) -> Moved:
        moved = self._moved.get(flight.task_id)
        if moved is None:
            moved = self._moved[flight.task_id] = Moved(flight.order)
        return moved

    def _tell_moved(self, now_ns: int) -> None:
        """Tell telemetry once a report, not once a file: all files of a task go the same ways."""
        for moved in self._moved.values():
            if moved.files:
                telemetry.numbers.count(meters.FILES_MOVED, moved.ways, moved.files)
            if moved.size_bytes:
                telemetry.numbers.count(meters.BYTES_MOVED, moved.ways, moved.size_bytes)
            direction, _, file_system = moved.ways
            self.movements.add(
                file_system,
                moved.data_flow_id,
                direction,
                files=moved.files,
                size_bytes=moved.size_bytes,
                now_ns=now_ns,
            )
        self._moved.clear()


def _count(settling: Settling, error_code: str, number: int) -> None:
    status = _ENDS.get(settling)
    if status is not None:
        telemetry.numbers.count(meters.SUB_TASKS_ENDED, (status.value,), number)
        if status is SubTaskStatus.FAILED:
            telemetry.numbers.count(meters.FAILURES, (error_code,), number)
    elif settling is not Settling.TIDIED:
        telemetry.numbers.count(meters.ATTEMPTS_AGAIN, (settling.name.lower(), error_code), number)


def _ending(flight: Flight) -> Ending:
    progress = flight.progress
    amounts = flight.order.amounts
    if progress is not None:
        amounts = Amounts(
            bytes_total=progress.bytes_total,
            bytes_done=progress.bytes_done,
            actual_bytes=progress.actual_bytes,
            moving_ns=progress.moving_ns,
            detail=progress.detail,
        )
    return Ending(order=flight.order, canceling=flight.canceling, amounts=amounts, checkpoint=flight.checkpoint)


def _ending_untold(flight: Flight) -> Ending:
    """Also of what had not begun, by what is known here: it may have begun right before the end."""
    return dataclasses.replace(_ending(flight), is_untold=True)
