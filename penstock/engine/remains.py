"""What a FAILED sub-task says of what it has left behind, as long as that could not be removed. Pure.

The sentence of such a row ends with what is named here, after `LEFT`: by that it is known again when it is tidied, and that end
is cut off as soon as it is true no more. So there is no moment at which the row and what is left could say different things
for longer than one attempt: the removal comes first, and may be done twice.
"""

from __future__ import annotations

from datetime import UTC, datetime

from penstock.engine.options import NS_PER_S
from penstock.engine.orders import Order, Reason
from penstock.model import Direction
from penstock.transfer import names
from penstock.transfer.transfer import Checkpoint, Transfer

LEFT = "; what may be left behind: "
_UNSEEN = "; whether it had been published was not to be seen"


def named(reason: Reason, trouble: str, transfer: Transfer, record: Checkpoint | None, *, until_ns: int) -> Reason:
    """The reason of a FAILED sub-task that could not be cleaned up, with all that may be left of it, by name.

    `trouble` says why; an import is looked for until `until_ns`, an export (`record` is of its upload) until its bucket answers.
    """
    if transfer.direction is Direction.IMPORT:
        return Reason(
            code=reason.code, message=f"{reason.message}{_UNSEEN}{LEFT}{_of_import(transfer, trouble, until_ns)}"
        )
    return Reason(code=reason.code, message=f"{reason.message}{LEFT}{_of_export(transfer, trouble, record)}")


def without(told: str, found: str = "") -> str:
    """What a row's sentence is once nothing is left any more, and `found` is known; empty where it does not change."""
    reason, mark, _ = told.partition(LEFT)
    if not mark:
        return ""
    return f"{reason}; {found}" if found else reason


def are_named(order: Order) -> bool:
    """Whether what is to be tidied is left of a FAILED sub-task, which names it."""
    return LEFT in order.told


def are_kept(told: str, direction: Direction) -> bool:
    """Whether they are looked for until they are removed, however long that takes: what an export has left costs money."""
    return direction is Direction.EXPORT and LEFT in told


def _of_import(transfer: Transfer, trouble: str, until_ns: int) -> str:
    until = datetime.fromtimestamp(until_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"{names.helper_files(transfer.sub_task_id)} in what was the directory of /{transfer.path}{trouble}; until {until} they"
        " are looked for, and removed once that can be done; should they be there later, remove them"
    )


def _of_export(transfer: Transfer, trouble: str, record: Checkpoint | None) -> str:
    if record is None or not record.intent_ns:
        what = f"an object {transfer.key!r} in bucket {transfer.bucket}, if it was published"
    elif record.upload_id:
        what = f"the upload {record.upload_id} of {record.key!r} in bucket {transfer.bucket}"
    else:
        what = (
            f"an upload of {record.key!r} in bucket {transfer.bucket} without an id that is known here, if it was begun"
        )
    if record is not None and record.intent_ns and record.promises:
        what += ", or the object, if it was published"
    return f"{what}{trouble}; it is looked for until it can be removed, or is seen to be published"
