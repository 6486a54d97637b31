"""When who waits for a store stops waiting, though the store may still answer. Calls a clock and whom it is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

LISTEN_ON_S = 5.0
"""What would tell what became of a change is waited for so much longer than anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """Whether nothing is to be waited for that could be asked again (`soon`), and whether not even the word on what became of
    a change is (`late`): that is listened for some seconds more."""

    soon: Callable[[], bool]
    late: Callable[[], bool]


class Reluctant:
    """The stops of who waits to hear what became of a change: heeded so many seconds after they are first seen."""

    __slots__ = ("_seen_s", "_stops")

    def __init__(self, stops: Callable[[], bool]) -> None:
        self._stops = stops
        self._seen_s: float | None = None

    def __call__(self) -> bool:
        if not self._stops():
            return False
        if self._seen_s is None:
            self._seen_s = time.monotonic()
        return time.monotonic() - self._seen_s >= LISTEN_ON_S
