"""Multipart uploads: any order, gaps, repeats; published by Complete only; dropped by Abort."""

from __future__ import annotations

import hashlib
import time

import pytest

from penstock.errors import (
    IntegrityError,
    ObjectNotFoundError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    UploadNotFoundError,
)
from penstock.stores.base import Overwrite, Part, Store
from tests.conformance.stores.driving import Streamed, crc64, noise, put, read, upload_parts
from tests.conformance.stores.shores import Difference, Shore

KEY = "large/object.bin"
UNKNOWN = "0123456789ABCDEF0123456789ABCDEF"


def test_parts_in_any_order_become_the_object(shore: Shore, store: Store) -> None:
    content = noise(2 * shore.part_size_bytes + 777)
    pieces = {n + 1: content[n * shore.part_size_bytes :][: shore.part_size_bytes] for n in range(3)}
    upload_id = store.initiate(KEY, metadata={"penstock-mtime-ns": "17"})
    sent = upload_parts(store, KEY, upload_id, [(number, pieces[number]) for number in (3, 1, 2)])
    with pytest.raises(ObjectNotFoundError):
        store.head(KEY)
    parts = sorted(sent, key=lambda part: part.number)
    result = store.complete(KEY, upload_id, parts, precondition=Overwrite())
    info, got = read(store, KEY)
    assert got == content
    assert info.metadata["penstock-mtime-ns"] == "17"
    assert info.size_bytes == len(content)
    assert info.etag.endswith("-3")
    assert result.etag == ("" if shore.differs(Difference.COMPLETE_TELLS_NO_ETAG) else info.etag)
    assert result.crc64 == info.crc64 == (crc64(content) if store.abilities.crc64 else None)


def test_part_numbers_may_have_gaps(shore: Shore, store: Store) -> None:
    content = noise(shore.part_size_bytes + 5)
    pieces = [(7, content[: shore.part_size_bytes]), (10_000, content[shore.part_size_bytes :])]
    upload_id = store.initiate(KEY, metadata={})
    parts = upload_parts(store, KEY, upload_id, pieces)
    store.complete(KEY, upload_id, parts, precondition=Overwrite())
    assert read(store, KEY)[1] == content


def test_a_repeated_part_replaces_the_earlier_one(store: Store) -> None:
    upload_id = store.initiate(KEY, metadata={})
    upload_parts(store, KEY, upload_id, [(1, b"first")])
    [part] = upload_parts(store, KEY, upload_id, [(1, b"second")])
    assert list(store.list_parts(KEY, upload_id)) == [part]
    store.complete(KEY, upload_id, [part], precondition=Overwrite())
    assert read(store, KEY)[1] == b"second"


def test_a_subset_of_the_parts_may_be_published(shore: Shore, store: Store) -> None:
    upload_id = store.initiate(KEY, metadata={})
    parts = upload_parts(store, KEY, upload_id, [(1, b"one"), (2, b"two")])
    if shore.differs(Difference.REFUSES_A_SUBSET_OF_PARTS):
        with pytest.raises(IntegrityError):
            store.complete(KEY, upload_id, parts[1:], precondition=Overwrite())
        return
    store.complete(KEY, upload_id, parts[1:], precondition=Overwrite())
    assert read(store, KEY)[1] == b"two"


def test_a_part_tells_etag_size_and_crc64(store: Store) -> None:
    piece = noise(3000)
    upload_id = store.initiate(KEY, metadata={})
    part = store.put_part(KEY, upload_id, 4, [piece[:1000], bytearray(piece[1000:])], crc64=crc64(piece))
    assert part.number == 4
    assert part.size_bytes == 3000
    assert part.crc64 == (crc64(piece) if store.abilities.crc64 else None)
    assert store.abilities.part_etag_is_md5
    assert part.etag.lower() == hashlib.md5(piece).hexdigest()
    store.abort(KEY, upload_id)


def test_a_part_with_another_crc64_is_an_integrity_error(store: Store) -> None:
    upload_id = store.initiate(KEY, metadata={})
    wrong = crc64(b"piece") ^ 1
    if store.abilities.crc64:
        with pytest.raises(IntegrityError, match=str(wrong)):
            store.put_part(KEY, upload_id, 1, [b"piece"], crc64=wrong)
    else:
        assert store.put_part(KEY, upload_id, 1, [b"piece"], crc64=wrong).crc64 is None


@pytest.mark.parametrize("size_bytes", [0, 1, 1000, 123_456])
def test_a_part_may_be_read_while_it_is_sent(store: Store, size_bytes: int) -> None:
    content = noise(size_bytes)
    upload_id = store.initiate(KEY, metadata={})
    part = store.put_part(KEY, upload_id, 1, Streamed(content), crc64=None)
    assert part.size_bytes == size_bytes
    assert part.crc64 == (crc64(content) if store.abilities.crc64 else None)
    store.complete(KEY, upload_id, [part], precondition=Overwrite())
    assert read(store, KEY)[1] == content


def test_list_parts_tells_what_was_uploaded_by_number(shore: Shore, store: Store) -> None:
    upload_id = store.initiate(KEY, metadata={})
    assert list(store.list_parts(KEY, upload_id)) == []
    sent = upload_parts(store, KEY, upload_id, [(5, b"five"), (2, b"two"), (9999, b"")])
    assert list(store.list_parts(KEY, upload_id)) == sorted(sent, key=lambda part: part.number)


def test_list_parts_goes_on_over_pages(store: Store, small_pages: int) -> None:
    upload_id = store.initiate(KEY, metadata={})
    count = 2 * small_pages + 1
    for number in range(1, count + 1):
        store.put_part(KEY, upload_id, number, [b"x"], crc64=crc64(b"x"))
    assert [part.number for part in store.list_parts(KEY, upload_id)] == list(range(1, count + 1))
    store.abort(KEY, upload_id)


def test_list_uploads_finds_the_unfinished_of_a_prefix(shore: Shore, store: Store) -> None:
    before = time.time_ns()
    first, second = store.initiate("a/1", metadata={}), store.initiate("a/1", metadata={})
    other, space = store.initiate("b", metadata={}), store.initiate("a/2 ü+", metadata={})
    assert len({first, second, other, space}) == 4
    found = list(store.list_uploads(prefix="a/"))
    assert {(u.key, u.upload_id) for u in found} == {("a/1", first), ("a/1", second), ("a/2 ü+", space)}
    assert [u.key for u in found] == ["a/1", "a/1", "a/2 ü+"]
    about_now = all(before - 3 * 10**9 <= u.initiated_ns <= time.time_ns() + 2 * 10**9 for u in found)
    assert about_now is not shore.differs(Difference.MAKES_UP_WHEN_UPLOADS_BEGAN)
    assert {u.upload_id for u in store.list_uploads(prefix="")} == {first, second, other, space}
    store.abort("a/1", first)
    [part] = upload_parts(store, "b", other, [(1, b"x")])
    store.complete("b", other, [part], precondition=Overwrite())
    assert {u.upload_id for u in store.list_uploads(prefix="")} == {second, space}
    assert list(store.list_uploads(prefix="nothing")) == []


def test_list_uploads_goes_on_over_pages(store: Store, small_pages: int) -> None:
    begun = {
        (key, store.initiate(key, metadata={})) for key in ("a 1", "a 1", "a+2", "中", "中", "中", "z%41", "z", "zz")
    }
    assert len(begun) == 2 * small_pages + 1
    found = [(upload.key, upload.upload_id) for upload in store.list_uploads(prefix="")]
    assert len(found) == len(begun)
    assert set(found) == begun


def test_an_unfinished_upload_leaves_the_object_alone(store: Store) -> None:
    put(store, KEY, b"old")
    upload_id = store.initiate(KEY, metadata={})
    upload_parts(store, KEY, upload_id, [(1, b"new")])
    assert read(store, KEY)[1] == b"old"
    store.abort(KEY, upload_id)
    assert read(store, KEY)[1] == b"old"


def test_abort_drops_the_upload_and_is_idempotent(store: Store) -> None:
    upload_id = store.initiate(KEY, metadata={})
    upload_parts(store, KEY, upload_id, [(1, b"x")])
    store.abort(KEY, upload_id)
    store.abort(KEY, upload_id)
    store.abort("another/key", UNKNOWN)
    assert list(store.list_uploads(prefix="")) == []
    with pytest.raises(UploadNotFoundError):
        list(store.list_parts(KEY, upload_id))


@pytest.mark.parametrize("upload_id", ["", UNKNOWN], ids=["none", "unknown"])
def test_an_unknown_upload_is_said_to_be_unknown(shore: Shore, store: Store, upload_id: str) -> None:
    put(store, KEY, b"object")
    part = Part(number=1, etag="0" * 32, size_bytes=1)
    with pytest.raises(UploadNotFoundError):
        list(store.list_parts(KEY, upload_id))

    def said(difference: Difference) -> type[StoreError]:
        return StoreUnavailableError if upload_id and shore.differs(difference) else UploadNotFoundError

    with pytest.raises(said(Difference.COMPLETE_OF_UNKNOWN_UPLOAD_IS_SERVER_ERROR)):
        store.complete(KEY, upload_id, [part], precondition=Overwrite())
    with pytest.raises(said(Difference.PART_OF_UNKNOWN_UPLOAD_IS_SERVER_ERROR)):
        upload_parts(store, KEY, upload_id, [(1, b"x")])
    assert read(store, KEY)[1] == b"object"


def test_a_completed_upload_is_gone(store: Store) -> None:
    upload_id = store.initiate(KEY, metadata={})
    [part] = upload_parts(store, KEY, upload_id, [(1, b"x")])
    store.complete(KEY, upload_id, [part], precondition=Overwrite())
    with pytest.raises(UploadNotFoundError):
        list(store.list_parts(KEY, upload_id))
    store.abort(KEY, upload_id)
    assert read(store, KEY)[1] == b"x"


def test_complete_refuses_parts_that_are_not_there_or_are_others(store: Store) -> None:
    upload_id = store.initiate(KEY, metadata={})
    [part] = upload_parts(store, KEY, upload_id, [(1, b"x")])
    for wrong in (Part(number=2, etag=part.etag, size_bytes=1), Part(number=1, etag="0" * 32, size_bytes=1)):
        with pytest.raises(IntegrityError) as caught:
            store.complete(KEY, upload_id, [wrong], precondition=Overwrite())
        assert caught.value.code == "InvalidPart"
    with pytest.raises(ObjectNotFoundError):
        store.head(KEY)


def test_complete_refuses_parts_that_are_too_small(shore: Shore, store: Store) -> None:
    if shore.address is None:
        return  # memory has no least size, so that tests can work with small parts
    upload_id = store.initiate(KEY, metadata={})
    parts = upload_parts(store, KEY, upload_id, [(1, b"x"), (2, b"y")])
    with pytest.raises(StoreRefusedError) as caught:
        store.complete(KEY, upload_id, parts, precondition=Overwrite())
    assert caught.value.code == "EntityTooSmall"
