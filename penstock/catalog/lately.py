"""What has changed since somebody looked, and what befell sub-tasks lately: by a few seeks, however much has. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from heapq import nlargest

from penstock.catalog import identifiers
from penstock.catalog.cursors import Moment, read_moment, write_moment
from penstock.catalog.database import Row
from penstock.catalog.glance import visible
from penstock.catalog.pages import AFTER_ALL
from penstock.catalog.session import Session
from penstock.catalog.views import Changes, Happening, HappeningKind, Trouble
from penstock.model import DataFlow, SubTaskStatus

CHANGES_MAX = 500
"""So many of a kind are told one by one."""


def changes(session: Session, file_systems: Iterable[str], cursor: str) -> Changes:
    """What happened since a cursor; an empty one asks for one of now. InvalidNextTokenError."""
    flows = visible(session, file_systems)
    now = _moment(session, flows)
    if not cursor:
        return Changes(cursor=write_moment(now), as_of_ns=session.now_ns)
    then = read_moment(cursor)
    newest_ns = max(now.number, now.ended_ns, now.happened_ns, session.now_ns)
    if (
        max(then.number, then.ended_ns, then.happened_ns) > newest_ns
    ):  # the clock was put back, or it is another catalog
        return Changes(cursor=write_moment(now), as_of_ns=session.now_ns, is_lost=True)
    created = _created(session, flows, then.number)
    ended = _ended(session, (then.ended_ns, then.ended_number), (now.ended_ns, now.ended_number))
    befallen = _befallen(session, flows, then.happened_ns)
    is_more = max(len(created), len(ended), len(befallen)) > CHANGES_MAX
    return Changes(
        cursor=write_moment(now),
        as_of_ns=session.now_ns,
        created=_ids(session, flows, created[:CHANGES_MAX]),
        ended=_ids(session, flows, ended[:CHANGES_MAX]),
        befallen=_ids(session, flows, befallen[:CHANGES_MAX]),
        is_more=is_more,
    )


def _moment(session: Session, flows: Collection[int]) -> Moment:
    ended = session.row("reading.last_ended", limit=1)
    happened = [
        row["last_ns"]
        for flow in flows
        for row in session.rows("happenings.lately", data_flow_number=flow, since_ns=0, limit=1)
    ]
    return Moment(
        number=session.rows("sub_tasks.last_number")[0]["number"],
        ended_ns=0 if ended is None else ended["ended_ns"],
        ended_number=0 if ended is None else ended["number"],
        happened_ns=max(happened, default=0),
    )


def _created(session: Session, flows: Iterable[int], after: int) -> list[int]:
    """The newest, falling."""
    found = [
        number
        for flow in flows
        for (number,) in session.rows(
            "reading.older_of_data_flow",
            data_flow_number=flow,
            after=after,
            before=AFTER_ALL,
            limit=CHANGES_MAX + 1,
        )
    ]
    return sorted(found, reverse=True)[: CHANGES_MAX + 1]


def _ended(session: Session, after: tuple[int, int], newest: tuple[int, int]) -> list[int]:
    """What ended after that, newest first: among the newest of all, for no index begins at a moment that is given."""
    if newest <= after:
        return []
    found = session.rows("reading.last_ended", limit=CHANGES_MAX + 1)
    return [number for ended_ns, number in found if (ended_ns, number) > after]


def _befallen(session: Session, flows: Iterable[int], since_ns: int) -> list[int]:
    return [row["sub_task_number"] for row in _lately(session, flows, since_ns, CHANGES_MAX + 1)]


def _lately(session: Session, flows: Iterable[int], since_ns: int, limit: int) -> list[Row]:
    """The happenings of these dataflows, newest first."""
    found = [
        row
        for flow in flows
        for row in session.rows("happenings.lately", data_flow_number=flow, since_ns=since_ns, limit=limit)
    ]
    return nlargest(limit, found, key=lambda row: (row["last_ns"], row["sub_task_number"]))


def _ids(session: Session, flows: Collection[int], falling: list[int]) -> tuple[str, ...]:
    """Their ids, the oldest first."""
    found = {number: name for number, name, flow in session.rows_in("reading.ids", falling) if flow in flows}
    return tuple(dict.fromkeys(found[number] for number in reversed(falling) if number in found))


def troubles(session: Session, file_systems: Iterable[str], limit: int) -> tuple[Trouble, ...]:
    """What befell sub-tasks lately, newest first."""
    flows = visible(session, file_systems)
    lately = _lately(session, flows, 0, limit)
    numbers = sorted({row["sub_task_number"] for row in lately})
    known = {row["number"]: row for row in session.rows_in("sub_tasks.by_numbers", numbers)}
    return tuple(
        _trouble(row, known[row["sub_task_number"]], flows) for row in lately if row["sub_task_number"] in known
    )


def _trouble(row: Row, sub_task: Row, flows: Mapping[int, DataFlow]) -> Trouble:
    flow = flows[row["data_flow_number"]]
    return Trouble(
        happening=happening(row),
        file_system_id=flow.file_system_id,
        data_flow_id=flow.data_flow_id,
        task_id=identifiers.task_id(sub_task["task_number"]),
        sub_task_id=sub_task["sub_task_id"],
        status=SubTaskStatus(sub_task["status"]),
        source=sub_task["source"],
        target=sub_task["target"],
    )


def happening(row: Row) -> Happening:
    """A happening out of its row."""
    return Happening(
        kind=HappeningKind(row["kind"]),
        at_ns=row["at_ns"],
        last_ns=row["last_ns"],
        times=row["times"],
        attempt=row["attempt"],
        code=row["code"],
        message=row["message"],
        due_ns=row["due_ns"] or None,
    )
