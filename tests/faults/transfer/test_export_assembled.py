"""Does a store that puts the parts of an object together badly, and tells no checksum of it, ever get away with it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from penstock.errors import FailureCode
from penstock.stores.base import Abilities, Part, Versioning
from penstock.transfer import assembled
from penstock.transfer.attempt import NOT_COMPARED
from penstock.transfer.overtaking import OVERTAKEN
from penstock.transfer.transfer import Intent, Lane, Outcome, Verdict
from tests.faults.transfer.deaths import Killed
from tests.faults.transfer.exports import CONTENT, KEY, SMALL, VERSIONED, check_complete, export, later, write
from tests.faults.transfer.test_export_arrived import DAMAGED, left_by_a_mover_that_died
from tests.fixtures.gate import Gate
from tests.fixtures.memorybucket import md5_of
from tests.fixtures.memorystore import MemoryStore

UNTOLD = Abilities(part_etag_is_md5=True)
UNTOLD_VERSIONED = Abilities(part_etag_is_md5=True, versioning=Versioning.ENABLED)
TOLD = Abilities(crc64=True, part_etag_is_md5=True)
PLAIN, KEPT = [UNTOLD, TOLD], [UNTOLD_VERSIONED, VERSIONED]
WAYS = ["without the last part", "another part"]


class Shop:
    """Has the next object of `store` put together badly, and its mover killed once it is."""

    def __init__(self, store: MemoryStore, way: str = "", *, kills: bool = False, etag: str = "") -> None:
        self._store, self._way, self._kills, self._etag = store, way, kills, etag
        self._plain = store.complete
        store.complete = self._complete  # type: ignore[method-assign]

    def _complete(self, key: str, upload_id: str, parts: Sequence[Part], **rest: Any) -> Any:
        self._store.complete = self._plain  # type: ignore[method-assign]
        result = self._plain(key, upload_id, self._spoilt(upload_id, parts), **rest)
        if self._etag:
            stored = self._store._versions[key][-1]
            self._store._versions[key][-1] = replace(stored, info=structs.replace(stored.info, etag=self._etag))
        if self._kills:
            raise Killed
        return result

    def _spoilt(self, upload_id: str, parts: Sequence[Part]) -> Sequence[Part]:
        if self._way == "without the last part":
            return parts[:-1]
        if self._way == "another part":
            entry = self._store._uploads[upload_id]
            plain, content = entry.parts[2]
            entry.parts[2] = replace(plain, etag=md5_of(b"!" + content[1:])), b"!" + content[1:]
            return [entry.parts[2][0] if part.number == 2 else part for part in parts]
        return parts


def killed(gate: Gate, abilities: Abilities, way: str = "", *, etag: str = "") -> MemoryStore:
    """Put together like that, by an attempt that died before it could look."""
    store = MemoryStore(clock=later, abilities=abilities)
    write(gate)
    Shop(store, way, kills=True, etag=etag)
    with pytest.raises(Killed):
        gate.move(export(), store)
    return store


def withdrawn(gate: Gate, store: MemoryStore) -> Outcome:
    return gate.move(export(attempt=2, intent=Intent.WITHDRAW, checkpoint=gate.hooks.checkpoints[-1]), store)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_it_does_not_stay(gate: Gate, abilities: Abilities, way: str) -> None:
    store = MemoryStore(clock=later, abilities=abilities)
    write(gate)
    Shop(store, way)
    outcome = gate.move(export(), store)
    if abilities in KEPT:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.CHECKSUM_MISMATCH)
        assert store.keys() == []
        outcome = gate.move(export(attempt=2, checkpoint=outcome.checkpoint), store)
    check_complete(outcome, store)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_the_next_attempt_overwrites_or_removes_it(gate: Gate, abilities: Abilities, way: str) -> None:
    store = killed(gate, abilities, way)
    check_complete(gate.move(export(attempt=2, checkpoint=gate.hooks.checkpoints[-1]), store), store)
    if abilities in KEPT:
        assert len(list(store.list_versions(prefix=KEY))) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_a_withdrawal_does_not_call_it_complete(gate: Gate, abilities: Abilities, way: str) -> None:
    store = killed(gate, abilities, way)
    outcome = withdrawn(gate, store)
    if abilities in KEPT:
        assert outcome.verdict is Verdict.CANCELED
        assert store.keys() == []
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BAD_OBJECT_LEFT)
        assert repr(KEY) in outcome.message


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_nor_does_a_source_that_is_gone_by_then(gate: Gate, abilities: Abilities, way: str) -> None:
    store = killed(gate, abilities, way)
    gate.target.unlink()
    outcome = gate.move(export(attempt=2, checkpoint=gate.hooks.checkpoints[-1]), store)
    assert outcome.verdict is not Verdict.COMPLETE
    assert outcome.code is FailureCode.SOURCE_NOT_FOUND
    assert ("is damaged: remove it" in outcome.message) == (abilities in PLAIN)


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("abilities", PLAIN + KEPT)
def test_one_that_is_sound_is_complete_and_not_read(gate: Gate, abilities: Abilities, intent: Intent) -> None:
    store = killed(gate, abilities)
    outcome = gate.move(export(attempt=2, intent=intent, checkpoint=gate.hooks.checkpoints[-1]), store)
    assert (outcome.verdict, store.content(KEY)) == (Verdict.COMPLETE, CONTENT)
    assert (len(store.calls_of("complete")), store.calls_of("get")) == (1, [])


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("way", ["", "another part"])
def test_an_etag_that_was_made_in_another_way_has_the_object_read(gate: Gate, way: str, intent: Intent) -> None:
    store = killed(gate, UNTOLD_VERSIONED, way, etag=f"{'0' * 32}-6")
    outcome = gate.move(export(attempt=2, intent=intent, checkpoint=gate.hooks.checkpoints[-1]), store)
    if way and intent is Intent.WITHDRAW:
        assert outcome.verdict is Verdict.CANCELED
    else:
        assert (outcome.verdict, store.content(KEY)) == (Verdict.COMPLETE, CONTENT)
    assert store.calls_of("get") != []


def test_what_was_learned_of_a_stores_etags_spares_the_reading(gate: Gate) -> None:
    store = MemoryStore(clock=later, abilities=UNTOLD)
    write(gate)
    for number in range(3):
        Shop(store, etag=f"{number:032x}-6")
        check_complete(gate.move(export(sub_task_id=f"subtask-{number}"), store), store)
        assert len(store.calls_of("get")) == 1


@pytest.mark.parametrize("etag", ["-", "A1B2", "0" * 32, f"{'0' * 31}-6"])
def test_an_etag_of_another_form_tells_nothing(gate: Gate, etag: str) -> None:
    """Who has put the object together looks no further; after a death its size alone is believed no more."""
    store = MemoryStore(clock=later, abilities=UNTOLD)
    write(gate)
    Shop(store, etag=etag)
    check_complete(gate.move(export(), store), store)
    assert store.calls_of("get") == []
    assert gate.move(export(attempt=2, intent=Intent.WITHDRAW), store).verdict is Verdict.COMPLETE
    assert store.calls_of("get") != []


def test_a_version_that_is_replaced_while_it_is_read_is_looked_at_again(gate: Gate) -> None:
    store = killed(gate, UNTOLD, etag=f"{'0' * 32}-6")
    plain = store.get

    def get(*given: Any, **more: Any) -> Any:
        store.get = plain  # type: ignore[method-assign]
        store.seed(KEY, b"theirs")
        return plain(*given, **more)

    store.get = get  # type: ignore[method-assign]
    outcome = withdrawn(gate, store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
    again = gate.move(export(attempt=3, intent=Intent.WITHDRAW, checkpoint=outcome.checkpoint), store)
    assert (again.verdict, again.note) == (Verdict.COMPLETE, f"{OVERTAKEN}; {NOT_COMPARED}")  # the record tells
    assert store.content(KEY) == b"theirs"


@pytest.mark.parametrize("content", [SMALL, DAMAGED], ids=["sound", "damaged"])
def test_a_small_object_is_read_before_a_withdrawal_vouches_for_it(gate: Gate, content: bytes) -> None:
    store = left_by_a_mover_that_died(gate, content, creates=True)
    outcome = gate.move(export(attempt=2, intent=Intent.WITHDRAW), store, lane=Lane.SMALL)
    if content is SMALL:
        assert outcome.verdict is Verdict.COMPLETE
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BAD_OBJECT_LEFT)


def test_the_usual_etag() -> None:
    parts = [Part(number=number, etag=md5_of(b"%d" % number), size_bytes=1) for number in (1, 2)]
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    assert assembled.etag_of(parts) == f"{md5_of(digests)}-2"
    assert assembled.etag_of([replace(parts[0], etag="opaque")]) == ""
