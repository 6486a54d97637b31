"""One running attempt: what it was given, what it has learned, when it must stop, and how often a step is tried.

Handed to every step of import, export and withdrawal. Calls hooks; touches neither store nor file by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from penstock.errors import FencedError, StoppedError, StoreError
from penstock.model import FileDetail, Guarantee, Verification
from penstock.stores.base import Store
from penstock.transfer.grains import Grains
from penstock.transfer.meter import Meter
from penstock.transfer.partboard import PartBoard
from penstock.transfer.parts import PartJob, PartPool, Workspace
from penstock.transfer.plan import Plan, PlannedPart
from penstock.transfer.root import Root
from penstock.transfer.transfer import (
    Checkpoint,
    Hooks,
    Intent,
    Lane,
    Outcome,
    Promise,
    StopReason,
    Transfer,
    TransferChoices,
    TransferLimits,
    Verdict,
    Whereabouts,
)

NOT_COMPARED = Verification.NONE.value
"""The note of a file for which the store tells no checksum."""

_PATIENCE_S = 5.0  # a store that asks for a longer pause gets it from the engine
_LOOK_EVERY_S = 0.05
_HURRY_NS = 2_000_000_000  # whoever cancels is to hear that it is done, or why not yet, within a few seconds,
_HURRY_MIN_NS = 500_000_000  # and who had to wait for its turn is answered by a store that is well in that time
_NEVER = threading.Event()
_PUT_BACK_MAX_NS = 48 * 3600 * 1_000_000_000
"""A clock may have been put back since the sub-task was accepted, and have caught up: so much earlier its stamps may be then. Who
puts it back by more (than a wrong time zone) has not caught up for as long as anybody asks about that sub-task."""
_LOST_MAX = 16
_LAST = frozenset({Verdict.COMPLETE, Verdict.SKIPPED, Verdict.CANCELED, Verdict.TIDIED})

_Result = TypeVar("_Result")


@dataclass(slots=True, kw_only=True)  # house: it gathers while it runs
class Attempt:
    """Everything one attempt needs. `checkpoint` is the record that is durable now; None when nothing is unfinished."""

    transfer: Transfer
    root: Root
    store: Store
    hooks: Hooks
    limits: TransferLimits
    pool: PartPool
    grains: Grains
    lane: Lane
    now_ns: Callable[[], int]
    jitter: Callable[[], float]
    meter: Meter
    checkpoint: Checkpoint | None
    record: Checkpoint | None  # the last one there was, also when nothing is unfinished any more
    choices: TransferChoices
    stopped: StopReason | None = None
    note: str = ""
    has_sent: bool = False  # something that may have changed the store
    has_begun: bool = False  # helper files of an import are kept for the next attempt, or it may have got its name
    doubt: str = ""  # what nothing tells of an earlier attempt, if this one is to fail
    lost: tuple[Whereabouts, ...] = ()  # directories with helper files of an import that were looked for, and not found
    was_large: bool = False  # a journal of it was found in such a directory
    may_be_elsewhere: bool = False  # its path may have led elsewhere when an attempt began that could not say where
    _stoppable: Store | None = None
    _withdraws: bool = False
    _given_up_ns: int | None = None
    _hurries_until_ns: int | None = None
    _broken_by: BaseException | None = None  # what the first part that failed has raised

    # -------------------------------------------------------------------------------------------------------- stopping

    def begin_withdrawal(self) -> None:
        """From now on the work is to leave nothing behind: cancel and drain do not stop it, only a fence does.

        Where the store was to be waited for no longer it may be well all the same: it is asked again, but only briefly. So is it
        after a cancel: the engine waits for it, and tells why.
        """
        self._withdraws = True
        if self._given_up_ns is None and self.stopped is StopReason.CANCEL:
            self.give_up()
        if self._given_up_ns is not None:
            self._hurries_until_ns = max(self._given_up_ns + _HURRY_NS, self.now_ns() + _HURRY_MIN_NS)
        self.check_fence()

    @property
    def is_withdrawing(self) -> bool:
        """Whether this is about leaving nothing behind by now."""
        return self._withdraws

    def check_stop(self) -> None:
        """Raises StoppedError (cancel, drain, a sibling part that failed) or FencedError."""
        if self._withdraws:
            self.check_fence()
            return
        if self._broken_by is not None:
            raise StoppedError("another part of this file failed")
        reason = self.hooks.stop_reason()
        if reason is not None:
            self._stop(reason)

    def check_cancel(self) -> None:
        """As `check_stop`, but a drain lets the step end: small files are finished."""
        if self._withdraws:
            self.check_fence()
            return
        reason = self.hooks.stop_reason()
        if reason is not None and reason is not StopReason.DRAIN:
            self._stop(reason)

    def check_fence(self) -> None:
        """Raises FencedError only: for what must be ended once it is begun."""
        reason = self.hooks.stop_reason()
        if reason is StopReason.FENCED:
            self._stop(reason)

    @property
    def is_fenced(self) -> bool:
        """Whether this attempt was seen to have lost its sub-task: nothing that others may see is touched any more."""
        return self.stopped is StopReason.FENCED

    def is_unwanted(self) -> bool:
        """Whether to wait for the store no longer. Small files are finished in a drain, so they wait until it halts them."""
        reason = self.hooks.stop_reason()
        if reason is None:
            return self._broken_by is not None and not self._withdraws
        if reason is StopReason.CANCEL:
            is_over = not self._withdraws or self.is_out_of_patience
        else:
            is_over = reason is not StopReason.DRAIN or self._withdraws or self.lane is Lane.LARGE
        if is_over:
            self.give_up()
        return is_over

    def is_forsaken(self) -> bool:
        """Whether not even the word on what became of a change is waited for. Whoever cancels is told only what is known: as long
        as a PUT may still be carried out, that nothing is there yet is no proof."""
        is_canceled = self.hooks.stop_reason() is StopReason.CANCEL and not self._withdraws
        return not is_canceled and self.is_unwanted()

    def give_up(self) -> None:
        """An answer of the store is, or may be, waited for no longer."""
        if self._given_up_ns is None:
            self._given_up_ns = self.now_ns()

    @property
    def gave_up(self) -> bool:
        """Whether the store was to be waited for no longer. It may have answered all the same."""
        return self._given_up_ns is not None

    @property
    def is_out_of_patience(self) -> bool:
        """Whether a withdrawal has asked the store for as long as it may, after it was waited for no longer before."""
        return self._would_be_late(0.0)

    def _would_be_late(self, wait_s: float) -> bool:
        return self._hurries_until_ns is not None and self.now_ns() + wait_s * 1e9 >= self._hurries_until_ns

    @property
    def left_nothing(self) -> bool:
        """Whether an export can have changed nothing in the store so far, by whatever attempt."""
        return not self.transfer.begun and self.transfer.checkpoint is None and not self.has_sent

    @property
    def earliest_ns(self) -> int:
        """No attempt of this sub-task is older, by whatever clock (the kernel's, a file server's, a store's): what has an older
        stamp is somebody else's."""
        return self.transfer.accepted_ns - _PUT_BACK_MAX_NS

    @property
    def may_have_begun(self) -> bool:
        """Whether helper files of an import may lie beside its target, or an earlier attempt's file at it."""
        return self.has_begun or self.transfer.begun or self.transfer.intent is Intent.TIDY

    @property
    def stoppable(self) -> Store:
        """The store, for all that has to be waited for: the wait ends when this attempt is to end."""
        if self._stoppable is None:
            self._stoppable = self.store.heeding(self.is_unwanted, self.is_forsaken)
        return self._stoppable

    def _stop(self, reason: StopReason) -> None:
        self.stopped = reason
        if reason is StopReason.FENCED:
            raise FencedError("this attempt no longer owns its sub-task")
        raise StoppedError(f"stopped: {reason.value}")

    # ---------------------------------------------------------------------------------------------------------- trying

    def persist(self, step: Callable[[], _Result], *, check: Callable[[], None] | None = None) -> _Result:
        """Do `step`, and again while its StoreError says that waiting helps, `part_tries` times in all.

        `check` is looked at before each try and while waiting (default: `check_stop`).
        """
        check = check or self.check_stop
        tries = 0
        while True:
            check()
            began_ns = self.now_ns()
            try:
                return step()
            except StoreError as error:
                tries += 1
                # Whoever waits for a withdrawal is to hear soon why it lasts; the engine tries again then.
                is_told = self._withdraws and self.now_ns() - began_ns > _PATIENCE_S * 1e9
                pause_s = self._pause_s(tries, error)
                if is_told or self._would_be_late(pause_s) or not self.may_try_again(error, tries):
                    raise
                self.rest(pause_s, check)

    def may_try_again(self, error: StoreError, tries: int) -> bool:
        """Whether this room tries again after `tries` tries, or hands the wait to the engine."""
        if not error.waiting_helps or tries >= self.limits.part_tries:
            return False
        return (error.retry_after_s or 0.0) <= _PATIENCE_S

    def pause(self, tries: int, error: StoreError, check: Callable[[], None]) -> None:
        """Wait before the next try: doubled each time, jittered, at least what the store asks; ends when stopped."""
        self.rest(self._pause_s(tries, error), check)

    def _pause_s(self, tries: int, error: StoreError) -> float:
        wait_s: float = self.limits.part_try_wait_s * 2 ** (tries - 1) * (0.5 + self.jitter())
        return max(wait_s, error.retry_after_s or 0.0)

    def rest(self, left_s: float, check: Callable[[], None]) -> None:
        """Wait, but not longer than until stopped."""
        check()
        while left_s > 0:
            slice_s = min(left_s, _LOOK_EVERY_S)
            _NEVER.wait(slice_s)
            left_s -= slice_s
            check()

    def run_parts(self, plan: Plan, work: Callable[[PlannedPart, Workspace], None]) -> None:
        """Do `work` for all parts in the pool; when one fails the others end at their next look, and its error is raised."""
        peer = (self.store.bucket, self.transfer.file_system_id)  # the one may fall silent, the other hang
        board = PartBoard(parts=plan.count, part_size_bytes=plan.part_size_bytes)
        self.hooks.parts(board)
        watched = partial(self._watched, work, board)
        jobs = (PartJob(size_bytes=part.length_bytes, work=partial(watched, part)) for part in plan.parts())
        try:
            self.pool.run(jobs, peer=peer, look=self._check_reason, admit=self.hooks.may_begin)
        except StoppedError:
            if self._broken_by is None:
                raise
            raise self._broken_by from None  # a sibling that was stopped for it may have come to the pool first
        finally:
            self._broken_by = None  # none of them runs any more: whoever can go on without them is not stopped

    def _check_reason(self) -> None:
        """As `check_stop`, without the sibling that failed: the pool knows that one and its error itself."""
        if self._broken_by is None:
            self.check_stop()

    def _watched(
        self,
        work: Callable[[PlannedPart, Workspace], None],
        board: PartBoard,
        part: PlannedPart,
        workspace: Workspace,
    ) -> None:
        board.begin(part.number)
        try:
            work(part, workspace)
        except BaseException as error:
            board.give_up(part.number)
            self._broken_by = self._broken_by or error
            raise
        board.end(part.number)

    # --------------------------------------------------------------------------------------------------------- telling

    def save(self, record: Checkpoint) -> None:
        """Make an export's record durable. Raises FencedError."""
        self.has_sent = True
        self.hooks.checkpoint(record)
        self.checkpoint = self.record = record

    def begin_in(self, there: Whereabouts) -> None:
        """Make durable that helper files of an import are to be made in that directory. Nearly always it is the one that was
        recorded when the file was found to be large. Raises FencedError."""
        begun_in = (there, *self.lost)[:_LOST_MAX]
        if self.record is None or self.record.begun_in != begun_in:
            record = Checkpoint(key=self.transfer.key, intent_ns=0, begun_in=begun_in)
            self.hooks.checkpoint(record)
            self.checkpoint = self.record = record

    def begin_nothing(self) -> None:
        """What was begun is removed, but for what is lost. The catalog is told with the end of this attempt."""
        self.has_begun = False
        if self.record is not None:
            self.checkpoint = self.record = Checkpoint(key=self.transfer.key, intent_ns=0, begun_in=self.lost)

    @property
    def promises(self) -> tuple[Promise, ...]:
        """What the objects that this sub-task may have put together have to be, newest first."""
        return self.record.promises if self.record is not None else ()

    def add_note(self, words: str) -> None:
        """Say something about how the file was verified; once."""
        if words not in self.note:
            self.note = f"{self.note}; {words}" if self.note else words

    def outcome(self, verdict: Verdict, *, guarantee: Guarantee | None = None) -> Outcome:
        """The end of this attempt with what was learned so far."""
        meter, transfer = self.meter, self.transfer
        if verdict is Verdict.COMPLETE or verdict is Verdict.SKIPPED:
            meter.finish()
        bytes_done = meter.bytes_done
        actual_bytes = 0 if verdict is Verdict.SKIPPED else bytes_done
        return Outcome(
            sub_task_id=transfer.sub_task_id,
            attempt=transfer.attempt,
            verdict=verdict,
            bytes_total=meter.bytes_total,
            bytes_done=bytes_done,
            actual_bytes=actual_bytes,
            moving_ns=meter.taken_ns() if actual_bytes else meter.moving_ns(),
            detail=meter.detail,
            guarantee=guarantee,
            note=self.note,
            checkpoint=None if verdict in _LAST else self.checkpoint,
            begun=self.has_begun or self.has_sent,
        )

    def published(self, detail: FileDetail, guarantee: Guarantee) -> Outcome:
        """The file is at its target, verified and durable."""
        self.meter.learn(detail)
        self.checkpoint = None
        return self.outcome(Verdict.COMPLETE, guarantee=guarantee)

    def published_with_journal(self, detail: FileDetail, guarantee: Guarantee) -> Outcome:
        """The same; its journal is beside it, and goes once this outcome is settled."""
        return replace(self.published(detail, guarantee), tidy=True)

    def skipped(self, detail: FileDetail, guarantee: Guarantee) -> Outcome:
        """The target stays."""
        self.meter.learn(detail)
        return self.outcome(Verdict.SKIPPED, guarantee=guarantee)

    def large(self, size_bytes: int, there: Whereabouts | None = None) -> Outcome:
        """Too large for the small lane: not begun. What an import will begin will most likely be `there`; what is settled now is
        durable before that, and so needs no commit of its own."""
        checkpoint = self.checkpoint
        if there is not None and checkpoint is None:
            checkpoint = Checkpoint(key=self.transfer.key, intent_ns=0, begun_in=(there,))
        return Outcome(
            sub_task_id=self.transfer.sub_task_id,
            attempt=self.transfer.attempt,
            verdict=Verdict.LARGE,
            bytes_total=size_bytes,
            checkpoint=checkpoint,
        )
