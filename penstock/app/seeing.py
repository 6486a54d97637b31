"""What people are shown: the ledger's part, for whoever serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Detail, EngineView, Flying, Overview
from penstock.catalog.views import Browse, BrowseTasks, Changes, Listed, Sheet, TaskSheet, Trouble


class Sight:
    """What is kept, as `penstock.catalog.live.Seeing` asks for it."""

    def __init__(self, catalog: Catalog) -> None:
        self._reading = catalog.reading

    async def overview(self, file_systems: Sequence[str], *, flying_max: int) -> Overview:
        """Everything at a glance."""
        shown = await self._reading.overview(file_systems)
        return Overview(ledger=shown, engine=None, flying=self.flying(file_systems, most=flying_max))

    async def browse(self, query: Browse, *, cursor: str, limit: int) -> Sheet:
        """A page of sub-tasks."""
        return await self._reading.browse(query, cursor=cursor, limit=limit)

    async def tasks(self, query: BrowseTasks, *, cursor: str, limit: int) -> TaskSheet:
        """A page of tasks."""
        return await self._reading.tasks(query, cursor=cursor, limit=limit)

    async def among(self, file_systems: Sequence[str], sub_task_ids: Sequence[str]) -> Mapping[str, Listed]:
        """These sub-tasks as they are now."""
        return await self._reading.among(file_systems, sub_task_ids)

    async def detail(self, file_systems: Sequence[str], sub_task_id: str) -> Detail:
        """One in full."""
        return Detail(kept=await self._reading.in_full(file_systems, sub_task_id), flying=None)

    async def changes(self, file_systems: Sequence[str], cursor: str) -> Changes:
        """What happened since `cursor`."""
        return await self._reading.changes(file_systems, cursor)

    async def troubles(self, file_systems: Sequence[str], *, limit: int) -> tuple[Trouble, ...]:
        """What befell sub-tasks lately."""
        return await self._reading.troubles(file_systems, limit=limit)

    def flying(self, file_systems: Sequence[str], *, most: int) -> tuple[Flying, ...]:  # noqa: ARG002
        """Nothing is known of it here."""
        return ()

    def flying_of(self, sub_task_id: str) -> Flying | None:  # noqa: ARG002
        """Nothing is known of it here."""
        return None

    async def pulse(self, file_systems: Sequence[str]) -> EngineView | None:  # noqa: ARG002
        """Nothing is known of it here."""
        return None
