"""The three operations on tasks: create, describe, cancel. Streams are opened here; batch tasks are judged, then not built.

A stream moves nothing by itself: sub-tasks do.
"""

from __future__ import annotations

import json
from datetime import tzinfo

from penstock.api.answers import Json
from penstock.api.errors import ApiError, invalid_format
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
    required,
    word_of,
)
from penstock.api.paths import CONTROL, check_directory
from penstock.api.times import zone_text
from penstock.catalog.verbs import NewTask, TaskQuery
from penstock.model import STREAM_ACTIONS, ConflictPolicy, Task, TaskAction, TaskStatus

ENTRY_LIST_MAX_BYTES = 64 << 10
ENTRY_MAX_CHARACTERS = 1023
INCLUDES_MAX_CHARACTERS = 3000
DATA_TYPE = "MetaAndData"
_BATCH_ACTIONS = frozenset({TaskAction.IMPORT, TaskAction.EXPORT})


def _entry_list(name: str, text: str) -> str:
    """A JSON array of paths, kept as text. Its size is judged first, as the vendor's table has it."""
    if len(text.encode()) >= ENTRY_LIST_MAX_BYTES:
        raise ApiError("InvalidParameter.SizeTooLarge", f"{name} has to be smaller than 64 KB.")
    return text


def _list_text(name: str, text: str) -> str:
    if len(text) > INCLUDES_MAX_CHARACTERS:
        raise invalid_format(name, f"it has at most {INCLUDES_MAX_CHARACTERS} characters")
    return text


def _data_type(name: str, text: str) -> str:
    if text != DATA_TYPE:
        raise ApiError("InvalidDataType.NotSupported", f"{name} is {DATA_TYPE} for this kind of file system.")
    return text


_TASK_ACTION = required(
    "TaskAction", word_of(TaskAction, code="InvalidTaskAction.NotSupported"), TaskAction.STREAM_IMPORT
)
_CONFLICT_POLICY = required("ConflictPolicy", word_of(ConflictPolicy), ConflictPolicy.SKIP_THE_FILE)
_DATA_TYPE = optional("DataType", _data_type, DATA_TYPE)
_DIRECTORY = optional_directory("Directory")
_DST_DIRECTORY = optional_directory("DstDirectory")
_ENTRY_LIST = optional("EntryList", _entry_list, "")
_INCLUDES = optional("Includes", _list_text, "")
_TRANSFER_FILE_LIST_PATH = optional_directory("TransferFileListPath")
_SRC_TASK_ID = optional("SrcTaskId", identifier, "")
_CREATE_DIR = optional("CreateDirIfNotExist", boolean, default=False)

_MAX_RESULTS = max_results(10)
_WITH_REPORTS = optional("WithReports", boolean, default=True)
_FILTERS = filters(
    {
        "DataFlowIds": ids,
        "TaskIds": ids,
        "TaskId": ids,
        "Originator": words_of(("User", "System")),
        "TaskActions": words_of(TaskAction),
        "DataTypes": words_of(("MetaAndData", "Metadata", "Data")),
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
    """Open a stream. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    action = values[_TASK_ACTION]
    if action in STREAM_ACTIONS:
        file_system_of(desk, values, since=STREAM_SINCE)
        _refuse_batch_parameters(values, action)
    else:
        _check_batch(values, action)
    directory = values[_DIRECTORY] or "/"
    task_id = await desk.catalog.create_task(
        invocation.call(),
        NewTask(
            file_system_id=file_system.file_system_id,
            data_flow_id=values[DATA_FLOW_ID],
            action=action,
            data_type=values[_DATA_TYPE],
            conflict_policy=values[_CONFLICT_POLICY],
            directory=directory,
            target_directory=values[_DST_DIRECTORY] or directory,
            create_dir_if_not_exist=values[_CREATE_DIR],
        ),
    )
    return Reply(fields={"TaskId": task_id})


def _refuse_batch_parameters(values: Values, action: TaskAction) -> None:
    for parameter in (_ENTRY_LIST, _INCLUDES, _TRANSFER_FILE_LIST_PATH, _SRC_TASK_ID):
        if values[parameter]:
            raise ApiError(
                "InvalidTaskAction.NotSupported", f"{parameter.names[0]} is for batch tasks, not for {action}."
            )


def _check_batch(values: Values, action: TaskAction) -> None:
    """Judge a batch task's parameters, then say that there are none yet. Always raises ApiError."""
    if action not in _BATCH_ACTIONS:
        raise ApiError("InvalidTaskAction.NotSupported", f"{action} is not for this kind of file system.")
    given = [p.names[0] for p in (_DIRECTORY, _ENTRY_LIST, _TRANSFER_FILE_LIST_PATH) if values[p]]
    if len(given) > 1:
        raise invalid_format(" and ".join(given), "only one of them may be given")
    if values[_INCLUDES] and not values[_DIRECTORY]:
        raise invalid_format("Includes", "it goes with Directory")
    for entry in _strings("EntryList", values[_ENTRY_LIST]):
        if not entry.startswith("/") or len(entry) > ENTRY_MAX_CHARACTERS or CONTROL.search(entry):
            raise invalid_format(
                "EntryList", f"each entry starts with `/` and has at most {ENTRY_MAX_CHARACTERS} characters"
            )
    for directory in _strings("Includes", values[_INCLUDES]):
        check_directory("Includes", directory)
    raise ApiError("NotImplemented", f"CreateDataFlowTask with TaskAction={action} is not built yet; streams are.")


def _strings(name: str, text: str) -> list[str]:
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        raise invalid_format(name, "it is a JSON array of strings") from None
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise invalid_format(name, "it is a JSON array of strings")
    return found


# -------------------------------------------------------------------------------------------------------------- describe


async def describe_tasks(desk: Desk, invocation: Invocation) -> Reply:
    """One page, newest first. Streams have no reports, so WithReports changes nothing. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    asked = values[_FILTERS]
    task_ids, again = asked.words("TaskIds"), asked.words("TaskId")
    if task_ids is not None and again is not None:
        raise ApiError("InvalidFilterParam", "TaskIds and TaskId are one filter; give it once.")
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
    fields: dict[str, Json] = {"TaskInfo": {"Task": [_fields(task, desk.zone) for task in page.items]}}
    if page.next_token:
        fields["NextToken"] = page.next_token
    return Reply(fields=fields)


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
    if task.started_ns is not None:
        fields["StartTime"] = zone_text(task.started_ns, zone)
    if task.ended_ns is not None:
        fields["EndTime"] = zone_text(task.ended_ns, zone)
    return fields


def _progress(task: Task) -> dict[str, Json]:
    """Done counts what was skipped, Actual does not. RemainTime is seconds for the bytes known to be left, 0 if unknown."""
    counters = task.counters
    speed = counters.actual_bytes * 1_000_000_000 // counters.moving_ns if counters.moving_ns > 0 else 0
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
    """Close a stream that has no live sub-task. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    await desk.catalog.cancel_task(invocation.call(), file_system.file_system_id, values[DATA_FLOW_ID], values[TASK_ID])
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
