"""Does a look at a bucket find each object once, in order, and what marks a directory?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from penstock.stores.base import Listing
from penstock.transfer import keys
from penstock.transfer.listed import Kind
from tests.fixtures.memorystore import MemoryStore

NAMES = ("p/", "p/a", "p/a/b", "p/a-", "p/d/", "p/é", "p/.penstock-reports/r.csv", "p/x/.penstock-1", "q")


@pytest.fixture
def store() -> MemoryStore:
    found = MemoryStore()
    for name in NAMES:
        found.seed(name, name.encode())
    return found


def seen(store: MemoryStore, limit: int) -> list[tuple[str, Kind, int]]:
    found: list[tuple[str, Kind, int]] = []
    after: str | None = ""
    while after is not None:
        page = keys.look(store, "p/", after, limit)
        found += [(one.path, one.kind, one.size_bytes) for one in page.found]
        after = page.after
    return found


EXPECTED = [
    ("", Kind.MARKER, 2), ("a", Kind.FILE, 3), ("a-", Kind.FILE, 4), ("a/b", Kind.FILE, 5), ("d/", Kind.MARKER, 4),
    ("é", Kind.FILE, 4),
]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_each_object_is_found_once_and_in_order(store: MemoryStore, limit: int) -> None:
    assert seen(store, limit) == EXPECTED


class Hollow(MemoryStore):
    """Answers an empty page before each that has something in it, as stores may."""

    def list_objects(
        self, *, prefix: str = "", delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> Listing:
        if not token:
            empty: Sequence[str] = ()
            return Listing(objects=(), common_prefixes=empty, next_token=f"behind {start_after}")
        after = token.removeprefix("behind ")
        return super().list_objects(prefix=prefix, delimiter=delimiter, start_after=after, limit=limit)


def test_an_empty_page_is_not_the_end() -> None:
    store = Hollow()
    for name in NAMES:
        store.seed(name, name.encode())
    assert seen(store, 2) == EXPECTED
