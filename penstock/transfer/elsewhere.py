"""Helper files of an import that were begun in a directory which its path leads to no longer.

A link on the way was turned since, or the directory was moved and another one made in its place. Its path of then is tried, and
which directory it is; calls `place`. Searches for nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack

from msgspec.structs import replace

from penstock.errors import FailureCode, TransferError
from penstock.transfer import names
from penstock.transfer.attempt import Attempt
from penstock.transfer.place import Place
from penstock.transfer.transfer import Intent, Outcome, Whereabouts

LEADS_NOWHERE = frozenset(
    {FailureCode.TARGET_NOT_DIRECTORY, FailureCode.OUTSIDE_FILE_SYSTEM, FailureCode.BASE_NOT_FOUND}
)
"""What says of a path that no directory of this root has it."""

_EXCHANGED_NS = 3_600_000_000_000
"""A directory that has been there for so long is there to stay."""


def found(attempt: Attempt, place: Place | None) -> Generator[Place, None, None]:
    """The recorded directories but `place`, each open while the caller does there what is to be done.

    Those that are not at their path any more are `attempt.lost` then; where none was recorded, `attempt.may_be_elsewhere` says
    whether it looks as if there was another one. Raises TransferError.
    """
    lost: list[Whereabouts] = []
    for there in _recorded(attempt):
        if place is not None and _is_at(place, there):
            continue
        with ExitStack() as held:
            other = _opened(attempt, there, held)
            if other is None:
                lost.append(there)
            else:
                yield other
    attempt.lost = tuple(lost)
    attempt.may_be_elsewhere = place is not None and _may_be_elsewhere(attempt, place)


def is_told(attempt: Attempt) -> bool:
    """Whether each directory is known in which anything of this import may have been begun."""
    return attempt.record is not None


def told(attempt: Attempt, outcome: Outcome) -> Outcome:
    """A last outcome that keeps what the tidying after it has to know, and says what may be left where."""
    if attempt.may_be_elsewhere:  # its file is where it should be: no alarm for what may as well be nothing
        return replace(outcome, tidy=True)
    if attempt.record is None or not attempt.record.begun_in:  # nearly all
        return outcome
    words = doubt(attempt)
    if not (outcome.tidy or words):
        return outcome
    note = "; ".join(filter(None, (outcome.note, words)))
    return replace(outcome, tidy=True, note=note, checkpoint=attempt.record)


def doubt(attempt: Attempt) -> str:
    """What may be left where; empty where nothing is lost."""
    parent = attempt.transfer.path.rpartition("/")[0]
    if attempt.may_be_elsewhere:
        partial = names.partial_name(attempt.transfer.sub_task_id).decode()
        return (
            f"an attempt that ended without a word may have begun it elsewhere, for /{parent} is newer, or a link on the way:"
            f" {partial} may be left in what it led to before; if that is back before the new one is an hour old, or within a day"
            " where it is a link, it is removed"
        )
    if not attempt.lost:
        return ""
    then = dict.fromkeys(_shown(one.path) for one in attempt.lost if one.path)
    then.pop(parent, None)
    was = f" (/{' and /'.join(then)} then)" if then else ""
    return (
        f"/{parent} leads to another directory by now, or to none: {names.helper_files(attempt.transfer.sub_task_id)} may be left"
        f" in what it led to before{was}; if that is back within a day they are removed"
    )


def _shown(path: bytes) -> str:
    return "" if path == b"." else path.decode("utf-8", "backslashreplace")


def _may_be_elsewhere(attempt: Attempt, place: Place) -> bool:
    """Small files are recorded nowhere: a helper file of theirs is left only by a mover that was killed within that instant.

    Nothing tells a directory that this mover had made, as in each new tree, from one that somebody has made in another's place.
    """
    if is_told(attempt) or not attempt.transfer.begun or not place.is_there:
        return False
    began_ns = attempt.transfer.first_attempt_ns
    try:
        if place.has_helpers():
            return False
        return _is_new(attempt, place.birth_ns, began_ns) or place.is_turned_since(began_ns)
    except OSError as error:
        raise place.refusal(error) from error


def _is_new(attempt: Attempt, birth_ns: int, began_ns: int) -> bool:
    """Whether the directory is newer than the first attempt, and whoever has made it may be about to put back what was there."""
    if birth_ns <= began_ns:
        return False
    return attempt.transfer.intent is not Intent.TIDY or attempt.now_ns() - birth_ns < _EXCHANGED_NS


def _recorded(attempt: Attempt) -> tuple[Whereabouts, ...]:
    return attempt.record.begun_in if attempt.record is not None and attempt.may_have_begun else ()


def _opened(attempt: Attempt, there: Whereabouts, held: ExitStack) -> Place | None:
    """The directory, if its path of then leads to it; a move does without one that may not be opened any more, which is looked
    for again when it is tidied."""
    if not there.path:
        return None
    place = Place(attempt.root, attempt.transfer, attempt.add_note, parent=there.path)
    try:
        held.enter_context(place)
    except TransferError as error:
        if error.code in LEADS_NOWHERE:
            return None
        if error.code is FailureCode.PERMISSION_DENIED and not attempt.is_withdrawing:
            # Its own is another one by now, which may be well.
            attempt.add_note(f"where it was begun before may not be looked at now: {error}")
            return None
        raise
    return place if _is_at(place, there) else None


def _is_at(place: Place, there: Whereabouts) -> bool:
    now = place.whereabouts()
    if now is None or now.inode != there.inode:
        return False
    return 0 in {now.birth_ns, there.birth_ns} or now.birth_ns == there.birth_ns
