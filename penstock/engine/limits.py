"""The limits of dataflows: tells movers how many bytes a second each may move, as soon as that changes.

Calls the catalog and the executor only.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.catalog.catalog import Catalog
from penstock.engine.executor import Executor

LOOK_AGAIN_S = 5.0
"""Without a bell."""


class Limits:
    """`step` tells what holds now."""

    def __init__(self, *, catalog: Catalog, executor: Executor) -> None:
        self._catalog = catalog
        self._executor = executor
        self._told: Mapping[str, int] | None = None  # another engine may have told these movers something

    async def step(self) -> float:
        """Tell movers what has changed; returns how long nothing has to be done without a bell, in seconds."""
        rates = await self._catalog.rates()
        if rates != self._told:
            self._executor.limit(rates)
            self._told = rates
        return LOOK_AGAIN_S
