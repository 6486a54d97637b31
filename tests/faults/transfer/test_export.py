"""What does an export write, and what does it do when answers are lost or movers die?"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from penstock.errors import FailureCode, NotSupportedError, StoreUnavailableError, UploadNotFoundError
from penstock.model import ConflictPolicy
from penstock.stores.base import Abilities, Checksum, Overwrite
from penstock.transfer import crc64
from penstock.transfer.source_file import SourceFile
from penstock.transfer.transfer import Intent, Lane, Over, StopReason, Verdict
from tests.faults.transfer.exports import (
    CONTENT,
    KEY,
    LONG_AGO_NS,
    LOST,
    OTHER,
    SMALL,
    Frozen,
    check_complete,
    drain_after,
    export,
    lane_of,
    later,
    write,
)
from tests.fixtures.gate import Gate
from tests.fixtures.memorystore import Fault, MemoryStore, Moment, Raise

# ------------------------------------------------------------------------------------------------------ what is written


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


@pytest.mark.usefixtures("kind")
def test_a_fresh_large_file_is_waited_for_once(gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    plain = SourceFile.look_again

    def look_again(source: SourceFile) -> None:
        looks.append(None)
        plain(source)

    monkeypatch.setattr(SourceFile, "look_again", look_again)
    monkeypatch.setattr(SourceFile, "rest_ns", lambda source, now_ns: 1)
    write(gate)
    check_complete(gate.move(export(), store), store)
    assert len(looks) == 1


def test_a_large_file_is_an_upload_whose_intent_and_id_are_durable_first(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    seen: list[tuple[str, ...]] = []
    gate.hooks.on_checkpoint = lambda record: seen.append(tuple(call.verb for call in store.calls))
    check_complete(gate.move(export(), store), store)
    before = ("list_uploads", "initiate")
    assert seen == [before[:1], before, (*before, *("put_part",) * 6, "head")]
    intent, begun, expected = gate.hooks.checkpoints
    assert (intent.upload_id, begun.upload_id) == ("", "upload-000001")
    assert begun.source_size_bytes == len(CONTENT)
    assert expected == replace(begun, crc64=crc64.update(CONTENT), over=Over(is_there=False))
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
    assert store.calls_of(verb) != []


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
        first = gate.move(
            msgspec.structs.replace(what, attempt=2, checkpoint=first.checkpoint), store, lane=lane_of(content)
        )
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
    assert [call.verb for call in store.calls_of("complete", "head")] == [
        "head",
        "complete",
        "head",
    ]  # not completed once more


def test_complete_without_etag_and_checksum_is_compared_by_a_head(gate: Gate) -> None:
    store = MemoryStore(complete_etag="", abilities=Abilities(part_etag_is_md5=True))
    write(gate)
    outcome = gate.move(export(), store)
    check_complete(outcome, store)
    assert outcome.note == "md5"


# ------------------------------------------------------------------------------------------------------------- resuming


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


@pytest.mark.parametrize(
    ("begun", "now"),
    [(Checksum.NONE, Checksum.CRC32C), (Checksum.CRC32C, Checksum.NONE), (Checksum.CRC32C, Checksum.SHA256)],
)
def test_an_upload_whose_parts_came_with_another_checksum_starts_anew(
    gate: Gate, begun: Checksum, now: Checksum
) -> None:
    """The bucket was probed in between: such a store takes no part, nor Complete, but with the checksum of Initiate."""
    store = MemoryStore(abilities=Abilities(part_etag_is_md5=True, checksum=begun))
    write(gate)
    first = gate.move(export(), store, hooks=drain_after(gate, store, 3))
    assert first.checkpoint is not None
    assert first.checkpoint.checksum == begun.value
    store._abilities = replace(store.abilities, checksum=now)
    check_complete(gate.move(export(attempt=2, checkpoint=first.checkpoint), store), store)
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


def test_an_upload_is_found_again_where_the_stores_clock_is_behind(gate: Gate) -> None:
    store = MemoryStore(clock=lambda: later() - 14 * 60 * 10**9)
    write(gate)
    foreign = store.initiate(KEY, metadata={})
    frozen = Frozen(gate, store, lambda record: bool(record.upload_id))
    record = frozen.durable[-1]
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=record), store)
    assert outcome.verdict is Verdict.CANCELED
    assert [upload.upload_id for upload in store.unfinished()] == [foreign]
    frozen.release()


def test_an_upload_that_may_as_well_be_ours_is_left_alone_until_it_shows_whose_it_is(
    gate: Gate, store: MemoryStore
) -> None:
    """A mover died between Initiate and learning the id, and somebody has begun an upload on the same key since, still empty."""
    write(gate)
    frozen = Frozen(gate, store, lambda record: bool(record.upload_id))
    record = frozen.durable[-1]
    frozen.release()
    theirs = store.initiate(KEY, metadata={})
    withdrawal = export(attempt=2, intent=Intent.WITHDRAW, checkpoint=record)
    outcome = gate.move(withdrawal, store)
    assert (outcome.verdict, outcome.code, outcome.checkpoint) == (Verdict.RETRY, FailureCode.STORE_REFUSED, record)
    assert theirs in outcome.message
    assert len(store.unfinished()) == 2
    store.put_part(KEY, theirs, 1, [b"x"], crc64=crc64.update(b"x"))
    assert gate.move(withdrawal, store).verdict is Verdict.CANCELED
    assert [upload.upload_id for upload in store.unfinished()] == [theirs]


def test_an_upload_that_was_begun_long_after_is_not_taken_for_ours(gate: Gate) -> None:
    """The service was down for an hour between Initiate and the look for what it had begun."""
    down_ns = [0]
    store = MemoryStore(clock=lambda: later() + down_ns[0])
    write(gate)
    frozen = Frozen(gate, store, lambda record: bool(record.upload_id))
    record = frozen.durable[-1]
    frozen.release()
    down_ns[0] = 3600 * 10**9
    theirs = store.initiate(KEY, metadata={})
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=record), store)
    assert outcome.verdict is Verdict.CANCELED
    assert [upload.upload_id for upload in store.unfinished()] == [theirs]


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


@pytest.mark.parametrize("size", ["small", "large"])
def test_our_object_of_an_older_state_of_the_file_is_not_taken_for_this_one(gate: Gate, size: str) -> None:
    """Published, the answer lost, the mover dead; then the file is rewritten with as many bytes."""
    store = MemoryStore(abilities=Abilities(create_only_put=True, create_only_complete=True), clock=later)
    content, other = (SMALL, OTHER[: len(SMALL)]) if size == "small" else (CONTENT, OTHER)
    what = export(conflict_policy=ConflictPolicy.SKIP_THE_FILE)
    lane = Lane.SMALL if size == "small" else Lane.LARGE
    write(gate, content)
    assert gate.move(what, store, lane=lane).verdict is Verdict.COMPLETE
    write(gate, other, LONG_AGO_NS + 1)
    outcome = gate.move(msgspec.structs.replace(what, attempt=2), store, lane=lane)
    assert outcome.verdict is Verdict.COMPLETE
    assert store.content(KEY) == other
    again = gate.move(msgspec.structs.replace(what, attempt=3), store, lane=lane)
    assert again.verdict is Verdict.COMPLETE
    sent = [call for call in store.calls_of("put", "complete") if call.precondition == Overwrite()]
    assert len(sent) == 1  # the third attempt found what the second had published


def test_a_store_that_cannot_list_uploads_is_exported_to_all_the_same(gate: Gate, store: MemoryStore) -> None:
    write(gate)
    store.script(Fault("list_uploads", times=99, action=Raise(NotSupportedError("501"))))
    store.script(Fault("initiate", action=Raise(LOST)))
    check_complete(gate.move(export(), store), store)
