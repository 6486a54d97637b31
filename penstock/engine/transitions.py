"""Transitions: dataflows and streams that are Starting, Pending and so on until their delay is over.

Calls the catalog only. Looks as often as a transition lasts, so that each new one is seen before its end, and comes back at
the very moment of the next end. In a loop of its own: nobody's status waits for the keeper's longer duties.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.catalog.catalog import Catalog
from penstock.engine.loops import FOREVER_S
from penstock.engine.options import NS_PER_S, TransitionOptions


class Transitions:
    """`step` ends what is over."""

    def __init__(self, *, catalog: Catalog, options: TransitionOptions, now_ns: Callable[[], int]) -> None:
        self._catalog = catalog
        self._options = options
        self._now_ns = now_ns

    async def step(self) -> float:
        """End what is over; returns how long there is nothing to end, in seconds."""
        due_ns = await self._catalog.next_transition_ns()
        if due_ns is not None and due_ns <= self._now_ns():
            await self._catalog.end_transitions(due_ns=self._now_ns(), limit=self._options.batch_max)
            due_ns = await self._catalog.next_transition_ns()
        idle_s = max(self._options.delay_s, self._options.look_least_s) if self._options.delay_s > 0 else FOREVER_S
        if due_ns is None:
            return idle_s
        return min(idle_s, max(0.0, (due_ns - self._now_ns()) / NS_PER_S))
