"""Do pages of any size add up to what a plain reading of the rules lists?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.emulator.storage import buckets, listing, schema, uploads
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.listing import successor
from penstock.emulator.storage.traits import NONE
from penstock.emulator.storage.uploads import Upload
from tests.fixtures.sqlsteps import counted_steps

ALPHABET = ["a", "b", "/", "//", "-", "\x01", "中", "\U0010ffff"]
KEYS = st.lists(st.sampled_from(ALPHABET), min_size=1, max_size=5).map(lambda parts: "".join(parts).encode())
PREFIXES = st.one_of(st.just(b""), KEYS)
DELIMITERS = st.sampled_from([b"", b"/", b"//", "中".encode(), b"a/"])


@contextmanager
def bucket_of(keys: set[bytes], markers: set[bytes] = frozenset()) -> Iterator[tuple[sqlite3.Connection, Bucket]]:  # type: ignore[assignment]
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statement in schema.statements():
            database.execute(statement)
        buckets.create(database, name="bucket", created_ns=0, storage="Standard", redundancy="LRS")
        bucket = buckets.find(database, "bucket")
        assert bucket is not None
        for number, key in enumerate(sorted(keys | markers, reverse=True)):
            kind = "DeleteMarker" if key in markers else "Normal"
            database.execute(
                "INSERT INTO versions VALUES (?, ?, ?, 'null', 1, ?, 0, '', NULL, 0, '{}', NULL, '{}')",
                (number, bucket.id, key, kind),
            )
        yield database, bucket
    finally:
        database.close()


def expected(keys: set[bytes], prefix: bytes, delimiter: bytes) -> list[bytes]:
    entries: list[bytes] = []
    for key in sorted(keys):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if cut < 0 else key[: cut + len(delimiter)]
        if not entries or entries[-1] != entry:
            entries.append(entry)
    return entries


@settings(max_examples=300)
@given(
    st.sets(KEYS, max_size=25), st.sets(KEYS, max_size=5), PREFIXES, DELIMITERS, st.integers(min_value=1, max_value=6)
)
def test_pages_of_objects(keys: set[bytes], markers: set[bytes], prefix: bytes, delimiter: bytes, limit: int) -> None:
    keys -= markers
    with bucket_of(keys, markers) as (database, bucket):
        found: list[bytes] = []
        marker = b""
        for _ in range(100):
            page = listing.objects(database, bucket, prefix=prefix, delimiter=delimiter, marker=marker, limit=limit)
            entries = sorted([*(row.key for row in page.rows), *page.prefixes])
            assert len(entries) == page.count <= limit
            assert page.count == limit or not page.truncated
            found += entries
            if not page.truncated:
                break
            marker = entries[-1]
            assert marker == (page.last if isinstance(page.last, bytes) else page.last and page.last.key)
        assert found == expected(keys, prefix, delimiter)


@settings(max_examples=150)
@given(st.lists(KEYS, max_size=20), PREFIXES, DELIMITERS, st.integers(min_value=1, max_value=5))
def test_pages_of_uploads(keys: list[bytes], prefix: bytes, delimiter: bytes, limit: int) -> None:
    with bucket_of(set()) as (database, bucket):
        for number, key in enumerate(keys):
            upload = Upload(id=f"{number:032X}", key=key, initiated_ns=0, headers={}, traits=NONE)
            uploads.create(Transaction(database, lambda: 0), bucket, upload)
        plain = sorted((key, f"{number:032X}") for number, key in enumerate(keys) if key.startswith(prefix))
        folded = expected(set(keys), prefix, delimiter) if delimiter else []
        found: list[tuple[bytes, str]] = []
        prefixes: list[bytes] = []
        key_marker, id_marker = b"", ""
        for _ in range(100):
            page = listing.unfinished(
                database,
                bucket,
                prefix=prefix,
                delimiter=delimiter,
                key_marker=key_marker,
                upload_id_marker=id_marker,
                limit=limit,
            )
            found += [(row.key, row.id) for row in page.rows]
            prefixes += page.prefixes
            if not page.truncated:
                break
            if isinstance(page.last, bytes):
                key_marker, id_marker = page.last, ""
            else:
                assert page.last is not None
                key_marker, id_marker = page.last.key, page.last.id
        if delimiter:
            assert prefixes == [entry for entry in folded if entry.find(delimiter, len(prefix)) >= 0]
            plain = [row for row in plain if row[0].find(delimiter, len(prefix)) < 0]
        assert found == plain


def test_starting_inside_a_folded_prefix_still_tells_it() -> None:
    with bucket_of({b"a/1", b"a/2", b"b"}) as (database, bucket):
        page = listing.objects(database, bucket, prefix=b"", delimiter=b"/", marker=b"a/1", limit=9)
        assert (page.prefixes, [row.key for row in page.rows]) == ([b"a/"], [b"b"])
        page = listing.objects(database, bucket, prefix=b"", delimiter=b"/", marker=b"a/", limit=9)
        assert (page.prefixes, [row.key for row in page.rows]) == ([], [b"b"])


def test_a_folded_prefix_costs_one_seek_however_much_lies_beneath_it() -> None:
    keys = {f"{folder}/{number:04}".encode() for folder in "abc" for number in range(3000)}
    with bucket_of(keys) as (database, bucket):
        with counted_steps(database, each=1000) as steps:
            page = listing.objects(database, bucket, prefix=b"", delimiter=b"/", marker=b"", limit=100)
        assert page.prefixes == [b"a/", b"b/", b"c/"]
        assert steps.taken < 100  # thousands of instructions; walking every row would be many times that


@pytest.mark.parametrize(("prefix", "next_one"), [(b"a", b"b"), (b"a\xff", b"b"), (b"\xff", None), (b"a/", b"a0")])
def test_successor(prefix: bytes, next_one: bytes | None) -> None:
    assert successor(prefix) == next_one
