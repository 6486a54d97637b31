"""An earlier attempt has died: does an object with our metadata count as moved only if the bytes in it are the file's?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from penstock.model import ConflictPolicy
from penstock.stores.base import Abilities
from penstock.transfer.transfer import Lane, Verdict
from tests.faults.transfer.exports import KEY, SMALL, export, later, write
from tests.fixtures.gate import Gate
from tests.fixtures.memorystore import MemoryStore

DAMAGED = SMALL[:-1] + bytes([SMALL[-1] ^ 0x20])


def left_by_a_mover_that_died(gate: Gate, content: bytes, *, creates: bool, etag_is_md5: bool = True) -> MemoryStore:
    """A store that tells no checksum of objects, with what a first attempt has sent, but with these bytes."""
    store = MemoryStore(
        clock=later, abilities=Abilities(crc64=False, part_etag_is_md5=etag_is_md5, create_only_put=creates)
    )
    write(gate, SMALL)
    assert gate.move(export(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    store.seed(KEY, content, metadata=store.head(KEY).metadata)
    return store


@pytest.mark.parametrize("creates", [True, False])
@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_an_object_that_was_damaged_on_its_way_is_not_vouched_for(
    gate: Gate, policy: ConflictPolicy, creates: bool
) -> None:
    store = left_by_a_mover_that_died(gate, DAMAGED, creates=creates)
    outcome = gate.move(export(attempt=2, conflict_policy=policy), store, lane=Lane.SMALL)
    assert outcome.verdict is Verdict.COMPLETE
    assert store.content(KEY) == SMALL


@pytest.mark.parametrize("creates", [True, False])
@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_an_object_that_is_sound_is_not_sent_again(gate: Gate, policy: ConflictPolicy, creates: bool) -> None:
    store = left_by_a_mover_that_died(gate, SMALL, creates=creates)
    before = len(store.calls_of("put"))
    outcome = gate.move(export(attempt=2, conflict_policy=policy), store, lane=Lane.SMALL)
    assert outcome.verdict is Verdict.COMPLETE
    assert len(store.calls_of("put")) == before
    assert store.content(KEY) == SMALL


@pytest.mark.parametrize("etag", ["", "0123456789abcdef0123456789abcdef-2"])
def test_an_etag_that_tells_nothing_of_the_bytes_is_not_compared(gate: Gate, etag: str) -> None:
    store = left_by_a_mover_that_died(gate, SMALL, creates=True)
    retold(store, etag)
    before = len(store.calls_of("put"))
    assert gate.move(export(attempt=2), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    assert len(store.calls_of("put")) == before


def test_etags_are_not_compared_where_they_are_no_md5(gate: Gate) -> None:
    store = left_by_a_mover_that_died(gate, SMALL, creates=True, etag_is_md5=False)
    retold(store, "0" * 32)
    before = len(store.calls_of("put"))
    assert gate.move(export(attempt=2), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    assert len(store.calls_of("put")) == before


def retold(store: MemoryStore, etag: str) -> None:
    """The object has that ETag."""
    stored = store._versions[KEY][-1]
    store._versions[KEY][-1] = replace(stored, info=structs.replace(stored.info, etag=etag))
