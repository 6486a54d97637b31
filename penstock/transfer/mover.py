"""The gate's door: `steps` is one attempt at one file, and says how it ended.

It does not raise for expected trouble. Calls import, export and withdrawal; decides what is cleaned up after a failure, and turns
errors into outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from penstock.errors import FailureCode, FencedError, StoppedError, StoreError, TransferError
from penstock.model import Direction
from penstock.stores.base import Store
from penstock.transfer import archived, elsewhere
from penstock.transfer import withdraw as withdrawal
from penstock.transfer.attempt import Attempt
from penstock.transfer.exporting import export_file
from penstock.transfer.grains import Grains
from penstock.transfer.importing import import_file
from penstock.transfer.meter import Meter
from penstock.transfer.parts import PartPool
from penstock.transfer.refusals import Side, from_os, from_store
from penstock.transfer.root import Root
from penstock.transfer.steps import Pause, Steps
from penstock.transfer.transfer import (
    Hooks,
    Intent,
    Lane,
    Outcome,
    StopReason,
    Transfer,
    TransferChoices,
    TransferLimits,
    Verdict,
)

_ARRIVED = frozenset({Verdict.COMPLETE, Verdict.SKIPPED})


def steps(
    transfer: Transfer,
    *,
    root: Root,
    store: Store,
    hooks: Hooks,
    limits: TransferLimits,
    parts: PartPool,
    grains: Grains,
    lane: Lane,
    now_ns: Callable[[], int],
    jitter: Callable[[], float],
    choices: TransferChoices = TransferChoices(),  # noqa: B008  it is frozen
) -> Steps[Outcome]:
    """One attempt (or a withdrawal, or the tidying up after one), as steps. Nothing is done before the first is taken.

    `now_ns` is the clock in UTC nanoseconds, `jitter` gives 0.0..1.0 for waits. Whatever store, file system or a stop signal
    do is told by the outcome: a verdict, a failure code, and a sentence a person can act on.
    """
    attempt = Attempt(
        transfer=transfer,
        root=root,
        store=store,
        hooks=hooks,
        limits=limits,
        pool=parts,
        grains=grains,
        lane=lane,
        now_ns=now_ns,
        jitter=jitter,
        meter=Meter(sub_task_id=transfer.sub_task_id, attempt=transfer.attempt, now_ns=now_ns, tell=hooks.progress),
        checkpoint=transfer.checkpoint,
        record=transfer.checkpoint,
        choices=choices,
    )
    try:
        if transfer.intent is Intent.MOVE:
            return (yield from _moved(attempt))
        yield Pause.ASIDE
        return _ENDINGS[transfer.intent](attempt)
    except (StoreError, TransferError, OSError) as error:
        return _later(attempt, _known(attempt, error))
    except FencedError as error:
        return _returned(attempt, str(error))


def _moved(attempt: Attempt) -> Steps[Outcome]:
    is_import = attempt.transfer.direction is Direction.IMPORT
    try:
        outcome = yield from import_file(attempt) if is_import else export_file(attempt)
        return elsewhere.told(attempt, outcome) if is_import and outcome.verdict in _ARRIVED else outcome
    except StoppedError as error:
        ending = _stopped(attempt, error)
    except (StoreError, TransferError, OSError) as error:
        known = _known(attempt, error)
        if attempt.gave_up and attempt.hooks.stop_reason() is not None:
            attempt.stopped = attempt.hooks.stop_reason()
            ending = _stopped(attempt, error)
        elif known.waiting_helps:
            return _later(attempt, known)
        elif archived.is_restorable(attempt, known):
            ending = partial(_restored, attempt)
        else:
            ending = partial(_fail, attempt, known)
    yield Pause.ASIDE
    return ending()


def _stopped(attempt: Attempt, error: Exception) -> Callable[[], Outcome]:
    """What is left to do by who was stopped."""
    if attempt.stopped is StopReason.CANCEL:
        return partial(withdrawal.withdraw, attempt)
    attempt.check_fence()
    return partial(_returned, attempt, str(error))


def _restored(attempt: Attempt) -> Outcome:
    """The source is archived: it comes back, or cannot."""
    known = archived.asked_back(attempt)
    return _later(attempt, known) if known.waiting_helps else _fail(attempt, known)


def _fail(attempt: Attempt, error: TransferError) -> Outcome:
    """FAILED is final, so nothing may be left behind, and nothing denied that an earlier attempt published: then it is COMPLETE.

    While that cannot be seen or done yet, it is tried again.
    """
    try:
        ended = withdrawal.end_failed(attempt, error)
    except (StoreError, TransferError, OSError) as caught:
        left = _known(attempt, caught)
        words = f"{error}; what was begun could not be removed or looked for: {left}"
        is_mendable = left.waiting_helps or left.code is FailureCode.PERMISSION_DENIED
        verdict = Verdict.RETRY if is_mendable else Verdict.FAILED
        return replace(attempt.outcome(verdict), code=error.code, message=words, retry_after_s=left.retry_after_s)
    if ended.verdict is Verdict.COMPLETE:
        return ended
    words = f"{error}; {ended.message}" if ended.message else str(error)
    return replace(_described(replace(ended, verdict=Verdict.FAILED), error), message=words)


_ENDINGS: dict[Intent, Callable[[Attempt], Outcome]] = {
    Intent.WITHDRAW: withdrawal.withdraw,
    Intent.TIDY: withdrawal.tidy,
}


def _known(attempt: Attempt, error: StoreError | TransferError | OSError) -> TransferError:
    if isinstance(error, TransferError):
        return error
    if isinstance(error, StoreError):
        return from_store(error)
    side = Side.TARGET if attempt.transfer.direction is Direction.IMPORT else Side.SOURCE
    return from_os(error, side=side, path=attempt.transfer.path)


def _later(attempt: Attempt, error: TransferError) -> Outcome:
    return _described(attempt.outcome(Verdict.RETRY), error)


def _returned(attempt: Attempt, words: str) -> Outcome:
    return replace(attempt.outcome(Verdict.RETURNED), message=words)


def _described(outcome: Outcome, error: TransferError) -> Outcome:
    return replace(outcome, code=error.code, message=str(error), retry_after_s=error.retry_after_s)
