"""A large export was put together, its mover died, and then somebody used its key: is anything of theirs ever overwritten?"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from penstock.errors import FailureCode, PermissionDeniedError, StoreUnavailableError
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import Abilities, Versioning
from penstock.transfer import crc64
from penstock.transfer.attempt import NOT_COMPARED
from penstock.transfer.mtime import metadata_of
from penstock.transfer.overtaking import OVERTAKEN
from penstock.transfer.transfer import Checkpoint, Intent, Lane, Outcome, Verdict
from tests.faults.transfer.deaths import Killed
from tests.faults.transfer.exports import (
    CONTENT,
    KEY,
    LONG_AGO_NS,
    LOST,
    OTHER,
    SMALL,
    UNABLE,
    VERSIONED,
    export,
    later,
    write,
)
from tests.faults.transfer.test_export_assembled import UNTOLD, Shop, killed
from tests.fixtures.gate import Gate
from tests.fixtures.memorystore import Fault, MemoryStore, Moment, Raise

THEIRS = b"what the user wrote after our publishing"
BEFORE = b"what lay there before"
SUSPENDED = Abilities(crc64=True, part_etag_is_md5=True, versioning=Versioning.SUSPENDED)
FIRM = Abilities(crc64=True, part_etag_is_md5=True, create_only_put=True, create_only_complete=True)
PLAIN = [UNABLE, UNTOLD, FIRM, SUSPENDED]
PLAIN_IDS = ["plain", "without-crc64", "create-only", "suspended"]
OLDER_NS = LONG_AGO_NS - 10**12


def again(gate: Gate, store: MemoryStore, **changes: object) -> Outcome:
    checkpoint = changes.pop("checkpoint", gate.hooks.checkpoints[-1])
    return gate.move(export(**{"attempt": 2, "checkpoint": checkpoint, **changes}), store)


def died(gate: Gate, abilities: Abilities, policy: ConflictPolicy, *, was: bytes | None = None) -> MemoryStore:
    """Put together over what `was` there, by an attempt that was killed before it could look."""
    store = MemoryStore(clock=later, abilities=abilities)
    write(gate)
    if was is not None:
        store.seed(KEY, was, metadata=metadata_of(OLDER_NS))
    Shop(store, kills=True)
    with pytest.raises(Killed):
        gate.move(export(conflict_policy=policy), store)
    assert (store.content(KEY), store.unfinished()) == (CONTENT, [])
    return store


def aborted(gate: Gate, abilities: Abilities, *, was: bytes | None = None) -> MemoryStore:
    """Promised, and not put together: its mover was killed, and somebody has aborted the upload since."""
    store = MemoryStore(clock=later, abilities=abilities)
    write(gate)
    if was is not None:
        store.seed(KEY, was)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "complete", die)
        with pytest.raises(Killed):
            gate.move(export(), store)
    store.abort(KEY, gate.hooks.checkpoints[-1].upload_id)
    store.calls.clear()
    return store


def check_overtaken(outcome: Outcome, store: MemoryStore) -> None:
    """COMPLETE as what was put together; theirs is as they left it."""
    assert (outcome.verdict, outcome.code, outcome.message) == (Verdict.COMPLETE, None, "")
    assert outcome.note == f"{OVERTAKEN}; {NOT_COMPARED}"
    assert outcome.detail is not None
    assert outcome.detail.checksum == crc64.as_text(crc64.update(CONTENT))
    assert (outcome.detail.modify_time_ns, outcome.detail.size_bytes) == (LONG_AGO_NS, len(CONTENT))
    assert (outcome.bytes_total, outcome.bytes_done) == (len(CONTENT),) * 2
    assert outcome.checkpoint is None
    assert outcome.guarantee is Guarantee.BEST_EFFORT
    assert store.content(KEY) == THEIRS
    assert store.unfinished() == []


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("policy", list(ConflictPolicy))
@pytest.mark.parametrize("abilities", PLAIN, ids=PLAIN_IDS)
def test_what_came_after_it_stays(gate: Gate, abilities: Abilities, policy: ConflictPolicy, intent: Intent) -> None:
    store = died(gate, abilities, policy)
    store.seed(KEY, THEIRS)
    check_overtaken(again(gate, store, conflict_policy=policy, intent=intent), store)


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("policy", [ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.KEEP_LATEST])
@pytest.mark.parametrize("modify_ns", [OLDER_NS, LONG_AGO_NS + 10**12], ids=["older", "newer"])
def test_so_it_does_where_another_lay_there_before(
    gate: Gate, modify_ns: int, policy: ConflictPolicy, intent: Intent
) -> None:
    """Whatever its time says: it was written later, and KEEP_LATEST asks only what is there beforehand."""
    store = died(gate, UNABLE, policy, was=BEFORE)
    store.seed(KEY, THEIRS, metadata=metadata_of(modify_ns))
    check_overtaken(again(gate, store, conflict_policy=policy, intent=intent), store)


def changed(gate: Gate) -> None:
    write(gate, OTHER, LONG_AGO_NS + 10**9)


def shortened(gate: Gate) -> None:
    write(gate, SMALL)


def gone(gate: Gate) -> None:
    gate.target.unlink()


@pytest.mark.parametrize("become", [changed, shortened, gone])
def test_whatever_has_become_of_the_source(gate: Gate, become: Callable[[Gate], None]) -> None:
    store = died(gate, UNABLE, ConflictPolicy.OVERWRITE_EXISTING)
    store.seed(KEY, THEIRS)
    become(gate)
    check_overtaken(again(gate, store), store)


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_another_sub_tasks_object_is_somebody_elses(gate: Gate, intent: Intent) -> None:
    store = died(gate, UNABLE, ConflictPolicy.OVERWRITE_EXISTING)
    record = gate.hooks.checkpoints[-1]
    theirs = gate.base / "theirs"
    theirs.write_bytes(THEIRS)
    os.utime(theirs, ns=(LONG_AGO_NS, LONG_AGO_NS))
    other = export(sub_task_id="subtask-2", path="base/theirs")
    assert gate.move(other, store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    check_overtaken(again(gate, store, intent=intent, checkpoint=record), store)


@pytest.mark.parametrize("abilities", PLAIN, ids=PLAIN_IDS)
@pytest.mark.parametrize("was", [None, BEFORE], ids=["over nothing", "over another"])
def test_what_was_taken_away_is_sent_again_and_said(gate: Gate, was: bytes | None, abilities: Abilities) -> None:
    store = died(gate, abilities, ConflictPolicy.OVERWRITE_EXISTING, was=was)
    store.delete(KEY)
    outcome = again(gate, store)
    assert (outcome.verdict, store.content(KEY)) == (Verdict.COMPLETE, CONTENT)
    assert "may have published" in outcome.note
    assert store.unfinished() == []


@pytest.mark.parametrize("abilities", PLAIN, ids=PLAIN_IDS)
def test_a_withdrawal_says_of_it_what_may_have_been(gate: Gate, abilities: Abilities) -> None:
    store = died(gate, abilities, ConflictPolicy.OVERWRITE_EXISTING)
    store.delete(KEY)
    outcome = again(gate, store, intent=Intent.WITHDRAW)
    assert outcome.verdict is Verdict.CANCELED
    assert "may have published" in outcome.message


def test_so_does_a_failure(gate: Gate) -> None:
    store = died(gate, UNABLE, ConflictPolicy.OVERWRITE_EXISTING)
    store.delete(KEY)
    gate.target.unlink()
    outcome = again(gate, store)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert "may have published" in outcome.message


@pytest.mark.parametrize("abilities", PLAIN, ids=PLAIN_IDS)
def test_what_lay_there_when_it_was_promised_is_overwritten(gate: Gate, abilities: Abilities) -> None:
    """Ours was never put together: somebody has aborted it."""
    store = aborted(gate, abilities, was=BEFORE)
    outcome = again(gate, store)
    assert (outcome.verdict, outcome.note.find(OVERTAKEN)) == (Verdict.COMPLETE, -1)
    assert store.content(KEY) == CONTENT


@pytest.mark.parametrize("abilities", PLAIN, ids=PLAIN_IDS)
def test_and_a_withdrawal_of_it_leaves_it(gate: Gate, abilities: Abilities) -> None:
    store = aborted(gate, abilities, was=BEFORE)
    outcome = again(gate, store, intent=Intent.WITHDRAW)
    assert (outcome.verdict, outcome.message) == (Verdict.CANCELED, "")
    assert store.content(KEY) == BEFORE


def test_what_came_while_the_parts_were_sent_did_not_come_after_it(gate: Gate) -> None:
    """The look is right before Complete."""
    store = MemoryStore(clock=later, abilities=UNABLE)
    write(gate)

    def come(record: Checkpoint) -> None:
        if record.upload_id and record.crc64 is None:
            store.seed(KEY, BEFORE)

    def die(*_: object, **__: object) -> None:
        raise Killed

    gate.hooks.on_checkpoint = come
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "complete", die)
        with pytest.raises(Killed):
            gate.move(export(), store)
    store.abort(KEY, gate.hooks.checkpoints[-1].upload_id)
    outcome = again(gate, store)
    assert (outcome.verdict, store.content(KEY)) == (Verdict.COMPLETE, CONTENT)


@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_it_is_seen_within_one_attempt_as_well(gate: Gate, policy: ConflictPolicy) -> None:
    """Complete was carried out, its answer lost, and somebody was quicker than the second try."""
    store = MemoryStore(clock=later, abilities=UNABLE)
    write(gate)
    store.script(Fault("complete", nth=1, action=Raise(LOST, moment=Moment.AFTER)))
    plain = store.complete

    def complete(*given: object, **more: object) -> object:
        try:
            return plain(*given, **more)  # type: ignore[arg-type]
        finally:
            store.seed(KEY, THEIRS)

    store.complete = complete  # type: ignore[method-assign, assignment]
    check_overtaken(gate.move(export(conflict_policy=policy), store), store)


def test_whoever_replaces_a_damaged_one_has_not_replaced_the_file(gate: Gate) -> None:
    """A withdrawal has seen that it is damaged, and named it; then somebody writes over it."""
    store = killed(gate, UNABLE, "another part")
    named = again(gate, store, intent=Intent.WITHDRAW)
    assert (named.verdict, named.code) == (Verdict.RETRY, FailureCode.BAD_OBJECT_LEFT)
    store.seed(KEY, THEIRS)
    outcome = again(gate, store, attempt=3, intent=Intent.WITHDRAW, checkpoint=named.checkpoint)
    assert (outcome.verdict, outcome.message, store.content(KEY)) == (Verdict.CANCELED, "", THEIRS)


def test_a_store_that_is_away_is_asked_again(gate: Gate) -> None:
    """Until it has answered nobody knows, and the record stays."""
    store = died(gate, UNABLE, ConflictPolicy.OVERWRITE_EXISTING)
    store.seed(KEY, THEIRS)
    for intent in (Intent.MOVE, Intent.WITHDRAW):
        for verb in ("list_parts", "head"):
            away = [Fault(verb, nth=nth, action=Raise(StoreUnavailableError("away"))) for nth in range(1, 9)]
            store.script(*away)
            outcome = again(gate, store, intent=intent)
            assert (outcome.verdict, outcome.checkpoint) == (Verdict.RETRY, gate.hooks.checkpoints[-1])
            store._armed.clear()
    check_overtaken(again(gate, store), store)


# ------------------------------------------------------------------------------------------------------ what it costs


def test_it_takes_one_request_and_no_commit_of_its_own(gate: Gate) -> None:
    store = MemoryStore(clock=later, abilities=UNABLE)
    write(gate)
    assert gate.move(export(), store).verdict is Verdict.COMPLETE
    assert len(store.calls_of("head")) == 1
    assert len(gate.hooks.checkpoints) == 3  # the intent, the id, the promise


def test_where_versions_tell_nobody_looks(gate: Gate) -> None:
    store = MemoryStore(clock=later, abilities=VERSIONED)
    write(gate)
    assert gate.move(export(), store).verdict is Verdict.COMPLETE
    assert store.calls_of("head") == []
    assert gate.hooks.checkpoints[-1].over is None


def test_versions_tell_that_it_was_put_together(gate: Gate) -> None:
    store = killed(gate, VERSIONED)
    store.seed(KEY, THEIRS)
    outcome = again(gate, store)
    assert (outcome.verdict, outcome.note.find(OVERTAKEN)) == (Verdict.COMPLETE, -1)
    assert store.content(KEY) == THEIRS


def test_who_may_not_look_exports_all_the_same(gate: Gate) -> None:
    store = MemoryStore(clock=later, abilities=UNABLE)
    write(gate)
    store.script(Fault("head", nth=1, action=Raise(PermissionDeniedError("no", key=KEY, status=403))))
    assert gate.move(export(), store).verdict is Verdict.COMPLETE
    assert gate.hooks.checkpoints[-1].over is None


def test_a_record_of_an_earlier_version_counts_as_it_did(gate: Gate) -> None:
    store = killed(gate, UNABLE)
    store.seed(KEY, THEIRS)
    record = replace(gate.hooks.checkpoints[-1], over=None)
    assert again(gate, store, checkpoint=record).verdict is Verdict.COMPLETE
    assert store.content(KEY) == CONTENT


# ------------------------------------------------------------------------------------------------ small ones beneath


def test_a_sound_small_version_of_the_same_time_is_not_sent_again(gate: Gate) -> None:
    """The record of the large one says nothing about it: it has its own checksum with it."""
    store = killed(gate, VERSIONED)
    write(gate, SMALL)  # cut short, its time put back
    first = again(gate, store)
    assert (first.verdict, store.content(KEY)) == (Verdict.COMPLETE, SMALL)
    record = gate.hooks.checkpoints[-1]
    store.calls.clear()
    again(gate, store, attempt=3, checkpoint=Checkpoint(key=KEY, intent_ns=0, earlier=record.promises))
    assert store.calls_of("put", "delete") == []
    assert store.content(KEY) == SMALL


@pytest.mark.parametrize("is_sound", [True, False], ids=["sound", "damaged"])
def test_before_a_large_one_is_sent_again_only_a_damaged_small_one_goes(gate: Gate, is_sound: bool) -> None:
    store = killed(gate, VERSIONED)
    write(gate, SMALL)
    assert again(gate, store).verdict is Verdict.COMPLETE
    if not is_sound:
        stored = store._versions[KEY][-1]
        content = b"!" + SMALL[1:]
        info = structs.replace(stored.info, crc64=crc64.update(content))
        store._versions[KEY][-1] = replace(stored, content=content, info=info)
    record = gate.hooks.checkpoints[-1]
    write(gate, OTHER)  # of the same time once more
    outcome = again(gate, store, attempt=3, checkpoint=Checkpoint(key=KEY, intent_ns=0, earlier=record.promises))
    assert outcome.verdict is Verdict.COMPLETE
    small = [stored.content for stored in store._versions[KEY] if len(stored.content) == len(SMALL)]
    assert small == ([SMALL] if is_sound else [])
