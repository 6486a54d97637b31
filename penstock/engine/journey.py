"""One small file under way in a mover: its steps, its place on the board, and how it is taken from one pause to the next.

Calls the steps of `transfer`; knows no thread, and neither store nor file system.
"""

from __future__ import annotations

from penstock.engine.running import Running
from penstock.errors import StoreError
from penstock.model import Direction
from penstock.transfer.steps import Awaited, Pause, Steps
from penstock.transfer.transfer import Outcome, StopReason, Transfer

Reached = Pause | Awaited | Outcome
"""Where a step has led: a pause, what was started, or the outcome."""

Ends = tuple[str, str]
"""A bucket and a file system."""

Peer = tuple[Ends, bool, bool]
"""Between what, whether the files are to stop, and whether their requests have begun."""


class Journey:
    """One file under way: its steps, and its place on the board. `hand_s` is how long a hand's longest step of it took."""

    __slots__ = ("asked_s", "awaited", "error", "hand_s", "is_far", "place", "running", "steps")

    def __init__(self, running: Running, steps: Steps[Outcome], place: int) -> None:
        self.running = running
        self.steps = steps
        self.place = place
        self.asked_s = 0.0
        self.awaited: Awaited | None = None
        self.error: StoreError | None = None  # what its next step is to hear instead of an answer
        self.is_far = False  # nobody knows that its file system lies in this machine
        self.hand_s = 0.0

    @property
    def peer(self) -> Peer:
        """With whom it shares helpers."""
        return (ends_of(self.running.transfer), self.is_to_stop, self.awaited is not None)

    @property
    def is_to_stop(self) -> bool:
        """Whether it is to end now; small files are finished in a drain, until that halts them."""
        return self.running.stop_reason() not in {None, StopReason.DRAIN}

    @property
    def is_given_up(self) -> bool:
        """Whether its answer is to be waited for no longer. A canceled PUT is: only its answer tells what became of it."""
        may_have_changed = self.running.transfer.direction is Direction.EXPORT
        is_canceled = self.running.stop_reason() is StopReason.CANCEL
        return self.is_to_stop and not (may_have_changed and is_canceled)


def ends_of(transfer: Transfer) -> Ends:
    """Between what it moves."""
    return (transfer.bucket, transfer.file_system_id)


def stepped(journey: Journey) -> Reached:
    """Where the next step leads."""
    error = journey.error
    try:
        if error is None:
            return next(journey.steps)
        journey.error = None
        return journey.steps.throw(error)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
