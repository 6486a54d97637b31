"""The canceler: tells movers at once which of their files were canceled.

The catalog's rows are the truth; a bell makes it quick. Calls the catalog and the executor, settles nothing itself.
"""

from __future__ import annotations

from penstock import failpoints
from penstock.catalog.catalog import Catalog
from penstock.engine.executor import Attempt, Executor
from penstock.engine.flights import Flights
from penstock.engine.messages import Control
from penstock.engine.owners import Owners
from penstock.engine.runner import Runner

LOOK_AGAIN_S = 1.0
SOON_S = 0.05


class Canceler:
    """Finds canceled flights and tells their movers."""

    def __init__(
        self, *, catalog: Catalog, executor: Executor, flights: Flights, runner: Runner, owners: Owners
    ) -> None:
        self._catalog = catalog
        self._executor = executor
        self._flights = flights
        self._runner = runner
        self._owners = owners

    async def step(self) -> float:
        """Tell what was canceled since the last step; returns how long nothing has to be looked at, in seconds."""
        if not len(self._flights):
            return LOOK_AGAIN_S
        told: dict[str, list[Attempt]] = {}
        unknown = 0
        for owner in self._owners.alive(self._flights.owners()):
            for attempt in await self._catalog.canceling(owner):
                flight = self._flights.find(attempt)
                if flight is None:
                    unknown += 1  # its claim or its settlement is on the way between the catalog and us
                elif not flight.canceling:
                    flight.canceling = True
                    if flight.mover:
                        told.setdefault(flight.mover, []).append(attempt)
                    else:
                        self._runner.withdraw_held(flight)
        for mover, attempts in told.items():
            failpoints.passing("cancel.tell")
            self._executor.control(mover, Control(canceled=tuple(attempts)))
            failpoints.passing("cancel.told")
        return SOON_S if unknown else LOOK_AGAIN_S
