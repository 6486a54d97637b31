"""The sight of whichever life there is now, for those who keep one for good: the console. Keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from penstock.catalog.live import Detail, EngineView, Flying, Overview, Seeing
from penstock.catalog.views import Browse, BrowseTasks, Changes, Listed, Sheet, TaskSheet, Trouble


class SeeingNow:
    """Implements `Seeing` by the one that `now` answers."""

    def __init__(self, now: Callable[[], Seeing]) -> None:
        self._now = now

    async def overview(self, file_systems: Sequence[str], *, flying_max: int = 20) -> Overview:
        """As promised."""
        return await self._now().overview(file_systems, flying_max=flying_max)

    async def browse(self, query: Browse, *, cursor: str = "", limit: int = 50) -> Sheet:
        """As promised."""
        return await self._now().browse(query, cursor=cursor, limit=limit)

    async def tasks(self, query: BrowseTasks, *, cursor: str = "", limit: int = 50) -> TaskSheet:
        """As promised."""
        return await self._now().tasks(query, cursor=cursor, limit=limit)

    async def among(self, file_systems: Sequence[str], sub_task_ids: Sequence[str]) -> Mapping[str, Listed]:
        """As promised."""
        return await self._now().among(file_systems, sub_task_ids)

    async def detail(self, file_systems: Sequence[str], sub_task_id: str) -> Detail:
        """As promised."""
        return await self._now().detail(file_systems, sub_task_id)

    async def changes(self, file_systems: Sequence[str], cursor: str) -> Changes:
        """As promised."""
        return await self._now().changes(file_systems, cursor)

    async def troubles(self, file_systems: Sequence[str], *, limit: int = 20) -> tuple[Trouble, ...]:
        """As promised."""
        return await self._now().troubles(file_systems, limit=limit)

    def flying(self, file_systems: Sequence[str], *, most: int = 20) -> tuple[Flying, ...]:
        """As promised."""
        return self._now().flying(file_systems, most=most)

    def flying_of(self, sub_task_id: str) -> Flying | None:
        """As promised."""
        return self._now().flying_of(sub_task_id)

    async def pulse(self, file_systems: Sequence[str]) -> EngineView | None:
        """As promised."""
        return await self._now().pulse(file_systems)
