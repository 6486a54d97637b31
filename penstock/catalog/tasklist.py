"""The list of tasks as people are shown it: of all file systems that they may see, along the indexes by dataflow. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product

from penstock.catalog import identifiers, listing
from penstock.catalog.glance import visible
from penstock.catalog.pages import Branch, Walk, fill
from penstock.catalog.session import Session
from penstock.catalog.views import BrowseTasks, TaskListed, TaskSheet
from penstock.model import DataFlow


def sheet(session: Session, query: BrowseTasks, cursor: str, limit: int, rows_max: int) -> TaskSheet:
    """A page of tasks. InvalidNextTokenError."""
    flows = {
        number: flow
        for number, flow in visible(session, query.file_systems).items()
        if query.data_flow_ids is None or flow.data_flow_id in query.data_flow_ids
    }
    load = partial(_load, session, query, flows)
    page = fill(Walk(branches=_branches(session, query, flows), limit=limit, rows_max=rows_max), cursor, query, load)
    return TaskSheet(items=page.items, older=page.next_token)


def _branches(session: Session, query: BrowseTasks, flows: Mapping[int, DataFlow]) -> list[Branch]:
    if query.task_ids is not None:
        falling = sorted(set(map(identifiers.task_number, query.task_ids)), reverse=True)
        return [lambda before, limit: [number for number in falling if number < before][:limit]]
    if query.statuses is not None:
        return [
            partial(_numbers, session, "tasks.page_by_status", {"data_flow_number": flow, "status": str(status)})
            for flow, status in product(flows, dict.fromkeys(query.statuses))
        ]
    return [partial(_numbers, session, "tasks.page_of_data_flow", {"data_flow_number": flow}) for flow in flows]


def _numbers(session: Session, statement: str, key: Mapping[str, int | str], before: int, limit: int) -> list[int]:
    return [row["number"] for row in session.rows(statement, before=before, limit=limit, **key)]


def _load(
    session: Session, query: BrowseTasks, flows: Mapping[int, DataFlow], numbers: Sequence[int]
) -> dict[int, TaskListed]:
    wanted = [
        row
        for row in session.rows_in("tasks.by_numbers", numbers)
        if row["data_flow_number"] in flows
        and (query.task_ids is None or row["task_id"] in query.task_ids)
        and (query.statuses is None or row["status"] in query.statuses)
    ]
    tasks = listing.tasks_of(session, wanted, flows)
    return {row["number"]: TaskListed(task=tasks[row["number"]], flow=flows[row["data_flow_number"]]) for row in wanted}
