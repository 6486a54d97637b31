"""A catalog for each test, on each database that Penstock knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fixtures.ledger import Book, recount
from tests.fixtures.ledgerdisk import SqliteDisk

DATABASES: dict[str, Callable[[Path], SqliteDisk]] = {"sqlite": SqliteDisk}


@pytest.fixture(params=DATABASES)
def disks(request: pytest.FixtureRequest) -> Callable[[Path], SqliteDisk]:
    """Makes a disk in a directory, for a catalog on one of these databases."""
    return DATABASES[request.param]


@pytest.fixture(params=["sqlite"])
async def book(request: pytest.FixtureRequest, memory_path: Path, anyio_backend: str) -> AsyncIterator[Book]:
    """An open catalog; after the test every counter is compared with what it counts."""
    book = await Book(memory_path / "catalog.db").open()
    yield book
    await book.close()
    recount(book.path)
