"""The three operations on sub-tasks: create, describe, cancel. The first is the path that has to be quick.

Creating one looks at words, ids, rights and states only: neither store nor file system is asked.
"""

from __future__ import annotations

from datetime import tzinfo

from penstock.api import paths
from penstock.api.answers import Json
from penstock.api.filters import exact_text, filters, ids, words_of
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
from penstock.api.options import Fidelity
from penstock.api.parameters import (
    CLIENT_TOKEN,
    DATA_FLOW_ID,
    DRY_RUN,
    FILE_SYSTEM_ID,
    INT64_MAX,
    NEXT_TOKEN,
    Parameter,
    identifier,
    integer,
    max_results,
    only_as,
    optional,
    required,
    required_file_path,
)
from penstock.api.route import Route
from penstock.api.times import zone_text
from penstock.catalog.verbs import NewSubTask, SubTaskQuery
from penstock.model import Condition, SubTask, SubTaskStatus

PATH_BASE_MARK = (("x-penstock-path-base", "dataflow"),)
"""The header of an answer whose path could have been read in another way."""

DATA_FLOW_TASK_ID = required("DataFlowTaskId", identifier, "")
_TASK_ID_TO_CANCEL = required("DataFlowTaskId", identifier, "", missing_code="MissingTaskId")
SUB_TASK_ID = required("DataFlowSubTaskId", identifier, "")
_SRC_FILE_PATH = required_file_path("SrcFilePath")
_DST_FILE_PATH = required_file_path("DstFilePath")
modify_time_ns = integer(-INT64_MAX - 1, INT64_MAX)
size_bytes = integer(0, INT64_MAX)
_MODIFY_TIME: Parameter[int | None] = optional("Condition.ModifyTime", modify_time_ns, None)
_SIZE: Parameter[int | None] = only_as(
    ("Condition.ModifyTime", "Condition.Size"), optional("Condition.Size", size_bytes, None)
)

_MAX_RESULTS = max_results(20)
_FILTERS = filters(
    {
        "DataFlowIds": ids,
        "DataFlowTaskIds": ids,
        "DataFlowSubTaskIds": ids,
        "Status": words_of(SubTaskStatus),
        "SrcFilePath": exact_text(paths.PATH_MAX_CHARACTERS),
        "DstFilePath": exact_text(paths.PATH_MAX_CHARACTERS),
    },
    max_count=10,
)


# ---------------------------------------------------------------------------------------------------------------- create


async def create_sub_task(desk: Desk, invocation: Invocation) -> Reply:
    """Accept one file to move. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=STREAM_SINCE)
    file_system_id, data_flow_id, task_id = file_system.file_system_id, values[DATA_FLOW_ID], values[DATA_FLOW_TASK_ID]
    stream = await desk.streams.find(file_system_id, data_flow_id, task_id)
    route = Route(stream, file_system_id=file_system_id, base=desk.options.subtask_path_base)
    way = route.way(values[_SRC_FILE_PATH], values[_DST_FILE_PATH])
    sub_task_id = await desk.catalog.create_sub_task(
        invocation.call(),
        NewSubTask(
            file_system_id=file_system_id,
            data_flow_id=data_flow_id,
            task_id=task_id,
            source=way.source,
            target=way.target,
            rival=way.rival,
            target_name=way.target_name,
            condition=Condition(modify_time_ns=values[_MODIFY_TIME], size_bytes=values[_SIZE]),
        ),
    )
    return Reply(fields={"DataFlowSubTaskId": sub_task_id}, headers=PATH_BASE_MARK if way.marked else ())


# -------------------------------------------------------------------------------------------------------------- describe


async def describe_sub_tasks(desk: Desk, invocation: Invocation) -> Reply:
    """One page, newest first. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=STREAM_SINCE)
    asked = values[_FILTERS]
    statuses = asked.words("Status")
    page = await desk.catalog.sub_tasks(
        SubTaskQuery(
            file_system_id=file_system.file_system_id,
            data_flow_ids=asked.words("DataFlowIds"),
            task_ids=asked.words("DataFlowTaskIds"),
            sub_task_ids=asked.words("DataFlowSubTaskIds"),
            statuses=None if statuses is None else tuple(map(SubTaskStatus, statuses)),
            sources=asked.words("SrcFilePath"),
            targets=asked.words("DstFilePath"),
        ),
        next_token=values[NEXT_TOKEN],
        limit=values[_MAX_RESULTS],
    )
    is_strict = desk.options.fidelity is Fidelity.STRICT
    listed: list[Json] = [
        fields_of(sub_task, desk.zone) if is_strict else fields_of(sub_task, desk.zone) | record_of(sub_task)
        for sub_task in page.items
    ]
    fields: dict[str, Json] = {"DataFlowSubTask": {"DataFlowSubTask": listed}}
    if page.next_token:
        fields["NextToken"] = page.next_token
    return Reply(fields=fields)


def fields_of(sub_task: SubTask, zone: tzinfo) -> dict[str, Json]:
    """What the vendor tells of a sub-task."""
    fields: dict[str, Json] = {
        "FileSystemId": sub_task.file_system_id,
        "DataFlowId": sub_task.data_flow_id,
        "DataFlowTaskId": sub_task.task_id,
        "DataFlowSubTaskId": sub_task.sub_task_id,
        "SrcFilePath": sub_task.source,
        "DstFilePath": sub_task.target,
        "Status": sub_task.status.value,
        "Progress": sub_task.progress,
        "ProgressStats": {
            "BytesTotal": sub_task.bytes_total,
            "BytesDone": sub_task.bytes_done,
            "ActualBytes": sub_task.actual_bytes,
            "AverageSpeed": sub_task.average_speed,
        },
        "ErrorMsg": f"{sub_task.error_code}: {sub_task.error_message}" if sub_task.error_code else "",
        "CreateTime": zone_text(sub_task.created_ns, zone),
    }
    detail = sub_task.detail
    if detail is not None:
        described: dict[str, Json] = {"ModifyTime": detail.modify_time_ns, "Size": detail.size_bytes}
        if detail.checksum:
            described["Checksum"] = detail.checksum
        fields["FileDetail"] = described
    if sub_task.started_ns is not None:
        fields["StartTime"] = zone_text(sub_task.started_ns, zone)
    if sub_task.ended_ns is not None:
        fields["EndTime"] = zone_text(sub_task.ended_ns, zone)
    return fields


def record_of(sub_task: SubTask) -> dict[str, Json]:
    """What the vendor does not tell: how the file was compared, how firmly the conflict policy held.

    Empty before COMPLETE, and if CANCELED unless the note says that somebody may have got the file all the same, or what may be
    left of it where.
    """
    is_doubtful = sub_task.status is SubTaskStatus.CANCELED and bool(sub_task.note)
    if sub_task.status is not SubTaskStatus.COMPLETE and not is_doubtful:
        return {}
    verification = sub_task.verification
    told: dict[str, Json] = {
        "Guarantee": sub_task.guarantee,
        "Verification": "" if verification is None else verification.value,
        "Note": sub_task.remarks,
    }
    return {"Record": told}


# ---------------------------------------------------------------------------------------------------------------- cancel


async def cancel_sub_task(desk: Desk, invocation: Invocation) -> Reply:
    """Stop one file, in every state of its dataflow and task. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    await desk.catalog.cancel_sub_task(
        invocation.call(),
        file_system.file_system_id,
        values[DATA_FLOW_ID],
        values[_TASK_ID_TO_CANCEL],
        values[SUB_TASK_ID],
    )
    return Reply(fields={})


OPERATIONS = (
    Operation(
        name="CreateDataFlowSubTask",
        answers_id="DataFlowSubTaskId",
        effect=Effect.WRITE,
        parameters=(
            FILE_SYSTEM_ID,
            DATA_FLOW_ID,
            DATA_FLOW_TASK_ID,
            _SRC_FILE_PATH,
            _DST_FILE_PATH,
            _MODIFY_TIME,
            _SIZE,
            DRY_RUN,
            CLIENT_TOKEN,
        ),
        run=create_sub_task,
    ),
    Operation(
        name="DescribeDataFlowSubTasks",
        effect=Effect.READ,
        parameters=(FILE_SYSTEM_ID, _FILTERS, _MAX_RESULTS, NEXT_TOKEN),
        run=describe_sub_tasks,
        aliases=("DescribeDataFlowSubTask",),
    ),
    Operation(
        name="CancelDataFlowSubTask",
        effect=Effect.WRITE,
        parameters=(FILE_SYSTEM_ID, DATA_FLOW_ID, _TASK_ID_TO_CANCEL, SUB_TASK_ID, DRY_RUN, CLIENT_TOKEN),
        run=cancel_sub_task,
    ),
)
