"""A store put an object together badly, its mover died, and the source was changed: is the damaged one ever vouched for?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from penstock.errors import FailureCode
from penstock.model import ConflictPolicy
from penstock.stores.base import Abilities
from penstock.transfer.transfer import Checkpoint, Intent, Outcome, Promise, StopReason, Verdict
from penstock.transfer.uploads import PROMISES_MAX
from tests.faults.transfer.deaths import Killed
from tests.faults.transfer.exports import CONTENT, KEY, LONG_AGO_NS, OTHER, SMALL, VERSIONED, export, later, write
from tests.faults.transfer.test_export_assembled import (
    KEPT,
    PLAIN,
    TOLD,
    UNTOLD,
    UNTOLD_VERSIONED,
    WAYS,
    Shop,
    killed,
)
from tests.fixtures.gate import Gate, RecordingHooks
from tests.fixtures.memorystore import MemoryStore

CHANGED_NS = LONG_AGO_NS + 5_000_000_000
OPAQUE = Abilities()  # neither CRC-64 nor ETags that are MD5s
STEPS_MAX = 60


def changed(gate: Gate, content: bytes = OTHER, modify_ns: int = CHANGED_NS) -> None:
    write(gate, content, modify_ns)


def damaged(gate: Gate, abilities: Abilities, way: str = "another part") -> MemoryStore:
    """The first object was put together badly, its mover is dead, and the source is another one now."""
    store = killed(gate, abilities, way)
    changed(gate)
    return store


def last(gate: Gate) -> Checkpoint:
    return gate.hooks.checkpoints[-1]


def contents(store: MemoryStore) -> list[bytes]:
    """Of all versions at the key, oldest first."""
    return [stored.content for stored in store._versions.get(KEY, [])]


def again(gate: Gate, store: MemoryStore, **changes: Any) -> Outcome:
    if "checkpoint" not in changes:
        changes["checkpoint"] = last(gate)
    return gate.move(export(**{"attempt": 3, **changes}), store)


def check_not_vouched_for(outcome: Outcome, store: MemoryStore, *, keeps_versions: bool) -> None:
    """A withdrawal's word: gone where a version names it, named where none does."""
    if keeps_versions:
        assert outcome.verdict is Verdict.CANCELED
        assert contents(store) == []
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BAD_OBJECT_LEFT)
        assert repr(KEY) in outcome.message
    assert store.unfinished() == []


@pytest.mark.parametrize("policy", list(ConflictPolicy))
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_the_next_attempt_leaves_nothing_damaged(
    gate: Gate, abilities: Abilities, way: str, policy: ConflictPolicy
) -> None:
    store = damaged(gate, abilities, way)
    outcome = again(gate, store, conflict_policy=policy)
    assert outcome.verdict is Verdict.COMPLETE
    assert outcome.checkpoint is None
    assert contents(store) == [OTHER]


@pytest.mark.parametrize("is_named", [False, True], ids=["intent", "upload"])
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_one_that_is_canceled_in_its_midst_vouches_for_nothing(
    gate: Gate, abilities: Abilities, is_named: bool
) -> None:
    store = damaged(gate, abilities)
    before, gate.hooks = last(gate), RecordingHooks()

    def look(record: Checkpoint) -> None:
        if record.upload_id != before.upload_id and is_named is bool(record.upload_id):
            gate.hooks.stop = StopReason.CANCEL

    gate.hooks.on_checkpoint = look
    outcome = again(gate, store, checkpoint=before)
    check_not_vouched_for(outcome, store, keeps_versions=abilities in KEPT)
    assert len(gate.hooks.checkpoints) >= 1 + is_named


@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_nor_one_that_fails_in_its_midst_and_for_good(gate: Gate, abilities: Abilities) -> None:
    store = damaged(gate, abilities)

    def look(record: Checkpoint) -> None:
        if record.upload_id:
            gate.target.unlink()

    before, gate.hooks = last(gate), RecordingHooks()
    gate.hooks.on_checkpoint = look
    outcome = again(gate, store, checkpoint=before)
    for _ in range(3):
        assert outcome.verdict is not Verdict.COMPLETE
        if outcome.verdict is not Verdict.RETRY:
            break
        outcome = again(gate, store, checkpoint=outcome.checkpoint)
    if abilities in KEPT:
        assert (outcome.verdict, contents(store)) == (Verdict.FAILED, [])
    else:
        assert "is damaged: remove it" in outcome.message


@pytest.mark.parametrize("abilities", [TOLD, UNTOLD])
def test_what_is_sent_after_two_changes_is_whole_and_a_withdrawal_knows_the_first(
    gate: Gate, abilities: Abilities
) -> None:
    store = damaged(gate, abilities)
    dying(gate, store, "put_part")
    changed(gate, CONTENT[::-1], CHANGED_NS + 1)
    dying(gate, store, "put_part")
    assert [promise.modify_ns for promise in last(gate).promises] == [LONG_AGO_NS]
    withdrawn = again(gate, store, intent=Intent.WITHDRAW)
    check_not_vouched_for(withdrawn, store, keeps_versions=False)
    assert again(gate, store, checkpoint=withdrawn.checkpoint).verdict is Verdict.COMPLETE
    assert contents(store) == [CONTENT[::-1]]


@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_a_sound_one_beneath_stays_complete(gate: Gate, abilities: Abilities) -> None:
    """It was published: that the file has been changed since, and a second upload begun, takes nothing from it."""
    store = killed(gate, abilities)
    changed(gate)
    dying(gate, store, "put_part")
    outcome = again(gate, store, intent=Intent.WITHDRAW)
    assert (outcome.verdict, contents(store)) == (Verdict.COMPLETE, [CONTENT])


@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_a_source_that_has_become_small_leaves_nothing_damaged(gate: Gate, abilities: Abilities) -> None:
    store = damaged(gate, abilities)
    changed(gate, SMALL)
    dying(gate, store, "put")
    check_not_vouched_for(again(gate, store, intent=Intent.WITHDRAW), store, keeps_versions=abilities in KEPT)
    assert again(gate, store).verdict is Verdict.COMPLETE
    assert contents(store) == [SMALL]


@pytest.mark.parametrize("abilities", KEPT)
def test_one_that_lies_beneath_a_foreign_object_is_removed_too(gate: Gate, abilities: Abilities) -> None:
    store = damaged(gate, abilities)
    store.seed(KEY, b"theirs")
    assert again(gate, store, conflict_policy=ConflictPolicy.SKIP_THE_FILE).verdict is Verdict.SKIPPED
    assert contents(store) == [b"theirs"]


@pytest.mark.parametrize("is_answered", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_damaged_again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_a_death_at_any_request_of_the_next_attempt(
    gate: Gate, abilities: Abilities, intent: Intent, is_damaged_again: bool, is_answered: bool
) -> None:
    gate.narrow()
    wrong: list[object] = []
    for nth in range(STEPS_MAX):
        store = damaged(gate, abilities)
        if is_damaged_again:
            Shop(store, "another part")
        with death(store, nth, is_answered) as has_died:
            plain = again(gate, store, attempt=2)
        if not has_died():
            assert nth > 6
            assert (plain.verdict is Verdict.COMPLETE) is (contents(store) == [OTHER])
            break
        was = contents(store)
        outcome = again(gate, store, intent=intent)
        if outcome.code is FailureCode.CHECKSUM_MISMATCH:  # only now the second one was put together, and is removed
            outcome = again(gate, store, checkpoint=outcome.checkpoint)
        found = (nth, outcome.verdict, outcome.code, [content == OTHER for content in contents(store)])
        if intent is Intent.MOVE:
            is_right = outcome.verdict is Verdict.COMPLETE and set(contents(store)) == {OTHER}
        elif outcome.verdict is Verdict.COMPLETE:
            is_right = contents(store) == [OTHER] and OTHER in was
        elif abilities in KEPT:
            is_right = outcome.verdict is Verdict.CANCELED and contents(store) == []
        else:
            is_right = outcome.code is FailureCode.BAD_OBJECT_LEFT and OTHER not in was
        if not is_right or store.unfinished() or len(contents(store)) > 1:
            wrong.append(found)
    else:
        raise AssertionError("it never came to its end")
    assert wrong == []


@pytest.mark.parametrize("way", ["", *WAYS])
@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_after_a_death_an_object_is_read_where_no_etag_tells(gate: Gate, intent: Intent, way: str) -> None:
    store = killed(gate, OPAQUE, way)
    outcome = again(gate, store, intent=intent)
    if way and intent is Intent.WITHDRAW:
        assert outcome.code is FailureCode.BAD_OBJECT_LEFT
    else:
        assert (outcome.verdict, contents(store)) == (Verdict.COMPLETE, [CONTENT])
    assert (len(store.calls_of("get")) > 0) is (way != WAYS[0])  # of another size: nothing is to be read


def test_without_a_death_nothing_is_read_there_and_the_record_says_so(gate: Gate) -> None:
    store = MemoryStore(clock=later, abilities=OPAQUE)
    write(gate)
    outcome = gate.move(export(), store)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "not compared")
    assert store.calls_of("get") == []


@pytest.mark.parametrize("abilities", [TOLD, UNTOLD, OPAQUE, UNTOLD_VERSIONED, VERSIONED])
@pytest.mark.parametrize("source", ["same", "damaged", "changed", "gone"])
def test_an_object_of_which_nothing_tells_is_believed_only_if_it_is_the_file(
    gate: Gate, abilities: Abilities, source: str
) -> None:
    store = killed(gate, abilities, "another part" if source == "damaged" else "")
    if source == "changed":
        changed(gate)
    if source == "gone":
        gate.target.unlink()
    before = contents(store)
    outcome = again(gate, store, intent=Intent.WITHDRAW, checkpoint=None)
    if source == "same":
        assert outcome.verdict is Verdict.COMPLETE
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BAD_OBJECT_LEFT)
        assert "may be damaged" in outcome.message
    assert contents(store) == before


def test_a_record_keeps_the_newest_promises_and_no_more(gate: Gate) -> None:
    store = damaged(gate, TOLD)
    promises = tuple(Promise(modify_ns=nth, size_bytes=1, crc64=nth, etag="") for nth in range(1, PROMISES_MAX + 9))
    before = replace(last(gate), earlier=promises)
    assert again(gate, store, checkpoint=before).verdict is Verdict.COMPLETE
    assert last(gate).earlier == before.promises[:PROMISES_MAX]


def dying(gate: Gate, store: MemoryStore, verb: str) -> None:
    """One more attempt, which dies at its first such request."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, verb, die)
        with pytest.raises(Killed):
            again(gate, store, attempt=2)


@contextmanager
def death(store: MemoryStore, nth: int, is_answered: bool) -> Iterator[Callable[[], bool]]:
    """Whoever asks this store dies at the request after `nth` others, before or after it is carried out."""
    plain, count, is_dead = store._verb, 0, False

    @contextmanager
    def verb(call: Any) -> Iterator[Any]:
        nonlocal count, is_dead
        if is_dead or (count == nth and not is_answered):
            is_dead = True
            raise Killed
        count += 1
        is_last = count == nth + 1 and is_answered
        try:
            with plain(call) as actions:
                yield actions
        finally:
            if is_last:
                is_dead = True
                raise Killed

    store._verb = verb  # type: ignore[method-assign]
    try:
        yield lambda: is_dead
    except Killed:
        pass
    finally:
        store._verb = plain  # type: ignore[method-assign]
