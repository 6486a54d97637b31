"""Whole objects: what is put comes back, under any key, with its metadata; what is not there is said to be not there."""

from __future__ import annotations

import base64
import posixpath
import time

import pytest

from penstock.errors import IntegrityError, ObjectNotFoundError, StoreRefusedError, StoreUnavailableError
from penstock.stores.base import Buffer, Overwrite, Store
from penstock.stores.httpstore import HttpStore
from tests.conformance.stores.driving import Streamed, Torn, TornError, crc64, listed, noise, put, read, upload
from tests.conformance.stores.shores import Difference, Shore

KEYS = [
    "a",
    "a/b",
    "d/",
    "p//q",
    "with space",
    "with+plus",
    "url-%123-/?#:",
    "%41",
    "quote'\"<&>",
    "semi;colon=equals&and,comma@at!$*()",
    "tilde~back\\slash|pipe^caret`tick{brace}[bracket]",
    "数据/检查点/模型.bin",
    "é",  # composed
    "é",  # decomposed: another key
    "emoji-\U0001f6b0",
    "k" * 1023,
    "中" * 341,
]
DOTTED_KEYS = ["a/../b", "a/./b", "./x", "../up", "a/..", "a/.", "..", "."]
CONTROL_KEYS = ["tab\there", "newline\nhere", "return\rhere", "bell\x07here", "esc\x1bhere", "del\x7fhere"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key[:12]))
def test_every_key_comes_back_as_it_was_put(store: Store, key: str) -> None:
    content = key.encode()
    put(store, key, content)
    info, got = read(store, key)
    assert got == content
    assert info.key == key
    assert store.head(key).size_bytes == len(content)
    assert listed(store) == [key]
    store.delete(key)
    assert listed(store) == []


@pytest.mark.parametrize("key", DOTTED_KEYS)
def test_dots_between_slashes_are_names_like_any_other(store: Store, key: str) -> None:
    """A key is no path: neither we nor the server may make it one, and what is signed is what is sent."""
    plain = posixpath.normpath(f"/{key}")[1:]
    others = [plain] if plain else []
    for other in others:
        put(store, other, b"another object")
    put(store, key, b"dotted")
    assert (read(store, key)[1], store.head(key).size_bytes) == (b"dotted", 6)
    assert listed(store) == sorted([key, *others])
    assert listed(store, prefix=key) == [key]
    upload(store, key, [b"in parts"])
    assert read(store, key)[1] == b"in parts"
    store.delete(key)
    assert listed(store) == others
    assert [read(store, other)[1] for other in others] == [b"another object"] * len(others)


@pytest.mark.parametrize("key", CONTROL_KEYS, ids=ascii)
def test_keys_with_control_characters_survive(shore: Shore, store: Store, key: str) -> None:
    if "\n" in key and shore.differs(Difference.REFUSES_NEWLINES):
        with pytest.raises(StoreUnavailableError):
            put(store, key, b"x")
        return
    put(store, key, b"x")
    assert read(store, key)[1] == b"x"
    assert listed(store) == [key]
    upload_id = store.initiate(key, metadata={})
    assert [(u.key, u.upload_id) for u in store.list_uploads(prefix="")] == [(key, upload_id)]
    part = store.put_part(key, upload_id, 1, [b"yy"], crc64=crc64(b"yy"))
    assert [listed.number for listed in store.list_parts(key, upload_id)] == [1]
    store.complete(key, upload_id, [part], precondition=Overwrite())
    assert read(store, key)[1] == b"yy"


def test_a_key_and_keys_below_it_live_side_by_side(store: Store) -> None:
    for key in ("a", "a/b", "a/b/c", "a/"):
        put(store, key, key.encode())
    for key in ("a", "a/b", "a/b/c", "a/"):
        assert read(store, key)[1] == key.encode()
    assert listed(store) == ["a", "a/", "a/b", "a/b/c"]


@pytest.mark.parametrize("key", ["", "k" * 1024, "lone-surrogate-\udc80"], ids=["empty", "too long", "not UTF-8"])
def test_what_cannot_be_a_key_is_refused_by_every_verb(store: Store, key: str) -> None:
    with pytest.raises(StoreRefusedError):
        put(store, key)
    with pytest.raises(StoreRefusedError):
        store.head(key)
    with pytest.raises(StoreRefusedError):
        read(store, key)
    with pytest.raises(StoreRefusedError):
        store.delete(key)
    with pytest.raises(StoreRefusedError):
        store.initiate(key, metadata={})


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 3_000_001])
def test_contents_of_any_size_come_back(store: Store, size_bytes: int) -> None:
    content = noise(size_bytes)
    result = put(store, "object", content)
    info, got = read(store, "object")
    assert got == content
    assert info.size_bytes == size_bytes
    assert info.etag == result.etag == store.head("object").etag
    assert info.etag
    assert '"' not in info.etag


def test_a_body_may_come_in_several_buffers_of_any_kind(store: Store) -> None:
    content = noise(100_000)
    body: list[Buffer] = [content[:10], b"", bytearray(content[10:5000]), memoryview(content)[5000:]]
    store.put("object", body, crc64=crc64(content), metadata={}, precondition=Overwrite())
    assert read(store, "object")[1] == content


@pytest.mark.parametrize("size_bytes", [0, 1, 1000, 1_234_567])
def test_an_object_may_be_read_while_it_is_sent(store: Store, size_bytes: int) -> None:
    content = noise(size_bytes)
    result = store.put("object", Streamed(content), crc64=crc64(content), metadata={"a": "b"}, precondition=Overwrite())
    info, got = read(store, "object")
    assert got == content
    assert (info.etag, dict(info.metadata)) == (result.etag, {"a": "b"})


@pytest.mark.parametrize("size_bytes", [1, 1000, 1_234_567])
def test_a_body_whose_end_is_withheld_leaves_no_object(store: Store, size_bytes: int) -> None:
    """So nothing of a source that changes while it is sent is ever published; what was there before stays."""
    content = noise(size_bytes)
    before = put(store, "there", b"before")
    for key in ("there", "new"):
        with pytest.raises(TornError):
            store.put(key, Torn(content), crc64=crc64(content), metadata={}, precondition=Overwrite())
    put(store, "after", b"after")  # whatever becomes of the torn ones, it is done by now
    assert read(store, "there") == (store.head("there"), b"before")
    assert store.head("there").etag == before.etag
    with pytest.raises(ObjectNotFoundError):
        store.head("new")


def test_a_second_put_replaces(store: Store) -> None:
    first = put(store, "object", b"first")
    second = put(store, "object", b"second!")
    assert first.etag != second.etag
    assert read(store, "object")[1] == b"second!"


def test_the_store_tells_the_crc64_of_whole_objects_if_it_can(store: Store) -> None:
    content = noise(5000)
    told = [put(store, "object", content).crc64, store.head("object").crc64, read(store, "object")[0].crc64]
    expected = crc64(content) if store.abilities.crc64 else None
    assert told == [expected] * 3


def test_a_crc64_that_differs_from_the_stores_is_an_integrity_error(store: Store) -> None:
    wrong = crc64(b"content") ^ 1
    if store.abilities.crc64:
        with pytest.raises(IntegrityError) as caught:
            store.put("object", [b"content"], crc64=wrong, metadata={}, precondition=Overwrite())
        assert str(wrong) in str(caught.value)
        assert str(crc64(b"content")) in str(caught.value)
        assert caught.value.key == "object"
        assert caught.value.waiting_helps
    else:  # nothing to compare with: such a store gets an MD5 of the body instead
        result = store.put("object", [b"content"], crc64=wrong, metadata={}, precondition=Overwrite())
        assert result.crc64 is None


def test_a_body_that_is_not_what_its_md5_says_is_an_integrity_error(shore: Shore, store: Store) -> None:
    """Where there is no crc64 this is what guards the way: the server has to compare."""
    if not isinstance(store, HttpStore):
        return
    wrong = {"content-md5": base64.b64encode(bytes(16)).decode()}
    if shore.differs(Difference.CHECKS_NO_MD5):
        store._exchange.ask("PUT", "object", headers=wrong, body=[b"content"]).close()
        return
    with pytest.raises(IntegrityError) as caught:
        store._exchange.ask("PUT", "object", headers=wrong, body=[b"content"])
    assert caught.value.status == 400
    with pytest.raises(ObjectNotFoundError):
        store.head("object")


def test_metadata_comes_back_with_names_in_lower_case(store: Store) -> None:
    metadata = {"alihbr-sync-mtime": "1729700896000000000", "Penstock-Mtime-NS": "-1", "words": "two  words; a=b,c"}
    put(store, "object", metadata=metadata)
    expected = {"alihbr-sync-mtime": "1729700896000000000", "penstock-mtime-ns": "-1"}
    for info in (store.head("object"), read(store, "object")[0]):
        assert {name: info.metadata[name] for name in expected} == expected
        assert info.metadata["words"].split() == ["two", "words;", "a=b,c"]
        assert len(info.metadata) == 3


@pytest.mark.parametrize("value", ["line\r\nx-evil: 1", "中文", "nul\0"])
def test_metadata_that_a_header_cannot_carry_is_refused(shore: Shore, store: Store, value: str) -> None:
    if shore.address is None:
        return  # memory carries anything; rooms above send plain ASCII only
    with pytest.raises(StoreRefusedError):
        put(store, "object", metadata={"name": value})
    with pytest.raises(ObjectNotFoundError):
        store.head("object")


def test_metadata_is_replaced_with_the_object(store: Store) -> None:
    put(store, "object", metadata={"one": "1"})
    put(store, "object", metadata={"two": "2"})
    assert dict(store.head("object").metadata) == {"two": "2"}


def test_last_modified_is_about_now(store: Store) -> None:
    before = time.time_ns()
    put(store, "object")
    told = {store.head("object").last_modified_ns, read(store, "object")[0].last_modified_ns}
    told.add(store.list_objects().objects[0].last_modified_ns // 10**9 * 10**9)
    assert all(before - 3 * 10**9 <= moment <= time.time_ns() + 2 * 10**9 for moment in told), told


@pytest.mark.parametrize("verb", ["head", "get"])
def test_a_missing_key_is_an_object_not_found(store: Store, verb: str) -> None:
    with pytest.raises(ObjectNotFoundError) as caught:
        store.head("missing") if verb == "head" else read(store, "missing")
    assert caught.value.key == "missing"
    assert caught.value.bucket == store.bucket
    assert caught.value.status == 404
    assert not caught.value.waiting_helps
    assert "missing" in str(caught.value)


def test_delete_is_idempotent(store: Store) -> None:
    put(store, "object")
    store.delete("object")
    store.delete("object")
    store.delete("never there")
    with pytest.raises(ObjectNotFoundError):
        store.head("object")


def test_leaving_a_get_early_leaves_the_store_usable(store: Store) -> None:
    content = noise(3_000_000)
    put(store, "object", content)
    for _ in range(3):
        with store.get("object") as stream:
            assert stream.readinto(memoryview(bytearray(100))) > 0
    assert read(store, "object")[1] == content
