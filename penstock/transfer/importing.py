"""Import of one file: what is refused, what an earlier attempt has finished already, and which lane goes on.

Calls `place`, `objects`, and the two lanes.
"""

from __future__ import annotations

from contextlib import closing

from msgspec.structs import replace

from penstock.errors import FailureCode, TransferError
from penstock.model import FileDetail, Guarantee
from penstock.stores.base import ObjectInfo
from penstock.transfer import crc64, elsewhere, names, objects
from penstock.transfer.attempt import NOT_COMPARED, Attempt
from penstock.transfer.journal import Publishing
from penstock.transfer.landing import give_up, keep, may_keep, wanted
from penstock.transfer.large_import import import_large
from penstock.transfer.mtime import TIME_NOT_KEPT, of_object
from penstock.transfer.ownership import OWNER_NOT_KEPT
from penstock.transfer.place import Fate, Place
from penstock.transfer.policy import Decision, unwitnessed
from penstock.transfer.small_import import import_small
from penstock.transfer.steps import Pause, Steps
from penstock.transfer.transfer import Lane, Outcome
from penstock.transfer.unseen import published_unseen

OVERTAKEN = "another file has taken its target's name since it was to be published"
"""The note of an import of which only that is known."""


def import_file(attempt: Attempt) -> Steps[Outcome]:
    """Move one object to its path. Raises StoreError, TransferError, StoppedError, FencedError."""
    check_import_names(attempt)
    attempt.root.check()
    attempt.check_stop()
    if attempt.transfer.attempt > 1 or attempt.lane is Lane.LARGE or attempt.transfer.rival:
        yield Pause.ASIDE
    with Place(attempt.root, attempt.transfer, attempt.add_note) as place:
        if attempt.transfer.attempt > 1 or attempt.lane is Lane.LARGE:
            earlier = finished_earlier(attempt, place) or finished_elsewhere(attempt, place)
            if earlier is not None:
                return earlier
        objects.check_rival_object(attempt)
        is_there = place.target() is not None
        may_stay = is_there and may_keep(attempt)
        if may_stay or attempt.lane is Lane.LARGE:  # else one GET will tell all
            yield Pause.ASIDE
            info = objects.require(attempt)
            if may_stay and wanted(attempt, place, of_object(info)) is Decision.KEEP:
                objects.check_source_object(attempt, info)
                return _found_or_kept(attempt, place, info)
            if info.size_bytes > attempt.limits.small_file_max_bytes:
                if attempt.lane is Lane.SMALL:
                    return attempt.large(info.size_bytes, place.whereabouts())
                return import_large(attempt, place, info)
        if attempt.transfer.attempt > 1 or attempt.lane is Lane.LARGE:
            give_up(place)  # of attempts that met a larger object
        return (yield from import_small(attempt, place))


def _found_or_kept(attempt: Attempt, place: Place, info: ObjectInfo) -> Outcome:
    """The target stays; what an earlier attempt published is told as moved. Whether it did where the object is another one by now
    nothing tells: the numbers are those of the object, as always when a target is kept, and the note says so."""
    finished = published_unseen(attempt, place)
    if finished is not None:
        return finished
    if attempt.doubt:
        attempt.add_note(attempt.doubt)
    return keep(attempt, place, info)


def check_import_names(attempt: Attempt) -> None:
    """Raises TransferError for names that are refused."""
    transfer = attempt.transfer
    names.check_path(transfer.path, directory_code=FailureCode.TARGET_IS_DIRECTORY)
    names.check_key(transfer.key, length_max_bytes=attempt.store.limits.key_length_max_bytes)
    if transfer.key.endswith("/"):
        raise TransferError(FailureCode.SOURCE_IS_DIRECTORY, f"/{transfer.key} names a directory, not an object")


def finished_earlier(attempt: Attempt, place: Place) -> Outcome | None:
    """The outcome, if an earlier attempt published the file and died before it could say so.

    Its journal promised the publishing, and that came true, whatever has become of the target since. A file that somebody else
    has put there after the promise counts for that, and stays: it may have come after ours. Raises TransferError.
    """
    try:
        recorded = place.read_journal()
        if recorded is None or recorded.publishing is None:
            return None
        fate = place.fate(recorded)
        if fate is Fate.VANISHED:
            _say_vanished(attempt)
        if fate in {Fate.OPEN, Fate.VANISHED}:
            return None
        place.sync()
    except OSError as error:
        raise place.refusal(error) from error
    if fate is Fate.OVERTAKEN:
        attempt.add_note(OVERTAKEN)
        return _published(attempt, recorded.publishing, Guarantee.BEST_EFFORT)  # that ours had the name is only likely
    return _published(attempt, recorded.publishing, unwitnessed(attempt.transfer.conflict_policy))


def finished_elsewhere(attempt: Attempt, place: Place | None) -> Outcome | None:
    """The same of directories that the path has led to before. What was begun there and not published is removed.

    Who had been told at once that it is COMPLETE would have found it there. Raises TransferError, also where it is published
    by now.
    """
    with closing(elsewhere.found(attempt, place)) as others:
        for other in others:
            finished = finished_earlier(attempt, other)
            if finished is not None:
                attempt.add_note(f"it was published as /{other.path}, where its path led to then")
                return replace(finished, note=attempt.note)
            attempt.was_large |= has_journal(other)
            give_up(other)
    return None


def has_journal(place: Place) -> bool:
    """Whether a journal tells what became of the object, which was large when it was looked at last. Raises TransferError."""
    try:
        recorded = place.read_journal()
    except OSError as error:
        raise place.refusal(error) from error
    return recorded is not None and recorded.source is not None


def _say_vanished(attempt: Attempt) -> None:
    """Nobody knows whether somebody has the file already: he may get it twice, or once though it was canceled or has failed."""
    words = "its partial file is gone: an earlier attempt may have published it, and somebody taken it away since"
    attempt.doubt = words
    attempt.add_note(words)


def _published(attempt: Attempt, publishing: Publishing, held: Guarantee) -> Outcome:
    if not publishing.compared:
        attempt.add_note(NOT_COMPARED)
    if not publishing.owner_kept:
        attempt.add_note(OWNER_NOT_KEPT)
    if not publishing.time_kept:
        attempt.add_note(TIME_NOT_KEPT)
    detail = FileDetail(
        modify_time_ns=publishing.modify_ns,
        size_bytes=publishing.size_bytes,
        checksum=crc64.as_text(publishing.crc64),
    )
    return attempt.published_with_journal(detail, held)
