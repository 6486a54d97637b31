"""Whether the service lives and whether it is ready, for whoever watches over it: systemd, Kubernetes, a load balancer.

Asks the catalog and the executor what they are; remembers the answer for a second, because anybody may ask. Changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

from penstock.catalog.catalog import Catalog
from penstock.errors import CatalogError

LIVE_PATH, READY_PATH = "/healthz", "/readyz"
ASK_S = 2.0
KEPT_S = 1.0


class Stage(StrEnum):
    """Of a service's life."""

    STARTING = "the service is starting: the catalog is opened, and migrated where a new version has to"
    SERVING = "serving"
    DRAINING = "the service is stopping: nothing new is begun"


class Health:
    """Of one service. `stage` is set by it as it comes up and goes down."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self.stage = Stage.STARTING
        self._clock_s = clock_s
        self._catalog: Catalog | None = None
        self._loss: Callable[[], str] = str
        self._movers_up: Callable[[], int] = lambda: 0
        self._kept: tuple[float, tuple[str, ...]] = (float("-inf"), ())

    def watch(self, catalog: Catalog, movers_up: Callable[[], int], *, loss: Callable[[], str]) -> None:
        """From now on these are asked. `loss` says why what is written to the catalog would be lost, "" where it would not."""
        self._catalog = catalog
        self._loss = loss
        self._movers_up = movers_up

    async def reasons(self) -> tuple[str, ...]:
        """Why it is not ready; none when it is. Raises nothing."""
        if self.stage is not Stage.SERVING or self._catalog is None:
            return (self.stage.value,)
        now_s = self._clock_s()
        if now_s - self._kept[0] > KEPT_S:
            self._kept = (now_s, await self._looked(self._catalog))
        return self._kept[1]

    async def _looked(self, catalog: Catalog) -> tuple[str, ...]:
        found: list[str] = []
        try:
            await asyncio.wait_for(catalog.live_sub_tasks(), ASK_S)
            # Readers go on with a file that was taken away; only who writes would notice.
            if loss := await asyncio.wait_for(asyncio.to_thread(self._loss), ASK_S):
                found.append(loss)
        except TimeoutError:
            found.append(f"the catalog does not answer within {ASK_S:g} s")
        except CatalogError as error:
            found.append(str(error))
        if self._movers_up() == 0:
            found.append("no mover is up: nothing moves")
        return tuple(found)


def as_text(reasons: tuple[str, ...]) -> bytes:
    """A line for each, or one that all is well."""
    return "".join(f"{line}\n" for line in reasons or ("ok",)).encode()
