"""Ranges of objects: exactly what was asked, clipped at the end, refused beyond it."""

from __future__ import annotations

import pytest

from penstock.errors import ObjectNotFoundError, PreconditionFailedError, RangeNotSatisfiableError
from penstock.stores.base import ByteRange, Store
from tests.conformance.stores.driving import noise, put, read

SIZE = 10_000
CONTENT = noise(SIZE)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 1), (0, SIZE), (1, 1), (SIZE - 1, 1), (4096, 4096), (0, SIZE - 1), (9_999, 1)],
)
def test_a_range_is_answered_exactly(store: Store, offset: int, length: int) -> None:
    put(store, "object", CONTENT)
    info, got = read(store, "object", byte_range=ByteRange(offset=offset, length_bytes=length))
    assert got == CONTENT[offset : offset + length]
    assert info.size_bytes == SIZE
    assert info.etag == store.head("object").etag


@pytest.mark.parametrize(("offset", "length"), [(0, SIZE + 1), (9_000, 5_000), (9_999, 1 << 40)])
def test_a_range_past_the_end_is_clipped(store: Store, offset: int, length: int) -> None:
    put(store, "object", CONTENT)
    info, got = read(store, "object", byte_range=ByteRange(offset=offset, length_bytes=length))
    assert got == CONTENT[offset:]
    assert info.size_bytes == SIZE


@pytest.mark.parametrize("offset", [SIZE, SIZE + 1, 1 << 40])
def test_a_range_beyond_the_object_is_refused(store: Store, offset: int) -> None:
    put(store, "object", CONTENT)
    with pytest.raises(RangeNotSatisfiableError) as caught:
        read(store, "object", byte_range=ByteRange(offset=offset, length_bytes=1))
    assert caught.value.status == 416


def test_an_empty_object_has_no_range(store: Store) -> None:
    put(store, "object", b"")
    with pytest.raises(RangeNotSatisfiableError):
        read(store, "object", byte_range=ByteRange(offset=0, length_bytes=1))


def test_a_range_still_tells_the_crc64_and_metadata_of_the_whole_object(store: Store) -> None:
    put(store, "object", CONTENT, metadata={"name": "value"})
    info, _ = read(store, "object", byte_range=ByteRange(offset=5, length_bytes=5))
    whole = store.head("object")
    assert info.crc64 == whole.crc64
    assert dict(info.metadata) == {"name": "value"}
    assert info.last_modified_ns == whole.last_modified_ns


def test_a_range_of_a_missing_object_is_not_found(store: Store) -> None:
    with pytest.raises(ObjectNotFoundError):
        read(store, "missing", byte_range=ByteRange(offset=0, length_bytes=1))


def test_a_range_of_a_replaced_object_is_refused_by_its_etag(store: Store) -> None:
    etag = put(store, "object", CONTENT).etag
    byte_range = ByteRange(offset=10, length_bytes=20)
    assert read(store, "object", byte_range=byte_range, if_match=etag)[1] == CONTENT[10:30]
    put(store, "object", CONTENT[::-1])
    with pytest.raises(PreconditionFailedError) as caught:
        read(store, "object", byte_range=byte_range, if_match=etag)
    assert caught.value.status == 412
