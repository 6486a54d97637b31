"""A catalog for each test, on each database that Penstock knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.ledger import Book, recount


@pytest.fixture(params=["sqlite"])
async def book(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Book]:
    """An open catalog; after the test every counter is compared with what it counts."""
    book = await Book(tmp_path / "catalog.db").open()
    yield book
    await book.close()
    recount(book.path)
