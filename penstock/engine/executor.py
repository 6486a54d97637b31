"""The contract of an executor: it carries leases to movers, brings reports back, and tells which mover died.

An executor knows nothing of the catalog and may forget everything. All its methods are called on one event loop and none of them
blocks it; what it has to say it says by calling its `Inbox` on that same loop. `local` implements it with processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from penstock.engine.messages import Control, Figures, Lease, Places, Report
from penstock.errors import PenstockError

Attempt = tuple[str, int]
"""(sub_task_id, attempt): what a lease, a control and an outcome speak of."""


class MoverGoneError(PenstockError):
    """The mover cannot be reached any more: nothing was handed over; `Inbox.died` has told or will tell."""


class MoverPurpose(StrEnum):
    """What a mover is there for: ordinary work, or files that were under way when a mover died, one at a time."""

    WORK = "work"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverRoom:
    """A mover that takes work now, with the number of its threads in each lane. A name is never used twice."""

    mover: str
    purpose: MoverPurpose
    small_threads: int
    large_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverHealth:
    """How a mover is, for people to look at. `silent_s`: since it was heard of last, where it should have been; ages in seconds.

    `process_id` is None while none is up; `age_s` then, too. `deaths` counts those that sat in its place before.
    """

    mover: str
    purpose: MoverPurpose
    process_id: int | None
    age_s: float | None
    silent_s: float
    deaths: int
    figures: Figures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A mover is gone for certain: it acts no more. `begun` were under way; all else that it was given had not begun.

    `ordered` tells that the executor itself ended it (a drain that took too long): nobody is to blame.
    """

    mover: str
    begun: frozenset[Attempt]
    reason: str
    ordered: bool = False


class Inbox(Protocol):
    """Where an executor puts what its movers say. Called on the event loop; returns at once."""

    def report(self, report: Report) -> None:
        """A mover said something. A report is brought at most once, in order, and never after its mover's death."""
        ...

    def died(self, death: Death) -> None:
        """A mover is gone; every report that it sent has been brought before."""
        ...

    def room_changed(self) -> None:
        """`movers()` answers something else than before."""
        ...


class Executor(Protocol):
    """Carries work to movers. What is submitted runs at most once here; whether it runs again is for the runner to say."""

    def vacated(self) -> AbstractAsyncContextManager[None]:
        """While this context is open no mover of an earlier service lives. Raises HomeInUseError when one stays."""
        ...

    async def start(self, inbox: Inbox, places: Places) -> None:
        """Bring movers up; returns at once, `Inbox.room_changed` tells when one takes work."""
        ...

    def movers(self) -> tuple[MoverRoom, ...]:
        """The movers that take work now. A quarantine mover may be listed before it is up."""
        ...

    def submit(self, mover: str, lease: Lease) -> None:
        """Hand a batch over; returns when it is on its way, not when it is done. Raises MoverGoneError."""
        ...

    def control(self, mover: str, control: Control) -> None:
        """Tell a mover something, now. A mover that is gone is no error: its death says all."""
        ...

    def begun(self, mover: str) -> frozenset[Attempt]:
        """What of all that `mover` was given is under way at this moment; nothing where the mover is not up."""
        ...

    def place(self, places: Places) -> None:
        """What is registered has changed: every mover of now and later gets this snapshot."""
        ...

    def limit(self, rates: Mapping[str, int]) -> None:
        """From now on these dataflows move so many bytes a second at most, all movers together, and all others what they can."""
        ...

    def files_per_s(self) -> Mapping[str, float]:
        """Of each dataflow that is limited, how many small files can move in a second, as large as they have been lately."""
        ...

    async def close(self, *, grace_s: float) -> None:
        """End all movers: those that have not gone within `grace_s` are killed. Returns when none lives."""
        ...


class Watched(Protocol):
    """What an executor lets people see of its movers."""

    def movers(self) -> tuple[MoverRoom, ...]:
        """As `Executor` says."""
        ...

    def health(self) -> tuple[MoverHealth, ...]:
        """All movers that there should be, up or not, and the quarantine while it is up. Asks them for newer figures, and does
        not wait for those."""
        ...

    def figures(self) -> Figures:
        """What the movers have told last, all together."""
        ...

    def limited(self) -> frozenset[str]:
        """The dataflows of which something waits only because they may not move more in a second."""
        ...
