"""The ledger as people are shown it: verbs that only read, on readers of their own, each one snapshot and a bounded look.

Whoever calls has seen to it which file systems his caller may see; nothing of others is answered. Writes nothing, and knows no
engine: what only that one knows is joined to it in `penstock.app.seeing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.catalog import browsing, glance, identifiers, lately, rows, tasklist
from penstock.catalog.browsing import listed_rows
from penstock.catalog.glance import visible
from penstock.catalog.readers import Readers
from penstock.catalog.session import Session
from penstock.catalog.views import Browse, BrowseTasks, Changes, InFull, LedgerView, Listed, Sheet, TaskSheet, Trouble
from penstock.catalog.waiting import line, listed
from penstock.errors import SubTaskNotFoundError

SHEET_MAX = 500
AMONG_MAX = 200
TROUBLES_MAX = 200


class Reading:
    """`catalog.reading`. All verbs raise CatalogUnavailableError when the database cannot answer now."""

    def __init__(self, readers: Readers, *, sheet_rows_max: int) -> None:
        self._readers = readers
        self._sheet_rows_max = sheet_rows_max

    async def overview(self, file_systems: Sequence[str]) -> LedgerView:
        """Dataflows with their counters, all together, and hour by hour."""
        return await self._readers.read(lambda session: glance.overview(session, file_systems))

    async def browse(self, query: Browse, *, cursor: str, limit: int) -> Sheet:
        """A page of sub-tasks, at most SHEET_MAX. InvalidNextTokenError."""
        count = max(1, min(limit, SHEET_MAX))
        return await self._readers.read(
            lambda session: browsing.sheet(session, query, cursor, count, self._sheet_rows_max)
        )

    async def tasks(self, query: BrowseTasks, *, cursor: str, limit: int) -> TaskSheet:
        """A page of tasks, at most SHEET_MAX. InvalidNextTokenError."""
        count = max(1, min(limit, SHEET_MAX))
        return await self._readers.read(
            lambda session: tasklist.sheet(session, query, cursor, count, self._sheet_rows_max)
        )

    async def among(self, file_systems: Sequence[str], sub_task_ids: Sequence[str]) -> Mapping[str, Listed]:
        """The first AMONG_MAX of these as they are now, by id; what is gone or out of sight is left out."""
        return await self._readers.read(lambda session: _among(session, file_systems, sub_task_ids[:AMONG_MAX]))

    async def in_full(self, file_systems: Sequence[str], sub_task_id: str) -> InFull:
        """All that is kept of one. SubTaskNotFoundError."""
        return await self._readers.read(lambda session: _in_full(session, file_systems, sub_task_id))

    async def changes(self, file_systems: Sequence[str], cursor: str) -> Changes:
        """What happened since `cursor`; "" answers a cursor of now and nothing else. InvalidNextTokenError."""
        return await self._readers.read(lambda session: lately.changes(session, file_systems, cursor))

    async def troubles(self, file_systems: Sequence[str], *, limit: int) -> tuple[Trouble, ...]:
        """What befell sub-tasks lately, newest first, at most TROUBLES_MAX."""
        count = max(0, min(limit, TROUBLES_MAX))
        return await self._readers.read(lambda session: lately.troubles(session, file_systems, count))


def _among(session: Session, file_systems: Sequence[str], sub_task_ids: Sequence[str]) -> dict[str, Listed]:
    flows = visible(session, file_systems)
    numbers = sorted(set(map(identifiers.sub_task_number, sub_task_ids)))
    asked = frozenset(sub_task_ids)
    found = [row for row in session.rows_in("sub_tasks.by_numbers", numbers) if row["sub_task_id"] in asked]
    return {one.sub_task.sub_task_id: one for one in listed_rows(session, flows, found)}


def _in_full(session: Session, file_systems: Sequence[str], sub_task_id: str) -> InFull:
    flows = visible(session, file_systems)
    number = identifiers.sub_task_number(sub_task_id)
    found = session.rows_in("sub_tasks.by_numbers", [number])
    if not found or found[0]["sub_task_id"] != sub_task_id or found[0]["data_flow_number"] not in flows:
        raise SubTaskNotFoundError(f"there is no sub-task {sub_task_id}")
    row, flow = found[0], flows[found[0]["data_flow_number"]]
    task = rows.task(session.rows_in("tasks.by_numbers", [row["task_number"]])[0], flow)
    happenings = session.rows("happenings.of", sub_task_number=number)
    shown = listed(row, task, flow, session.now_ns)
    return InFull(
        as_of_ns=session.now_ns,
        listed=shown,
        task=task,
        flow=flow,
        line=line(session, row, shown.wait, task),
        happenings=tuple(map(lately.happening, happenings)),
        left_out=happenings[-1]["place"] + 1 - len(happenings) if happenings else 0,
    )
