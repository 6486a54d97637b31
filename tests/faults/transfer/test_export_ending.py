"""Do policies hold while others write, and does a cancel leave nothing in the bucket?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from typing import Self

import pytest
from msgspec.structs import replace

from penstock.errors import FailureCode, IntegrityError, PermissionDeniedError, StoreError, StoreUnavailableError
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import Abilities, Buffer, CreateOnly, Overwrite, Part, StreamedBody
from penstock.transfer.transfer import Checkpoint, Intent, Lane, Outcome, StopReason, Verdict
from tests.faults.transfer.exports import (
    CONTENT,
    DEADLINE_S,
    KEY,
    LOST,
    SMALL,
    UNABLE,
    VERSIONED,
    check_complete,
    drain_after,
    export,
    lane_of,
    later,
    write,
)
from tests.faults.transfer.test_export_assembled import TOLD, killed
from tests.fixtures.gate import Gate
from tests.fixtures.memorystore import Fault, Hold, Meanwhile, MemoryStore, Moment, Raise
from tests.fixtures.memorystore import Gate as StoreGate

# ------------------------------------------------------------------------------------------------------------- policies


@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
@pytest.mark.parametrize("abilities", [None, UNABLE, VERSIONED], ids=["able", "unable", "versioned"])
def test_under_skip_a_foreign_object_that_comes_in_between_is_kept(
    gate: Gate, content: bytes, abilities: Abilities | None
) -> None:
    store = MemoryStore(abilities=abilities)
    write(gate, content)
    verb = "put" if content is SMALL else "complete"
    if abilities is UNABLE:
        verb = "put_part" if content is CONTENT else "head"  # later than its last look nothing can help an unable store
    nth = 2 if verb == "put_part" else 1
    store.script(Fault(verb, nth=nth, action=Meanwhile(lambda: store.seed(KEY, b"theirs"))))
    outcome = gate.move(export(conflict_policy=ConflictPolicy.SKIP_THE_FILE), store, lane=lane_of(content))
    assert (outcome.verdict, outcome.actual_bytes) == (Verdict.SKIPPED, 0)
    assert store.content(KEY) == b"theirs"
    assert store.unfinished() == []
    assert len(list(store.list_versions(prefix=KEY))) == 1
    assert outcome.guarantee is (Guarantee.ATOMIC if abilities is None else Guarantee.BEST_EFFORT)


@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_on_a_versioned_bucket_an_earlier_try_of_ours_is_not_taken_for_foreign(gate: Gate, content: bytes) -> None:
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    store.script(Fault("put", action=Raise(LOST, Moment.AFTER)), Fault("complete", action=Raise(LOST, Moment.AFTER)))
    outcome = gate.move(export(conflict_policy=ConflictPolicy.SKIP_THE_FILE), store, lane=lane_of(content))
    check_complete(outcome, store, content)


def test_a_create_only_request_is_made_where_the_store_honours_it(gate: Gate) -> None:
    for abilities, expected in ((None, CreateOnly()), (UNABLE, Overwrite())):
        store = MemoryStore(abilities=abilities)
        write(gate, SMALL)
        gate.move(export(conflict_policy=ConflictPolicy.SKIP_THE_FILE), store, lane=Lane.SMALL)
        assert store.calls_of("put")[0].precondition == expected


# -------------------------------------------------------------------------------------------------------------- cancels


@pytest.mark.parametrize("at", ["list_uploads", "initiate", "put_part", "complete"])
def test_a_cancel_at_any_request_leaves_nothing_or_finds_it_complete(gate: Gate, store: MemoryStore, at: str) -> None:
    write(gate)
    cancel = Meanwhile(lambda: setattr(gate.hooks, "stop", StopReason.CANCEL))
    store.script(Fault(at, action=cancel))
    outcome = gate.move(export(), store)
    assert store.unfinished() == []
    if at == "complete":
        check_complete(outcome, store)
    else:
        assert (outcome.verdict, outcome.checkpoint) == (Verdict.CANCELED, None)
        assert store.keys() == []


@pytest.mark.parametrize("verb", ["put", "complete"])
def test_a_cancel_after_an_answer_was_lost_finds_the_object(gate: Gate, store: MemoryStore, verb: str) -> None:
    content = SMALL if verb == "put" else CONTENT
    write(gate, content)

    def strike() -> None:
        gate.hooks.stop = StopReason.CANCEL

    store.script(Fault(verb, action=Meanwhile(strike)), Fault(verb, action=Raise(LOST, Moment.AFTER)))
    check_complete(gate.move(export(), store, lane=lane_of(content)), store, content)


def test_a_store_that_is_away_keeps_a_cancel_waiting_and_says_why(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    store.script(
        Fault("put_part", nth=2, action=Meanwhile(lambda: setattr(gate.hooks, "stop", StopReason.CANCEL))),
        Fault("abort", times=3, action=Raise(StoreUnavailableError("the store is away"))),
    )
    first = gate.move(export(), store)
    assert (first.verdict, first.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)
    assert "the store is away" in first.message
    assert first.checkpoint is not None
    final = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=first.checkpoint), store)
    assert final.verdict is Verdict.CANCELED
    assert store.unfinished() == []


class SilentStore(MemoryStore):
    """Says nothing to a verb that is scripted so, and what waits there is canceled. From then on it may stay silent.

    `calls` are those asked for after the cancel. A part that was being sent when the cancel came is none of them, though it may
    have been read to its end, so that it still arrives.
    """

    waited_ns = 0
    stays_silent = False
    is_canceled = False

    def put_part(
        self, key: str, upload_id: str, number: int, body: Sequence[Buffer] | StreamedBody, *, crc64: int | None
    ) -> Part:
        was_canceled = self.is_canceled
        try:
            return super().put_part(key, upload_id, number, body, crc64=crc64)
        finally:
            if not was_canceled:
                with self._lock:
                    self.calls = [call for call in self.calls if (call.verb, call.number) != ("put_part", number)]

    def heeding(self, stops: Callable[[], bool], forsakes: Callable[[], bool] | None = None) -> Self:
        self.stops = stops
        return self

    def later(self) -> int:
        """A clock that goes on by itself while somebody waits for this store."""
        return later() + self.waited_ns

    def fall_silent(self, gate: Gate, verb: str, moment: Moment) -> None:
        def cancel() -> None:
            gate.hooks.stop = StopReason.CANCEL
            self.is_canceled = True
            assert self.stops()
            with self._lock:
                self.calls.clear()

        def wait() -> None:
            if not self.stays_silent or gate.hooks.stop is None:
                return
            while not self.stops():
                self.waited_ns += 100_000_000
            raise UNHEARD

        gate.narrow()  # else another part may be on its way when the first one is told of the cancel
        gate.clock = self.later
        self.script(Fault(verb, action=Meanwhile(cancel)), Fault(verb, action=Raise(UNHEARD, moment)))
        for asked in ("head", "abort", "list_uploads", "list_parts"):
            self.script(Fault(asked, times=99, action=Meanwhile(wait)))


UNHEARD = StoreUnavailableError("it had not answered when it was to be waited no longer")


def test_a_cancel_asks_nothing_more_where_nothing_was_sent(gate: Gate) -> None:
    store = SilentStore(abilities=UNABLE)
    write(gate, SMALL)
    store.fall_silent(gate, "head", Moment.BEFORE)
    outcome = gate.move(export(conflict_policy=ConflictPolicy.SKIP_THE_FILE), store, lane=Lane.LARGE)
    assert outcome.verdict is Verdict.CANCELED
    assert store.calls == []
    waited = gate.move(export(intent=Intent.WITHDRAW), store, lane=Lane.LARGE)
    assert waited.verdict is Verdict.CANCELED
    assert store.calls == []


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize("verb", ["put", "initiate", "put_part", "complete"])
def test_a_cancel_asks_the_store_again_at_once(gate: Gate, verb: str, moment: Moment) -> None:
    """That an answer was to be waited for no longer proves nothing: mostly the store is well."""
    store = SilentStore()
    content = SMALL if verb == "put" else CONTENT
    write(gate, content)
    store.fall_silent(gate, verb, moment)
    outcome = gate.move(export(conflict_policy=ConflictPolicy.SKIP_THE_FILE), store, lane=Lane.LARGE)
    is_published = moment is Moment.AFTER and verb in {"put", "complete"}
    assert outcome.verdict is (Verdict.COMPLETE if is_published else Verdict.CANCELED)
    assert (outcome.code, outcome.message) == (None, "")
    assert store.unfinished() == []
    assert store.keys() == ([KEY] if is_published else [])


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize("verb", ["put", "initiate", "put_part", "complete"])
def test_a_cancel_waits_for_the_store_where_something_was_sent_and_says_so(
    gate: Gate, verb: str, moment: Moment
) -> None:
    store = SilentStore()
    store.stays_silent = True
    content = SMALL if verb == "put" else CONTENT
    write(gate, content)
    store.fall_silent(gate, verb, moment)
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    what = export(conflict_policy=ConflictPolicy.SKIP_THE_FILE)
    # Aside, as a small file beyond what is sent in company.
    first = gate.move(what, store, lane=Lane.LARGE)
    assert (first.verdict, first.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)
    assert "has not answered" in first.message
    assert [call.verb for call in store.calls] in (
        ["head"],
        ["abort"],
        ["list_uploads"],
        ["list_parts"],  # of what was promised: whether it was put together is asked first
    )  # once, and for long enough to hear from a store that is well
    assert 0 < store.waited_ns <= 2_000_000_000
    gate.hooks.stop, store.stays_silent = None, False
    record = first.checkpoint or (records[-1] if records else None)
    final = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=record), store)
    is_published = moment is Moment.AFTER and verb in {"put", "complete"}
    assert final.verdict is (Verdict.COMPLETE if is_published else Verdict.CANCELED)
    assert store.unfinished() == []
    assert store.keys() == ([KEY] if is_published else [])


@pytest.mark.parametrize("stays_silent", [False, True])
def test_a_cancel_that_had_to_wait_for_its_turn_still_asks(gate: Gate, *, stays_silent: bool) -> None:
    """What would take for ever with many files on a silent store: each waiting its full time, one after the other."""
    store = SilentStore()
    store.stays_silent = stays_silent
    write(gate)

    def wait_for_the_turn() -> None:
        store.waited_ns += 60_000_000_000

    store.fall_silent(gate, "put_part", Moment.BEFORE)
    store.script(Fault("put_part", action=Meanwhile(wait_for_the_turn)))
    outcome = gate.move(export(), store)
    assert outcome.verdict is (Verdict.RETRY if stays_silent else Verdict.CANCELED)
    assert store.waited_ns - 60_000_000_000 <= 500_000_000


def test_a_cancel_tells_what_the_store_answered(gate: Gate) -> None:
    """An answer, be it that of a store in trouble, is not called none."""
    store = SilentStore()
    write(gate)
    store.fall_silent(gate, "put_part", Moment.BEFORE)
    store.script(Fault("abort", times=99, action=Raise(StoreUnavailableError("slow down", retry_after_s=4.0))))
    outcome = gate.move(export(), store)
    assert (outcome.verdict, outcome.code, outcome.message) == (
        Verdict.RETRY,
        FailureCode.STORE_UNAVAILABLE,
        "slow down",
    )
    assert len(store.calls_of("abort")) == 1


class HeedingStore(MemoryStore):
    """Tells which verbs were asked in a way that a stop does not end."""

    def __init__(self) -> None:
        super().__init__(abilities=VERSIONED)
        self.heeds = False

    def heeding(self, stops: Callable[[], bool], forsakes: Callable[[], bool] | None = None) -> Self:
        heeding = copy(self)
        heeding.heeds = True
        return heeding

    def delete(self, key: str, *, version_id: str = "") -> None:
        assert self.heeds
        super().delete(key, version_id=version_id)


def test_who_withdraws_waits_for_no_delete_that_a_stop_would_not_end(gate: Gate) -> None:
    store = HeedingStore()
    store.seed(KEY, b"damaged", metadata={"penstock-sub-task": "subtask-1", "penstock-crc64": "1"})
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW), store)
    assert (outcome.verdict, outcome.message) == (Verdict.CANCELED, "")
    assert list(store.list_versions(prefix=KEY)) == []


def test_an_abort_is_repeated_while_parts_keep_the_upload_alive(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 2))
    plain = store.abort
    ignored: list[str] = []

    def abort(key: str, upload_id: str) -> None:
        if len(ignored) < 2:
            ignored.append(upload_id)
        else:
            plain(key, upload_id)

    store.abort = abort  # type: ignore[method-assign]
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=first.checkpoint), store)
    assert outcome.verdict is Verdict.CANCELED
    assert store.unfinished() == []


def test_a_bucket_that_is_gone_leaves_nothing_to_withdraw(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 2))
    store.bucket_exists = False
    failed = gate.move(export(attempt=2, checkpoint=first.checkpoint), store)
    assert (failed.verdict, failed.code) == (Verdict.FAILED, FailureCode.BUCKET_NOT_FOUND)
    outcome = gate.move(export(attempt=3, intent=Intent.WITHDRAW, checkpoint=first.checkpoint), store)
    assert outcome.verdict is Verdict.CANCELED


def test_withdrawing_finds_an_upload_that_was_completed_meanwhile(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    gate.move(export(), store)
    gate.hooks.stop = StopReason.CANCEL
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=records[-1]), store)
    check_complete(outcome, store)


def test_withdrawing_does_not_take_a_foreign_object_for_ours(gate: Gate, store: MemoryStore) -> None:
    store.seed(KEY, CONTENT, metadata={"penstock-sub-task": "another"})
    outcome = gate.move(export(intent=Intent.WITHDRAW), store)
    assert outcome.verdict is Verdict.CANCELED
    assert store.content(KEY) == CONTENT


def test_a_fenced_attempt_stops_without_completing_or_aborting(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    store.script(Fault("put_part", nth=3, action=Meanwhile(lambda: setattr(gate.hooks, "stop", StopReason.FENCED))))
    outcome = gate.move(export(), store)
    assert outcome.verdict is Verdict.RETURNED
    assert store.calls_of("complete", "abort", "delete") == []
    assert len(store.unfinished()) == 1


def test_a_failure_that_is_final_leaves_no_upload(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 2))
    gate.target.unlink()
    outcome = gate.move(export(attempt=2, checkpoint=first.checkpoint), store)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert store.unfinished() == []


def test_a_final_failure_whose_cleaning_up_must_wait_is_tried_again(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 2))
    gate.target.unlink()
    store.script(Fault("abort", times=3, action=Raise(StoreUnavailableError("away"))))
    second = gate.move(export(attempt=2, checkpoint=first.checkpoint), store)
    assert (second.verdict, second.code) == (Verdict.RETRY, FailureCode.SOURCE_NOT_FOUND)
    assert second.checkpoint == first.checkpoint
    final = gate.move(export(attempt=3, checkpoint=second.checkpoint), store)
    assert final.verdict is Verdict.FAILED
    assert store.unfinished() == []


def test_tidying_aborts_what_is_left(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 2))
    outcome = gate.move(export(attempt=2, intent=Intent.TIDY, checkpoint=first.checkpoint), store)
    assert outcome.verdict is Verdict.TIDIED
    assert store.unfinished() == []


def test_what_a_failed_one_had_published_all_the_same_stays_and_is_told(gate: Gate, store: MemoryStore) -> None:
    """Its store was away from then on; somebody's object is none of ours."""
    write(gate)
    gate.move(export(), store)
    record = gate.hooks.checkpoints[-1]
    outcome = gate.move(export(attempt=2, intent=Intent.TIDY, checkpoint=record, begun=True), store)
    assert (outcome.verdict, outcome.message) == (Verdict.TIDIED, "it had been published all the same")
    assert store.content(KEY) == CONTENT
    store.seed(KEY, b"theirs")
    outcome = gate.move(export(attempt=3, intent=Intent.TIDY, checkpoint=record, begun=True), store)
    told = "it may have been published all the same: another object has taken its key since it was to be put together"
    assert (outcome.verdict, outcome.message) == (Verdict.TIDIED, told)
    assert store.content(KEY) == b"theirs"


@pytest.mark.parametrize("abilities", [None, VERSIONED], ids=["plain", "versioned"])
def test_a_damaged_object_of_a_failed_one_is_removed_or_named(gate: Gate, abilities: Abilities | None) -> None:
    store = killed(gate, abilities or TOLD, "without the last part")
    tidying = export(attempt=2, intent=Intent.TIDY, checkpoint=gate.hooks.checkpoints[-1], begun=True)
    outcome = gate.move(tidying, store)
    if outcome.verdict is Verdict.RETRY:  # and again, by what is known then
        outcome = gate.move(replace(tidying, checkpoint=outcome.checkpoint), store)
    if abilities is VERSIONED:
        assert (outcome.verdict, outcome.message, store.keys()) == (Verdict.TIDIED, "", [])
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BAD_OBJECT_LEFT)
        assert f"the object {KEY!r}" in outcome.message


@pytest.mark.parametrize("verb", ["abort", "head"])
def test_tidying_tells_when_the_store_is_away_still(gate: Gate, store: MemoryStore, verb: str) -> None:
    """Before the upload is aborted, and after: what is sure to be gone by then is done again."""
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 2))
    tidying = export(attempt=2, intent=Intent.TIDY, checkpoint=first.checkpoint, begun=True)
    store.script(Fault(verb, times=3, action=Raise(StoreUnavailableError("away"))))
    outcome = gate.move(tidying, store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)
    assert (
        gate.move(replace(tidying, checkpoint=outcome.checkpoint or tidying.checkpoint), store).verdict
        is Verdict.TIDIED
    )
    assert store.unfinished() == []


@pytest.mark.parametrize("error", [PermissionDeniedError("403"), IntegrityError("bad"), StoreUnavailableError("500")])
def test_a_refused_initiate_is_an_outcome(gate: Gate, store: MemoryStore, error: StoreError) -> None:
    write(gate)
    store.script(Fault("initiate", times=99, action=Raise(error)))
    outcome = gate.move(export(), store)
    assert outcome.verdict is Verdict.RETRY
    assert outcome.checkpoint is not None
    assert outcome.checkpoint.upload_id == ""


def test_a_held_request_of_one_part_does_not_hide_another_parts_error(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    held = StoreGate()
    store.script(
        Fault("put_part", nth=1, action=Hold(held)),
        Fault("put_part", nth=2, times=99, action=Raise(PermissionDeniedError("403"))),
    )
    outcomes: list[Outcome] = []
    mover = threading.Thread(target=lambda: outcomes.append(gate.move(export(), store)))
    mover.start()
    assert held.reached.wait(DEADLINE_S)
    held.open()
    mover.join(DEADLINE_S)
    assert outcomes[0].code is FailureCode.BUCKET_ACCESS_DENIED
