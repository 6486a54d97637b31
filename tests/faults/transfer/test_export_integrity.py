"""Is a torn source never published, and does no bad object stay?"""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from penstock.errors import FailureCode, StoppedError, TransferError
from penstock.model import ConflictPolicy
from penstock.stores.base import Abilities
from penstock.transfer.parts import PartPool
from penstock.transfer.source_file import SourceFile
from penstock.transfer.transfer import Lane, Verdict
from tests.faults.transfer.deaths import Killed
from tests.faults.transfer.exports import (
    CONTENT,
    KEY,
    LONG_AGO_NS,
    OTHER,
    SMALL,
    VERSIONED,
    check_complete,
    export,
    lane_of,
    write,
)
from tests.fixtures.gate import Gate
from tests.fixtures.memorystore import Damage, Fault, MemoryStore

# --------------------------------------------------------------------------------------------------------- torn sources


def test_what_a_part_has_found_is_told_though_a_stopped_sibling_came_first(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PartPool.run

    def run(self: PartPool, *jobs: Any, **how: Any) -> None:
        try:
            plain(self, *jobs, **how)
        except TransferError:
            raise StoppedError("another part of this file failed") from None

    monkeypatch.setattr(PartPool, "run", run)
    write(gate, CONTENT)
    read = os.preadv

    def read_then_cut(*args: Any) -> int:
        count = read(*args)
        os.truncate(gate.target, 1)
        return count

    monkeypatch.setattr(os, "preadv", read_then_cut)
    outcome = gate.move(export(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)


@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
@pytest.mark.parametrize("change", ["write", "append", "truncate", "replace", "remove", "touch", "move the directory"])
@pytest.mark.usefixtures("kind")
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
    if change in {"remove", "move the directory"}:
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
    elif change == "move the directory":
        gate.target.parent.rename(gate.path / "elsewhere")
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


# ---------------------------------------------------------------------------------------------------------- bad objects


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


def die(*args: object, **kwargs: object) -> None:
    raise Killed


@pytest.mark.parametrize("policy", [ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.SKIP_THE_FILE], ids=str)
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_a_bad_version_goes_though_the_mover_was_killed_before_it_could_delete_it(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, content: bytes, policy: ConflictPolicy
) -> None:
    store = MemoryStore(abilities=VERSIONED)
    write(gate, content)
    if content is SMALL:
        store.script(Fault("put", action=Damage(3)))
    else:
        spoil_once(store)
    monkeypatch.setattr(store, "delete", die)
    with pytest.raises(Killed):
        gate.move(export(conflict_policy=policy), store, lane=lane_of(content))
    monkeypatch.undo()
    assert len(list(store.list_versions(prefix=KEY))) == 1
    record = gate.hooks.checkpoints[-1] if gate.hooks.checkpoints else None
    again = export(attempt=2, checkpoint=record, conflict_policy=policy)
    check_complete(gate.move(again, store, lane=lane_of(content)), store, content)
    assert len(list(store.list_versions(prefix=KEY))) == 1


def spoil_once(store: MemoryStore) -> None:
    """Have it put the parts of the next object together with another byte."""
    plain = store.complete
    spoiled: list[str] = []

    def spoil(key: str, upload_id: str, parts: object, **rest: object) -> object:
        if not spoiled:
            part, content = store._uploads[upload_id].parts[2]
            store._uploads[upload_id].parts[2] = (part, b"!" + content[1:])
            spoiled.append(upload_id)
        return plain(key, upload_id, parts, **rest)  # type: ignore[arg-type]

    store.complete = spoil  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("abilities", [None, VERSIONED], ids=["plain", "versioned"])
def test_a_large_object_put_together_badly_does_not_stay(gate: Gate, abilities: Abilities | None) -> None:
    store = MemoryStore(abilities=abilities)
    write(gate)
    spoil_once(store)
    outcome = gate.move(export(), store)
    if abilities is None:
        check_complete(outcome, store)
        assert len(store.calls_of("complete")) == 2
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.CHECKSUM_MISMATCH)
        assert store.keys() == []
        check_complete(gate.move(export(attempt=2, checkpoint=outcome.checkpoint), store), store)
