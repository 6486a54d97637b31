"""The lists of the API: which index answers which filters, and what the other filters then leave out.

A list always goes by visible dataflows (there are few of them), so a deleted one's history is never met. Reads only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from penstock.catalog import identifiers, refreshing, rows
from penstock.catalog.database import Row
from penstock.catalog.pages import Branch, Walk, fill
from penstock.catalog.session import Session
from penstock.catalog.verbs import DataFlowQuery, Page, SubTaskQuery, TaskQuery
from penstock.model import NO_REFRESH, STREAM_ACTIONS, DataFlow, SubTask, SubTaskStatus, Task


def data_flows(session: Session, query: DataFlowQuery, next_token: str, limit: int) -> Page[DataFlow]:
    """A page of a file system's dataflows. There are few, so all are read and filtered here."""
    refreshes = refreshing.of_file_system(session, query.file_system_id)
    wanted = {
        row["number"]: replace(rows.data_flow(row), auto_refresh=refreshes.get(row["number"], NO_REFRESH))
        for row in session.rows("data_flows.of_file_system", file_system_id=query.file_system_id)
        if _is_wanted(rows.data_flow(row), query)
    }
    walk = Walk(branches=[_given(wanted)], limit=limit, rows_max=len(wanted) + 1)
    return fill(walk, next_token, query, lambda numbers: {number: wanted[number] for number in numbers})


def _is_wanted(flow: DataFlow, query: DataFlowQuery) -> bool:
    return (
        _one_of(flow.data_flow_id, query.data_flow_ids)
        and (query.fset_ids is None or flow.fset_id in query.fset_ids)
        and _one_of(flow.source_storage, query.source_storages)
        and _one_of(flow.status, query.statuses)
        and (query.throughputs is None or flow.throughput in query.throughputs)
        and (query.file_system_path_part or "") in flow.file_system_path
        and (query.source_storage_path_part or "") in flow.source_storage_path
        and (query.description_part or "") in flow.description
    )


def _one_of(value: str, wanted: Sequence[str] | None) -> bool:
    return wanted is None or value in wanted


def _given(numbers: Iterable[int]) -> Branch:
    """A branch over numbers that are known already."""
    falling = sorted(set(numbers), reverse=True)
    return lambda before, limit: [number for number in falling if number < before][:limit]


def _indexed(session: Session, statement: str, **key: str | int) -> Branch:
    """A branch along an index."""

    def branch(before: int, limit: int) -> list[int]:
        return [row["number"] for row in session.rows(statement, before=before, limit=limit, **key)]

    return branch


def _visible(session: Session, file_system_id: str, wanted: Sequence[str] | None) -> dict[int, DataFlow]:
    """The visible dataflows among `wanted` (None: all), by number."""
    answered = session.rows("data_flows.of_file_system", file_system_id=file_system_id)
    return {row["number"]: rows.data_flow(row) for row in answered if _one_of(row["data_flow_id"], wanted)}


def tasks(session: Session, query: TaskQuery, next_token: str, limit: int, rows_max: int) -> Page[Task]:
    """A page of a file system's tasks."""
    flows = _visible(session, query.file_system_id, query.data_flow_ids)
    branches: list[Branch]
    if query.task_ids is not None:
        branches = [_given(map(identifiers.task_number, query.task_ids))]
    elif query.statuses is not None:
        branches = [
            _indexed(session, "tasks.page_by_status", data_flow_number=flow, status=status)
            for flow, status in product(flows, _each_once(query.statuses))
        ]
    else:
        branches = [_indexed(session, "tasks.page_of_data_flow", data_flow_number=flow) for flow in flows]
    wanted = partial(_task_is_wanted, query)
    load = partial(_load_tasks, session, flows, wanted)
    return fill(Walk(branches=branches, limit=limit, rows_max=rows_max), next_token, query, load)


def _load_tasks(
    session: Session, flows: dict[int, DataFlow], wanted: Callable[[Row], bool], numbers: Sequence[int]
) -> dict[int, Task]:
    found = [
        row for row in session.rows_in("tasks.by_numbers", numbers) if row["data_flow_number"] in flows and wanted(row)
    ]
    return tasks_of(session, found, flows)


def tasks_of(session: Session, found: Sequence[Row], flows: Mapping[int, DataFlow]) -> dict[int, Task]:
    """Tasks out of their rows by number; batches with what they were asked to move, and their reports."""
    batches = [row["number"] for row in found if row["action"] not in STREAM_ACTIONS]
    selections = _by_task(session, "batches.selections", batches)
    reports = _by_task(session, "batches.reports", batches)
    compared = _by_task(session, "comparisons.of_tasks", batches)
    return {
        row["number"]: replace(
            rows.task(
                row,
                flows[row["data_flow_number"]],
                selections.get(row["number"]),
                reports.get(row["number"]),
                compared.get(row["number"]),
            ),
            seen_ns=session.now_ns,
        )
        for row in found
    }


def _by_task(session: Session, statement: str, numbers: Sequence[int]) -> dict[int, Row]:
    return {row["task_number"]: row for row in session.rows_in(statement, numbers)}


def _task_is_wanted(query: TaskQuery, row: Row) -> bool:
    return (
        _one_of(row["task_id"], query.task_ids)
        and _one_of(row["originator"], query.originators)
        and _one_of(row["action"], query.actions)
        and _one_of(row["data_type"], query.data_types)
        and _one_of(row["status"], query.statuses)
        and _is_within(row["created_ns"], query.created_from_ns, query.created_until_ns)
        and _is_within(row["started_ns"], query.started_from_ns, query.started_until_ns)
        and _is_within(row["ended_ns"], query.ended_from_ns, query.ended_until_ns)
    )


def _is_within(time_ns: int, from_ns: int | None, until_ns: int | None) -> bool:
    """Half open; what has not happened yet lies within no bounds."""
    if from_ns is None and until_ns is None:
        return True
    return time_ns > 0 and (from_ns is None or time_ns >= from_ns) and (until_ns is None or time_ns < until_ns)


def sub_tasks(session: Session, query: SubTaskQuery, next_token: str, limit: int, rows_max: int) -> Page[SubTask]:
    """A page of a file system's sub-tasks, along the narrowest index that the filters allow."""
    flows = _visible(session, query.file_system_id, query.data_flow_ids)
    walk = Walk(branches=_sub_task_branches(session, query, flows), limit=limit, rows_max=rows_max)
    return fill(walk, next_token, query, partial(_load_sub_tasks, session, query, flows))


def _sub_task_branches(session: Session, query: SubTaskQuery, flows: Iterable[int]) -> list[Branch]:
    statuses = _each_once(SubTaskStatus if query.statuses is None else query.statuses)
    if query.sub_task_ids is not None:
        return [_given(map(identifiers.sub_task_number, query.sub_task_ids))]
    if query.sources is not None:
        return _by_path(session, "sub_tasks.page_by_source", flows, query.sources)
    if query.targets is not None:
        return _by_path(session, "sub_tasks.page_by_target", flows, query.targets)
    if query.task_ids is not None:
        task_numbers = sorted(set(map(identifiers.task_number, query.task_ids)))
        return [
            _indexed(session, "sub_tasks.page_of_task", task_number=task, status=status)
            for task, status in product(task_numbers, statuses)
        ]
    if query.statuses is not None:
        return [
            _indexed(session, "sub_tasks.page_by_status", data_flow_number=flow, status=status)
            for flow, status in product(flows, statuses)
        ]
    return [_indexed(session, "sub_tasks.page_of_data_flow", data_flow_number=flow) for flow in flows]


def _by_path(session: Session, statement: str, flows: Iterable[int], paths: Sequence[str]) -> list[Branch]:
    return [
        _indexed(session, statement, data_flow_number=flow, path=path, digest=rows.path_digest(path))
        for flow, path in product(flows, _each_once(paths))
    ]


def _each_once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values))


def _load_sub_tasks(
    session: Session, query: SubTaskQuery, flows: dict[int, DataFlow], numbers: Sequence[int]
) -> dict[int, SubTask]:
    return {
        row["number"]: rows.sub_task(row, query.file_system_id)
        for row in session.rows_in("sub_tasks.by_numbers", numbers)
        if row["data_flow_number"] in flows and _sub_task_is_wanted(query, row)
    }


def _sub_task_is_wanted(query: SubTaskQuery, row: Row) -> bool:
    return (
        _one_of(row["sub_task_id"], query.sub_task_ids)
        and _one_of(row["status"], query.statuses)
        and _one_of(row["source"], query.sources)
        and _one_of(row["target"], query.targets)
        and (query.task_ids is None or identifiers.task_id(row["task_number"]) in query.task_ids)
    )
