"""The last step of an import: the conflict policy is asked again, and the sealed file takes its name.

Calls `place` and `publish`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from penstock import failpoints
from penstock.errors import FailureCode, TransferError
from penstock.model import ConflictPolicy, FileDetail, Guarantee
from penstock.stores.base import ObjectInfo
from penstock.transfer import objects, publish
from penstock.transfer.attempt import Attempt
from penstock.transfer.mtime import ModifyTime, of_target
from penstock.transfer.place import Place
from penstock.transfer.policy import Decision, decide
from penstock.transfer.posix import FileState
from penstock.transfer.steps import Pause, Steps
from penstock.transfer.transfer import Outcome

_RACES_MAX = 32
_REFUSED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOENT})
_TURN_WAIT_S = 0.001
_TURN_TRIES = 100  # whoever has stood still in his turn for so long is waited for no longer


def may_keep(attempt: Attempt) -> bool:
    """Whether the policy may ask that a target stays; if not, it only matters what is there when it is replaced."""
    return attempt.transfer.conflict_policy is not ConflictPolicy.OVERWRITE_EXISTING


def wanted(attempt: Attempt, place: Place, source: ModifyTime) -> Decision:
    """What the policy asks as things are now. Raises TransferError (TargetIsDirectory, TargetNotRegular)."""
    target = place.target()
    return decide(attempt.transfer.conflict_policy, source, None if target is None else of_target(target))


def keep(attempt: Attempt, place: Place, info: ObjectInfo) -> Outcome:
    """The outcome where the target stays. What an earlier attempt had begun goes, for nobody comes back. Raises TransferError."""
    give_up(place)
    return stays(attempt, place, objects.detail_of(info, info.crc64))


def stays(attempt: Attempt, place: Place, detail: FileDetail) -> Outcome:
    """The same where nothing was begun by this attempt. Raises TransferError.

    An earlier one may have given the target its name, and have ended before that was durable: nobody else would see to it.
    """
    if attempt.may_have_begun:
        try:
            place.sync()
        except OSError as error:
            raise place.refusal(error) from error
    return attempt.skipped(detail, Guarantee.ATOMIC)


def remove_helpers(place: Place) -> None:
    """Remove what an earlier attempt had begun. Raises TransferError."""
    try:
        place.remove_helpers()
    except OSError as error:
        raise place.refusal(error) from error


def give_up(place: Place) -> None:
    """The same, of what turns out not to be published. Raises TransferError, also where it is by now."""
    try:
        place.give_up()
    except OSError as error:
        raise place.refusal(error) from error


def land(attempt: Attempt, place: Place, sealed: FileState, source: ModifyTime) -> Steps[Guarantee | None]:
    """Publish the sealed partial file; None when the policy keeps what has appeared at the target meanwhile.

    The caller fsyncs the directory. Raises OSError, TransferError, StoppedError, FencedError.
    """
    had_begun = attempt.has_begun
    for _ in range(_RACES_MAX):
        place.require_in_place()
        decision = wanted(attempt, place, source)
        attempt.check_cancel()
        if decision is Decision.KEEP:
            return None
        failpoints.passing("rename")
        if decision is Decision.REPLACE:
            guarantee = yield from _replace(attempt, place, sealed, source)
        else:
            with _trying(attempt, place, sealed):
                guarantee = publish.publish_new(place.directory, place.partial_name, place.name, sealed.inode)
        if guarantee is not None:
            failpoints.passing("renamed")
            return guarantee
        attempt.has_begun = had_begun
    raise TransferError(
        FailureCode.FILE_SYSTEM_UNAVAILABLE,
        f"/{attempt.transfer.path} appeared and vanished again and again while it was to be published",
        waiting_helps=True,
    )


def _replace(attempt: Attempt, place: Place, sealed: FileState, source: ModifyTime) -> Steps[Guarantee | None]:
    """Replace the target; None when it has changed since it was decided to. Raises as `land`.

    Where only the latest is to stay, no two movers look and rename at once in one directory: sub-tasks of one target run one
    after the other, but different paths may lead to one file. Other programs know of no such turn, but may lock the directory
    for reasons of their own: it is waited for aside, where no other file has to wait as well.
    """
    if not may_keep(attempt):
        with _trying(attempt, place, sealed):
            publish.publish_over(place.directory, place.partial_name, place.name, sealed.inode)
        return Guarantee.ATOMIC
    tries_left = _TURN_TRIES
    while True:
        with place.turn() as is_ours:
            if is_ours or not tries_left:
                if tries_left < _TURN_TRIES:
                    place.require_in_place()  # the last look is as old as the wait
                return _replace_if_wanted(attempt, place, sealed, source)
        if tries_left == _TURN_TRIES:
            yield Pause.ASIDE
        attempt.rest(_TURN_WAIT_S, attempt.check_cancel)
        tries_left -= 1


def _replace_if_wanted(attempt: Attempt, place: Place, sealed: FileState, source: ModifyTime) -> Guarantee | None:
    if wanted(attempt, place, source) is not Decision.REPLACE:
        return None
    with _trying(attempt, place, sealed):
        publish.publish_over(place.directory, place.partial_name, place.name, sealed.inode)
    return Guarantee.BEST_EFFORT


@contextmanager
def _trying(attempt: Attempt, place: Place, sealed: FileState) -> Iterator[None]:
    """An error may deny what was carried out (NFS that is mounted soft, FUSE), and no answer says that the name is durable:
    whoever withdraws it then has to look. Only what was refused for a plain reason was not begun."""
    had_begun, attempt.has_begun = attempt.has_begun, True
    try:
        yield
    except OSError as error:  # a hard link was perhaps made before the refusal
        if error.errno in _REFUSED and not publish.is_inode(place.directory, place.name, sealed.inode):
            attempt.has_begun = had_begun
        raise
