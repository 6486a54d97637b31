"""Rows of the ledger as values of the model, and paths as index keys. Pure functions over one row."""

from __future__ import annotations

import hashlib
from dataclasses import fields

from penstock.catalog.database import Row
from penstock.catalog.identifiers import data_flow_id, task_id
from penstock.catalog.verbs import NewDataFlow
from penstock.model import (
    Checksums,
    Comparison,
    Condition,
    ConflictPolicy,
    DataFlow,
    DataFlowStatus,
    FileDetail,
    Report,
    SubTask,
    SubTaskStatus,
    Task,
    TaskAction,
    TaskCounters,
    TaskStatus,
)

PATH_HEAD_CHARACTERS = 120
"""So much of a path stands in the indexes by source and by target as it is."""

_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_AFTER_SURROGATES = 0xE000

_COUNTS = tuple(field.name for field in fields(Comparison))

LINE_BYTES_MAX = 200
_LINE_HEAD_BYTES = 160


def digest(text: str) -> int:
    """64 bits of `text`, as a signed integer: what an index carries instead of a long path."""
    raw = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, "big", signed=True)


def path_digest(path: str) -> int:
    """What tells a path apart from others with the same head, as an index carries it: 0 where the head is the whole path."""
    return digest(path) if len(path) > PATH_HEAD_CHARACTERS else 0


def bounds_of_path(path: str) -> tuple[str, str]:
    """From which index key on, and up to which one, this path stands, with others that have the same head."""
    head = path[:PATH_HEAD_CHARACTERS]
    return head, f"{head}\0"


def bounds_of_beginning(path: str) -> tuple[str, str]:
    """The same of paths that begin so (or, where that is long, whose heads are its head)."""
    if len(path) > PATH_HEAD_CHARACTERS:
        return bounds_of_path(path)
    last = path.rstrip(chr(_LAST_CHARACTER))
    if not last:
        return path, chr(_LAST_CHARACTER) * (PATH_HEAD_CHARACTERS + 1)
    after = ord(last[-1]) + 1
    return path, last[:-1] + chr(_AFTER_SURROGATES if after in _SURROGATES else after)


def line(target_name: str) -> str:
    """The key under which live sub-tasks of one target stand in line: short names as they are, long ones digested."""
    raw = target_name.encode("utf-8", "surrogatepass")
    if len(raw) <= LINE_BYTES_MAX:
        return target_name
    head = raw[:_LINE_HEAD_BYTES].decode("utf-8", "ignore")
    return f"{head}#{hashlib.blake2b(raw, digest_size=16).hexdigest()}"


def data_flow(row: Row) -> DataFlow:
    """A dataflow out of its row."""
    return DataFlow(
        file_system_id=row["file_system_id"],
        data_flow_id=row["data_flow_id"],
        file_system_path=row["file_system_path"],
        source_storage=row["source_storage"],
        source_storage_path=row["source_storage_path"],
        source_security_type=row["source_security_type"],
        description=row["description"],
        status=DataFlowStatus(row["status"]),
        error_message=row["error_message"],
        created_ns=row["created_ns"],
        updated_ns=row["updated_ns"],
        throughput=row["throughput"],
        bandwidth=row["bandwidth"],
        fset_id=row["fset_id"],
    )


def task(
    row: Row, flow: DataFlow, selection: Row | None = None, reports: Row | None = None, compared: Row | None = None
) -> Task:
    """A task out of its row and its dataflow; a batch out of what it was asked, has to report and has compared, too."""
    found = comparison(compared) if compared is not None else None
    return Task(
        file_system_id=flow.file_system_id,
        data_flow_id=flow.data_flow_id,
        task_id=row["task_id"],
        action=TaskAction(row["action"]),
        data_type=row["data_type"],
        conflict_policy=ConflictPolicy(row["conflict_policy"]),
        directory=row["directory"],
        target_directory=row["target_directory"],
        create_dir_if_not_exist=bool(row["create_dir_if_not_exist"]),
        originator=row["originator"],
        status=TaskStatus(row["status"]),
        error_message=row["error_message"],
        created_ns=row["created_ns"],
        started_ns=row["started_ns"] or None,
        ended_ns=row["ended_ns"] or None,
        counters=counters(row),
        source_storage=flow.source_storage,
        file_system_path=flow.file_system_path,
        reports=_reports(reports, found),
        report_path=reports["report_path"] if reports is not None else "",
        entry_list=selection["entry_list"] if selection is not None else "",
        includes=selection["includes"] if selection is not None else "",
        file_list_path=selection["file_list_path"] if selection is not None else "",
        checksums=Checksums(compared["checksums"]) if compared is not None else None,
        comparison=found,
    )


def _reports(row: Row | None, compared: Comparison | None) -> tuple[Report, ...]:
    """Those with any line, once the batch has ended."""
    if row is None or row["place"]:
        return ()
    lines = {Report.SUCCESS: row["success"], Report.SKIPPED: row["skipped"], Report.FAILED: row["failed"]}
    if compared is not None:
        found = compared.differs + compared.only_in_file_system + compared.only_in_bucket
        lines |= {Report.DIFFERENCES: found, Report.SUMMARY: row["listed"] and not row["trouble_code"]}
    return tuple(report for report in Report if lines.get(report))


def comparison(row: Row) -> Comparison:
    """What a Compare task has found."""
    return Comparison(**{name: row[name] for name in _COUNTS})


def counters(row: Row) -> TaskCounters:
    """The counters in a task's row."""
    return TaskCounters(
        accepted=row["accepted"],
        created=row["created"],
        running=row["running"],
        canceling=row["canceling"],
        complete=row["complete"],
        failed=row["failed"],
        canceled=row["canceled"],
        expired=row["expired"],
        moved=row["moved"],
        bytes_total=row["bytes_total"],
        bytes_done=row["bytes_done"],
        actual_bytes=row["actual_bytes"],
        moving_ns=row["moving_ns"],
    )


def sub_task(row: Row, file_system_id: str) -> SubTask:
    """A sub-task out of its row."""
    return SubTask(
        file_system_id=file_system_id,
        data_flow_id=data_flow_id(row["data_flow_number"]),
        task_id=task_id(row["task_number"]),
        sub_task_id=row["sub_task_id"],
        source=row["source"],
        target=row["target"],
        status=SubTaskStatus(row["status"]),
        attempt=row["attempt"],
        condition=Condition(modify_time_ns=row["condition_modify_ns"], size_bytes=row["condition_size"]),
        bytes_total=row["bytes_total"],
        bytes_done=row["bytes_done"],
        actual_bytes=row["actual_bytes"],
        moving_ns=row["moving_ns"],
        detail=detail(row),
        error_code=row["error_code"],
        error_message=row["error_message"],
        guarantee=row["guarantee"],
        note=row["note"],
        created_ns=row["created_ns"],
        started_ns=row["started_ns"] or None,
        ended_ns=row["ended_ns"] or None,
        due_ns=row["due_ns"],
    )


def detail(row: Row) -> FileDetail | None:
    """What the source was, once that is known."""
    if row["detail_modify_ns"] is None:
        return None
    return FileDetail(
        modify_time_ns=row["detail_modify_ns"], size_bytes=row["detail_size"], checksum=row["detail_checksum"]
    )


def new_data_flow(new: NewDataFlow, number: int) -> DataFlow:
    """A dataflow that is about to be, for what its value can say of itself."""
    return DataFlow(
        file_system_id=new.file_system_id,
        data_flow_id=data_flow_id(number),
        file_system_path=new.file_system_path,
        source_storage=new.source_storage,
        source_storage_path=new.source_storage_path,
        source_security_type=new.source_security_type,
        description=new.description,
        status=DataFlowStatus.RUNNING,
        error_message="",
        created_ns=number,
        updated_ns=number,
    )
