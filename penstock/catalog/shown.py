"""Ledger and engine as one sight: what `live.Seeing` promises, out of `catalog.reading` and an engine, if there is one.

Calls both; keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.catalog.live import Detail, EngineSight, EngineView, Flying, Overview
from penstock.catalog.reading import Reading
from penstock.catalog.views import Browse, BrowseTasks, Changes, Listed, Sheet, TaskSheet, Trouble
from penstock.errors import CatalogUnavailableError
from penstock.model import SubTaskStatus


class Shown:
    """Implements `Seeing`. `sight` is None where there is no engine in this process."""

    def __init__(self, reading: Reading, sight: EngineSight | None = None) -> None:
        self._reading = reading
        self._sight = sight

    async def overview(self, file_systems: Sequence[str], *, flying_max: int = 20) -> Overview:
        """As promised."""
        ledger = await self._reading.overview(file_systems)
        if self._sight is None:
            return Overview(ledger=ledger, engine=None)
        engine = self._sight.view(file_systems, ledger)
        return Overview(ledger=ledger, engine=engine, flying=self._sight.flying(file_systems, flying_max))

    async def browse(self, query: Browse, *, cursor: str = "", limit: int = 50) -> Sheet:
        """As promised."""
        sheet = await self._reading.browse(query, cursor=cursor, limit=limit)
        return replace(sheet, items=self._live(sheet.items))

    async def tasks(self, query: BrowseTasks, *, cursor: str = "", limit: int = 50) -> TaskSheet:
        """As promised."""
        return await self._reading.tasks(query, cursor=cursor, limit=limit)

    async def among(self, file_systems: Sequence[str], sub_task_ids: Sequence[str]) -> Mapping[str, Listed]:
        """As promised."""
        found = await self._reading.among(file_systems, sub_task_ids)
        return dict(zip(found, self._live(tuple(found.values())), strict=True))

    async def detail(self, file_systems: Sequence[str], sub_task_id: str) -> Detail:
        """As promised."""
        kept = await self._reading.in_full(file_systems, sub_task_id)
        (listed,) = self._live((kept.listed,))
        return Detail(kept=replace(kept, listed=listed), flying=self.flying_of(sub_task_id))

    async def changes(self, file_systems: Sequence[str], cursor: str) -> Changes:
        """As promised."""
        return await self._reading.changes(file_systems, cursor)

    async def troubles(self, file_systems: Sequence[str], *, limit: int = 20) -> tuple[Trouble, ...]:
        """As promised."""
        return await self._reading.troubles(file_systems, limit=limit)

    def flying(self, file_systems: Sequence[str], *, most: int = 20) -> tuple[Flying, ...]:
        """As promised."""
        return () if self._sight is None else self._sight.flying(file_systems, most)

    def flying_of(self, sub_task_id: str) -> Flying | None:
        """As promised."""
        return None if self._sight is None else self._sight.flying_of(sub_task_id)

    def bucket_asked(self, bucket: str, code: str, message: str) -> None:
        """As promised."""
        if self._sight is not None:
            self._sight.bucket_asked(bucket, code, message)

    async def pulse(self, file_systems: Sequence[str]) -> EngineView | None:
        """As promised; of a catalog that cannot be read now nothing is told, and of the engine all the same."""
        if self._sight is None:
            return None
        try:
            ledger = await self._reading.overview(file_systems)
        except CatalogUnavailableError:
            return self._sight.view(file_systems, None)
        return self._sight.view(file_systems, ledger)

    def _live(self, items: tuple[Listed, ...]) -> tuple[Listed, ...]:
        """With the newest numbers of those that move, and why those do not that are kept from it: what the catalog keeps may be
        seconds older, and it is told why only when an attempt has ended."""
        if self._sight is None:
            return items
        moving = self._sight.moving({one.sub_task.sub_task_id for one in items})
        return tuple(_newest(one, moving.get(one.sub_task.sub_task_id)) for one in items)


def _newest(listed: Listed, flying: Flying | None) -> Listed:
    sub_task = listed.sub_task
    if flying is None or flying.attempt != sub_task.attempt:
        return listed
    sub_task = replace(sub_task, bytes_total=flying.bytes_total, bytes_done=flying.bytes_done)
    if flying.stay is None or (sub_task.error_code and sub_task.status is not SubTaskStatus.RUNNING):
        return replace(listed, sub_task=sub_task)
    stay = flying.stay
    told = replace(sub_task, error_code=stay.code, error_message=stay.message, due_ns=stay.again_ns or 0)
    return replace(listed, sub_task=told, next_try_ns=stay.again_ns)
