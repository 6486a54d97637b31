"""What does an export leave in the bucket when stores, sources and movers fail?"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from penstock.errors import (
    FailureCode,
    FencedError,
    IntegrityError,
    PermissionDeniedError,
    StoreError,
    StoreUnavailableError,
    UploadNotFoundError,
)
from penstock.model import ConflictPolicy, Direction, Guarantee
from penstock.stores.base import Abilities, CreateOnly, Overwrite, Versioning
from penstock.transfer import crc64
from penstock.transfer.source_file import SourceFile
from penstock.transfer.transfer import Checkpoint, Intent, Lane, Outcome, StopReason, Transfer, Verdict
from tests.fixtures.gate import KIB, Gate, RecordingHooks, transfer
from tests.fixtures.memorystore import Damage, Fault, Hold, Meanwhile, MemoryStore, Moment, Raise
from tests.fixtures.memorystore import Gate as StoreGate

KEY = "in/data.bin"
CONTENT = random.Random(9).randbytes(5 * 64 * KIB + 321)  # six parts
OTHER = random.Random(10).randbytes(len(CONTENT))
SMALL = CONTENT[: 10 * KIB]
DEADLINE_S = 20.0
LONG_AGO_NS = 1_600_000_000_123_456_789
VERSIONED = Abilities(crc64=True, part_etag_is_md5=True, versioning=Versioning.ENABLED)
UNABLE = Abilities(crc64=True, part_etag_is_md5=True)
LOST = StoreUnavailableError("the answer was lost")


def export(**changes: object) -> Transfer:
    return transfer(Direction.EXPORT, **changes)


def write(gate: Gate, content: bytes = CONTENT, modify_ns: int = LONG_AGO_NS) -> None:
    gate.target.write_bytes(content)
    os.utime(gate.target, ns=(modify_ns, modify_ns))


def later() -> int:
    """A clock by which every source has been quiet for a while, so that nothing waits for its stamps to age."""
    return time.time_ns() + 10_000_000_000


@pytest.fixture(autouse=True)
def quiet(gate: Gate) -> None:
    gate.clock = later


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=later)


def check_complete(outcome: Outcome, store: MemoryStore, content: bytes = CONTENT) -> None:
    assert (outcome.verdict, outcome.code, outcome.message) == (Verdict.COMPLETE, None, "")
    assert store.content(KEY) == content
    assert (outcome.bytes_total, outcome.bytes_done, outcome.actual_bytes) == (len(content),) * 3
    assert outcome.detail is not None
    assert outcome.detail.checksum == f"crc64:{crc64.update(content)}"
    assert outcome.detail.modify_time_ns == LONG_AGO_NS
    assert outcome.checkpoint is None
    assert store.unfinished() == []


def lane_of(content: bytes) -> Lane:
    return Lane.SMALL if content is SMALL else Lane.LARGE


def drain_after(gate: Gate, store: MemoryStore, parts: int) -> RecordingHooks:
    """Hooks that drain once the store holds so many parts."""
    gate.narrow()
    hooks = RecordingHooks()

    def look(progress: object) -> None:
        if sum(len(entry.parts) for entry in store._uploads.values()) >= parts:
            hooks.stop = StopReason.DRAIN

    hooks.on_progress = look
    return hooks


# ------------------------------------------------------------------------------------------------------- what is written


def test_a_small_file_is_one_request_with_its_metadata(gate: Gate, store: MemoryStore) -> None:
    write(gate, SMALL)
    check_complete(gate.move(export(), store, lane=Lane.SMALL), store, SMALL)
    assert [call.verb for call in store.calls] == ["put"]
    assert store.calls[0].metadata == {
        "alihbr-sync-mtime": str(LONG_AGO_NS),
        "penstock-mtime-ns": str(LONG_AGO_NS),
        "penstock-sub-task": "subtask-1",
        "penstock-crc64": str(crc64.update(SMALL)),
    }


def test_a_large_file_is_an_upload_whose_intent_and_id_are_durable_first(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    seen: list[tuple[str, ...]] = []
    gate.hooks.on_checkpoint = lambda record: seen.append(tuple(call.verb for call in store.calls))
    check_complete(gate.move(export(), store), store)
    assert seen == [("list_uploads",), ("list_uploads", "initiate")]
    intent, begun = gate.hooks.checkpoints
    assert (intent.upload_id, begun.upload_id) == ("", "upload-000001")
    assert begun.source_size_bytes == len(CONTENT)
    assert len(store.calls_of("put_part")) == 6
    assert "penstock-crc64" not in store.calls_of("initiate")[0].metadata
    assert store.calls_of("complete")[0].precondition == Overwrite()


@pytest.mark.parametrize("content", [b"", b"x"], ids=["empty", "one byte"])
@pytest.mark.parametrize("lane", list(Lane))
def test_tiny_files(gate: Gate, store: MemoryStore, content: bytes, lane: Lane) -> None:
    write(gate, content)
    check_complete(gate.move(export(), store, lane=lane), store, content)


def test_a_large_file_in_the_small_lane_is_not_begun(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.bytes_total) == (Verdict.LARGE, len(CONTENT))
    assert store.calls == []


# --------------------------------------------------------------------------------------------------------- lost answers


@pytest.mark.parametrize("policy", list(ConflictPolicy))
@pytest.mark.parametrize("verb", ["put", "initiate", "put_part", "complete", "list_uploads", "head"])
@pytest.mark.parametrize("moment", list(Moment))
def test_any_answer_may_be_lost(
    gate: Gate, store: MemoryStore, policy: ConflictPolicy, verb: str, moment: Moment
) -> None:
    content = SMALL if verb == "put" else CONTENT
    write(gate, content)
    store.script(Fault(verb, action=Raise(LOST, moment)))
    outcome = gate.move(export(conflict_policy=policy), store, lane=lane_of(content))
    check_complete(outcome, store, content)


@pytest.mark.parametrize("verb", ["initiate", "put_part", "complete", "put"])
@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_all_answers_may_be_lost_and_the_next_attempt_finds_out(
    gate: Gate, store: MemoryStore, verb: str, policy: ConflictPolicy
) -> None:
    content = SMALL if verb == "put" else CONTENT
    write(gate, content)
    fault = Fault(verb, times=3, action=Raise(LOST, Moment.AFTER))
    store.script(fault, Fault("head", times=3, action=Raise(LOST)) if verb == "complete" else fault)
    what = export(conflict_policy=policy)
    first = gate.move(what, store, lane=lane_of(content))
    if first.verdict is Verdict.RETRY:
        assert first.code is FailureCode.STORE_UNAVAILABLE
        first = gate.move(replace(what, attempt=2, checkpoint=first.checkpoint), store, lane=lane_of(content))
    check_complete(first, store, content)


def test_a_store_that_answers_a_repeated_complete_with_500_is_asked_for_the_object(
    gate: Gate, store: MemoryStore
) -> None:
    write(gate)
    store.script(
        Fault("complete", action=Raise(LOST, Moment.AFTER)),
        Fault("complete", nth=2, times=99, action=Raise(StoreUnavailableError("500"))),
    )
    check_complete(gate.move(export(), store), store)


def test_complete_without_etag_and_checksum_is_compared_by_a_head(gate: Gate) -> None:
    store = MemoryStore(complete_etag="", abilities=Abilities(part_etag_is_md5=True))
    write(gate)
    outcome = gate.move(export(), store)
    check_complete(outcome, store)
    assert outcome.note == "not compared"


# -------------------------------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize(
    "abilities",
    [Abilities(crc64=True), Abilities(part_etag_is_md5=True), Abilities()],
    ids=["crc64", "md5", "nothing"],
)
def test_parts_that_the_store_can_prove_are_kept(gate: Gate, abilities: Abilities) -> None:
    store = MemoryStore(abilities=abilities)
    write(gate)
    hooks = drain_after(gate, store, 3)
    first = gate.move(export(), store, hooks=hooks)
    assert first.verdict is Verdict.RETURNED
    assert first.checkpoint is not None
    (entry,) = store._uploads.values()
    kept = len(entry.parts)
    sent = len(store.calls_of("put_part"))
    check_complete(gate.move(export(attempt=2, checkpoint=first.checkpoint), store), store)
    again = len(store.calls_of("put_part")) - sent
    assert kept >= 3
    assert again == (6 if abilities == Abilities() else 6 - kept)
    assert len(store.calls_of("initiate")) == 1


def test_a_listed_part_with_other_bytes_is_sent_again(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 3))
    assert first.checkpoint is not None
    entry = store._uploads[first.checkpoint.upload_id]
    number = min(entry.parts)
    part, content = entry.parts[number]
    bad = bytes([content[0] ^ 1]) + content[1:]
    entry.parts[number] = (replace(part, crc64=crc64.update(bad)), bad)
    check_complete(gate.move(export(attempt=2, checkpoint=first.checkpoint), store), store)


def test_a_changed_source_aborts_the_upload_and_starts_anew(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 3))
    assert first.checkpoint is not None
    write(gate, OTHER)
    check_complete(gate.move(export(attempt=2, checkpoint=first.checkpoint), store), store, OTHER)
    assert [call.upload_id for call in store.calls_of("abort")] == [first.checkpoint.upload_id]


def test_an_upload_that_somebody_aborted_starts_anew(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 3))
    assert first.checkpoint is not None
    store._uploads.clear()
    check_complete(gate.move(export(attempt=2, checkpoint=first.checkpoint), store), store)
    store.script(Fault("put_part", nth=3, times=99, action=Raise(UploadNotFoundError("aborted"))))
    second = gate.move(export(), store)
    assert (second.verdict, second.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)


@pytest.mark.parametrize("moment", ["before initiate", "after initiate"])
def test_a_mover_that_dies_around_initiate_leaves_nothing_and_touches_no_foreign_upload(
    gate: Gate, store: MemoryStore, moment: str
) -> None:
    write(gate)
    foreign = [store.initiate(KEY, metadata={}), store.initiate(f"{KEY}.more", metadata={})]
    frozen = Frozen(gate, store, lambda record: bool(record.upload_id) == (moment == "after initiate"))
    intent = frozen.durable[-1] if frozen.durable else frozen.refused[-1]
    late = store.initiate(KEY, metadata={})  # somebody begins after our intent and has sent a part already
    store.put_part(KEY, late, 1, [b"x"], crc64=crc64.update(b"x"))
    known = intent if moment == "before initiate" else frozen.durable[-1]
    assert known.upload_id == ""
    assert known.known_upload_ids == (foreign[0],)
    outcome = gate.move(export(attempt=2, checkpoint=known), store)
    assert outcome.verdict is Verdict.COMPLETE
    assert store.content(KEY) == CONTENT
    assert {upload.upload_id for upload in store.unfinished()} == {*foreign, late}
    frozen.release()


@pytest.mark.parametrize("has_id", [False, True])
def test_withdrawing_an_upload_leaves_nothing_and_touches_no_foreign_upload(
    gate: Gate, store: MemoryStore, has_id: bool
) -> None:
    write(gate)
    foreign = store.initiate(KEY, metadata={})
    if has_id:
        first = gate.move(export(), store, hooks=drain_after(gate, store, 2))
        record = first.checkpoint
    else:
        frozen = Frozen(gate, store, lambda record: bool(record.upload_id))
        record = frozen.durable[-1]
        frozen.release()
    assert record is not None
    assert len(store.unfinished()) == 2
    gate.hooks.stop = StopReason.CANCEL
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=record), store)
    assert (outcome.verdict, outcome.checkpoint) == (Verdict.CANCELED, None)
    assert [upload.upload_id for upload in store.unfinished()] == [foreign]


class Frozen:
    """A mover that stops dead at a checkpoint, as a killed one would: nothing is cleaned up.

    `durable` holds the records that were kept before, `refused` the one at which it froze.
    """

    def __init__(self, gate: Gate, store: MemoryStore, at: Callable[[Checkpoint], bool]) -> None:
        self.durable: list[Checkpoint] = []
        self.refused: list[Checkpoint] = []
        self._reached, self._released = threading.Event(), threading.Event()
        self._at = at
        hooks = RecordingHooks()
        hooks.on_checkpoint = self._look
        self._thread = threading.Thread(target=lambda: gate.move(export(), store, hooks=hooks))
        self._thread.start()
        assert self._reached.wait(DEADLINE_S)

    def _look(self, record: Checkpoint) -> None:
        if not self._at(record):
            self.durable.append(record)
            return
        self.refused.append(record)
        self._reached.set()
        assert self._released.wait(DEADLINE_S)
        raise FencedError("somebody else owns it now")

    def release(self) -> None:
        """Wake it up: it finds itself fenced off."""
        self._released.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


# ---------------------------------------------------------------------------------------------------------- torn sources


@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
@pytest.mark.parametrize("change", ["write", "append", "truncate", "replace", "remove", "touch"])
def test_a_source_that_changes_while_it_is_read_is_never_published(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, content: bytes, change: str
) -> None:
    write(gate, content)
    changed: list[str] = []
    plain = os.preadv

    def read_then_change(*args: object) -> int:
        count = plain(*args)  # type: ignore[arg-type]
        if not changed:
            changed.append(change)
            _change(gate, change)
        return count

    monkeypatch.setattr(os, "preadv", read_then_change)
    outcome = gate.move(export(), store, lane=lane_of(content))
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
    assert store.keys() == []
    monkeypatch.undo()
    if change == "remove":
        final = gate.move(export(attempt=2, checkpoint=outcome.checkpoint), store, lane=Lane.LARGE)
        assert (final.verdict, final.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    else:
        final = gate.move(export(attempt=2, checkpoint=outcome.checkpoint), store, lane=Lane.LARGE)
        assert final.verdict is Verdict.COMPLETE
        assert store.content(KEY) == gate.target.read_bytes()
    assert store.unfinished() == []


def _change(gate: Gate, change: str) -> None:
    if change == "write":
        with open(gate.target, "rb+") as file:
            file.seek(3)
            file.write(b"!")
    elif change == "append":
        with open(gate.target, "ab") as file:
            file.write(b"!")
    elif change == "truncate":
        os.truncate(gate.target, 5)
    elif change == "replace":
        other = gate.base / "other"
        other.write_bytes(gate.target.read_bytes())
        os.utime(other, ns=(LONG_AGO_NS, LONG_AGO_NS))
        other.rename(gate.target)
    elif change == "remove":
        gate.target.unlink()
    else:
        os.utime(gate.target)


def test_a_change_within_one_tick_of_the_clock_is_noticed_by_reading_again(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems stamp by the tick: a change right after another one may leave all stamps as they were."""
    gate.clock = time.time_ns
    write(gate, SMALL)
    monkeypatch.setattr(SourceFile, "check_unchanged", lambda self: None)  # stamps that tell nothing
    plain = os.preadv
    reads: list[int] = []

    def read_then_change(*args: object) -> int:
        count = plain(*args)  # type: ignore[arg-type]
        reads.append(count)
        if len(reads) == 1:
            with open(gate.target, "rb+") as file:
                file.write(b"!")
        return count

    monkeypatch.setattr(os, "preadv", read_then_change)
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
    assert store.keys() == []


# -------------------------------------------------------------------------------------------------------- bad objects


def test_a_small_object_stored_badly_is_overwritten_at_once(gate: Gate, store: MemoryStore) -> None:
    write(gate, SMALL)
    store.script(Fault("put", action=Damage(3)))
    check_complete(gate.move(export(), store, lane=Lane.SMALL), store, SMALL)
    assert len(store.calls_of("put")) == 2


def test_under_skip_a_bad_object_of_our_own_does_not_stand_in_the_way(gate: Gate, store: MemoryStore) -> None:
    write(gate, SMALL)
    store.script(Fault("put", action=Damage(3)))
    what = export(conflict_policy=ConflictPolicy.SKIP_THE_FILE)
    check_complete(gate.move(what, store, lane=Lane.SMALL), store, SMALL)


def test_a_bad_version_is_deleted(gate: Gate) -> None:
    store = MemoryStore(abilities=VERSIONED)
    before = store.seed(KEY, OTHER)
    write(gate, SMALL)
    store.script(Fault("put", times=3, action=Damage(3)))
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.CHECKSUM_MISMATCH)
    assert [version.version_id for version in store.list_versions(prefix=KEY)] == [before.version_id]


def test_a_bad_object_that_cannot_be_mended_is_named(gate: Gate, store: MemoryStore) -> None:
    write(gate, SMALL)
    store.script(Fault("put", times=99, action=Damage(3)))
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.BAD_OBJECT_LEFT)
    assert repr(KEY) in outcome.message


def test_a_body_refused_as_damaged_is_sent_again(gate: Gate) -> None:
    store = MemoryStore(abilities=Abilities())
    write(gate, SMALL)
    store.script(Fault("put", action=Damage(3)))
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    check_complete(outcome, store, SMALL)
    assert outcome.note == "not compared"


def test_a_part_stored_badly_is_sent_again(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    store.script(Fault("put_part", nth=2, action=Damage(3)))
    check_complete(gate.move(export(), store), store)
    assert len(store.calls_of("put_part")) == 7


@pytest.mark.parametrize("abilities", [None, VERSIONED], ids=["plain", "versioned"])
def test_a_large_object_put_together_badly_does_not_stay(gate: Gate, abilities: Abilities | None) -> None:
    store = MemoryStore(abilities=abilities)
    write(gate)
    plain = store.complete
    spoiled: list[str] = []

    def spoil(key: str, upload_id: str, parts: object, **rest: object) -> object:
        if not spoiled:
            part, content = store._uploads[upload_id].parts[2]
            store._uploads[upload_id].parts[2] = (part, b"!" + content[1:])
            spoiled.append(upload_id)
        return plain(key, upload_id, parts, **rest)  # type: ignore[arg-type]

    store.complete = spoil  # type: ignore[method-assign, assignment]
    outcome = gate.move(export(), store)
    if abilities is None:
        check_complete(outcome, store)
        assert len(store.calls_of("complete")) == 2
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.CHECKSUM_MISMATCH)
        assert store.keys() == []
        check_complete(gate.move(export(attempt=2, checkpoint=outcome.checkpoint), store), store)


# --------------------------------------------------------------------------------------------------------------- policies


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


# ---------------------------------------------------------------------------------------------------------------- cancels


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
