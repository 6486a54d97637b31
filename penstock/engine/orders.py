"""From a claimed row to what a mover is told: an `Order` with its Transfer, or a `Refusal` with the reason.

Pure: looks at the row and at the registry's snapshot, touches neither a store nor a file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from penstock.catalog.verbs import Claimed, ClaimLane
from penstock.engine.checkpoints import read
from penstock.engine.messages import Lane
from penstock.engine.options import RetryOptions, to_ns
from penstock.errors import FailureCode
from penstock.model import (
    FINAL_SUB_TASK_STATUSES,
    Direction,
    FileDetail,
    Registry,
    SubTaskStatus,
    TaskAction,
)
from penstock.transfer.transfer import Intent, Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something did not work: a code and words a person can act on."""

    code: FailureCode
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """The last known numbers of a sub-task, kept where an attempt's end tells none."""

    bytes_total: int = 0
    bytes_done: int = 0
    actual_bytes: int = 0
    moving_ns: int = 0
    detail: FileDetail | None = None


NOTHING = Amounts()
"""What most rows show when they are claimed."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to hand to a mover, and what its end has to be judged by. A Struct, as what is made for each file.

    `farewell` is the reason why the file was given up: this attempt only sees to it that nothing is left behind, then the
    sub-task is FAILED for that reason. `suspect` was under way when a mover died, so it runs alone.
    """

    transfer: Transfer
    claim_lane: ClaimLane
    lane: Lane
    data_flow_id: str
    failures: int
    canceling: bool
    suspect: bool
    farewell: Reason | None
    amounts: Amounts
    ended_ns: int | None  # when it became final, for tidying
    canceled_ns: int  # when its cancel was asked for, as this attempt was claimed; 0: not yet
    told: str = ""  # what the row of a FAILED one says, for tidying

    @property
    def ways(self) -> tuple[str, str, str]:
        """From where to where, as metrics name it: direction, bucket, file system."""
        transfer = self.transfer
        return (transfer.direction.value, transfer.bucket, transfer.file_system_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A claimed row that no mover can work on now. `farewell` is why it was given up before, if it was: that is not forgotten."""

    claimed: Claimed
    reason: Reason
    farewell: Reason | None = None


MEANWHILE = "; what it left behind waits to be removed: "
"""Between the reason why a file was given up and the reason why it is not cleaned up yet."""

_IMPORTS = frozenset({TaskAction.IMPORT, TaskAction.STREAM_IMPORT})


def order_of(claimed: Claimed, registry: Registry, options: RetryOptions, *, now_ns: int) -> Order | Refusal:
    """What to do with a claimed row now."""
    row = claimed.sub_task
    direction = direction_of(claimed)
    unregistered = _unregistered(claimed, registry)
    farewell = _farewell(claimed, options)
    if farewell is None and unregistered is not None and _overdue(claimed, options, now_ns):
        farewell = unregistered
    if unregistered is not None and not _can_clean_up(claimed, direction, unregistered, farewell):
        return Refusal(claimed=claimed, reason=unregistered, farewell=_farewell(claimed, options))
    try:
        checkpoint = read(claimed.checkpoint)
    except ValueError as error:
        words = f"the record of the unfinished upload does not read: {error}"
        return Refusal(claimed=claimed, reason=Reason(code=FailureCode.INTERNAL, message=words))
    source, target = row.source.removeprefix("/"), row.target.removeprefix("/")
    intent = _intent(claimed, farewell)
    transfer = Transfer(
        sub_task_id=row.sub_task_id,
        task_id=row.task_id,
        attempt=row.attempt,
        intent=intent,
        direction=direction,
        file_system_id=row.file_system_id,
        bucket=bucket_name(claimed.source_storage),
        path=target if direction is Direction.IMPORT else source,
        base=claimed.file_system_path.strip("/"),
        key=source if direction is Direction.IMPORT else target,
        rival=claimed.rival.removeprefix("/"),
        conflict_policy=claimed.conflict_policy,
        condition=row.condition,
        checkpoint=checkpoint,
        first_attempt_ns=row.started_ns or now_ns,
        accepted_ns=row.created_ns,
        begun=claimed.begun,
        data_flow_id=row.data_flow_id,
    )
    return Order(
        transfer=transfer,
        claim_lane=claimed.lane,
        lane=_lane(intent, claimed.lane),
        data_flow_id=row.data_flow_id,
        failures=claimed.failures,
        canceling=row.status is SubTaskStatus.CANCELING,
        suspect=row.error_code == FailureCode.MOVER_DIED and claimed.failures > 0,
        farewell=farewell,
        amounts=amounts_of(claimed),
        ended_ns=row.ended_ns,
        canceled_ns=claimed.canceled_ns,
        told=row.error_message if row.status is SubTaskStatus.FAILED else "",
    )


def direction_of(claimed: Claimed) -> Direction:
    """Which way it goes."""
    return Direction.IMPORT if claimed.action in _IMPORTS else Direction.EXPORT


@lru_cache(maxsize=1024)  # asked for every file, and a file system has few dataflows
def bucket_name(source_storage: str) -> str:
    """The registered bucket's name, out of `oss://[uid:]name`."""
    return source_storage.split("://", 1)[-1].rsplit(":", 1)[-1]


def amounts_of(claimed: Claimed) -> Amounts:
    """The numbers that the row shows now."""
    row = claimed.sub_task
    if row.attempt == 1 and row.detail is None:
        return NOTHING
    return Amounts(
        bytes_total=row.bytes_total,
        bytes_done=row.bytes_done,
        actual_bytes=row.actual_bytes,
        moving_ns=row.moving_ns,
        detail=row.detail,
    )


def _unregistered(claimed: Claimed, registry: Registry) -> Reason | None:
    file_system_id = claimed.sub_task.file_system_id
    if file_system_id not in registry.file_systems:
        words = f"file system {file_system_id} is not registered (any more); `penstock filesystem add` registers it"
        return Reason(code=FailureCode.FILE_SYSTEM_UNAVAILABLE, message=words)
    name = bucket_name(claimed.source_storage)
    scheme = claimed.source_storage.split("://", 1)[0]
    bucket = registry.buckets.get(name)
    if bucket is None or bucket.scheme != scheme:
        words = f"bucket {scheme}://{name} is not registered (any more); `penstock bucket add` registers it"
        return Reason(code=FailureCode.BUCKET_NOT_REGISTERED, message=words)
    return None


def _can_clean_up(claimed: Claimed, direction: Direction, reason: Reason, farewell: Reason | None) -> bool:
    """Whether all that is left to do needs no bucket: to remove an import's helper files, or nothing, as of an export that has
    never sent anything."""
    ending = claimed.sub_task.status is not SubTaskStatus.RUNNING or farewell is not None
    needs_bucket = direction is Direction.EXPORT and (claimed.begun or claimed.checkpoint != "")
    return ending and not needs_bucket and reason.code is FailureCode.BUCKET_NOT_REGISTERED


def _overdue(claimed: Claimed, options: RetryOptions, now_ns: int) -> bool:
    row = claimed.sub_task
    waited_ns = now_ns - (row.started_ns or now_ns)
    return row.status is SubTaskStatus.RUNNING and waited_ns > to_ns(options.deadline_s)


def _farewell(claimed: Claimed, options: RetryOptions) -> Reason | None:
    """The reason why a running file was given up already; the row itself remembers it, also through a crash."""
    row = claimed.sub_task
    if row.status is not SubTaskStatus.RUNNING or not row.error_code:
        return None
    if claimed.failures < options.attempts_max and row.error_code != FailureCode.DEADLINE_EXCEEDED:
        return None
    code = FailureCode(row.error_code) if row.error_code in set(FailureCode) else FailureCode.INTERNAL
    return Reason(code=code, message=row.error_message.partition(MEANWHILE)[0])


def _intent(claimed: Claimed, farewell: Reason | None) -> Intent:
    if claimed.sub_task.status in FINAL_SUB_TASK_STATUSES:
        return Intent.TIDY
    if claimed.sub_task.status is SubTaskStatus.CANCELING or farewell is not None:
        return Intent.WITHDRAW
    return Intent.MOVE


def _lane(intent: Intent, lane: ClaimLane) -> Lane:
    if intent is not Intent.MOVE:
        return Lane.SWEEP
    return Lane.LARGE if lane is ClaimLane.LARGE else Lane.SMALL
