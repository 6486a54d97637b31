"""Withdrawal: leave nothing behind, or find that the file was published already.

Also TIDY, and the same after a failure that is final. Calls `place`, `unseen`, `uploads` and the store.
"""

from __future__ import annotations

from contextlib import ExitStack, closing

from msgspec.structs import replace

from penstock.errors import BucketNotFoundError, FailureCode, StoreUnavailableError, TransferError
from penstock.model import Direction
from penstock.stores.base import ObjectInfo
from penstock.transfer import elsewhere, names, overtaking, soundness, standing, uploads, versioned
from penstock.transfer.attempt import Attempt
from penstock.transfer.exporting import check_export_names
from penstock.transfer.importing import check_import_names, finished_earlier, finished_elsewhere, has_journal
from penstock.transfer.landing import give_up, remove_helpers
from penstock.transfer.place import Place
from penstock.transfer.soundness import Soundness
from penstock.transfer.transfer import Outcome, Verdict
from penstock.transfer.unseen import published_unseen

_BARRED = frozenset({FailureCode.TARGET_NOT_DIRECTORY, FailureCode.OUTSIDE_FILE_SYSTEM})
"""Something else has a directory's name: if anything was begun, that directory may lie elsewhere, with our helper files."""
_PUBLISHED = "it had been published all the same"
_OWN_MAX = 64
"""So many damaged versions of our own are removed at a time."""


def withdraw(attempt: Attempt) -> Outcome:
    """CANCELED with nothing left behind, or COMPLETE. Raises StoreError, TransferError (the reason why not yet), FencedError.

    `tidy` asks to look there once more: what was begun went away together with its directory. `message` says what nothing tells
    of an earlier attempt, for whoever is to be FAILED.
    """
    attempt.begin_withdrawal()
    if _was_refused(attempt):
        return attempt.outcome(Verdict.CANCELED)
    if attempt.transfer.direction is Direction.IMPORT:
        return _withdraw_local(attempt)
    finished = None if attempt.left_nothing else _withdraw_remote(attempt)
    return finished or replace(attempt.outcome(Verdict.CANCELED), message=attempt.doubt)


def end_failed(attempt: Attempt, error: TransferError) -> Outcome:
    """As `withdraw`, after a failure that is final: an earlier attempt may have published the file, and died before it said so.

    Of an object that is known to be damaged, and cannot be removed, the failure itself tells.
    """
    if error.code is not FailureCode.BAD_OBJECT_LEFT:
        return withdraw(attempt)
    return replace(attempt.outcome(Verdict.CANCELED), tidy=leave_nothing(attempt))


def tidy(attempt: Attempt) -> Outcome:
    """The outcome is settled: remove what was kept for recovery only. Raises as `withdraw`, also while it may come back.

    An export leaves something only where it is FAILED, and its bucket was away: `message` says if it is, or may be, published.
    """
    if attempt.transfer.direction is Direction.EXPORT:
        return _tidy_remote(attempt)
    if leave_nothing(attempt):
        raise _gone_along(attempt)
    return attempt.outcome(Verdict.TIDIED)


def _tidy_remote(attempt: Attempt) -> Outcome:
    attempt.begin_withdrawal()
    finished = None if _was_refused(attempt) or attempt.left_nothing else _withdraw_remote(attempt)
    words = attempt.doubt
    if finished is not None:
        is_sure = overtaking.OVERTAKEN not in finished.note
        words = _PUBLISHED if is_sure else f"it may have been published all the same: {overtaking.OVERTAKEN}"
    return replace(attempt.outcome(Verdict.TIDIED), message=words)


def leave_nothing(attempt: Attempt) -> bool:
    """Remove partial file and journal, or the unfinished upload; never anything published. Raises as `withdraw`.

    True where they may be back later, with the directory that is missing now.
    """
    attempt.begin_withdrawal()
    if _was_refused(attempt):
        return False
    if attempt.transfer.direction is Direction.EXPORT:
        _clear_upload(attempt)
        return False
    with ExitStack() as held:
        place, trouble = _opened(attempt, held)
        with closing(elsewhere.found(attempt, place)) as others:
            for other in others:
                remove_helpers(other)
        if place is not None:
            remove_helpers(place)
        return _may_come_back(attempt, place, trouble)


def _was_refused(attempt: Attempt) -> bool:
    """Refused names were never begun."""
    check = check_import_names if attempt.transfer.direction is Direction.IMPORT else check_export_names
    try:
        check(attempt)
    except TransferError:
        return True
    return False


def _withdraw_local(attempt: Attempt) -> Outcome:
    """COMPLETE, if the file was published before the withdrawal."""
    with ExitStack() as held:
        place, trouble = _opened(attempt, held)
        finished = _finished(attempt, place)
        if finished is not None:
            return elsewhere.told(attempt, finished)
        may_come_back = _may_come_back(attempt, place, trouble)
    message = "; ".join(filter(None, (attempt.doubt, elsewhere.doubt(attempt))))
    kept = attempt.record if may_come_back else None
    return replace(attempt.outcome(Verdict.CANCELED), tidy=may_come_back, message=message, checkpoint=kept)


def _finished(attempt: Attempt, place: Place | None) -> Outcome | None:
    """The outcome, if an earlier attempt has published it; else what was begun is removed."""
    finished = None if place is None else finished_earlier(attempt, place)
    finished = finished or finished_elsewhere(attempt, place)
    if finished is not None or place is None:
        return finished
    is_seen = attempt.was_large or has_journal(place)
    give_up(place)
    return None if is_seen else published_unseen(attempt, place)


def _opened(attempt: Attempt, held: ExitStack) -> tuple[Place | None, TransferError | None]:
    """The directory, as long as it is held, or why it cannot be had. Raises TransferError where the file system is away, unless
    nothing was begun: then nobody waits for it."""
    try:
        attempt.root.check()
        return held.enter_context(Place(attempt.root, attempt.transfer, attempt.add_note)), None
    except TransferError as error:
        if attempt.may_have_begun and error.code not in elsewhere.LEADS_NOWHERE:
            raise
        return None, error


def _may_come_back(attempt: Attempt, place: Place | None, trouble: TransferError | None) -> bool:
    """Whether what was begun may be back one day, with the directory that it is in, after what could be found was removed.

    A directory that is missing (`Place` takes that for empty, but for the dataflow's own) was never made, or is removed with all
    that was in it, or was moved away, which nobody can tell; one that has its name now is another one. Nobody waits for either.
    Raises TransferError where something else has the name: that can be put right, and nobody knows what lies in what was there.
    """
    if not attempt.may_have_begun or (elsewhere.is_told(attempt) and not attempt.lost):
        return False
    if trouble is None or trouble.code not in _BARRED:
        return bool(attempt.lost) or attempt.may_be_elsewhere or place is None or not place.is_there
    words = (
        f"{trouble}; what was begun may lie in the directory that was there: put it back, or remove"
        f" {names.helper_files(attempt.transfer.sub_task_id)} from it, and then what is in its place"
    )
    raise TransferError(trouble.code, words, waiting_helps=True) from trouble


def _gone_along(attempt: Attempt) -> TransferError:
    """As code one that waits longer and longer."""
    then = "may be another one than then, which" if attempt.may_be_elsewhere else "of then is missing, and"
    words = f"/{attempt.transfer.path}: the directory {then} may come back with helper files in it"
    return TransferError(FailureCode.FILE_SYSTEM_UNAVAILABLE, words, waiting_helps=True)


def _withdraw_remote(attempt: Attempt) -> Outcome | None:
    """As `_remove_remote`; says so where the store did not answer in time, for that is all that is known then."""
    try:
        return _remove_remote(attempt)
    except StoreUnavailableError as error:
        if attempt.is_out_of_patience:
            raise _unanswered(attempt) from error
        raise


def _unanswered(attempt: Attempt) -> TransferError:
    """The store was not waited for just now: to wait for it again is the engine's, which says meanwhile why."""
    words = (
        f"bucket {attempt.store.bucket} has not answered: what became of {attempt.transfer.key!r} there, and whether something"
        " is left to be removed, will be known once it does"
    )
    return TransferError(FailureCode.STORE_UNAVAILABLE, words, waiting_helps=True)


def _remove_remote(attempt: Attempt) -> Outcome | None:
    """The outcome, if the object was published before the withdrawal, whatever has become of the key since."""
    try:
        record = attempt.checkpoint
        if record is not None and overtaking.is_gone(
            attempt, record
        ):  # the record stays, for whoever has to look again
            overtaken = overtaking.after(attempt, record)
            if overtaken is not None:
                return overtaken
        else:
            uploads.abandon(attempt)  # first, so that nothing can be completed after the look
    except BucketNotFoundError:
        attempt.checkpoint = None
    for _ in range(_OWN_MAX):
        try:
            info = standing.published_earlier(attempt)
        except BucketNotFoundError:
            return None
        if info is None:
            return None
        found = soundness.of(attempt, info)
        if found.evidence is not None:
            return standing.vouched(attempt, info, found.evidence)
        if found.soundness is Soundness.UNTOLD:
            raise soundness.doubt(attempt, info)
        _remove_damaged(attempt, info)  # beneath it may be one more, of another try
    raise _damaged(attempt, attempt.transfer.key)


def _remove_damaged(attempt: Attempt, info: ObjectInfo) -> None:
    """Raises TransferError (BadObjectLeft) where deleting our object might hit another one that has just replaced it."""
    uploads.disown(attempt)  # whoever replaces that one has not replaced the file
    uploads.forget(attempt)
    if not standing.can_delete_exactly(info):
        raise _damaged(attempt, info.key)
    versioned.remove(attempt, info.version_id)


def _damaged(attempt: Attempt, key: str) -> TransferError:
    return TransferError(
        FailureCode.BAD_OBJECT_LEFT,
        f"the object {key!r} in bucket {attempt.store.bucket} is damaged: remove it",
        waiting_helps=True,
    )


def _clear_upload(attempt: Attempt) -> None:
    try:
        uploads.abandon(attempt)
    except BucketNotFoundError:
        attempt.checkpoint = None  # with the bucket everything in it is gone
