"""Mover processes that outlive the services they work for: a service after each power cut, but one start of movers for all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from penstock.engine.executor import Attempt, Death, Inbox, MoverRoom
from penstock.engine.local import LocalExecutor, LocalExecutorOptions
from penstock.engine.messages import Control, Lease, Places, Report


class KeptMovers:
    """An executor that is started and closed again and again. A service that has settled all leaves nothing in its movers."""

    def __init__(self, options: LocalExecutorOptions) -> None:
        self._local = LocalExecutor(options=options)
        self._inbox: Inbox | None = None
        self._is_up = False

    @asynccontextmanager
    async def vacated(self) -> AsyncIterator[None]:
        yield

    async def start(self, inbox: Inbox, places: Places) -> None:
        self._inbox = inbox
        if self._is_up:
            self._local.place(places)
            inbox.room_changed()
        else:
            self._is_up = True
            await self._local.start(self, places)

    def movers(self) -> tuple[MoverRoom, ...]:
        return self._local.movers()

    def submit(self, mover: str, lease: Lease) -> None:
        self._local.submit(mover, lease)

    def control(self, mover: str, control: Control) -> None:
        if not control.drain:
            self._local.control(mover, control)

    def begun(self, mover: str) -> frozenset[Attempt]:
        return self._local.begun(mover)

    def place(self, places: Places) -> None:
        self._local.place(places)

    def limit(self, rates: Mapping[str, int]) -> None:
        self._local.limit(rates)

    def files_per_s(self) -> Mapping[str, float]:
        return self._local.files_per_s()

    async def close(self, *, grace_s: float) -> None:
        """Only this service's end."""
        self._inbox = None

    async def end(self) -> None:
        """The movers' end."""
        await self._local.close(grace_s=2.0)

    # ------------------------------------------------------------------------------------------------ from movers to whom it may

    def report(self, report: Report) -> None:
        if self._inbox is not None:
            self._inbox.report(report)

    def died(self, death: Death) -> None:
        if self._inbox is not None:
            self._inbox.died(death)

    def room_changed(self) -> None:
        if self._inbox is not None:
            self._inbox.room_changed()
