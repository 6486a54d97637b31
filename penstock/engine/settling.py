"""How an attempt's end becomes what the catalog keeps: retries, their waits, their bounds, and giving up cleanly.

Pure: time and randomness come in. A file is never just dropped as FAILED after its last attempt: the row is first kept as a retry
whose failures are used up, the next claim withdraws what is left behind (see `orders`), and only then it is FAILED, for the
reason that was kept in the row. So a crash at any point in between loses neither the reason nor the cleaning up.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from penstock.catalog.verbs import Settlement, Settling
from penstock.engine import remains
from penstock.engine.checkpoints import written
from penstock.engine.options import NS_PER_S, RetryOptions, to_ns
from penstock.engine.orders import MEANWHILE, Amounts, Order, Reason, Refusal, direction_of
from penstock.engine.spaces import NO_ROOM
from penstock.errors import FailureCode
from penstock.model import Direction, SubTaskStatus
from penstock.transfer.transfer import Checkpoint, Intent, Outcome, Verdict

OUTAGES = frozenset(
    {
        FailureCode.STORE_UNAVAILABLE,
        FailureCode.STORE_THROTTLED,
        FailureCode.FILE_SYSTEM_UNAVAILABLE,
        FailureCode.READ_ONLY,
        FailureCode.NO_SPACE,
        FailureCode.SOURCE_ARCHIVED,  # where it is retried at all, it is being restored
    }
)
"""Troubles of the surroundings, which pass: they cost a file none of its attempts."""
_EVEN = 0.5  # the jitter that leaves a wait as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known when an attempt ends: its order, whether it is being canceled by now, the newest numbers and record.

    `is_untold`: its mover was gone before it could say how it ended, or whether it had begun.
    """

    order: Order
    canceling: bool
    amounts: Amounts
    checkpoint: Checkpoint | None
    is_untold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The moment and the throw of the dice: `jitter` lies in [0, 1)."""

    now_ns: int
    jitter: float


def settlement_of(outcome: Outcome, ending: Ending, options: RetryOptions, chance: Chance) -> Settlement:
    """What the catalog should keep of this outcome."""
    match outcome.verdict:
        case Verdict.COMPLETE | Verdict.SKIPPED:
            return completed(outcome)
        case Verdict.TIDIED:
            words = remains.without(ending.order.told, outcome.message)
            return replace(_settlement(ending, Settling.TIDIED), error_message=words)
        case Verdict.RETURNED:
            return returned(ending, outcome)
        case Verdict.LARGE:
            return _settlement(ending, Settling.LARGE, outcome=outcome)
        case Verdict.CANCELED if ending.order.farewell is not None and not ending.canceling:
            reason = _in_doubt(ending.order.farewell, outcome.message)
            return replace(_settlement(ending, Settling.FAILED, reason=reason), tidy=outcome.tidy)
        case Verdict.CANCELED:
            return replace(_settlement(ending, Settling.CANCELED), tidy=outcome.tidy, note=outcome.message)
        case Verdict.FAILED:
            return _failed(outcome, ending, options, chance)
        case Verdict.RETRY:
            return _retry(_reason(outcome), outcome.retry_after_s, ending, options, chance, outcome=outcome)


def mover_died(ending: Ending, options: RetryOptions, chance: Chance, *, words: str) -> Settlement:
    """An attempt that was under way when its mover died: a failure, and from now on a suspect."""
    reason = Reason(code=FailureCode.MOVER_DIED, message=f"the mover process that moved this file ended: {words}")
    return _retry(reason, None, ending, options, chance)


def returned(ending: Ending, outcome: Outcome | None = None) -> Settlement:
    """An attempt that was handed back, or never begun: costs nothing."""
    return _settlement(ending, Settling.RETURNED, outcome=outcome)


def refused(refusal: Refusal, options: RetryOptions, chance: Chance) -> Settlement:
    """A row that no mover can work on now: it may own a partial file or an upload, so it waits and says for what.

    What a hand took out of the registry a hand puts back: waiting costs no attempt, and looks become rarer with its age. What is
    only to be tidied is let be after as long as it would be otherwise, so that it can be forgotten; what a FAILED one says of
    that stays.
    """
    row = refusal.claimed.sub_task
    is_late = row.ended_ns is not None and chance.now_ns - row.ended_ns > to_ns(options.deadline_s)
    if is_late and not remains.are_kept(row.error_message, direction_of(refusal.claimed)):
        return Settlement(sub_task_id=row.sub_task_id, attempt=row.attempt, settling=Settling.TIDIED)
    reason = refusal.reason
    if refusal.farewell is not None:
        words = f"{refusal.farewell.message}{MEANWHILE}{reason.message}"
        reason = Reason(code=refusal.farewell.code, message=words)
    return Settlement(
        sub_task_id=row.sub_task_id,
        attempt=row.attempt,
        settling=Settling.WAITING,
        due_ns=chance.now_ns + to_ns(_look_again_s(refusal, options, chance)),
        error_code=reason.code,
        error_message=reason.message if row.ended_ns is None else "",
        bytes_total=row.bytes_total,
        bytes_done=row.bytes_done,
        actual_bytes=row.actual_bytes,
        moving_ns=row.moving_ns,
        detail=row.detail,
    )


def _look_again_s(refusal: Refusal, options: RetryOptions, chance: Chance) -> float:
    """An eighth of the age, within bounds; 50..150 % of that."""
    row = refusal.claimed.sub_task
    since_ns = row.ended_ns if row.ended_ns is not None else row.started_ns
    age_s = (chance.now_ns - (since_ns or chance.now_ns)) / NS_PER_S
    pause_s = min(max(age_s / 8, options.waits_s[0]), options.unregistered_wait_max_s) * (0.5 + chance.jitter)
    if row.status is SubTaskStatus.CANCELING:
        return min(pause_s, options.canceling_wait_max_s)
    return pause_s


def wait_s(failures: int, options: RetryOptions, jitter: float) -> float:
    """How long to wait after the `failures`-th failure (1-based), in seconds; 50..150 % of the table's value."""
    step = min(max(failures, 1), len(options.waits_s)) - 1
    return options.waits_s[step] * (0.5 + jitter)


def completed(outcome: Outcome) -> Settlement:
    """What the catalog should keep of a file that is where it should be: its outcome says all."""
    return Settlement(
        sub_task_id=outcome.sub_task_id,
        attempt=outcome.attempt,
        settling=Settling.COMPLETE,
        skipped=outcome.verdict is Verdict.SKIPPED,
        tidy=outcome.tidy,
        bytes_total=outcome.bytes_total,
        bytes_done=outcome.bytes_done,
        actual_bytes=outcome.actual_bytes,
        moving_ns=outcome.moving_ns,
        detail=outcome.detail,
        guarantee=outcome.guarantee or "",
        note=outcome.note,
        checkpoint=written(outcome.checkpoint),
    )


def _failed(outcome: Outcome, ending: Ending, options: RetryOptions, chance: Chance) -> Settlement:
    intent, reason = ending.order.transfer.intent, _reason(outcome)
    if intent is Intent.TIDY and remains.are_named(ending.order):
        return _retry(reason, None, ending, options, chance, outcome=outcome)
    if intent is Intent.TIDY:
        return _settlement(ending, Settling.TIDIED)
    if ending.canceling and intent is Intent.MOVE:
        return returned(
            ending, outcome
        )  # to be withdrawn at once: what it left behind, if anything, is looked for by that
    if ending.canceling:
        return _retry(reason, None, ending, options, chance, outcome=outcome)
    if ending.order.farewell is not None:
        return _left_behind(reason, ending, options, chance, farewell=ending.order.farewell, outcome=outcome)
    settlement = _settlement(ending, Settling.FAILED, reason=reason, outcome=outcome)
    if outcome.checkpoint is None or not outcome.checkpoint.intent_ns:
        return settlement
    # Its removal could not even be tried.
    left = remains.named(reason, "", ending.order.transfer, outcome.checkpoint, until_ns=0)
    return replace(settlement, tidy=True, error_message=left.message)


def _retry(
    reason: Reason,
    retry_after_s: float | None,
    ending: Ending,
    options: RetryOptions,
    chance: Chance,
    *,
    outcome: Outcome | None = None,
) -> Settlement:
    order = ending.order
    failures = order.failures + 1
    rung = _rung(order, reason, outcome)
    pause_s = wait_s(rung, options, _jitter(reason, rung, options, chance))
    if retry_after_s is not None:
        pause_s = max(pause_s, min(retry_after_s, options.retry_after_max_s))
    if order.transfer.intent is Intent.TIDY:
        return _tidied_later(reason, pause_s, ending, options, chance, outcome=outcome)
    if ending.canceling:
        abandoned = _abandoned(reason, ending, options, chance)
        if abandoned is not None:
            return replace(_settlement(ending, Settling.ABANDONED, reason=abandoned, outcome=outcome), tidy=True)
        pause_s = min(pause_s, options.canceling_wait_max_s)
        due_ns = chance.now_ns + to_ns(pause_s)
        return _settlement(ending, Settling.RETRY, reason=reason, outcome=outcome, due_ns=due_ns)
    if order.farewell is not None:
        if failures >= options.attempts_max + options.cleanups_max:
            return _left_behind(reason, ending, options, chance, farewell=order.farewell, outcome=outcome)
        due_ns = chance.now_ns + to_ns(pause_s)
        return _settlement(ending, Settling.RETRY, reason=order.farewell, outcome=outcome, due_ns=due_ns)
    due_ns = chance.now_ns + to_ns(pause_s)
    given_up = _given_up(reason, failures, due_ns, ending, options)
    if given_up is not None:
        return _settlement(ending, Settling.RETRY, reason=given_up, outcome=outcome, due_ns=chance.now_ns)
    settling = Settling.WAITING if reason.code in OUTAGES else Settling.RETRY
    return _settlement(ending, settling, reason=reason, outcome=outcome, due_ns=due_ns)


def _tidied_later(
    reason: Reason,
    pause_s: float,
    ending: Ending,
    options: RetryOptions,
    chance: Chance,
    *,
    outcome: Outcome | None,
) -> Settlement:
    """What cannot be removed now is looked for again: for a day, or more and more seldom for ever."""
    order = ending.order
    age_ns = chance.now_ns - (order.ended_ns or 0)
    if remains.are_kept(order.told, order.transfer.direction):
        age_s = min(max(age_ns / NS_PER_S / 8, options.tidy_wait_s), options.tidy_wait_max_s)
        due_ns = chance.now_ns + to_ns(max(age_s * (0.5 + chance.jitter), min(pause_s, options.tidy_wait_s)))
        before = Reason(code=reason.code, message=remains.without(order.told))
        record = _record(outcome, ending)
        left = remains.named(before, _why(reason), order.transfer, record, until_ns=0)
        return replace(_settlement(ending, Settling.RETRY, reason=left, due_ns=due_ns), checkpoint=written(record))
    due_ns = chance.now_ns + to_ns(max(pause_s, options.tidy_wait_s))
    return _settlement(ending, Settling.TIDIED if age_ns > to_ns(options.deadline_s) else Settling.RETRY, due_ns=due_ns)


def _rung(order: Order, reason: Reason, outcome: Outcome | None) -> int:
    """Which of the waits is next. Outages are not counted, so there the attempt's own number leads up the ladder.

    An attempt that got further than all before it has found the store well: the ladder begins anew, so that a file of many hours
    is not slowed down more and more by short troubles that lie hours apart. One that ran out of space has found nothing well, and
    what it got is gone again.
    """
    is_further = outcome is not None and outcome.bytes_done > order.amounts.bytes_done
    if is_further and reason.code is not FailureCode.NO_SPACE:
        return 1
    return order.transfer.attempt if reason.code in OUTAGES else order.failures + 1


def _jitter(reason: Reason, rung: int, options: RetryOptions, chance: Chance) -> float:
    """The last wait for room, which is repeated, is always as long: only then is due first who was tried longest ago.

    So each gets its turn when room is looked for. With dice, those who threw low were tried again and again meanwhile. What the
    waits before it have spread stays spread.
    """
    return _EVEN if reason.code in NO_ROOM and rung >= len(options.waits_s) else chance.jitter


def _given_up(reason: Reason, failures: int, due_ns: int, ending: Ending, options: RetryOptions) -> Reason | None:
    """The final reason when this was the last attempt; None when there will be another one."""
    if failures >= options.attempts_max and reason.code not in OUTAGES:
        return Reason(code=reason.code, message=f"{reason.message} (the last of {failures} attempts)")
    if due_ns >= ending.order.transfer.first_attempt_ns + to_ns(options.deadline_s):
        hours = options.deadline_s / 3600
        words = f"not done within {hours:g} hours; the last attempt ended with {reason.code}: {reason.message}"
        return Reason(code=FailureCode.DEADLINE_EXCEEDED, message=words)
    return None


def _abandoned(reason: Reason, ending: Ending, options: RetryOptions, chance: Chance) -> Reason | None:
    """Why an import is not withdrawn any more that its file system has barred for too long; None while it is tried again.

    An export's is tried for ever: what it has left costs money, and its bucket is asked for by a name that nobody can take.
    """
    order, transfer = ending.order, ending.order.transfer
    if transfer.intent is not Intent.WITHDRAW or transfer.direction is not Direction.IMPORT or not order.canceled_ns:
        return None
    if chance.now_ns - order.canceled_ns <= to_ns(options.deadline_s):
        return None
    hours = options.deadline_s / 3600
    words = f"it was canceled, and could not be withdrawn within {hours:g} hours ({reason.code}: {reason.message})"
    barred = Reason(code=FailureCode.DEADLINE_EXCEEDED, message=words)
    return remains.named(barred, "", transfer, None, until_ns=chance.now_ns + to_ns(options.deadline_s))


def _in_doubt(farewell: Reason, doubt: str) -> Reason:
    return Reason(code=farewell.code, message=f"{farewell.message}; {doubt}") if doubt else farewell


def _left_behind(
    reason: Reason,
    ending: Ending,
    options: RetryOptions,
    chance: Chance,
    *,
    farewell: Reason,
    outcome: Outcome | None,
) -> Settlement:
    """FAILED, though what was begun, if anything was, could not be removed: it is named, and looked for from now on."""
    record = _record(outcome, ending)
    if record is None and not ending.order.transfer.begun:
        return _settlement(ending, Settling.FAILED, reason=farewell)
    until_ns = chance.now_ns + to_ns(options.deadline_s)
    left = remains.named(farewell, _why(reason), ending.order.transfer, record, until_ns=until_ns)
    settlement = _settlement(ending, Settling.FAILED, reason=left)
    return replace(settlement, tidy=True, checkpoint=written(record))


def _record(outcome: Outcome | None, ending: Ending) -> Checkpoint | None:
    """The newest of an export's upload."""
    return ending.checkpoint if outcome is None or outcome.checkpoint is None else outcome.checkpoint


def _why(reason: Reason) -> str:
    return f" could not be removed ({reason.code}: {reason.message})"


def _reason(outcome: Outcome) -> Reason:
    return Reason(code=outcome.code or FailureCode.INTERNAL, message=outcome.message)


def _settlement(
    ending: Ending, settling: Settling, *, reason: Reason | None = None, outcome: Outcome | None = None, due_ns: int = 0
) -> Settlement:
    """Everything that is known; an attempt that tells no numbers leaves the last ones standing."""
    transfer = ending.order.transfer
    tells = outcome is not None and (outcome.bytes_total > 0 or outcome.detail is not None)
    numbers: Outcome | Amounts = outcome if outcome is not None and tells else ending.amounts
    kept = outcome.checkpoint if outcome is not None else ending.checkpoint
    return Settlement(
        sub_task_id=transfer.sub_task_id,
        attempt=transfer.attempt,
        settling=settling,
        due_ns=due_ns,
        tidy=outcome.tidy if outcome is not None else False,
        error_code=reason.code if reason is not None else "",
        error_message=reason.message if reason is not None else "",
        bytes_total=numbers.bytes_total,
        bytes_done=numbers.bytes_done,
        actual_bytes=numbers.actual_bytes,
        moving_ns=numbers.moving_ns,
        detail=numbers.detail,
        guarantee=(outcome.guarantee or "") if outcome is not None else "",
        note=outcome.note if outcome is not None else "",
        checkpoint=written(kept),
        begun=ending.is_untold if outcome is None else outcome.begun,
    )
