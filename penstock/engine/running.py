"""One attempt inside a mover: its transfer, its reasons to stop, its newest progress, its wait for durable checkpoints.

These are the `Hooks` that `transfer` calls. Speaks only to the mover's outbox.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from penstock.engine.executor import Attempt
from penstock.engine.messages import PartsMoved
from penstock.errors import FencedError, StoppedError
from penstock.transfer.partboard import PartBoard
from penstock.transfer.transfer import Checkpoint, Intent, Progress, StopReason, Transfer

LOOK_EVERY_S = 0.2
STOP_PATIENCE_S = (
    3.0  # a record that was asked for is mostly durable in milliseconds; a canceled attempt waits that long
)


class Desk(Protocol):
    """Where a checkpoint is asked for, and progress is told."""

    def watch(self, running: Running) -> None:
        """Tell its progress from now on, in a rhythm of its own."""
        ...

    def ask(self, running: Running, record: Checkpoint) -> Answer:
        """Ask for `record` to be made durable."""
        ...


class Answer:
    """What will be said of one checkpoint: `durable` is None until it is said."""

    __slots__ = ("durable", "said")

    def __init__(self) -> None:
        self.said = threading.Event()
        self.durable: bool | None = None


class Running:
    """An attempt that waits or runs in this mover. `number` counts what the mover was given, from 1."""

    __slots__ = (
        "_clock_s", "_desk", "_reason", "attempt", "begun_s", "board", "charged_bytes", "latest", "may_begin", "number", "record",
        "told", "told_s", "transfer",
    )  # fmt: skip

    def __init__(
        self,
        transfer: Transfer,
        *,
        number: int,
        desk: Desk,
        clock_s: Callable[[], float],
        may_begin: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self.transfer = transfer
        self.may_begin = may_begin
        self.charged_bytes = 0  # what its dataflow was charged for it, before anybody knew how large it is
        self.number = number
        self.attempt: Attempt = (transfer.sub_task_id, transfer.attempt)
        self.begun_s: float | None = None
        self.board: PartBoard | None = None
        self.latest: Progress | None = None
        self.told: Progress | None = None
        self.told_s = 0.0
        self.record = transfer.checkpoint  # the newest that is durable
        self._desk = desk
        self._clock_s = clock_s
        self._reason: StopReason | None = None

    def begin(self) -> None:
        """A thread takes it up."""
        self.begun_s = self._clock_s()

    def stop(self, reason: StopReason) -> None:
        """Ask it to end. A fence outranks a halt, a halt a cancel, a cancel a drain; withdrawals and tidying are not canceled."""
        if reason is StopReason.CANCEL and self.transfer.intent is not Intent.MOVE:
            return
        if self._reason is None or _RANK[reason] > _RANK[self._reason]:
            self._reason = reason

    def stop_reason(self) -> StopReason | None:
        """Why it should end early; None means go on."""
        return self._reason

    def progress(self, progress: Progress) -> None:
        """Keep the newest; the outbox tells it in its own rhythm."""
        is_first = self.latest is None
        self.latest = progress
        if is_first:
            self._desk.watch(self)

    def parts(self, board: PartBoard) -> None:
        """Keep it; it is told beside the progress."""
        self.board = board

    def parts_moved(self) -> PartsMoved | None:
        """How far its parts are; None where it does not move in parts."""
        board = self.board
        if board is None:
            return None
        sub_task_id, attempt = self.attempt
        return PartsMoved(
            sub_task_id=sub_task_id,
            attempt=attempt,
            part_size_bytes=board.part_size_bytes,
            parts=board.parts,
            done=board.done,
            moving=board.moving,
            cells=board.cells(),
        )

    def checkpoint(self, record: Checkpoint) -> None:
        """Return when `record` is durable. Raises FencedError when this attempt lost its sub-task, StoppedError when the
        answer stays away and a stop is asked for."""
        answer = self._desk.ask(self, record)
        waited_s = 0.0
        while not answer.said.wait(LOOK_EVERY_S):
            if self._reason is StopReason.FENCED:
                raise FencedError("this attempt no longer owns its sub-task")
            if self._reason is not None:
                waited_s += LOOK_EVERY_S
                if waited_s >= STOP_PATIENCE_S:
                    raise StoppedError(f"stopped while waiting for a durable record: {self._reason}")
        if not answer.durable:
            self.stop(StopReason.FENCED)
            raise FencedError("the record was refused: this attempt no longer owns its sub-task")
        self.record = record


_RANK = {StopReason.DRAIN: 1, StopReason.CANCEL: 2, StopReason.HALT: 3, StopReason.FENCED: 4}
