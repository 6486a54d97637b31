"""The sight of whichever life there is now, for those who keep one for good: the console. Keeps nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from penstock.catalog.live import Seeing


class _Now:
    """Has what the present sight has; nothing is remembered from one look to the next."""

    def __init__(self, now: Callable[[], Seeing]) -> None:
        self._now = now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now(), name)


def seeing_now(now: Callable[[], Seeing]) -> Seeing:
    """A sight that is each time the one that `now` answers."""
    return cast("Seeing", _Now(now))
