"""The three operations on tasks: create, describe, cancel.

A stream moves nothing by itself: sub-tasks do. A batch lists its files; what it may be asked to move is judged in `selections`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

from penstock.api import kinds
from penstock.api.answers import Json
from penstock.api.errors import ApiError, missing
from penstock.api.filters import filters, ids, minute, words_of
from penstock.api.operation import (
    DATA_FLOW_SINCE,
    STREAM_SINCE,
    Desk,
    Effect,
    Invocation,
    Operation,
    Reply,
    file_system_of,
)
from penstock.api.operations import selections
from penstock.api.options import Fidelity
from penstock.api.parameters import (
    CLIENT_TOKEN,
    DATA_FLOW_ID,
    DRY_RUN,
    FILE_SYSTEM_ID,
    NEXT_TOKEN,
    TASK_ID,
    Values,
    boolean,
    identifier,
    max_results,
    optional,
    optional_directory,
    word_of,
)
from penstock.api.times import zone_text
from penstock.catalog.batchwork import Selection
from penstock.catalog.reports import told
from penstock.catalog.verbs import DataFlowQuery, NewTask, TaskQuery
from penstock.errors import DependencyViolationError
from penstock.model import STREAM_ACTIONS, Checksums, ConflictPolicy, Task, TaskAction, TaskStatus

_DATA_TYPES = (kinds.DATA_TYPE, "Metadata", "Data")
_EXPORTS = frozenset({TaskAction.EXPORT, TaskAction.STREAM_EXPORT})
_BATCH_ACTIONS = frozenset({TaskAction.IMPORT, TaskAction.EXPORT, TaskAction.COMPARE})


def _data_type(name: str, text: str) -> str:
    if text not in _DATA_TYPES:
        raise ApiError("InvalidDataType.NotSupported", f"{name} is one of {', '.join(_DATA_TYPES)}.")
    return text


_TASK_ACTION = optional("TaskAction", word_of(TaskAction, code="InvalidTaskAction.NotSupported"), None)
_CONFLICT_POLICY = optional("ConflictPolicy", word_of(ConflictPolicy), None)
_DATA_TYPE = optional("DataType", _data_type, kinds.DATA_TYPE)
_DIRECTORY = optional_directory("Directory")
_DST_DIRECTORY = optional_directory("DstDirectory")
_ENTRY_LIST = optional("EntryList", selections.entry_list, "")
_INCLUDES = optional("Includes", selections.includes, "")
_TRANSFER_FILE_LIST_PATH = optional_directory("TransferFileListPath")
_SRC_TASK_ID = optional("SrcTaskId", identifier, "")
_CREATE_DIR = optional("CreateDirIfNotExist", boolean, default=False)

_CHECKSUMS = optional("CompareChecksum", word_of(Checksums), None)

_MAX_RESULTS = max_results(10)
_WITH_REPORTS = optional("WithReports", boolean, default=True)
_FILTERS = filters(
    {
        "DataFlowIds": ids,
        "TaskIds": ids,
        "TaskId": ids,
        "Originator": words_of(("User", "System")),
        "TaskActions": words_of(TaskAction),
        "DataTypes": words_of(_DATA_TYPES),
        "Status": words_of(TaskStatus),
        "CreateTimeBegin": minute,
        "CreateTimeEnd": minute,
        "StartTimeBegin": minute,
        "StartTimeEnd": minute,
        "EndTimeBegin": minute,
        "EndTimeEnd": minute,
    },
    max_count=12,
)


# ---------------------------------------------------------------------------------------------------------------- create


async def create_task(desk: Desk, invocation: Invocation) -> Reply:
    """Open a stream, or queue a batch. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    asked = values[_TASK_ACTION]
    if asked in STREAM_ACTIONS or values[_CREATE_DIR]:
        file_system_of(desk, values, since=STREAM_SINCE)
    kinds.check_task(desk, file_system, asked, values[_DATA_TYPE])
    if asked in STREAM_ACTIONS:
        _refuse_batch_parameters(values, asked)
    elif asked is not None and asked not in _BATCH_ACTIONS:
        raise ApiError("InvalidTaskAction.NotSupported", f"{asked} is not for this kind of file system.")
    policy = kinds.conflict_policy(file_system, values[_CONFLICT_POLICY])
    source = await selections.source_task(
        desk.catalog, file_system.file_system_id, values[DATA_FLOW_ID], values[_SRC_TASK_ID]
    )
    action = asked or (source.action if source is not None else None)
    if action is None:
        raise missing("TaskAction")
    _refuse_comparison(desk, values, action)
    if action in _EXPORTS:
        await _require_exports(desk, file_system.file_system_id, values[DATA_FLOW_ID])
    chosen = _chosen(values, action, source)
    selection = chosen.selection
    if action is TaskAction.COMPARE:
        copied = source.checksums if source is not None else None
        selection = replace(selection, checksums=values[_CHECKSUMS] or copied or Checksums.NONE)
    task_id = await desk.catalog.create_task(
        invocation.call(),
        NewTask(
            file_system_id=file_system.file_system_id,
            data_flow_id=values[DATA_FLOW_ID],
            action=action,
            data_type=values[_DATA_TYPE],
            conflict_policy=policy,
            directory=chosen.directory,
            target_directory=chosen.target_directory,
            create_dir_if_not_exist=values[_CREATE_DIR],
            selection=selection,
        ),
    )
    return Reply(fields={"TaskId": task_id})


async def _require_exports(desk: Desk, file_system_id: str, data_flow_id: str) -> None:
    """Raises ApiError InvalidTaskAction.PermissionDenied where the dataflow's bucket takes no exports; CatalogError."""
    query = DataFlowQuery(file_system_id=file_system_id, data_flow_ids=(data_flow_id,))
    page = await desk.catalog.data_flows(query, next_token="", limit=1)
    bucket = desk.registry().buckets.get(page.items[0].bucket) if page.items else None
    if bucket is not None and not bucket.exports:
        raise ApiError(
            "InvalidTaskAction.PermissionDenied", f"The bucket {bucket.name} is registered with exports = false."
        )


def _refuse_batch_parameters(values: Values, action: TaskAction) -> None:
    for parameter in (_ENTRY_LIST, _INCLUDES, _TRANSFER_FILE_LIST_PATH, _SRC_TASK_ID):
        if values[parameter]:
            raise ApiError(
                "InvalidTaskAction.NotSupported", f"{parameter.names[0]} is for batch tasks, not for {action}."
            )


def _refuse_comparison(desk: Desk, values: Values, action: TaskAction) -> None:
    """A Compare is ours, and has no list of files; no other task has its parameter. Raises ApiError."""
    if action is TaskAction.COMPARE:
        if desk.options.fidelity is Fidelity.STRICT:
            raise ApiError("InvalidTaskAction.NotSupported", "Compare is an extension (fidelity = strict).")
        if values[_TRANSFER_FILE_LIST_PATH]:
            words = "TransferFileListPath is for Import and Export; Compare takes Directory, Includes or EntryList."
            raise ApiError("InvalidTaskAction.NotSupported", words)
    elif values[_CHECKSUMS] is not None:
        raise ApiError("InvalidTaskAction.NotSupported", "CompareChecksum is for TaskAction Compare.")


def _chosen(values: Values, action: TaskAction, source: Task | None) -> selections.Chosen:
    """What is to be moved, and to where. Raises ApiError."""
    chosen = selections.chosen(
        directory=values[_DIRECTORY],
        target_directory=values[_DST_DIRECTORY],
        selection=Selection(
            entry_list=values[_ENTRY_LIST],
            includes=values[_INCLUDES],
            file_list_path=values[_TRANSFER_FILE_LIST_PATH] or "",
        ),
    )
    return chosen if source is None else selections.copied(chosen, source, action)


# -------------------------------------------------------------------------------------------------------------- describe


async def describe_tasks(desk: Desk, invocation: Invocation) -> Reply:
    """One page, newest first, with links to the reports of batches that have ended. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    asked = values[_FILTERS]
    task_ids, again = asked.words("TaskIds"), asked.words("TaskId")
    if task_ids is not None and again is not None:
        raise ApiError("InvalidFilterParam", "TaskIds and TaskId are one filter; give it once.")
    if desk.options.fidelity is Fidelity.STRICT and asked.words("DataFlowIds"):
        await _require_one(desk, file_system.file_system_id, asked.words("DataFlowIds"))
    page = await desk.catalog.tasks(
        TaskQuery(
            file_system_id=file_system.file_system_id,
            data_flow_ids=asked.words("DataFlowIds"),
            task_ids=task_ids if task_ids is not None else again,
            originators=asked.words("Originator"),
            actions=asked.words("TaskActions"),
            data_types=asked.words("DataTypes"),
            statuses=asked.words("Status"),
            created_from_ns=asked.time_ns("CreateTimeBegin"),
            created_until_ns=asked.time_ns("CreateTimeEnd"),
            started_from_ns=asked.time_ns("StartTimeBegin"),
            started_until_ns=asked.time_ns("StartTimeEnd"),
            ended_from_ns=asked.time_ns("EndTimeBegin"),
            ended_until_ns=asked.time_ns("EndTimeEnd"),
        ),
        next_token=values[NEXT_TOKEN],
        limit=values[_MAX_RESULTS],
    )
    found: list[Json] = []
    for task in page.items:
        task_fields = _fields(task, desk.zone)
        if values[_WITH_REPORTS] and task.reports:
            task_fields["Reports"] = {"Report": await _reports(desk, invocation.host, task)}
        found.append(task_fields)
    fields: dict[str, Json] = {"TaskInfo": {"Task": found}}
    if page.next_token:
        fields["NextToken"] = page.next_token
    return Reply(fields=fields)


async def _require_one(desk: Desk, file_system_id: str, data_flow_ids: tuple[str, ...] | None) -> None:
    """Raises ApiError InvalidDataFlow.NotFound where there is none of these dataflows; CatalogError."""
    query = DataFlowQuery(file_system_id=file_system_id, data_flow_ids=data_flow_ids)
    if not (await desk.catalog.data_flows(query, next_token="", limit=1)).items:
        raise ApiError("InvalidDataFlow.NotFound", "There is no such dataflow (fidelity = strict).")


def _fields(task: Task, zone: tzinfo) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "FilesystemId": task.file_system_id,  # the vendor's spelling, here only
        "DataFlowId": task.data_flow_id,
        "TaskId": task.task_id,
        "SourceStorage": task.source_storage,
        "FileSystemPath": task.file_system_path,
        "FsPath": task.file_system_path,
        "Originator": task.originator,
        "TaskAction": task.action.value,
        "DataType": task.data_type,
        "ConflictPolicy": task.conflict_policy.value,
        "Directory": task.directory,
        "DstDirectory": task.target_directory,
        "Status": task.status.value,
        "Progress": task.counters.complete,
        "ProgressStats": _progress(task),
        "ErrorMsg": task.error_message,
        "CreateTime": zone_text(task.created_ns, zone),
    }
    if task.action in _BATCH_ACTIONS:
        fields |= _of_batch(task)
    if task.started_ns is not None:
        fields["StartTime"] = zone_text(task.started_ns, zone)
    if task.ended_ns is not None:
        fields["EndTime"] = zone_text(task.ended_ns, zone)
    return fields


async def _reports(desk: Desk, host: str, task: Task) -> list[Json]:
    links = [(report, await desk.downloads.link(host, task.task_id, report)) for report in task.reports]
    return [{"Name": report.value, "Path": link} for report, link in links]


def _of_batch(task: Task) -> dict[str, Json]:
    """What only batches have; texts as they were given."""
    given = {
        "EntryList": task.entry_list,
        "Includes": task.includes,
        "TransferFileListPath": task.file_list_path,
        "ReportPath": task.report_path,
        "CompareChecksum": task.checksums.value if task.checksums is not None else "",
    }
    fields: dict[str, Json] = {name: value for name, value in given.items() if value}
    if task.comparison is not None:
        fields["CompareStats"] = dict(told(task.comparison))
    return fields


def _elapsed_ns(task: Task) -> int:
    return (task.ended_ns or task.seen_ns) - task.started_ns if task.started_ns is not None else 0


def _progress(task: Task) -> dict[str, Json]:
    """Done counts what was skipped, Actual does not. RemainTime is seconds for the bytes known to be left, 0 if unknown."""
    counters = task.counters
    # Files of a batch move at the same time, and what is asked is when all of it is there: it counts by the clock.
    moving_ns = counters.moving_ns if task.action in STREAM_ACTIONS else _elapsed_ns(task)
    speed = counters.actual_bytes * 1_000_000_000 // moving_ns if moving_ns > 0 else 0
    live = counters.created + counters.running + counters.canceling
    left_bytes = max(0, counters.bytes_total - counters.bytes_done)
    return {
        "FilesTotal": counters.accepted,
        "FilesDone": counters.complete,
        "ActualFiles": counters.moved,
        "BytesTotal": counters.bytes_total,
        "BytesDone": counters.bytes_done,
        "ActualBytes": counters.actual_bytes,
        "AverageSpeed": speed,
        "RemainTime": -(-left_bytes // speed) if live and speed else 0,
    }


# ---------------------------------------------------------------------------------------------------------------- cancel


async def cancel_task(desk: Desk, invocation: Invocation) -> Reply:
    """Close a stream that has no live sub-task, or end a batch. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    try:
        await desk.catalog.cancel_task(
            invocation.call(), file_system.file_system_id, values[DATA_FLOW_ID], values[TASK_ID]
        )
    except DependencyViolationError as error:
        if not kinds.is_general_purpose(file_system.file_system_id):
            raise
        # Of the two documented refusals each flavour has its own.
        raise ApiError("InvalidStatus.ResourceMismatch", str(error)) from error
    return Reply(fields={})


OPERATIONS = (
    Operation(
        name="CreateDataFlowTask",
        answers_id="TaskId",
        effect=Effect.WRITE,
        parameters=(
            FILE_SYSTEM_ID,
            DATA_FLOW_ID,
            _TASK_ACTION,
            _CONFLICT_POLICY,
            _DATA_TYPE,
            _DIRECTORY,
            _DST_DIRECTORY,
            _ENTRY_LIST,
            _INCLUDES,
            _TRANSFER_FILE_LIST_PATH,
            _SRC_TASK_ID,
            _CREATE_DIR,
            _CHECKSUMS,
            DRY_RUN,
            CLIENT_TOKEN,
        ),
        run=create_task,
    ),
    Operation(
        name="DescribeDataFlowTasks",
        effect=Effect.READ,
        parameters=(FILE_SYSTEM_ID, _FILTERS, _WITH_REPORTS, _MAX_RESULTS, NEXT_TOKEN),
        run=describe_tasks,
    ),
    Operation(
        name="CancelDataFlowTask",
        effect=Effect.WRITE,
        parameters=(FILE_SYSTEM_ID, DATA_FLOW_ID, TASK_ID, DRY_RUN, CLIENT_TOKEN),
        run=cancel_task,
    ),
)
