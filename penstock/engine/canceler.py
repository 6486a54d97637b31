"""The canceler: tells movers at once which of their files were canceled, and callers why one is still being withdrawn.

The catalog's rows are the truth; a bell makes it quick. Calls the catalog and the executor, settles nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock import failpoints
from penstock.catalog.catalog import Catalog
from penstock.catalog.verbs import Explanation
from penstock.engine.executor import Attempt, Executor
from penstock.engine.flights import Flight, Flights
from penstock.engine.messages import Control
from penstock.engine.options import to_ns
from penstock.engine.owners import Owners
from penstock.engine.runner import Runner
from penstock.errors import FailureCode
from penstock.model import Direction

LOOK_AGAIN_S = 1.0
LOOK_SOON_S = 0.5  # while something is being withdrawn
SOON_S = 0.05
EXPLAIN_S = 1.25
"""Whoever cancels hears within two seconds that it is done, or why not yet."""


class Canceler:
    """Finds canceled flights and tells their movers."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        executor: Executor,
        flights: Flights,
        runner: Runner,
        owners: Owners,
        now_ns: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._executor = executor
        self._flights = flights
        self._runner = runner
        self._owners = owners
        self._now_ns = now_ns

    async def step(self) -> float:
        """Tell what was canceled since the last step; returns how long nothing has to be looked at, in seconds."""
        if not len(self._flights):
            return LOOK_AGAIN_S
        told: dict[str, list[Attempt]] = {}
        withdrawn: list[Flight] = []
        unknown = 0
        for owner in self._owners.alive(self._flights.owners()):
            for attempt in await self._catalog.canceling(owner):
                flight = self._flights.find(attempt)
                if flight is None:
                    unknown += 1  # its claim or its settlement is on the way between the catalog and us
                    continue
                withdrawn.append(flight)
                if not flight.canceling:
                    flight.canceling = True
                    flight.canceled_ns = self._now_ns()
                    if flight.mover:
                        told.setdefault(flight.mover, []).append(attempt)
                    else:
                        self._runner.withdraw_held(flight)
        for mover, attempts in told.items():
            failpoints.passing("cancel.tell")
            self._executor.control(mover, Control(canceled=tuple(attempts)))
            failpoints.passing("cancel.told")
        await self._explain(withdrawn)
        return SOON_S if unknown else LOOK_SOON_S if withdrawn else LOOK_AGAIN_S

    async def _explain(self, withdrawn: list[Flight]) -> None:
        """Have the rows say why they are still CANCELING, where that takes long and no attempt has said it."""
        now_ns = self._now_ns()
        late_ns = now_ns - to_ns(EXPLAIN_S)
        late = [
            flight
            for flight in withdrawn
            if flight.mover and not flight.is_explained and (flight.canceled_ns or flight.since_ns) <= late_ns
        ]
        begun = frozenset[Attempt]().union(*(self._executor.begun(mover) for mover in {one.mover for one in late}))
        queued = [flight for flight in late if flight.attempt not in begun and not flight.is_queued]
        silent: list[Flight] = []
        for flight in late:
            if flight.attempt not in begun:
                continue
            if flight.is_queued and not flight.begun_ns:
                flight.begun_ns = now_ns  # it has its turn only now: nobody is late with an answer
            if flight.begun_ns <= late_ns:
                silent.append(flight)
        if queued or silent:
            await self._catalog.explain([*map(_turn, queued), *map(_silence, silent)])
        for flight in queued:
            flight.is_queued = True
        for flight in silent:
            flight.is_explained = True


def _turn(flight: Flight) -> Explanation:
    """It stands in its mover's line."""
    sub_task_id, attempt = flight.attempt
    return Explanation(
        sub_task_id=sub_task_id,
        attempt=attempt,
        error_code=FailureCode.WAITING_FOR_TURN,
        error_message="it is still to be withdrawn: it waits for its turn",
    )


def _silence(flight: Flight) -> Explanation:
    """Whoever was asked has not answered."""
    transfer = flight.order.transfer
    if transfer.direction is Direction.IMPORT:
        code, whom = FailureCode.FILE_SYSTEM_UNAVAILABLE, f"file system {transfer.file_system_id}"
    else:
        code, whom = FailureCode.STORE_UNAVAILABLE, f"bucket {transfer.bucket}"
    words = f"it is still being withdrawn: {whom} has not answered all that was asked for that"
    return Explanation(sub_task_id=transfer.sub_task_id, attempt=transfer.attempt, error_code=code, error_message=words)
