"""Listings of objects: byte order, prefixes, delimiters, pages that neither lose nor repeat a key."""

from __future__ import annotations

from penstock.stores.base import Store
from tests.conformance.stores.driving import listed, put

KEYS = ["B", "a", "a b", "a+b", "a/1", "a/2", "a/sub/3", "b", "z%7E", "ä", "中", "\U0001f6b0"]


def filled(store: Store) -> list[str]:
    for key in KEYS:
        put(store, key, key.encode())
    return sorted(KEYS, key=str.encode)


def test_an_empty_bucket_lists_nothing(store: Store) -> None:
    page = store.list_objects()
    assert (list(page.objects), list(page.common_prefixes), page.next_token) == ([], [], "")


def test_keys_come_in_byte_order(store: Store) -> None:
    expected = filled(store)
    page = store.list_objects()
    assert [found.key for found in page.objects] == expected
    assert page.next_token == ""
    by_key = {found.key: found for found in page.objects}
    for key in KEYS:
        assert by_key[key].size_bytes == len(key.encode())
        assert by_key[key].etag == store.head(key).etag


def test_pages_neither_lose_nor_repeat(store: Store) -> None:
    expected = filled(store)
    for limit in (1, 2, 5, len(KEYS), 1000):
        assert listed(store, limit=limit) == expected


def test_a_prefix_narrows(store: Store) -> None:
    filled(store)
    assert listed(store, prefix="a/") == ["a/1", "a/2", "a/sub/3"]
    assert listed(store, prefix="a ") == ["a b"]
    assert listed(store, prefix="a+") == ["a+b"]
    assert listed(store, prefix="z%7") == ["z%7E"]
    assert listed(store, prefix="nothing") == []


def test_a_delimiter_gathers_what_lies_below(store: Store) -> None:
    filled(store)
    page = store.list_objects(delimiter="/")
    assert list(page.common_prefixes) == ["a/"]
    assert [found.key for found in page.objects] == [key for key in sorted(KEYS, key=str.encode) if "/" not in key]
    below = store.list_objects(prefix="a/", delimiter="/")
    assert list(below.common_prefixes) == ["a/sub/"]
    assert [found.key for found in below.objects] == ["a/1", "a/2"]


def test_a_delimiter_gathers_over_pages(store: Store) -> None:
    for key in ("a/1", "a/2", "b", "c d/1", "c d/2", "d"):
        put(store, key)
    keys: list[str] = []
    prefixes: list[str] = []
    token = ""
    while True:
        page = store.list_objects(delimiter="/", token=token, limit=1)
        keys += [found.key for found in page.objects]
        prefixes += page.common_prefixes
        token = page.next_token
        if not token:
            break
    assert keys == ["b", "d"]
    assert prefixes == ["a/", "c d/"]


def test_start_after_begins_behind_a_key(store: Store) -> None:
    expected = filled(store)
    for after in ("a/1", "a b", "A", "中"):
        page = store.list_objects(start_after=after)
        assert [found.key for found in page.objects] == [key for key in expected if key.encode() > after.encode()]
