"""An import whose object is archived: the store is asked to restore it where the bucket says so, and the engine waits.

Calls the store. What is asked for once more while it is under way does no harm, so each attempt asks.
"""

from __future__ import annotations

from penstock.errors import FailureCode, StoreError, TransferError
from penstock.model import Direction
from penstock.transfer.attempt import Attempt
from penstock.transfer.refusals import from_store

LOOK_AGAIN_S = 60.0
"""No storage class is restored more quickly."""


def is_restorable(attempt: Attempt, error: TransferError) -> bool:
    """Whether this failure is one that restoring mends, and may."""
    is_import = attempt.transfer.direction is Direction.IMPORT
    return is_import and error.code is FailureCode.SOURCE_ARCHIVED and attempt.store.options.restore_days > 0


def asked_back(attempt: Attempt) -> TransferError:
    """Have the object restored; returns why it is not there yet."""
    store, key = attempt.stoppable, attempt.transfer.key
    try:
        attempt.persist(lambda: store.restore(key), check=attempt.check_cancel)
    except StoreError as error:
        refusal = from_store(error)
        words = f"the object is archived, and could not be restored: {refusal}"
        return TransferError(
            refusal.code, words, waiting_helps=refusal.waiting_helps, retry_after_s=refusal.retry_after_s
        )
    return TransferError(
        FailureCode.SOURCE_ARCHIVED,
        f"the object {key!r} is archived and is being restored, which takes minutes to days by its storage class;"
        " it goes on by itself",
        waiting_helps=True,
        retry_after_s=LOOK_AGAIN_S,
    )
