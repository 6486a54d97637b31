"""The conflict policies and the Condition, as pure decisions over what source and target look like."""

from __future__ import annotations

from enum import StrEnum

from penstock.errors import FailureCode, TransferError
from penstock.model import Condition, ConflictPolicy, Guarantee
from penstock.transfer.mtime import ModifyTime
from penstock.transfer.posix import FileState

_ALIKE_NS = 1_000  # JavaScript's numbers cannot hold nanoseconds


class Decision(StrEnum):
    """What to do about the target name."""

    CREATE = "create"  # it is free and must be free at the very moment of publishing
    REPLACE = "replace"  # whatever is there may be replaced
    KEEP = "keep"  # what is there stays: skipped


def decide(policy: ConflictPolicy, source: ModifyTime, target: ModifyTime | None) -> Decision:
    """What `policy` asks; `target` is None when the name is free."""
    if policy is ConflictPolicy.OVERWRITE_EXISTING:
        return Decision.REPLACE
    if target is None:
        return Decision.CREATE
    if policy is ConflictPolicy.KEEP_LATEST and source.is_newer_than(target):
        return Decision.REPLACE
    return Decision.KEEP


def unwitnessed(policy: ConflictPolicy) -> Guarantee:
    """How firmly `policy` held in a publishing of which nothing was written down: no more is said than is known."""
    return Guarantee.ATOMIC if policy is ConflictPolicy.OVERWRITE_EXISTING else Guarantee.BEST_EFFORT


def check_replaceable(target: FileState | None, path: str) -> None:
    """Refuse targets that no file can take the name of. A symbolic link can be replaced, it is never followed.

    Raises TransferError (TargetIsDirectory, TargetNotRegular).
    """
    if target is None or target.is_regular or target.is_symlink:
        return
    if target.is_directory:
        raise TransferError(
            FailureCode.TARGET_IS_DIRECTORY, f"/{path} is a directory: remove it or choose another name"
        )
    raise TransferError(FailureCode.TARGET_NOT_REGULAR, f"/{path} is a device, socket or FIFO: it is not replaced")


def check_condition(condition: Condition, *, modify_ns: int, size_bytes: int) -> None:
    """Raises TransferError (ConditionNotMet) that says what differs."""
    wanted_ns = condition.modify_time_ns
    if wanted_ns is not None and abs(wanted_ns - modify_ns) >= _ALIKE_NS:
        raise TransferError(
            FailureCode.CONDITION_NOT_MET,
            f"the source's modification time is {modify_ns}, Condition.ModifyTime asks for {wanted_ns}",
        )
    if condition.size_bytes is not None and condition.size_bytes != size_bytes:
        raise TransferError(
            FailureCode.CONDITION_NOT_MET,
            f"the source has {size_bytes} bytes, Condition.Size asks for {condition.size_bytes}",
        )
