"""Buckets that keep versions: each write is one, a delete is a marker, and any of them can be removed for good."""

from __future__ import annotations

import pytest

from penstock.errors import ObjectNotFoundError
from penstock.stores.base import Store, Versioning
from tests.conformance.stores.driving import listed, put, read, upload
from tests.conformance.stores.shores import Difference, Shore


def test_without_versions_there_are_no_version_ids(shore: Shore, store: Store) -> None:
    assert put(store, "object").version_id == ""
    assert store.head("object").version_id == ""
    completed = upload(store, "parts", [b"x"]).version_id
    assert completed == ("null" if shore.differs(Difference.COMPLETE_TELLS_NULL_VERSION) else "")


def test_every_write_is_a_version(versioned: Store) -> None:
    first, second = put(versioned, "object", b"first"), put(versioned, "object", b"second")
    third = upload(versioned, "object", [b"third"])
    ids = [first.version_id, second.version_id, third.version_id]
    assert all(ids)
    assert len(set(ids)) == 3
    assert read(versioned, "object")[1] == b"third"
    for version_id, content in zip(ids, (b"first", b"second", b"third"), strict=True):
        info, got = read(versioned, "object", version_id=version_id)
        assert got == content
        assert info.version_id == version_id
        assert versioned.head("object", version_id=version_id).size_bytes == len(content)
    assert versioned.head("object").version_id == third.version_id


def test_versions_are_listed_by_key_newest_first(versioned: Store) -> None:
    ids = [put(versioned, "b b", bytes(n)).version_id for n in (1, 2)]
    put(versioned, "a")
    put(versioned, "c")
    versioned.delete("b b")
    found = list(versioned.list_versions(prefix=""))
    assert [version.key for version in found] == ["a", "b b", "b b", "b b", "c"]
    marker, newer, older = found[1:4]
    assert marker.is_delete_marker
    assert marker.is_latest
    assert marker.version_id
    assert [newer.version_id, older.version_id] == [ids[1], ids[0]]
    assert [newer.size_bytes, older.size_bytes] == [2, 1]
    assert not newer.is_latest
    assert newer.etag
    assert not newer.is_delete_marker
    assert [version.key for version in versioned.list_versions(prefix="b")] == ["b b"] * 3


def test_a_delete_marker_hides_the_object(versioned: Store) -> None:
    version_id = put(versioned, "object", b"content").version_id
    versioned.delete("object")
    with pytest.raises(ObjectNotFoundError):
        versioned.head("object")
    with pytest.raises(ObjectNotFoundError):
        read(versioned, "object")
    assert listed(versioned) == []
    assert read(versioned, "object", version_id=version_id)[1] == b"content"


def test_a_delete_marker_itself_is_not_found_either(versioned: Store) -> None:
    put(versioned, "object")
    versioned.delete("object")
    marker = next(version for version in versioned.list_versions(prefix="object") if version.is_delete_marker)
    with pytest.raises(ObjectNotFoundError):
        versioned.head("object", version_id=marker.version_id)
    with pytest.raises(ObjectNotFoundError):
        read(versioned, "object", version_id=marker.version_id)


def test_removing_a_marker_brings_the_object_back(versioned: Store) -> None:
    put(versioned, "object", b"content")
    versioned.delete("object")
    marker = next(version for version in versioned.list_versions(prefix="object") if version.is_delete_marker)
    versioned.delete("object", version_id=marker.version_id)
    assert read(versioned, "object")[1] == b"content"


def test_deleting_a_version_removes_exactly_that_one(versioned: Store) -> None:
    first, second = put(versioned, "object", b"first"), put(versioned, "object", b"second")
    versioned.delete("object", version_id=second.version_id)
    versioned.delete("object", version_id=second.version_id)
    assert read(versioned, "object")[1] == b"first"
    assert [version.version_id for version in versioned.list_versions(prefix="object")] == [first.version_id]
    with pytest.raises(ObjectNotFoundError):
        versioned.head("object", version_id=second.version_id)


def test_a_suspended_bucket_keeps_old_versions_and_writes_null_ones(shore: Shore) -> None:
    store = shore.open(shore.make_bucket(Versioning.SUSPENDED), versioning=Versioning.SUSPENDED)
    assert store.versioning() is Versioning.SUSPENDED
    put(store, "object", b"first")
    put(store, "object", b"second")
    found = list(store.list_versions(prefix="object"))
    assert [version.version_id for version in found] == ["null"]
    assert read(store, "object", version_id="null")[1] == b"second"


def test_list_versions_without_versioning_tells_the_objects(store: Store) -> None:
    put(store, "a", b"1")
    put(store, "b", b"22")
    found = list(store.list_versions(prefix=""))
    assert [(version.key, version.is_latest, version.size_bytes) for version in found] == [
        ("a", True, 1),
        ("b", True, 2),
    ]


def test_list_versions_goes_on_over_pages(versioned: Store, small_pages: int) -> None:
    keys = [f"key {number}" for number in range(small_pages + 1)]
    for key in keys:
        for content in (b"1", b"22", b"333"):
            put(versioned, key, content)
    found = list(versioned.list_versions(prefix="key"))
    assert [version.key for version in found] == [key for key in keys for _ in range(3)]
    assert [version.size_bytes for version in found] == [3, 2, 1] * len(keys)
    assert [version.is_latest for version in found] == [True, False, False] * len(keys)
