"""One small file under way in a mover: its steps, its place on the board, and how it is taken from one pause to the next.

Calls the steps of `transfer`; knows no thread, and neither store nor file system.
"""

from __future__ import annotations

from penstock.engine.running import Running
from penstock.errors import StoreError
from penstock.model import Direction
from penstock.transfer.steps import Awaited, Pause, Steps
from penstock.transfer.transfer import Outcome, StopReason

Reached = Pause | Awaited | Outcome
"""Where a step has led: a pause, what was started, or the outcome."""

Peer = tuple[str, bool, bool]
"""A bucket, whether the files are to stop, and whether their requests have begun."""


class Journey:
    """One file under way: its steps, and its place on the board."""

    __slots__ = ("asked_s", "awaited", "place", "running", "steps")

    def __init__(self, running: Running, steps: Steps[Outcome], place: int) -> None:
        self.running = running
        self.steps = steps
        self.place = place
        self.asked_s = 0.0
        self.awaited: Awaited | None = None

    @property
    def peer(self) -> Peer:
        """With whom it shares helpers."""
        return (self.running.transfer.bucket, self.is_to_stop, self.awaited is not None)

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


def stepped(journey: Journey) -> Reached:
    """Where the next step leads."""
    try:
        return next(journey.steps)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome


def given_up(journey: Journey, error: StoreError) -> Reached:
    """Where it leads when what it waits for at its pause is given up, as if the store had answered with `error`."""
    try:
        return journey.steps.throw(error)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
