"""What the model's ledger holds: dataflows, streams, files, and what a ClientToken stands for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from penstock.catalog.verbs import ClaimLane, NewDataFlow, NewFile, NewTask
from penstock.model import (
    LIVE_SUB_TASK_STATUSES,
    FileDetail,
    SubTaskStatus,
)


@dataclass(slots=True, kw_only=True)
class Flow:
    """A dataflow."""

    flow_id: str
    new: NewDataFlow
    created_ns: int
    updated_ns: int
    status: str = ""
    description: str = ""
    error: str = ""
    stopped_ns: int = 0  # so long it was not Running, up to `since_ns`
    since_ns: int = 0  # not Running since then; 0 while it is

    @property
    def bucket(self) -> str:
        return self.new.source_storage.rpartition("/")[2]


@dataclass(slots=True, kw_only=True)
class Stream:
    """A task. `gone` counts its sub-tasks that were removed."""

    task_id: str
    flow_id: str
    new: NewTask
    created_ns: int
    status: str = ""
    ended_ns: int | None = None
    gone: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, kw_only=True)
class File:
    """A sub-task."""

    sub_task_id: str
    task_id: str
    flow_id: str
    new: NewFile
    created_ns: int
    stopped_before_ns: int
    status: str = ""
    attempt: int = 0
    owner: str = ""
    failures: int = 0
    due_ns: int = 0
    lane: ClaimLane = ClaimLane.SMALL
    again: bool = False  # it stands before what is new
    tidy: bool = False
    begun: bool = False
    canceled_ns: int = 0
    in_doubt: bool = False  # a power cut may have forgotten a claim of it
    skipped: bool = False
    bytes_total: int = 0
    bytes_done: int = 0
    actual_bytes: int = 0
    moving_ns: int = 0
    progress_attempt: int = 0
    detail: FileDetail | None = None
    error_code: str = ""
    error_message: str = ""
    guarantee: str = ""
    note: str = ""
    checkpoint: str = ""
    started_ns: int | None = None
    ended_ns: int | None = None

    @property
    def is_live(self) -> bool:
        return self.status in LIVE_SUB_TASK_STATUSES

    @property
    def is_started(self) -> bool:
        return self.status in {SubTaskStatus.RUNNING, SubTaskStatus.CANCELING}


@dataclass(slots=True, kw_only=True)
class Token:
    """What a ClientToken stands for, and when it was brought; `latest_ns` if the clock had gone back by then."""

    fingerprint: str
    result: tuple[str, ...]
    brought_ns: int
    latest_ns: int


def counted(file: File) -> Counter[str]:
    """What one sub-task adds to its task's counters."""
    added: Counter[str] = Counter({"accepted": 1, file.status.lower(): 1, "bytes_total": file.bytes_total})
    if file.status == SubTaskStatus.COMPLETE:
        added["moved"] = int(not file.skipped)
        for name in ("bytes_done", "actual_bytes", "moving_ns"):
            added[name] = getattr(file, name)
    return added
