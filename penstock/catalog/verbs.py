"""What the catalog's verbs take and give: plain values. The verbs are methods of `penstock.catalog.catalog.Catalog`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

import msgspec

from penstock.catalog.batchwork import NO_SELECTION, Selection
from penstock.model import (
    NO_REFRESH,
    AutoRefresh,
    Condition,
    ConflictPolicy,
    Direction,
    FileDetail,
    SubTaskStatus,
    TaskAction,
)

Item = TypeVar("Item")


class CallMode(StrEnum):
    """Whether a call's effects are kept; DRY_RUN runs every check in the same transaction and keeps only the nonce."""

    COMMIT = "commit"
    DRY_RUN = "dry-run"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks what, for the verbs that change something: nonce and ClientToken live in the change's own transaction.

    `nonce` is empty for calls that carry none (our own process). `client_token` is empty when the caller gave none;
    `fingerprint` is a digest over action and parameters (without token, nonce, signature, DryRun).
    A token seen before by the same key with the same fingerprint answers the first call's result and changes nothing.
    """

    access_key_id: str
    action: str
    nonce: str = ""
    client_token: str = ""
    fingerprint: str = ""
    mode: CallMode = CallMode.COMMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDataFlow:
    """A dataflow to create. `versioned` says what the bucket's versioning was found to be right before (or is waived).

    Limits are MB a second, 0: none.
    """

    file_system_id: str
    file_system_path: str
    source_storage: str
    source_storage_path: str
    source_security_type: str
    description: str
    versioned: bool
    data_flows_max: int = 10
    fset_id: str = ""
    auto_refresh: AutoRefresh = NO_REFRESH
    throughput: int = 0
    bandwidth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be otherwise with a dataflow; None: as it is. Limits are MB a second, 0: none."""

    description: str | None = None
    throughput: int | None = None
    bandwidth: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A stream to open, or a batch task, of which `selection` says what it moves. The dataflow must be Running."""

    file_system_id: str
    data_flow_id: str
    action: TaskAction
    data_type: str
    conflict_policy: ConflictPolicy
    directory: str
    target_directory: str
    create_dir_if_not_exist: bool
    selection: Selection = NO_SELECTION


class NewSubTask(msgspec.Struct, frozen=True, kw_only=True):
    """One file to move. Dataflow must be Running, task streaming and Executing.

    `source`, `target` are full answered paths. `rival` is the other reading of the source as a full path ("" = none).
    `target_name` identifies what is written (file system id + path, or bucket + key): one live sub-task at a time runs on it.
    """

    file_system_id: str
    data_flow_id: str
    task_id: str
    source: str
    target: str
    rival: str
    target_name: str
    condition: Condition


class NewFile(NamedTuple):
    """One of many files to move: as NewSubTask. A tuple, because there are thousands a second."""

    source: str
    target: str
    rival: str
    target_name: str
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubTasks:
    """Files to move on one stream, in this order. Dataflow must be Running, task streaming and Executing.

    `remark` is remembered with the ClientToken and answered again; the catalog does not look inside.
    """

    file_system_id: str
    data_flow_id: str
    task_id: str
    files: Sequence[NewFile]
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of `asked` files: the first `len(sub_task_ids)` are accepted, for the others there was no place."""

    sub_task_ids: Sequence[str]
    asked: int
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFlowQuery:
    """Filters of DescribeDataFlows: sequences are OR within, AND between; `*_part` match substrings; None is no filter."""

    file_system_id: str
    data_flow_ids: Sequence[str] | None = None
    fset_ids: Sequence[str] | None = None
    source_storages: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    file_system_path_part: str | None = None
    source_storage_path_part: str | None = None
    description_part: str | None = None
    throughputs: Sequence[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Filters of DescribeDataFlowTasks; times are half-open ns bounds."""

    file_system_id: str
    data_flow_ids: Sequence[str] | None = None
    task_ids: Sequence[str] | None = None
    originators: Sequence[str] | None = None
    actions: Sequence[str] | None = None
    data_types: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    created_from_ns: int | None = None
    created_until_ns: int | None = None
    started_from_ns: int | None = None
    started_until_ns: int | None = None
    ended_from_ns: int | None = None
    ended_until_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubTaskQuery:
    """Filters of DescribeDataFlowSubTasks; exact matches."""

    file_system_id: str
    data_flow_ids: Sequence[str] | None = None
    task_ids: Sequence[str] | None = None
    sub_task_ids: Sequence[str] | None = None
    statuses: Sequence[SubTaskStatus] | None = None
    sources: Sequence[str] | None = None
    targets: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page, newest first. `next_token` is empty on the last page; a token belongs to the filters it was made for."""

    items: tuple[Item, ...]
    next_token: str


# ----------------------------------------------------------------------------------------------------------- for the engine


class ClaimLane(StrEnum):
    """Which queue a waiting sub-task stands in. The first claim is always SMALL; a mover that finds a large file says so."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What there is room for in one lane.

    `share` is given the ids of tasks with something due in the lane, at most `ready_max` of them (with more, each claim goes on
    behind the last one), and answers how much of which is wanted: (task id, count), in the order of service. It is called in the
    catalog's writer thread, inside the transaction: it is quick, and looks at nothing that other threads change.
    """

    lane: ClaimLane
    ready_max: int
    share: Callable[[Sequence[str]], Sequence[tuple[str, int]]]


class Held(NamedTuple):
    """A sub-task as it is claimed, its fields as those of a SubTask. A tuple, because there are thousands a second."""

    file_system_id: str
    data_flow_id: str
    task_id: str
    sub_task_id: str
    source: str
    target: str
    status: SubTaskStatus
    attempt: int
    condition: Condition
    bytes_total: int
    bytes_done: int
    actual_bytes: int
    moving_ns: int
    detail: FileDetail | None
    error_code: str
    error_message: str
    created_ns: int
    started_ns: int | None
    ended_ns: int | None


class Claimed(NamedTuple):
    """One claimed sub-task with all that a Transfer is made of. `status` is RUNNING, CANCELING (withdraw) or final (tidy)."""

    sub_task: Held
    lane: ClaimLane
    action: TaskAction
    conflict_policy: ConflictPolicy
    file_system_path: str
    source_storage: str
    rival: str
    checkpoint: str  # JSON of transfer.Checkpoint, "" when there is none: the catalog does not look inside
    tidy: bool
    failures: int  # attempts that have ended in RETRY (or a mover's death while begun), for attempts_max
    begun: bool  # an attempt has left helper files, or ended without a word on it, or may have been forgotten by a power cut
    canceled_ns: int  # when its cancel was asked for; 0: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a demand has brought: its ready tasks, and for each (task id, count) of its shares what was claimed of it."""

    lane: ClaimLane
    ready: Sequence[str]
    shares: Sequence[tuple[str, int]]
    claimed: Sequence[Sequence[Claimed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """One claim's grants, in the order of its demands, and when something is due next that is not due yet (None: nothing)."""

    grants: Sequence[Grant]
    next_due_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressUpdate:
    """Progress of a running attempt; fenced by attempt, not synced."""

    sub_task_id: str
    attempt: int
    bytes_total: int
    bytes_done: int
    actual_bytes: int
    moving_ns: int
    detail: FileDetail


class Settling(StrEnum):
    """What becomes of a claimed sub-task."""

    COMPLETE = "complete"  # RUNNING|CANCELING -> COMPLETE (publishing won the race)
    FAILED = "failed"  # RUNNING -> FAILED
    CANCELED = "canceled"  # CANCELING -> CANCELED
    ABANDONED = "abandoned"  # CANCELING -> FAILED: not withdrawn in time; the reason says what may be left
    RETRY = "retry"  # stays RUNNING (or CANCELING), claimable again from `due_ns`; failures + 1; the reason is shown as ErrorMsg
    WAITING = "waiting"  # as RETRY, but for a trouble that is not the file's: costs nothing
    RETURNED = "returned"  # stays as it is, claimable at once; costs nothing
    LARGE = "large"  # as RETURNED, but stands in the LARGE lane from now on
    TIDIED = "tidied"  # a final row whose journal is gone


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one attempt as the catalog keeps it; counts only where `attempt` is still the row's. `begun` as in Claimed.

    A Struct, because there are thousands a second and a frozen dataclass takes ten times as long to make.
    """

    sub_task_id: str
    attempt: int
    settling: Settling
    due_ns: int = 0
    skipped: bool = False
    tidy: bool = False
    error_code: str = ""
    error_message: str = ""
    bytes_total: int = 0
    bytes_done: int = 0
    actual_bytes: int = 0
    moving_ns: int = 0
    detail: FileDetail | None = None
    guarantee: str = ""
    note: str = ""
    checkpoint: str = ""
    begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a CANCELING sub-task is not withdrawn yet, while this attempt is at it."""

    sub_task_id: str
    attempt: int
    error_code: str
    error_message: str


class Room(NamedTuple):
    """Where files of one direction have to find room: a file system's id for IMPORT, a bucket's name for EXPORT."""

    direction: Direction
    name: str


class Health(StrEnum):
    """What the keeper found when it looked at a dataflow's bucket."""

    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"  # for good reasons only: no such bucket, no such tag; never a time-out
