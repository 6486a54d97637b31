"""Export of one file: what is refused, what the source must look like, and which lane goes on.

Calls the source file, `overtaking`, and the two lanes.
"""

from __future__ import annotations

from penstock.errors import FailureCode, TransferError
from penstock.stores.base import ObjectInfo
from penstock.transfer import names, overtaking, policy, soundness, standing, uploads, versioned
from penstock.transfer.attempt import Attempt
from penstock.transfer.large_export import export_large
from penstock.transfer.objects import ambiguous, detail_of, head_or_none
from penstock.transfer.small_export import export_small
from penstock.transfer.source_file import SourceFile, exists
from penstock.transfer.steps import Pause, Steps
from penstock.transfer.transfer import Lane, Outcome

_QUIET_LOOKS_MAX = 10
_QUIET_REST_MAX_NS = 3_000_000_000  # where only seconds are kept; the engine comes back for whoever writes longer
LINK_NOT_FOLLOWED = "a symbolic link: not followed, taken for an empty file"
"""The note of a link that became an empty object, as it was chosen."""


def export_file(attempt: Attempt) -> Steps[Outcome]:
    """Move one file to its key. Raises StoreError, TransferError, StoppedError, FencedError."""
    check_export_names(attempt)
    attempt.root.check()
    attempt.check_stop()
    if attempt.transfer.attempt > 1 or attempt.lane is Lane.LARGE or attempt.checkpoint is not None:
        yield Pause.ASIDE
    overtaken = overtaking.finished(attempt)
    if overtaken is not None:
        return overtaken
    _check_rival(attempt)
    try:
        with SourceFile(attempt.root, attempt.transfer.path, attempt.choices.symlinks) as source:
            return (yield from _export(attempt, source))
    except TransferError as error:
        trouble = error
    if trouble.code is FailureCode.SOURCE_NOT_FOUND:
        yield Pause.ASIDE
        finished = _finished_earlier(attempt)
        if finished is not None:
            return finished
    raise _hinted(attempt, trouble) from trouble


def check_export_names(attempt: Attempt) -> None:
    """Raises TransferError for names that are refused."""
    transfer = attempt.transfer
    names.check_path(transfer.path, directory_code=FailureCode.SOURCE_IS_DIRECTORY)
    names.check_key(transfer.key, length_max_bytes=attempt.store.limits.key_length_max_bytes)


def _export(attempt: Attempt, source: SourceFile) -> Steps[Outcome]:
    size = source.state.size_bytes
    is_large = size > min(attempt.limits.small_file_max_bytes, attempt.store.limits.put_size_max_bytes)
    if is_large and attempt.lane is Lane.SMALL:
        return attempt.large(size)
    if is_large:
        _wait_until_quiet(attempt, source)
    state = source.state
    policy.check_condition(attempt.transfer.condition, modify_ns=state.modify_ns, size_bytes=state.size_bytes)
    attempt.meter.learn(source.detail(None))
    if is_large:
        return export_large(attempt, source)
    if state.is_symlink:
        attempt.add_note(LINK_NOT_FOLLOWED)
    uploads.abandon(attempt)  # of an attempt that met a larger file
    soundness.settle(attempt)
    return (yield from export_small(attempt, source))


def _wait_until_quiet(attempt: Attempt, source: SourceFile) -> None:
    """Time stamps cannot tell a change of this very moment; a large file can wait for that moment to pass.

    It is quiet when it has looked the same for so long as one stamp may last. Raises TransferError (SourceChanged) when somebody
    goes on writing.
    """
    rested_ns = looks = 0
    while looks < _QUIET_LOOKS_MAX and rested_ns < _QUIET_REST_MAX_NS:
        rest_ns = source.rest_ns(attempt.now_ns)
        if not rest_ns:
            return
        seen = source.state
        looks += 1
        rested_ns += rest_ns
        attempt.rest(rest_ns / 1e9, attempt.check_stop)
        source.look_again()
        if source.state == seen:
            return
    raise source.changed()


def _finished_earlier(attempt: Attempt) -> Outcome | None:
    """The outcome, if an earlier attempt published the file before it went away: the object itself tells what it is of."""
    info = _published_earlier(attempt)
    evidence = None if info is None else soundness.of(attempt, info).evidence
    if info is None or evidence is None:
        return None  # what else it may be is said when this attempt is withdrawn
    uploads.clear(attempt)
    held = policy.unwitnessed(attempt.transfer.conflict_policy)
    return standing.vouched(attempt, info, evidence) or attempt.skipped(detail_of(info, info.crc64), held)


def _published_earlier(attempt: Attempt) -> ObjectInfo | None:
    """Our own object, also beneath what others have put there since, where versions can tell.

    A source that is missing is worth a look at its key, whatever is known of earlier attempts. Versions are only asked for where
    one of them may have sent something: sources that were never there are many, and not everybody may list versions.
    """
    if not attempt.left_nothing:
        return standing.published_earlier(attempt)
    info = head_or_none(attempt, attempt.transfer.key)
    return info if info is not None and versioned.is_mine(attempt, info) else None


def _check_rival(attempt: Attempt) -> None:
    transfer = attempt.transfer
    if not transfer.rival or transfer.rival == transfer.path:
        return
    if exists(attempt.root, transfer.rival) and exists(attempt.root, transfer.path):
        raise ambiguous(transfer.path, transfer.rival)


def _hinted(attempt: Attempt, error: TransferError) -> TransferError:
    """A missing source, with the other reading if that one exists."""
    rival = attempt.transfer.rival
    if error.code is not FailureCode.SOURCE_NOT_FOUND or not rival or not exists(attempt.root, rival):
        return error
    return TransferError(error.code, f"{error}; there is /{rival}: did you mean that?")
