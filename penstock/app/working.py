"""What is behind a service's listeners once it has begun: plain values, so that a service and its kinds can hand it over."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.api.application import Api
from penstock.catalog.live import Seeing

Keeping = Callable[[], Coroutine[Any, Any, None]]
"""A loop that runs until it is cancelled."""


class Working(Protocol):
    """What makes accepted work happen."""

    async def run(self) -> None:
        """Until it has drained."""

    async def drain(self, *, deadline_s: float = 20.0) -> None:
        """Bring it to an end in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is behind the listeners, once it has begun. `keeping` are loops beside the engine, by name."""

    engine: Working
    api: Api
    seeing: Seeing
    keeping: Mapping[str, Keeping]
