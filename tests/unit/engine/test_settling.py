"""Does every attempt's end become what the catalog should keep: retries, their bounds, and giving up without leftovers?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog.verbs import Claimed, ClaimLane, Held, Settlement, Settling
from penstock.engine.checkpoints import written
from penstock.engine.messages import Lane
from penstock.engine.options import NS_PER_S, RetryOptions
from penstock.engine.orders import Amounts, Order, Reason, Refusal
from penstock.engine.remains import LEFT
from penstock.engine.settling import OUTAGES, Chance, Ending, mover_died, refused, returned, settlement_of, wait_s
from penstock.errors import FailureCode
from penstock.model import Condition, ConflictPolicy, Direction, FileDetail, Guarantee, SubTaskStatus, TaskAction
from penstock.transfer.transfer import Checkpoint, Intent, Outcome, Verdict
from tests.fixtures.gate import transfer

OPTIONS = RetryOptions()
NOW_NS = 1_800_000_000 * NS_PER_S
CHANCE = Chance(now_ns=NOW_NS, jitter=0.5)
DETAIL = FileDetail(modify_time_ns=1, size_bytes=100, checksum="crc64:1")
RECORD = Checkpoint(key="k", intent_ns=1, upload_id="u")
FAREWELL = Reason(code=FailureCode.STORE_UNAVAILABLE, message="no answer (the last of 8 attempts)")


def ending(
    *,
    failures: int = 0,
    attempt: int | None = None,
    canceling: bool = False,
    farewell: Reason | None = None,
    intent: Intent = Intent.MOVE,
    age_s: float = 1,
    ended_s_ago: float | None = None,
    canceled_s_ago: float | None = None,
    direction: Direction = Direction.IMPORT,
    amounts: Amounts = Amounts(),  # noqa: B008  it is frozen
    checkpoint: Checkpoint | None = None,
    begun: bool = False,
    told: str = "",
) -> Ending:
    moved = transfer(
        direction,
        intent=intent,
        first_attempt_ns=NOW_NS - int(age_s * NS_PER_S),
        attempt=failures + 1 if attempt is None else attempt,
        begun=begun,
    )
    order = Order(
        transfer=moved,
        claim_lane=ClaimLane.SMALL,
        lane=Lane.SMALL,
        data_flow_id="df",
        failures=failures,
        canceling=canceling,
        suspect=False,
        farewell=farewell,
        amounts=amounts,
        ended_ns=None if ended_s_ago is None else NOW_NS - int(ended_s_ago * NS_PER_S),
        canceled_ns=0 if canceled_s_ago is None else NOW_NS - int(canceled_s_ago * NS_PER_S),
        told=told,
    )
    return Ending(order=order, canceling=canceling, amounts=amounts, checkpoint=checkpoint)


def outcome(verdict: Verdict, **more: object) -> Outcome:
    return Outcome(sub_task_id="subtask-1", attempt=1, verdict=verdict, **more)  # type: ignore[arg-type]


def settle(verdict: Verdict, end: Ending, **more: object) -> Settlement:
    return settlement_of(outcome(verdict, **more), end, OPTIONS, CHANCE)


TROUBLE: dict[str, Any] = {"code": FailureCode.CHECKSUM_MISMATCH, "message": "bytes differ"}
OUTAGE: dict[str, Any] = {"code": FailureCode.STORE_UNAVAILABLE, "message": "no answer"}


def test_complete_keeps_everything_that_was_learned() -> None:
    got = settle(
        Verdict.COMPLETE,
        ending(),
        bytes_total=100,
        bytes_done=100,
        actual_bytes=90,
        moving_ns=5,
        detail=DETAIL,
        guarantee=Guarantee.ATOMIC,
        note="not compared",
        tidy=True,
    )
    assert got == Settlement(
        sub_task_id="subtask-1",
        attempt=1,
        settling=Settling.COMPLETE,
        tidy=True,
        bytes_total=100,
        bytes_done=100,
        actual_bytes=90,
        moving_ns=5,
        detail=DETAIL,
        guarantee="atomic",
        note="not compared",
    )


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.SKIPPED, Settling.COMPLETE),
        (Verdict.TIDIED, Settling.TIDIED),
        (Verdict.RETURNED, Settling.RETURNED),
        (Verdict.LARGE, Settling.LARGE),
        (Verdict.CANCELED, Settling.CANCELED),
        (Verdict.FAILED, Settling.FAILED),
        (Verdict.RETRY, Settling.RETRY),
    ],
)
def test_verdicts_become_settlings(verdict: Verdict, expected: Settling) -> None:
    got = settle(verdict, ending())
    assert got.settling is expected
    assert got.skipped is (verdict is Verdict.SKIPPED)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.RETURNED])
def test_what_lies_there_still_is_kept_in_mind(verdict: Verdict, begun: bool) -> None:
    assert settle(verdict, ending(), begun=begun).begun is begun


def test_who_cannot_say_may_have_begun() -> None:
    untold = replace(ending(), is_untold=True)
    assert mover_died(untold, OPTIONS, CHANCE, words="killed by SIGKILL").begun
    assert returned(untold).begun
    assert not returned(ending()).begun


BARRED: dict[str, Any] = {"code": FailureCode.TARGET_NOT_DIRECTORY, "message": "/base is a file"}
DAY_S = OPTIONS.deadline_s


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.FAILED])
def test_a_cancel_that_is_barred_for_too_long_ends_and_says_what_may_be_left(verdict: Verdict) -> None:
    for seconds, expected in ((DAY_S - 1, Settling.RETRY), (DAY_S + 1, Settling.ABANDONED)):
        end = ending(canceling=True, intent=Intent.WITHDRAW, canceled_s_ago=seconds)
        got = settle(verdict, end, **BARRED)
        assert got.settling is expected
    assert (got.error_code, got.tidy) == ("DeadlineExceeded", True)
    told = (
        "within 24 hours (TargetParentIsNotDirectory: /base is a file)",
        ".partial",
        ".journal",
        "/base/data.bin",
        "published",
    )
    assert all(words in got.error_message for words in told), got.error_message


@pytest.mark.parametrize(
    "end",
    [
        ending(canceling=True, intent=Intent.MOVE, canceled_s_ago=2 * DAY_S),  # not looked at yet
        ending(canceling=True, intent=Intent.WITHDRAW),  # it came while it was withdrawn for a failure
        ending(canceling=True, intent=Intent.WITHDRAW, canceled_s_ago=2 * DAY_S, direction=Direction.EXPORT),
    ],
)
def test_other_cancels_end_when_they_are_true(end: Ending) -> None:
    assert settle(Verdict.RETRY, end, **OUTAGE).settling is Settling.RETRY


def test_a_cancel_whose_movers_die_for_too_long_ends() -> None:
    end = ending(canceling=True, intent=Intent.WITHDRAW, canceled_s_ago=DAY_S + 1)
    assert mover_died(end, OPTIONS, CHANCE, words="killed by SIGKILL").settling is Settling.ABANDONED


@pytest.mark.parametrize("farewell", [None, FAREWELL])
@pytest.mark.parametrize("tidy", [True, False])
def test_where_helper_files_may_come_back_the_end_is_to_be_tidied(farewell: Reason | None, tidy: bool) -> None:
    end = ending(intent=Intent.WITHDRAW, canceling=farewell is None, farewell=farewell)
    got = settle(Verdict.CANCELED, end, tidy=tidy)
    assert (got.settling, got.tidy) == (Settling.CANCELED if farewell is None else Settling.FAILED, tidy)


@pytest.mark.parametrize(
    ("status", "ended_s_ago"), [("RUNNING", None), ("COMPLETE", DAY_S - 1), ("CANCELED", DAY_S + 1)]
)
def test_what_can_not_be_tidied_for_its_registry_is_let_be_in_time(status: str, ended_s_ago: float | None) -> None:
    held = Held(
        "fs-1", "df", "task-1", "subtask-1", "/a", "/b", SubTaskStatus(status), 3, Condition(), 0, 0, 0, 0, None, "", "",
        NOW_NS - 3 * int(DAY_S) * NS_PER_S, NOW_NS - 2 * int(DAY_S) * NS_PER_S,
        None if ended_s_ago is None else NOW_NS - int(ended_s_ago * NS_PER_S),
    )  # fmt: skip
    claimed = Claimed(
        held, ClaimLane.SMALL, TaskAction.STREAM_IMPORT, ConflictPolicy.OVERWRITE_EXISTING, "/", "oss://b", "", "",
        ended_s_ago is not None, 0, True, 0,
    )  # fmt: skip
    reason = Reason(code=FailureCode.FILE_SYSTEM_UNAVAILABLE, message="not registered")
    got = refused(Refusal(claimed=claimed, reason=reason), OPTIONS, CHANCE)
    assert got.settling is (Settling.TIDIED if status == "CANCELED" else Settling.WAITING)


@pytest.mark.parametrize(("age_s", "pause_s"), [(4, 1), (80, 10), (86_400, 300), (86_400 * 365, 300)])
def test_what_a_hand_took_out_of_the_registry_is_looked_for_every_five_minutes_for_ever(
    age_s: float, pause_s: float
) -> None:
    """Also for what a FAILED export has left, which is looked for once an hour where its bucket is registered."""
    left = f"reason{LEFT}the upload 1 of 'x' in bucket b"
    held = Held(
        "fs", "df", "task", "sub", "/x", "/x", SubTaskStatus.FAILED, 3, Condition(),
        0, 0, 0, 0, None, "Internal", left, NOW_NS - 400 * 86_400 * NS_PER_S, NOW_NS - 399 * 86_400 * NS_PER_S,
        NOW_NS - int(age_s * NS_PER_S),
    )  # fmt: skip
    claimed = Claimed(
        held, ClaimLane.SMALL, TaskAction.EXPORT, ConflictPolicy.OVERWRITE_EXISTING, "/", "oss://b", "", "", True, 0,
        True, 0,
    )  # fmt: skip
    reason = Reason(code=FailureCode.BUCKET_NOT_REGISTERED, message="not registered")
    got = refused(Refusal(claimed=claimed, reason=reason), OPTIONS, CHANCE)
    assert got.settling is Settling.WAITING
    assert (got.due_ns - NOW_NS) / NS_PER_S == pytest.approx(pause_s)


def test_permanent_errors_fail_at_once_with_their_reason() -> None:
    got = settle(Verdict.FAILED, ending(), code=FailureCode.SOURCE_NOT_FOUND, message="there is no /a")
    assert (got.settling, got.error_code, got.error_message) == (Settling.FAILED, "SourceNotFound", "there is no /a")


def test_first_retries_are_quick_and_later_ones_bounded() -> None:
    dues = [
        (settle(Verdict.RETRY, ending(failures=failures), **TROUBLE).due_ns - NOW_NS) / NS_PER_S
        for failures in range(7)
    ]
    assert dues == [1, 2, 5, 15, 60, 300, 900]


@pytest.mark.parametrize("code", sorted(OUTAGES))
def test_an_outage_costs_no_attempt_and_is_waited_out_until_the_deadline(code: FailureCode) -> None:
    """A store that is away for an hour, then most of a day: tried with growing waits, and only the deadline ends it."""
    now_s, tries = 0.0, 0
    while True:
        end = ending(failures=2, attempt=tries + 1, age_s=now_s)
        got = settle(Verdict.RETRY, end, code=code, message="away", checkpoint=RECORD)
        tries += 1
        if got.settling is not Settling.WAITING:
            break
        assert (got.error_code, got.error_message, got.checkpoint) == (code, "away", written(RECORD))
        wait_s = (got.due_ns - NOW_NS) / NS_PER_S
        assert wait_s == OPTIONS.waits_s[min(tries, len(OPTIONS.waits_s)) - 1]
        now_s += wait_s
    assert now_s > OPTIONS.deadline_s - OPTIONS.waits_s[-1]
    assert (got.settling, got.error_code, got.due_ns) == (Settling.RETRY, "DeadlineExceeded", NOW_NS)
    assert tries < 120


def test_an_outage_after_many_failures_of_the_file_itself_is_still_waited_out() -> None:
    assert settle(Verdict.RETRY, ending(failures=7), **OUTAGE).settling is Settling.WAITING


def test_an_attempt_that_got_further_begins_the_waits_anew() -> None:
    """A file of many hours is not slowed down more and more by short troubles; one that stands still is."""
    amounts = Amounts(bytes_total=100, bytes_done=40, actual_bytes=40, moving_ns=3, detail=DETAIL)
    end = ending(failures=5, attempt=30, amounts=amounts)
    for trouble in (TROUBLE, OUTAGE):
        further = settle(Verdict.RETRY, end, bytes_total=100, bytes_done=41, detail=DETAIL, **trouble)
        assert further.due_ns == NOW_NS + NS_PER_S
        still = settle(Verdict.RETRY, end, bytes_total=100, bytes_done=40, detail=DETAIL, **trouble)
        assert still.due_ns >= NOW_NS + 300 * NS_PER_S
    full: dict[str, Any] = {"code": FailureCode.NO_SPACE, "message": "the quota is used up"}
    fuller = settle(Verdict.RETRY, end, bytes_total=100, bytes_done=41, detail=DETAIL, **full)
    assert (
        fuller.due_ns >= NOW_NS + 300 * NS_PER_S
    )  # else all that fits would be fetched again and again, without a pause


@given(failures=st.integers(1, 1000), jitter=st.floats(0, 1, exclude_max=True))
def test_waits_stay_within_half_and_one_and_a_half_of_the_table(failures: int, jitter: float) -> None:
    middle = OPTIONS.waits_s[min(failures, len(OPTIONS.waits_s)) - 1]
    assert middle * 0.5 <= wait_s(failures, OPTIONS, jitter) <= middle * 1.5


@pytest.mark.parametrize("code", [FailureCode.NO_SPACE, FailureCode.READ_ONLY, FailureCode.FILE_SYSTEM_UNAVAILABLE])
def test_the_last_wait_for_room_is_always_as_long(code: FailureCode) -> None:
    """So who was tried longest ago is due first; the waits before it are spread, and those for a store are."""

    def waited_s(attempt: int, jitter: float, why: FailureCode = code) -> float:
        chance = Chance(now_ns=NOW_NS, jitter=jitter)
        got = settlement_of(outcome(Verdict.RETRY, code=why, message="none"), ending(attempt=attempt), OPTIONS, chance)
        return (got.due_ns - NOW_NS) / NS_PER_S

    last = len(OPTIONS.waits_s)
    for attempt in (last, last + 50):
        assert {waited_s(attempt, jitter) for jitter in (0.0, 0.25, 0.99)} == {OPTIONS.waits_s[-1]}
        assert waited_s(attempt, 0.0, FailureCode.STORE_UNAVAILABLE) == OPTIONS.waits_s[-1] / 2
    assert waited_s(last - 1, 0.0) == OPTIONS.waits_s[-2] / 2


def test_the_stores_wish_is_followed_as_far_as_is_sensible() -> None:
    wished = settle(Verdict.RETRY, ending(), retry_after_s=77, **TROUBLE)
    assert wished.due_ns == NOW_NS + 77 * NS_PER_S
    silly = settle(Verdict.RETRY, ending(), retry_after_s=1e9, **TROUBLE)
    assert silly.due_ns == NOW_NS + 3600 * NS_PER_S


def test_a_retry_keeps_what_must_stay_known() -> None:
    got = settle(Verdict.RETRY, ending(), checkpoint=RECORD, **TROUBLE)
    assert got.checkpoint == written(RECORD)
    died = mover_died(ending(checkpoint=RECORD), OPTIONS, CHANCE, words="killed by SIGKILL")
    assert died.checkpoint == written(RECORD)


def test_the_last_attempt_is_kept_as_used_up_and_due_at_once() -> None:
    got = settle(Verdict.RETRY, ending(failures=7), **TROUBLE)
    assert (got.settling, got.due_ns) == (Settling.RETRY, NOW_NS)
    assert got.error_message == "bytes differ (the last of 8 attempts)"


def test_beyond_the_deadline_there_is_no_further_attempt() -> None:
    got = settle(Verdict.RETRY, ending(age_s=86_400), **TROUBLE)
    assert (got.settling, got.due_ns, got.error_code) == (Settling.RETRY, NOW_NS, "DeadlineExceeded")
    assert got.error_message == "not done within 24 hours; the last attempt ended with ChecksumMismatch: bytes differ"


def test_a_farewell_ends_failed_for_the_reason_that_was_kept() -> None:
    end = ending(failures=8, farewell=FAREWELL, intent=Intent.WITHDRAW)
    got = settle(Verdict.CANCELED, end)
    assert (got.settling, got.error_code) == (Settling.FAILED, "StoreUnavailable")
    assert got.error_message == FAREWELL.message


def test_a_farewell_says_what_nothing_tells_of_an_earlier_attempt() -> None:
    end = ending(failures=8, farewell=FAREWELL, intent=Intent.WITHDRAW)
    got = settle(Verdict.CANCELED, end, message="it may be there")
    assert (got.settling, got.error_code) == (Settling.FAILED, "StoreUnavailable")
    assert got.error_message == f"{FAREWELL.message}; it may be there"


def test_a_farewell_that_finds_the_file_published_is_complete() -> None:
    end = ending(failures=8, farewell=FAREWELL, intent=Intent.WITHDRAW)
    assert settle(Verdict.COMPLETE, end).settling is Settling.COMPLETE


def test_a_farewell_that_cannot_clean_up_is_tried_again_for_the_same_reason() -> None:
    end = ending(failures=9, farewell=FAREWELL, intent=Intent.WITHDRAW)
    got = settle(Verdict.RETRY, end, code=FailureCode.STORE_THROTTLED, message="slow down")
    assert (got.settling, got.error_code, got.error_message) == (Settling.RETRY, "StoreUnavailable", FAREWELL.message)
    assert got.due_ns > NOW_NS


SLOW: dict[str, Any] = {"code": FailureCode.STORE_THROTTLED, "message": "slow down"}
WORN_OUT = 8 + 16 - 1


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.FAILED])
def test_cleaning_up_is_bounded_too_and_what_stays_is_named_and_looked_for(verdict: Verdict) -> None:
    end = ending(failures=WORN_OUT, farewell=FAREWELL, intent=Intent.WITHDRAW, begun=True)
    got = settle(verdict, end, **SLOW)
    assert (got.settling, got.error_code, got.tidy) == (Settling.FAILED, "StoreUnavailable", True)
    told = (
        "whether it had been published was not to be seen",
        ".partial and .penstock-",
        ".journal in what was the directory of /base/data.bin could not be removed (StoreThrottled: slow down)",
        "until 2027-01-16T08:00:00Z they are looked for",
    )
    assert all(words in got.error_message for words in told), got.error_message


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (
            RECORD,
            "the upload u of 'k' in bucket memory could not be removed (StoreThrottled: slow down); it is looked for",
        ),
        (Checkpoint(key="k", intent_ns=1), "an upload of 'k' in bucket memory without an id that is known here"),
        (Checkpoint(key="k", intent_ns=1, upload_id="u", crc64=5), "bucket memory, or the object, if it was published"),
        (
            Checkpoint(key="k", intent_ns=0, earlier=Checkpoint(key="k", intent_ns=1, crc64=5).promises),
            "an object 'in/data.bin'",
        ),
        (None, "an object 'in/data.bin' in bucket memory, if it was published"),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_what_an_export_leaves_is_named_and_its_record_kept(record: Checkpoint | None, named: str, told: bool) -> None:
    """Also by an attempt whose mover died."""
    end = ending(
        failures=WORN_OUT,
        farewell=FAREWELL,
        intent=Intent.WITHDRAW,
        direction=Direction.EXPORT,
        begun=True,
        checkpoint=record,
    )
    died = mover_died(end, OPTIONS, CHANCE, words="killed")
    got = settle(Verdict.RETRY, end, checkpoint=record, **SLOW) if told else died
    assert (got.settling, got.tidy, got.checkpoint) == (Settling.FAILED, True, written(record))
    assert got.error_message.startswith(f"{FAREWELL.message}; ")
    assert (named if told else named.partition(" could not")[0]) in got.error_message


@pytest.mark.parametrize("direction", Direction)
def test_what_was_never_begun_has_left_nothing(direction: Direction) -> None:
    end = ending(failures=WORN_OUT, farewell=FAREWELL, intent=Intent.WITHDRAW, direction=direction)
    got = settle(Verdict.RETRY, end, **SLOW)
    assert (got.settling, got.tidy, got.error_message) == (Settling.FAILED, False, FAREWELL.message)


def test_a_failure_that_could_not_even_clean_up_names_its_upload() -> None:
    end = ending(direction=Direction.EXPORT, begun=True, checkpoint=RECORD)
    got = settle(Verdict.FAILED, end, checkpoint=RECORD, **TROUBLE)
    assert (got.settling, got.tidy, got.checkpoint) == (Settling.FAILED, True, written(RECORD))
    assert got.error_message.startswith(
        "bytes differ; what may be left behind: the upload u of 'k' in bucket memory; it is"
    )
    clean = settle(Verdict.FAILED, end, **TROUBLE)
    assert (clean.tidy, clean.checkpoint, clean.error_message) == (False, "", "bytes differ")


def failed(direction: Direction, *, ended_s_ago: float) -> Ending:
    """What such a row is when it is tidied."""
    begun = ending(
        failures=WORN_OUT, farewell=FAREWELL, intent=Intent.WITHDRAW, direction=direction, begun=True, checkpoint=RECORD
    )
    row = settle(Verdict.RETRY, begun, checkpoint=RECORD, **SLOW)
    return ending(
        intent=Intent.TIDY,
        direction=direction,
        ended_s_ago=ended_s_ago,
        begun=True,
        checkpoint=RECORD,
        told=row.error_message,
    )


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.FAILED])
def test_what_a_failed_export_has_left_is_looked_for_for_ever_and_more_and_more_seldom(verdict: Verdict) -> None:
    waits = []
    for ended_s_ago in (1, 8000, 8 * 3600, 1e7):
        got = settle(verdict, failed(Direction.EXPORT, ended_s_ago=ended_s_ago), **OUTAGE)
        assert got.settling is Settling.RETRY
        assert got.error_message.startswith(f"{FAREWELL.message}; what may be left behind: the upload u of ")
        assert got.error_message.count("could not be removed") == 1
        assert "(StoreUnavailable: no answer)" in got.error_message
        waits.append((got.due_ns - NOW_NS) / NS_PER_S)
    assert waits == [60, 1000, 3600, 3600]


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.FAILED])
def test_what_a_failed_import_has_left_is_looked_for_for_a_day_and_stays_named(verdict: Verdict) -> None:
    for ended_s_ago, expected in ((DAY_S - 1, Settling.RETRY), (DAY_S + 1, Settling.TIDIED)):
        got = settle(verdict, failed(Direction.IMPORT, ended_s_ago=ended_s_ago), **OUTAGE)
        assert (got.settling, got.error_message) == (expected, "")  # which changes nothing


@pytest.mark.parametrize("direction", Direction)
def test_nothing_that_is_gone_is_named(direction: Direction) -> None:
    end = failed(direction, ended_s_ago=1)
    kept = "; whether it had been published was not to be seen" if direction is Direction.IMPORT else ""
    assert settle(Verdict.TIDIED, end).error_message == FAREWELL.message + kept
    assert settle(Verdict.TIDIED, end, message="it was").error_message == f"{FAREWELL.message}{kept}; it was"


def test_other_rows_sentences_stay_when_they_are_tidied() -> None:
    assert settle(Verdict.TIDIED, ending(intent=Intent.TIDY, ended_s_ago=1, told="no such bucket")).error_message == ""


def test_a_cancel_during_the_farewell_ends_canceled() -> None:
    end = ending(failures=8, farewell=FAREWELL, intent=Intent.WITHDRAW, canceling=True)
    assert settle(Verdict.CANCELED, end).settling is Settling.CANCELED


def test_what_nothing_tells_of_a_canceled_one_is_its_note() -> None:
    got = settle(Verdict.CANCELED, ending(intent=Intent.WITHDRAW, canceling=True), message="somebody may have it")
    assert (got.settling, got.note, got.error_message) == (Settling.CANCELED, "somebody may have it", "")


def test_a_cancel_is_never_given_up_and_tried_again_soon() -> None:
    got = settle(Verdict.RETRY, ending(failures=500, canceling=True, age_s=1e6), **TROUBLE)
    assert (got.settling, got.error_code) == (Settling.RETRY, "ChecksumMismatch")
    assert NOW_NS < got.due_ns <= NOW_NS + 15 * NS_PER_S


def test_a_file_that_failed_while_being_canceled_is_withdrawn_all_the_same() -> None:
    failed = settle(Verdict.FAILED, ending(canceling=True), **TROUBLE, checkpoint=RECORD)
    assert (failed.settling, failed.checkpoint) == (
        Settling.RETURNED,
        written(RECORD),
    )  # a withdrawal looks what it left
    withdrawn = settle(Verdict.FAILED, ending(canceling=True, intent=Intent.WITHDRAW), **TROUBLE)
    assert (withdrawn.settling, withdrawn.error_code) == (Settling.RETRY, "ChecksumMismatch")


def test_a_movers_death_counts_a_failure_and_says_so() -> None:
    got = mover_died(ending(failures=0), OPTIONS, CHANCE, words="killed by SIGKILL")
    assert (got.settling, got.error_code, got.due_ns) == (Settling.RETRY, "MoverDied", NOW_NS + NS_PER_S)
    assert "killed by SIGKILL" in got.error_message
    last = mover_died(ending(failures=7), OPTIONS, CHANCE, words="killed by SIGKILL")
    assert (last.settling, last.error_code, last.due_ns) == (Settling.RETRY, "MoverDied", NOW_NS)


def test_returned_work_keeps_its_record_and_its_numbers() -> None:
    amounts = Amounts(bytes_total=100, bytes_done=40, actual_bytes=40, moving_ns=3, detail=DETAIL)
    got = returned(ending(amounts=amounts, checkpoint=RECORD))
    assert (got.settling, got.checkpoint, got.bytes_done) == (Settling.RETURNED, written(RECORD), 40)


def test_an_end_without_numbers_leaves_the_last_ones() -> None:
    amounts = Amounts(bytes_total=100, bytes_done=40, actual_bytes=40, moving_ns=3, detail=DETAIL)
    got = settle(Verdict.CANCELED, ending(amounts=amounts))
    assert (got.bytes_total, got.bytes_done, got.actual_bytes, got.detail) == (100, 40, 40, DETAIL)
    told = settle(Verdict.RETRY, ending(amounts=amounts), bytes_total=100, bytes_done=70, detail=DETAIL, **TROUBLE)
    assert told.bytes_done == 70


def test_tidying_is_tried_again_calmly_and_given_up_after_a_day() -> None:
    soon = settle(Verdict.RETRY, ending(intent=Intent.TIDY, ended_s_ago=10), **TROUBLE)
    assert (soon.settling, soon.due_ns) == (Settling.RETRY, NOW_NS + 60 * NS_PER_S)
    late = settle(Verdict.RETRY, ending(intent=Intent.TIDY, ended_s_ago=90_000), **TROUBLE)
    assert late.settling is Settling.TIDIED
    assert settle(Verdict.FAILED, ending(intent=Intent.TIDY, ended_s_ago=1), **TROUBLE).settling is Settling.TIDIED


@given(
    verdict=st.sampled_from(Verdict),
    failures=st.integers(0, 30),
    urge=st.tuples(st.booleans(), st.booleans()),
    age_s=st.floats(0, 200_000),
    code=st.sampled_from(FailureCode),
)
def test_nothing_is_tried_for_ever_but_a_cancel(
    verdict: Verdict, failures: int, urge: tuple[bool, bool], age_s: float, code: FailureCode
) -> None:
    """Whatever comes: the attempt is the one that ended, retries are due within bounds, and FAILED always has a reason."""
    canceling, farewell = urge
    kept = FAREWELL if farewell else None
    end = ending(failures=failures, canceling=canceling, farewell=kept, age_s=age_s)
    got = settle(verdict, end, code=code, message="why")
    assert (got.sub_task_id, got.attempt) == ("subtask-1", failures + 1 if verdict not in DONE else got.attempt)
    assert got.due_ns <= NOW_NS + int(1350.0 * NS_PER_S)
    if got.settling is Settling.FAILED:
        assert got.error_code
    if got.settling is Settling.WAITING:
        assert age_s < OPTIONS.deadline_s
        assert not any(urge)
    if got.settling is Settling.RETRY and not canceling:
        assert got.error_code
        assert failures + 1 < OPTIONS.attempts_max + OPTIONS.cleanups_max or not farewell


DONE = {Verdict.COMPLETE, Verdict.SKIPPED}


def test_a_failure_before_the_deadline_is_never_called_late() -> None:
    end = ending(failures=2, age_s=100)
    got = settlement_of(outcome(Verdict.RETRY, **TROUBLE), end, replace(OPTIONS, deadline_s=1000), CHANCE)
    assert got.error_code == "ChecksumMismatch"
