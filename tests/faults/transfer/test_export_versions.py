"""Does an export keep foreign objects when versioning was changed, answers are lost, or the source is gone?"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from penstock.errors import FailureCode, PreconditionFailedError
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import Abilities, CreateOnly, Overwrite, Precondition, Versioning
from penstock.transfer.transfer import Checkpoint, Intent, StopReason, Verdict
from tests.faults.transfer.exports import (
    CONTENT,
    KEY,
    LOST,
    SMALL,
    UNABLE,
    VERSIONED,
    check_complete,
    export,
    lane_of,
    later,
    write,
)
from tests.fixtures.gate import Gate
from tests.fixtures.memorystore import Fault, Meanwhile, MemoryStore, Moment, Raise

SIZES = pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
SKIP = export(conflict_policy=ConflictPolicy.SKIP_THE_FILE)


class TurnedStore(MemoryStore):
    """Registered when it had no versions and honoured create-only; then its versioning was set, and it honours it no more."""

    @property
    def abilities(self) -> Abilities:
        return MemoryStore("probed").abilities

    def turn(self, versioning: Versioning) -> None:
        self._abilities = replace(
            self._abilities, create_only_put=False, create_only_complete=False, versioning=versioning
        )


@SIZES
@pytest.mark.parametrize("versioning", [Versioning.ENABLED, Versioning.SUSPENDED])
def test_an_object_stays_when_versioning_was_set_after_the_bucket_was_added(
    gate: Gate, content: bytes, versioning: Versioning
) -> None:
    store = TurnedStore()
    store.turn(versioning)
    write(gate, content)
    store.seed(KEY, b"theirs")
    outcome = gate.move(SKIP, store, lane=lane_of(content))
    assert (outcome.verdict, outcome.guarantee) == (Verdict.SKIPPED, Guarantee.BEST_EFFORT)
    assert store.content(KEY) == b"theirs"
    assert store.calls_of("put", "complete") == []


@SIZES
def test_an_answer_with_a_version_tells_that_versioning_was_set_a_moment_ago(gate: Gate, content: bytes) -> None:
    store = TurnedStore()
    write(gate, content)
    assert (
        gate.move(msgspec.structs.replace(SKIP, key="first"), store, lane=lane_of(content)).guarantee
        is Guarantee.ATOMIC
    )
    verb = "put" if content is SMALL else "complete"

    def strike() -> None:
        store.turn(Versioning.ENABLED)
        store.seed(KEY, b"theirs")

    store.script(Fault(verb, action=Meanwhile(strike)))
    outcome = gate.move(SKIP, store, lane=lane_of(content))
    assert (outcome.verdict, outcome.guarantee) == (Verdict.SKIPPED, Guarantee.BEST_EFFORT)
    assert [version.size_bytes for version in store.list_versions(prefix=KEY)] == [len(b"theirs")]
    third = gate.move(msgspec.structs.replace(SKIP, key="third"), store, lane=lane_of(content))
    assert (third.verdict, third.guarantee) == (Verdict.COMPLETE, Guarantee.BEST_EFFORT)
    assert store.calls_of(verb)[-1].precondition == Overwrite()


class MarkingStore(MemoryStore):
    """Takes a delete marker for an object that is in the way of creating one, as Ceph RGW 16 does on suspended buckets."""

    def _check(self, key: str, precondition: Precondition) -> None:
        if isinstance(precondition, CreateOnly) and key in self.deleted:
            raise PreconditionFailedError("the key has something")
        super()._check(key, precondition)

    deleted: frozenset[str] = frozenset()


@SIZES
@pytest.mark.parametrize("policy", [ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST])
def test_a_deleted_key_is_free_where_the_store_takes_its_marker_for_an_object(
    gate: Gate, content: bytes, policy: ConflictPolicy
) -> None:
    able = Abilities(
        create_only_put=True, create_only_complete=True, part_etag_is_md5=True, versioning=Versioning.SUSPENDED
    )
    store = MarkingStore(abilities=able)
    store.deleted = frozenset({KEY})
    write(gate, content)
    outcome = gate.move(export(conflict_policy=policy), store, lane=lane_of(content))
    assert (outcome.verdict, outcome.guarantee) == (Verdict.COMPLETE, Guarantee.BEST_EFFORT)
    assert store.content(KEY) == content
    assert store.unfinished() == []


@SIZES
@pytest.mark.parametrize("end", ["answer lost", "mover killed", "cancelled"])
def test_after_a_lost_answer_ours_does_not_stay_on_a_foreign_one(gate: Gate, content: bytes, end: str) -> None:
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    verb = "put" if content is SMALL else "complete"
    store.script(
        Fault(verb, action=Meanwhile(lambda: store.seed(KEY, b"theirs"))), Fault(verb, action=Raise(LOST, Moment.AFTER))
    )
    if end != "answer lost":
        store.script(Fault("head", nth=2 if content is SMALL else 3, times=4, action=Raise(LOST)))
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    outcome = gate.move(SKIP, store, lane=lane_of(content))
    if end != "answer lost":
        assert outcome.verdict is Verdict.RETRY
        intent = Intent.WITHDRAW if end == "cancelled" else Intent.MOVE
        record = records[-1] if records else None
        outcome = gate.move(
            msgspec.structs.replace(SKIP, attempt=2, intent=intent, checkpoint=record), store, lane=lane_of(content)
        )
    assert outcome.verdict is (Verdict.CANCELED if end == "cancelled" else Verdict.SKIPPED)
    assert outcome.actual_bytes == 0
    assert [version.size_bytes for version in store.list_versions(prefix=KEY)] == [len(b"theirs")]


def test_every_try_of_ours_above_a_foreign_one_is_deleted(gate: Gate) -> None:
    store = MemoryStore(abilities=VERSIONED)
    write(gate, SMALL)
    seen = {"penstock-sub-task": "subtask-1"}

    def strike() -> None:
        store.seed(KEY, b"theirs")
        store.seed(KEY, SMALL, metadata=seen)  # an earlier try that arrived late

    store.script(Fault("put", action=Meanwhile(strike)))
    assert gate.move(SKIP, store, lane=lane_of(SMALL)).verdict is Verdict.SKIPPED
    assert [version.size_bytes for version in store.list_versions(prefix=KEY)] == [len(b"theirs")]


@SIZES
@pytest.mark.parametrize("since", ["overwritten", "deleted"])
def test_a_cancel_finds_what_was_published_beneath_what_came_since(gate: Gate, content: bytes, since: str) -> None:
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    assert gate.move(export(), store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    if since == "overwritten":
        store.seed(KEY, b"theirs")
    else:
        store.delete(KEY)
    versions = list(store.list_versions(prefix=KEY))
    record = records[-1] if records else None
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=record), store)
    assert (outcome.verdict, outcome.code) == (Verdict.COMPLETE, None)
    assert outcome.detail is not None
    assert outcome.detail.size_bytes == len(content)
    assert list(store.list_versions(prefix=KEY)) == versions


@SIZES
@pytest.mark.parametrize("since", ["overwritten", "deleted"])
def test_what_was_published_before_the_source_went_away_is_found_beneath_what_came_since(
    gate: Gate, content: bytes, since: str
) -> None:
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    assert gate.move(export(), store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    gate.target.unlink()
    if since == "overwritten":
        store.seed(KEY, b"theirs")
    else:
        store.delete(KEY)
    versions = list(store.list_versions(prefix=KEY))
    again = export(attempt=2, checkpoint=records[-1] if records else None)
    outcome = gate.move(again, store, lane=lane_of(content))
    assert (outcome.verdict, outcome.code, outcome.checkpoint) == (Verdict.COMPLETE, None, None)
    assert outcome.detail is not None
    assert outcome.detail.size_bytes == len(content)
    assert list(store.list_versions(prefix=KEY)) == versions
    assert store.unfinished() == []


@SIZES
def test_an_export_that_has_sent_nothing_is_canceled_unasked_however_often_it_was_tried(
    gate: Gate, content: bytes
) -> None:
    store = MemoryStore(abilities=VERSIONED)
    store.script(Fault("head", times=99, action=Raise(LOST)))
    write(gate, content)
    first = gate.move(SKIP, store, lane=lane_of(content))
    assert (first.verdict, first.begun) == (Verdict.RETRY, False)
    asked = len(store.calls)
    again = msgspec.structs.replace(SKIP, attempt=2, intent=Intent.WITHDRAW, begun=first.begun)
    assert gate.move_told(again, store).verdict is Verdict.CANCELED
    assert len(store.calls) == asked


@SIZES
def test_an_export_that_may_have_sent_something_says_so(gate: Gate, content: bytes) -> None:
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    verb = "put" if content is SMALL else "initiate"
    store.script(Fault(verb, times=99, action=Raise(LOST, Moment.AFTER)))
    assert gate.move(export(), store, lane=lane_of(content)).begun


def test_a_source_that_never_was_there_has_its_versions_looked_at_by_nobody(gate: Gate) -> None:
    store = MemoryStore(abilities=VERSIONED)
    store.seed(KEY, b"theirs")
    outcome = gate.move(export(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert store.calls_of("list_versions") == []


def test_a_cancel_removes_only_its_own_damaged_version_beneath_a_foreign_one(gate: Gate) -> None:
    store = MemoryStore(abilities=VERSIONED)
    store.seed(KEY, b"damaged", metadata={"penstock-sub-task": "subtask-1", "penstock-crc64": "1"})
    store.seed(KEY, b"theirs")
    assert gate.move(export(attempt=2, intent=Intent.WITHDRAW), store).verdict is Verdict.CANCELED
    assert [version.size_bytes for version in store.list_versions(prefix=KEY)] == [len(b"theirs")]


def test_a_cancel_before_anything_was_sent_asks_for_no_version(gate: Gate) -> None:
    store = MemoryStore(abilities=VERSIONED)
    assert gate.move(export(intent=Intent.WITHDRAW), store).verdict is Verdict.CANCELED
    assert store.calls == []


@SIZES
@pytest.mark.parametrize("number", [1, 2])  # a power cut may have forgotten the attempt that published it
@pytest.mark.parametrize("abilities", [None, UNABLE, VERSIONED], ids=["able", "unable", "versioned"])
def test_a_file_that_was_published_before_it_went_away_is_complete(
    gate: Gate, content: bytes, abilities: Abilities | None, number: int
) -> None:
    store = MemoryStore(abilities=abilities)
    write(gate, content)
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    gate.move(SKIP, store, lane=lane_of(content))
    gate.target.unlink()
    record = records[-1] if records else None
    again = msgspec.structs.replace(SKIP, attempt=number, checkpoint=record)
    check_complete(gate.move(again, store, lane=lane_of(content)), store, content)


@SIZES
def test_versions_from_long_before_the_sub_task_are_not_looked_at(gate: Gate, content: bytes) -> None:
    """There may be a hundred of them, and a later attempt would ask for each; ours lies among the young ones."""
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    first_ns = later()
    hour_ns = 3_600_000_000_000
    for hours in (59, 58, 57, 56):
        store.seed(KEY, b"theirs", modified_ns=first_ns - hours * hour_ns)
    store.script(
        Fault("put" if content is SMALL else "complete", action=Raise(LOST, Moment.AFTER)),
        Fault("head", times=99, action=Raise(LOST)),
    )
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    what = export(accepted_ns=first_ns)
    gate.limits = replace(gate.limits, part_tries=1)
    assert gate.move(what, store, lane=lane_of(content)).verdict is Verdict.RETRY
    store.seed(KEY, b"theirs", modified_ns=first_ns + hour_ns)
    store._armed.clear()
    again = msgspec.structs.replace(what, attempt=2, checkpoint=records[-1] if records else None)
    store.calls.clear()
    assert gate.move(again, store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    assert store.content(KEY) == b"theirs"
    assert len([call for call in store.calls_of("head") if call.version_id]) == 2
    gone = msgspec.structs.replace(again, sub_task_id="another", key="other")
    for hours in (59, 58, 57, 56):
        store.seed("other", b"theirs", modified_ns=first_ns - hours * hour_ns)
    store.calls.clear()
    assert gate.move(gone, store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    assert [call for call in store.calls_of("head") if call.version_id] == []


@SIZES
@pytest.mark.parametrize("ahead_h", [0.3, 8, 47], ids=lambda hours: f"{hours} h")
@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_our_version_is_known_though_our_clock_is_ahead(
    gate: Gate, content: bytes, ahead_h: float, intent: Intent
) -> None:
    """It was put back after the sub-task was accepted; what somebody has put above ours since stays."""
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    records: list[Checkpoint] = []
    gate.hooks.on_checkpoint = records.append
    what = export(accepted_ns=later() + int(ahead_h * 3_600_000_000_000))
    assert gate.move(what, store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    store.seed(KEY, b"theirs")
    again = msgspec.structs.replace(
        what, attempt=2, begun=True, intent=intent, checkpoint=records[-1] if records else None
    )
    assert gate.move(again, store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    assert store.content(KEY) == b"theirs"
    assert len(list(store.list_versions(prefix=KEY))) == 2


def test_that_one_waited_no_longer_for_the_versioning_tells_the_others_nothing(gate: Gate) -> None:
    store = MemoryStore()
    write(gate, SMALL)

    def cancel() -> None:
        gate.hooks.stop = StopReason.CANCEL

    store.script(Fault("versioning", action=Meanwhile(cancel)), Fault("versioning", action=Raise(LOST)))
    assert gate.move(SKIP, store, lane=lane_of(SMALL)).verdict is Verdict.CANCELED
    gate.hooks.stop = None
    outcome = gate.move(msgspec.structs.replace(SKIP, sub_task_id="next"), store, lane=lane_of(SMALL))
    assert (outcome.verdict, outcome.guarantee) == (Verdict.COMPLETE, Guarantee.ATOMIC)
    assert len(store.calls_of("versioning")) == 2
    assert store.calls_of("head") == []  # the next one needs not look, for it knows that create-only holds


@pytest.mark.parametrize("what", ["foreign", "nothing"])
def test_a_missing_source_stays_missing_where_the_object_is_not_its_own(
    gate: Gate, store: MemoryStore, what: str
) -> None:
    write(gate, SMALL)
    if what != "nothing":
        gate.move(msgspec.structs.replace(SKIP, sub_task_id="other" if what == "foreign" else SKIP.sub_task_id), store)
    gate.target.unlink()
    outcome = gate.move(msgspec.structs.replace(SKIP, attempt=2), store)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)


def test_a_missing_source_was_exported_though_another_upload_was_begun_since(gate: Gate, store: MemoryStore) -> None:
    write(gate, SMALL)
    gate.move(SKIP, store)
    gate.target.unlink()
    record = Checkpoint(key=KEY, intent_ns=0, source_size_bytes=1, upload_id="gone")
    outcome = gate.move(msgspec.structs.replace(SKIP, attempt=2, checkpoint=record), store)
    assert (outcome.verdict, outcome.checkpoint) == (Verdict.COMPLETE, None)
    assert store.content(KEY) == SMALL
