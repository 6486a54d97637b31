"""A dataflow, a task and a sub-task to show, with what a test wants to be different."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace as replace_struct

from penstock.model import (
    Condition,
    ConflictPolicy,
    DataFlow,
    DataFlowStatus,
    FileDetail,
    SubTask,
    SubTaskStatus,
    Task,
    TaskAction,
    TaskCounters,
    TaskStatus,
)

CREATED_NS = 1_700_000_000_123_456_789
DETAIL = FileDetail(modify_time_ns=CREATED_NS, size_bytes=2048, checksum="crc64:12345678901234567890")


def flow(**changes: Any) -> DataFlow:
    """`/bmcpfs/` of a file system and `oss://bucket/data/`."""
    whole: dict[str, Any] = {
        "file_system_id": "bmcpfs-1",
        "data_flow_id": "df-1",
        "file_system_path": "/bmcpfs/",
        "source_storage": "oss://bucket",
        "source_storage_path": "/data/",
        "source_security_type": "None",
        "description": "",
        "status": DataFlowStatus.RUNNING,
        "error_message": "",
        "created_ns": CREATED_NS,
        "updated_ns": CREATED_NS,
    }
    return DataFlow(**(whole | changes))


def task(**changes: Any) -> Task:
    """A stream of exports from `/test/` to `/path/`."""
    whole: dict[str, Any] = {
        "file_system_id": "bmcpfs-1",
        "data_flow_id": "df-1",
        "task_id": "task-1",
        "action": TaskAction.STREAM_EXPORT,
        "data_type": "MetaAndData",
        "conflict_policy": ConflictPolicy.OVERWRITE_EXISTING,
        "directory": "/test/",
        "target_directory": "/path/",
        "create_dir_if_not_exist": False,
        "originator": "User",
        "status": TaskStatus.EXECUTING,
        "error_message": "",
        "created_ns": CREATED_NS,
        "started_ns": CREATED_NS,
        "ended_ns": None,
        "counters": TaskCounters(),
        "source_storage": "oss://bucket",
        "file_system_path": "/bmcpfs/",
    }
    return Task(**(whole | changes))


def sub_task(**changes: Any) -> SubTask:
    """One file of that task, COMPLETE."""
    whole: dict[str, Any] = {
        "file_system_id": "bmcpfs-1",
        "data_flow_id": "df-1",
        "task_id": "task-1",
        "sub_task_id": "subtask-1",
        "source": "/bmcpfs/test/file.xml",
        "target": "/data/path/file.xml",
        "status": SubTaskStatus.COMPLETE,
        "attempt": 1,
        "condition": Condition(),
        "bytes_total": 2048,
        "bytes_done": 2048,
        "actual_bytes": 2048,
        "moving_ns": 1_000_000_000,
        "detail": replace_struct(DETAIL),
        "error_code": "",
        "error_message": "",
        "guarantee": "atomic",
        "note": "",
        "created_ns": CREATED_NS,
        "started_ns": CREATED_NS + 1,
        "ended_ns": CREATED_NS + 2,
        "due_ns": 0,
    }
    return SubTask(**(whole | changes))
