"""A mover: threads in three lanes that carry out transfers, small files in company, and say what came of them.

Calls `transfer` (through `steps`), the harbour and the outbox. Knows no catalog and no socket: leases and controls come in by
calls of its reader, messages leave through the outbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from penstock import telemetry
from penstock.engine.allowances import Allowances
from penstock.engine.board import Board
from penstock.engine.executor import Attempt
from penstock.engine.harbour import Harbour
from penstock.engine.journey import ends_of
from penstock.engine.lines import Line
from penstock.engine.messages import Control, Lane, Lease, MoverLimits
from penstock.engine.outbox import Outbox
from penstock.engine.running import Running
from penstock.engine.small_lane import SmallLane
from penstock.engine.throttle import Throttle
from penstock.errors import (
    FailureCode,
    FencedError,
    PermissionDeniedError,
    SettingsError,
    StoppedError,
    StoreError,
    TransferError,
)
from penstock.model import Direction
from penstock.stores.base import Store
from penstock.transfer.moment import Moments
from penstock.transfer.root import Root
from penstock.transfer.steps import Steps, run_through
from penstock.transfer.transfer import Intent, Outcome, StopReason, Transfer, Verdict

HALT_LOOK_S = 0.25
_NEVER = threading.Event()


class Mover:
    """Carries out what it is given. `start` brings its threads up; they live as long as the process."""

    def __init__(
        self,
        *,
        limits: MoverLimits,
        lines: Mapping[Lane, Line],
        harbour: Harbour,
        outbox: Outbox,
        board: Board,
        throttle: Throttle,
        allowances: Allowances | None = None,
        move: Move,
        clock_s: Callable[[], float],
        moments: Moments | None = None,
    ) -> None:
        self._limits = limits
        self._moments = moments or Moments(time.monotonic)
        self._harbour = harbour
        self._outbox = outbox
        self._board = board
        self._throttle = throttle
        self._allowances = allowances
        self._move = move
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._lines = lines
        self._running: dict[Attempt, Running] = {}
        self._given = 0
        self._draining = False
        self._small_lane: SmallLane | None = None

    @property
    def slow_file_systems(self) -> tuple[str, ...]:
        """Those that keep small files waiting."""
        return () if self._small_lane is None else self._small_lane.slow_file_systems

    def start(self) -> None:
        """Start all threads."""
        self._small_lane = SmallLane(
            limits=self._limits,
            line=self._lines[Lane.SMALL],
            board=self._board,
            begin=partial(self._begun, lane=Lane.SMALL),
            end=partial(self._end, lane=Lane.SMALL),
            is_far=self._harbour.is_far,
            clock_s=time.monotonic,
            moments=self._moments,
        )
        self._small_lane.start()
        place = self._limits.small_files
        for lane, count in ((Lane.LARGE, self._limits.large_places), (Lane.SWEEP, self._limits.sweep_threads)):
            for index in range(count):
                threading.Thread(target=self._work, args=(lane, place), name=f"{lane}-{index}", daemon=True).start()
                place += 1
        threading.Thread(target=self._outbox.run, name="outbox", daemon=True).start()

    def take(self, lease: Lease) -> None:
        """Queue a batch. An attempt that is here already is not taken twice; while draining all goes back at once."""
        taken: list[Running] = []
        returned: list[Running] = []
        with self._lock:
            for transfer in lease.transfers:
                self._given += 1
                running = self._made(transfer, self._given)
                if running.attempt in self._running:
                    continue
                if self._draining:
                    returned.append(running)
                else:
                    self._running[running.attempt] = running
                    taken.append(running)
            self._lines[lease.lane].add(taken)
        self._return(returned)

    def _made(self, transfer: Transfer, number: int) -> Running:
        running = Running(transfer, number=number, desk=self._outbox, clock_s=self._clock_s)
        if self._allowances is not None and transfer.intent is Intent.MOVE:
            running.may_begin = partial(self._allowances.take, transfer.data_flow_id)
        return running

    def obey(self, control: Control) -> None:
        """Do what the control process says, at once."""
        self._outbox.checkpointed(control.checkpointed)
        self._outbox.refused(control.refused)
        for attempt in control.canceled:
            self._cancel(attempt)
        self._stop(control.fenced, StopReason.FENCED)
        self._stop(control.yielded, StopReason.DRAIN)
        if control.drain:
            self._drain()
        if control.ping:
            self._outbox.show_life()
        if control.figures:
            self._outbox.show_figures()

    # ------------------------------------------------------------------------------------------------------------- stopping

    def _cancel(self, attempt: Attempt) -> None:
        """What runs is stopped; what still waits is withdrawn by the sweepers, past everything that waits with it."""
        with self._lock:
            running = self._running.get(attempt)
            if running is None:
                return
            waiting = running.begun_s is None and any(self._lines[lane].remove(attempt) for lane in Lane)
            if not waiting:
                running.stop(StopReason.CANCEL)
                return
            transfer = running.transfer
            if transfer.intent is Intent.MOVE:
                transfer = replace(transfer, intent=Intent.WITHDRAW)
            sweep = self._made(transfer, running.number)
            self._running[attempt] = sweep
            self._lines[Lane.SWEEP].add([sweep])

    def _stop(self, attempts: Iterable[Attempt], reason: StopReason) -> None:
        waiting: list[Running] = []
        for attempt in attempts:
            with self._lock:
                running = self._running.get(attempt)
                if running is None:
                    continue
                running.stop(reason)
                if any(self._lines[lane].remove(attempt) for lane in Lane):
                    waiting.append(running)
        self._return(waiting)

    def _drain(self) -> None:
        """Large files stop after the buffer they are at, small ones end, what waits goes back."""
        with self._lock:
            self._draining = True
            waiting = [running for line in self._lines.values() for running in line.empty()]
            names = {running.attempt for running in waiting}
            under_way = [running for running in self._running.values() if running.attempt not in names]
        self._return(waiting)
        for running in under_way:
            running.stop(StopReason.DRAIN)
        threading.Thread(target=self._watch_drain, name="drain", daemon=True).start()

    def _watch_drain(self) -> None:
        while self.halt_step():
            _NEVER.wait(HALT_LOOK_S)

    def halt_step(self) -> int:
        """In a drain: small files are waited for while their bucket still sends something; it costs nothing to hand them back.

        How many are under way.
        """
        with self._lock:
            under_way = list(self._running.values())
        for running in under_way:
            if self._throttle.is_quiet(running.transfer.bucket):
                running.stop(StopReason.HALT)
        return len(under_way)

    def _return(self, waiting: list[Running]) -> None:
        """Hand back what has not begun; all at once, for this is the reader's thread, and each by itself would be a message."""
        if waiting:
            self._tell([(running, not_begun(running.transfer)) for running in waiting])

    # -------------------------------------------------------------------------------------------------------------- working

    def _work(self, lane: Lane, place: int) -> None:
        line = self._lines[lane]
        while True:
            running = line.take()
            self._board.begin(place, running.number)
            outcome = self._in_vain(running) if lane is Lane.SWEEP else None
            outcome = outcome or run_through(self._begun(running, lane))
            self._end([(running, outcome)], lane)
            self._board.end(place)

    def _in_vain(self, running: Running) -> Outcome | None:
        """What becomes of a sweep that would ask a bucket which is known to be silent: others of that bucket find out when
        it answers again, and this one's reason to wait is told without waiting."""
        transfer = running.transfer
        if transfer.direction is Direction.IMPORT or not (transfer.begun or transfer.checkpoint):
            return None  # it asks nothing, or only where a file lies at its target
        silent_s = self._throttle.silence(transfer.bucket)
        if silent_s is None:
            return None
        words = f"bucket {transfer.bucket} has answered nothing for {silent_s:.0f} s: what is left there is removed once it does"
        return _trouble(running, Verdict.RETRY, FailureCode.STORE_UNAVAILABLE, words, None)

    def _begun(self, running: Running, lane: Lane) -> Steps[Outcome]:
        """The steps of what is to begin now."""
        running.begin()
        if lane is Lane.SMALL and self._allowances is not None:
            running.charged_bytes = self._allowances.take_usual(running.transfer.data_flow_id)
        if self._draining:
            running.stop(StopReason.DRAIN)
        return self._steps(running, lane)

    def _end(self, ended: list[tuple[Running, Outcome]], lane: Lane) -> None:
        for running, outcome in ended:
            self._throttle.ended(ends_of(running.transfer), lane, outcome)
            if running.charged_bytes and self._allowances is not None:
                self._allowances.settle(
                    running.transfer.data_flow_id,
                    charged_bytes=running.charged_bytes,
                    moved_bytes=outcome.actual_bytes,
                )
        self._tell(ended)

    def _tell(self, ended: list[tuple[Running, Outcome]]) -> None:
        with self._lock:
            for running, _ in ended:
                self._running.pop(running.attempt, None)
        self._outbox.ended([(running, sendable(outcome)) for running, outcome in ended])

    def _steps(self, running: Running, lane: Lane) -> Steps[Outcome]:
        """Carry it out; whatever happens becomes an outcome."""
        transfer = running.transfer
        try:
            with (
                self._harbour.root(transfer.file_system_id) as root,
                self._harbour.store(transfer.bucket, transfer.intent) as store,
            ):
                outcome = yield from self._move(transfer, root=root, store=store, hooks=running, lane=lane)
        except (StoppedError, FencedError):
            return replace(not_begun(transfer), checkpoint=running.record, begun=True)
        except TransferError as error:
            if transfer.intent is Intent.WITHDRAW and transfer.direction is Direction.IMPORT and not transfer.begun:
                return replace(not_begun(transfer), verdict=Verdict.CANCELED)  # nothing of it is in any file system
            verdict = Verdict.RETRY if error.waiting_helps else Verdict.FAILED
            return _trouble(running, verdict, error.code, str(error), error.retry_after_s)
        except PermissionDeniedError as error:
            return _trouble(running, Verdict.RETRY, FailureCode.BUCKET_ACCESS_DENIED, str(error), None)
        except StoreError as error:
            return _trouble(running, Verdict.RETRY, FailureCode.STORE_UNAVAILABLE, str(error), error.retry_after_s)
        except SettingsError as error:
            return _trouble(running, Verdict.RETRY, FailureCode.STORE_REFUSED, str(error), None)
        except MemoryError as error:
            telemetry.failure("mover.no_memory", error, sub_task_id=transfer.sub_task_id, at=_origin(error))
            words = "the mover gets no memory now: free some, or raise its limit"
            return replace(_trouble(running, Verdict.RETRY, FailureCode.IO_ERROR, words, None), begun=True)
        except Exception as error:  # noqa: BLE001  (told with its traceback, and an outcome that is tried again)
            telemetry.failure("mover.unexpected", error, sub_task_id=transfer.sub_task_id, at=_origin(error))
            words = f"unexpected {type(error).__name__}: {error}"
            return replace(_trouble(running, Verdict.RETRY, FailureCode.INTERNAL, words, None), begun=True)
        if outcome.code is FailureCode.FILE_SYSTEM_UNAVAILABLE:
            self._harbour.doubt_root(transfer.file_system_id)
        return outcome


class Move(Protocol):
    """`penstock.transfer.mover.steps` with limits, parts, clock and randomness already bound."""

    def __call__(
        self, transfer: Transfer, *, root: Root, store: Store, hooks: Running, lane: Lane
    ) -> Steps[Outcome]: ...


def places_by_lane(limits: MoverLimits) -> dict[Lane, int]:
    """How many files each lane has under way at most; places on the board are counted in this order."""
    return {Lane.SMALL: limits.small_files, Lane.LARGE: limits.large_places, Lane.SWEEP: limits.sweep_threads}


def not_begun(transfer: Transfer) -> Outcome:
    """Handed back untouched."""
    return Outcome(
        sub_task_id=transfer.sub_task_id,
        attempt=transfer.attempt,
        verdict=Verdict.RETURNED,
        checkpoint=transfer.checkpoint,
    )


def sendable(outcome: Outcome) -> Outcome:
    """Texts out of file names may hold bytes that are no UTF-8; they are shown escaped."""
    if outcome.message.isascii() and outcome.note.isascii():
        return outcome
    return replace(outcome, message=_escaped(outcome.message), note=_escaped(outcome.note))


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _trouble(running: Running, verdict: Verdict, code: FailureCode, words: str, retry_after_s: float | None) -> Outcome:
    transfer = running.transfer
    return Outcome(
        sub_task_id=transfer.sub_task_id,
        attempt=transfer.attempt,
        verdict=verdict,
        code=code,
        message=words,
        checkpoint=running.record,
        retry_after_s=retry_after_s,
    )


def _origin(error: BaseException) -> str:
    """File and line where it was raised: enough to find it, nothing of what was moved."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
