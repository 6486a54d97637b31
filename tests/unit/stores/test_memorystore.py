"""The stand-in in memory fails as its script says, and remembers what it was asked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.errors import IntegrityError, PreconditionFailedError, StoreUnavailableError
from penstock.stores.base import Abilities, ByteRange, CreateOnly, Overwrite
from tests.conformance.stores.driving import crc64, put, read, upload
from tests.fixtures.memorystore import (
    Damage,
    Fault,
    Gate,
    Hold,
    Meanwhile,
    MemoryStore,
    Moment,
    Raise,
    Truncate,
)

CUT = StoreUnavailableError("cut off")


def test_a_scripted_error_hits_the_nth_call_only() -> None:
    store = MemoryStore()
    store.script(Fault("put", action=Raise(CUT), nth=2, times=2))
    put(store, "a")
    for key in ("b", "c"):
        with pytest.raises(StoreUnavailableError):
            put(store, key)
    put(store, "d")
    assert store.keys() == ["a", "d"]
    assert [call.key for call in store.calls_of("put")] == ["a", "b", "c", "d"]


def test_an_error_afterwards_loses_only_the_answer() -> None:
    store = MemoryStore()
    store.script(
        Fault("put", action=Raise(CUT, moment=Moment.AFTER)), Fault("complete", action=Raise(CUT, Moment.AFTER))
    )
    with pytest.raises(StoreUnavailableError):
        put(store, "a", b"stored")
    assert store.content("a") == b"stored"
    with pytest.raises(StoreUnavailableError):
        upload(store, "b", [b"stored too"])
    assert store.content("b") == b"stored too"
    assert store.unfinished() == []


def test_faults_may_be_narrowed_to_a_key() -> None:
    store = MemoryStore()
    store.script(Fault("head", action=Raise(CUT), key="b"))
    store.seed("a", b"")
    store.seed("b", b"")
    store.head("a")
    with pytest.raises(StoreUnavailableError):
        store.head("b")


def test_a_body_is_truncated_and_damaged_as_told() -> None:
    store = MemoryStore(chunk_bytes=4)
    store.seed("a", bytes(10))
    store.script(Fault("get", action=Truncate(6)), Fault("get", action=Damage(3), nth=2))
    with pytest.raises(StoreUnavailableError, match="6 bytes"):
        read(store, "a")
    assert read(store, "a")[1] == bytes(3) + b"\xff" + bytes(6)
    assert read(store, "a")[1] == bytes(10)


def test_a_damaged_upload_is_noticed_as_the_abilities_allow() -> None:
    with_crc64 = MemoryStore()
    with_crc64.script(Fault("put", action=Damage()))
    with pytest.raises(IntegrityError):
        put(with_crc64, "a", b"content")
    assert with_crc64.content("a") != b"content"  # a bad object is left, as on a real store
    with_md5 = MemoryStore(abilities=Abilities(part_etag_is_md5=True))
    with_md5.script(Fault("put_part", action=Damage()))
    upload_id = with_md5.initiate("a", metadata={})
    with pytest.raises(IntegrityError):
        with_md5.put_part("a", upload_id, 1, [b"content"], crc64=crc64(b"content"))
    assert list(with_md5.list_parts("a", upload_id)) == []


def test_a_held_call_waits_at_its_gate() -> None:
    store, gate, middle = MemoryStore(), Gate(), Gate()
    store.script(Fault("put", action=Hold(gate)), Fault("get", action=Hold(middle, at_byte=5)))
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(put, store, "a", b"0123456789")
        assert gate.reached.wait(60)
        assert store.keys() == []
        gate.open()
        writing.result(60)
        reading = pool.submit(read, store, "a")
        assert middle.reached.wait(60)
        assert not reading.done()
        middle.open()
        assert reading.result(60)[1] == b"0123456789"


def test_something_can_happen_meanwhile() -> None:
    store = MemoryStore()
    store.script(Fault("put", action=Meanwhile(lambda: store.seed("a", b"foreign"))))
    with pytest.raises(PreconditionFailedError):
        put(store, "a", b"ours", precondition=CreateOnly())
    assert store.content("a") == b"foreign"


def test_without_the_ability_a_precondition_is_ignored() -> None:
    store = MemoryStore(abilities=Abilities())
    store.seed("a", b"foreign")
    put(store, "a", b"ours", precondition=CreateOnly())
    assert store.content("a") == b"ours"


def test_an_etag_after_complete_may_be_missing() -> None:
    store = MemoryStore(complete_etag="")
    assert upload(store, "a", [b"x"]).etag == ""
    assert store.head("a").etag


def test_calls_are_remembered_with_their_arguments() -> None:
    store = MemoryStore()
    put(store, "a", b"content", metadata={"name": "value"}, precondition=CreateOnly())
    read(store, "a", byte_range=ByteRange(offset=1, length_bytes=2), if_match=store.head("a").etag)
    stored, headed, got = store.calls
    assert (stored.verb, stored.size_bytes, stored.metadata) == ("put", 7, {"name": "value"})
    assert stored.precondition == CreateOnly()
    assert headed.verb == "head"
    assert got.byte_range == ByteRange(offset=1, length_bytes=2)
    assert got.if_match


def test_seeding_is_no_call_and_takes_a_time() -> None:
    store = MemoryStore()
    store.seed("a", b"x", modified_ns=17)
    assert store.head("a").last_modified_ns == 17
    store.remove("a")
    assert store.keys() == []
    assert [call.verb for call in store.calls] == ["head"]


def test_faults_count_over_threads() -> None:
    store = MemoryStore()
    store.script(Fault("put", action=Raise(CUT), nth=3, times=2))
    failed = threading.Semaphore(0)

    def work(number: int) -> None:
        try:
            store.put(str(number), [b""], crc64=0, metadata={}, precondition=Overwrite())
        except StoreUnavailableError:
            failed.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(20)))
    assert len(store.keys()) == 18
    assert failed.acquire(blocking=False)
    assert failed.acquire(blocking=False)
    assert not failed.acquire(blocking=False)


def test_begun_requests_are_bounded_and_give_their_place_back() -> None:
    store = MemoryStore(begun_max=1)
    store.seed("key", b"content")
    begun = store.begin_get("key")
    assert begun is not None
    assert store.begin_get("key") is None
    with begun.result() as stream:
        assert stream.length_bytes == 7
    putting = store.begin_put("new", [b"x"], crc64=0, metadata={}, precondition=Overwrite())
    assert putting is not None
    putting.abandon()
    putting.abandon()
    assert store.keys() == ["key"]
    assert store.begin_get("key") is not None
