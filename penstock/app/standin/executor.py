"""The executor of a stand-in: movers move as always, but a file for which a fault was armed fails, is held, or is slow.

Implements `Executor` around another one, and is that one's `Inbox`, so engine and movers notice nothing. A file that is held or
slow is with no mover: its turn there comes when it is released, or when so many bytes would have moved. Outlives the engine that
it works for: a reset ends everything under way, and gives it to the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from penstock.api.faults import Fault, FaultBook, FaultKind
from penstock.engine.executor import Attempt, Death, Inbox, MoverGoneError, MoverHealth, MoverRoom
from penstock.engine.local import LocalExecutor
from penstock.engine.messages import Control, Figures, Lane, Lease, Places, Report
from penstock.model import FileDetail
from penstock.transfer.transfer import Intent, Outcome, Progress, Transfer, Verdict

TICK_S = 0.1
_STRIKES = frozenset({FaultKind.FAIL, FaultKind.HOLD, FaultKind.SLOW})
_WORDS = "A fault that was armed in this stand-in"

SizeOf = Callable[[Transfer], Awaitable[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A file that no mover has yet, and whose it would be. `slowing` moves it on, where it is slow."""

    mover: str
    lane: Lane
    transfer: Transfer
    fault_id: str
    slowing: asyncio.Task[None] | None = None


class StandInExecutor:
    """Around a LocalExecutor. `size_of` tells how long a file is that is to be slow, 0 where nobody knows."""

    def __init__(self, inner: LocalExecutor, *, faults: FaultBook, size_of: SizeOf) -> None:
        self._inner = inner
        self._faults = faults
        self._size_of = size_of
        self._inbox: Inbox | None = None
        self._held: dict[Attempt, _Held] = {}
        self._under_way: dict[Attempt, str] = {}  # with a mover, whose name that is
        self._felt: set[str] = set()  # sub-tasks that had their fault: its release is no new file
        self._idle = asyncio.Event()
        self._idle.set()
        faults.on_removed = self._release

    # ------------------------------------------------------------------------------------------------- as the engine sees it

    def vacated(self) -> AbstractAsyncContextManager[None]:
        """Movers that are ours from an earlier life have nothing under way."""
        return _nothing() if self._inbox is not None else self._inner.vacated()

    async def start(self, inbox: Inbox, places: Places) -> None:
        """Movers come up once; later they only get another inbox."""
        is_first, self._inbox = self._inbox is None, inbox
        if is_first:
            await self._inner.start(self, places)
        else:
            self._inner.place(places)

    def movers(self) -> tuple[MoverRoom, ...]:
        """As the other one's."""
        return self._inner.movers()

    def submit(self, mover: str, lease: Lease) -> None:
        """Hand over what no fault strikes. Raises MoverGoneError before any is counted."""
        if mover not in {room.mover for room in self._inner.movers()}:
            raise MoverGoneError(f"{mover} is gone")
        struck: dict[Attempt, Fault] = {}
        for transfer in lease.transfers:
            fault = self._fault_of(transfer)
            if fault is not None:
                struck[_attempt(transfer)] = fault
        going = tuple(transfer for transfer in lease.transfers if _attempt(transfer) not in struck)
        if going:
            self._hand_over(mover, Lease(transfers=going, lane=lease.lane))
        for transfer in lease.transfers:
            fault = struck.get(_attempt(transfer))
            if fault is not None:
                self._strike(mover, lease.lane, transfer, fault)

    def control(self, mover: str, control: Control) -> None:
        """Tell it; what of it concerns held files is done here."""
        for attempt in control.canceled:
            self._end_held(attempt, Verdict.CANCELED)
        for attempt in control.yielded:
            self._end_held(attempt, Verdict.RETURNED)
        for attempt in control.fenced:
            self._let_go(attempt)
        if control.drain:
            for attempt in [attempt for attempt, held in self._held.items() if held.mover == mover]:
                self._end_held(attempt, Verdict.RETURNED)
        self._inner.control(mover, control)

    def begun(self, mover: str) -> frozenset[Attempt]:
        """Held files are under way: that is what they are held for."""
        held = frozenset(attempt for attempt, held in self._held.items() if held.mover == mover)
        return self._inner.begun(mover) | held

    def place(self, places: Places) -> None:
        """As the other one."""
        self._inner.place(places)

    async def close(self, *, grace_s: float) -> None:
        """As the other one."""
        await self._inner.close(grace_s=grace_s)

    def health(self) -> tuple[MoverHealth, ...]:
        """As the other one."""
        return self._inner.health()

    def limit(self, rates: Mapping[str, int]) -> None:
        """As the other one."""
        self._inner.limit(rates)

    def files_per_s(self) -> Mapping[str, float]:
        """As the other one."""
        return self._inner.files_per_s()

    def limited(self) -> frozenset[str]:
        """As the other one."""
        return self._inner.limited()

    def figures(self) -> Figures:
        """As the other one."""
        return self._inner.figures()

    # --------------------------------------------------------------------------------------------------- as movers see it

    def report(self, report: Report) -> None:
        """Pass it on; a slow file that moves at last tells nothing that its caller has seen before."""
        for outcome in report.outcomes:
            self._ended((outcome.sub_task_id, outcome.attempt))
            if outcome.verdict is not Verdict.LARGE:
                self._felt.discard(outcome.sub_task_id)
        if self._felt and report.progress:
            shown = tuple(one for one in report.progress if one.sub_task_id not in self._felt)
            report = Report(
                mover=report.mover,
                progress=shown,
                checkpoints=report.checkpoints,
                outcomes=report.outcomes,
                figures=report.figures,
                parts=report.parts,
            )
        if self._inbox is not None:
            self._inbox.report(report)

    def died(self, death: Death) -> None:
        """What it had is nobody's; held files of it go back with the rest."""
        for attempt in [attempt for attempt, mover in self._under_way.items() if mover == death.mover]:
            self._ended(attempt)
        for attempt in [attempt for attempt, held in self._held.items() if held.mover == death.mover]:
            self._let_go(attempt)
        if self._inbox is not None:
            self._inbox.died(death)

    def room_changed(self) -> None:
        """Pass it on."""
        if self._inbox is not None:
            self._inbox.room_changed()

    # -------------------------------------------------------------------------------------------------------------- a reset

    @property
    def is_holding(self) -> bool:
        """Whether files are held, or are slow: that may last."""
        return bool(self._held)

    async def emptied(self) -> None:
        """End everything that is under way, whatever its engine thinks of it; returns when movers have nothing any more."""
        for attempt in list(self._held):
            self._let_go(attempt)
        told: dict[str, list[Attempt]] = {}
        for attempt, mover in self._under_way.items():
            told.setdefault(mover, []).append(attempt)
        for mover, attempts in told.items():
            self._inner.control(mover, Control(canceled=tuple(attempts)))
        await self._idle.wait()
        self._felt.clear()

    # --------------------------------------------------------------------------------------------------------------- within

    def _fault_of(self, transfer: Transfer) -> Fault | None:
        if transfer.intent is not Intent.MOVE or transfer.sub_task_id in self._felt:
            return None
        return self._faults.of_file(_STRIKES, (f"/{transfer.path}", f"/{transfer.key}"), transfer.task_id)

    def _strike(self, mover: str, lane: Lane, transfer: Transfer, fault: Fault) -> None:
        held = _Held(mover=mover, lane=lane, transfer=transfer, fault_id=fault.fault_id)
        attempt = _attempt(transfer)
        self._felt.add(transfer.sub_task_id)
        if fault.kind is FaultKind.SLOW:
            slowing = asyncio.get_running_loop().create_task(self._slowed(attempt, fault.bytes_per_s), name="slow file")
            held = _Held(mover=mover, lane=lane, transfer=transfer, fault_id=fault.fault_id, slowing=slowing)
        self._held[attempt] = held
        if fault.kind is FaultKind.FAIL:
            # Not before the runner has noted who has it.
            words = fault.message or f"{_WORDS} ({fault.fault_id})."
            failed = Outcome(
                sub_task_id=transfer.sub_task_id,
                attempt=transfer.attempt,
                verdict=Verdict.FAILED,
                code=fault.failure,
                message=words,
            )
            asyncio.get_running_loop().call_soon(self._say, attempt, failed)

    async def _slowed(self, attempt: Attempt, bytes_per_s: int) -> None:
        """Tell of so many bytes a second, and have it moved when all would have."""
        held = self._held[attempt]
        size_bytes = await self._size_of(held.transfer)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while (done := int((loop.time() - began_s) * bytes_per_s)) < size_bytes:
            progress = Progress(
                sub_task_id=attempt[0],
                attempt=attempt[1],
                bytes_total=size_bytes,
                bytes_done=done,
                actual_bytes=done,
                moving_ns=int((loop.time() - began_s) * 1e9),
                detail=FileDetail(modify_time_ns=0, size_bytes=size_bytes),
            )
            if self._inbox is not None:
                self._inbox.report(Report(mover=held.mover, progress=(progress,)))
            await asyncio.sleep(min(TICK_S, (size_bytes - done) / bytes_per_s))
        self._go_on(attempt)

    def _release(self, fault_id: str) -> None:
        for attempt in [attempt for attempt, held in self._held.items() if held.fault_id == fault_id]:
            self._go_on(attempt)

    def _go_on(self, attempt: Attempt) -> None:
        held = self._let_go(attempt)
        if held is None:
            return
        try:
            self._hand_over(held.mover, Lease(transfers=(held.transfer,), lane=held.lane))
        except MoverGoneError:
            return  # its death tells the engine of all that it had

    def _hand_over(self, mover: str, lease: Lease) -> None:
        self._inner.submit(mover, lease)
        self._under_way |= {_attempt(transfer): mover for transfer in lease.transfers}
        self._idle.clear()

    def _end_held(self, attempt: Attempt, verdict: Verdict) -> None:
        if attempt in self._held:
            self._say(attempt, Outcome(sub_task_id=attempt[0], attempt=attempt[1], verdict=verdict))

    def _say(self, attempt: Attempt, outcome: Outcome) -> None:
        held = self._let_go(attempt)
        if held is not None and self._inbox is not None:
            self._felt.discard(attempt[0])
            self._inbox.report(Report(mover=held.mover, outcomes=(outcome,)))

    def _let_go(self, attempt: Attempt) -> _Held | None:
        held = self._held.pop(attempt, None)
        if held is not None and held.slowing is not None and held.slowing is not asyncio.current_task():
            held.slowing.cancel()
        return held

    def _ended(self, attempt: Attempt) -> None:
        self._under_way.pop(attempt, None)
        if not self._under_way:
            self._idle.set()


def _attempt(transfer: Transfer) -> Attempt:
    return (transfer.sub_task_id, transfer.attempt)


@contextlib.asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
