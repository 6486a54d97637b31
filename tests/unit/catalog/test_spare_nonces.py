"""Is a nonce that cannot be written down still good only once?"""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from penstock.catalog.catalog import Catalog
from penstock.catalog.database import Connection
from penstock.catalog.spare_nonces import SpareNonces
from penstock.catalog.sqlite import SqliteDatabase
from penstock.errors import CatalogUnavailableError, NonceUsedError
from tests.fixtures.ledger import Book

pytestmark = pytest.mark.anyio


class FullDatabase(SqliteDatabase):
    """Has no room for another nonce."""

    def open_nonces(self) -> Connection:
        connection = super().open_nonces()
        connection.script("PRAGMA max_page_count = 12;")
        return connection


async def fill(catalog: Catalog) -> int:
    """How many nonces found room in what there was."""
    for number in range(5000):
        await catalog.use_nonce(f"n{number}")
        if catalog._spare_nonces._used_ns:
            return number
    raise AssertionError("it does not become full")


async def test_while_the_disk_is_full_reads_go_on_and_are_not_replayed(tmp_path: Path) -> None:
    book = Book(tmp_path / "catalog.db")
    catalog = await Catalog.open(
        FullDatabase(book.path), now_ns=book.clock, entropy=random.Random(1).randbytes, boot_id="boot"
    )
    book.catalog = catalog
    spare = await fill(catalog)
    assert spare > 0
    await catalog.use_nonce("another")
    for used in ("n0", f"n{spare}", "another"):
        with pytest.raises(NonceUsedError):
            await catalog.use_nonce(used)
        with pytest.raises(NonceUsedError):
            await catalog.refuse(msgspec.structs.replace(book.call(), nonce=used))
    await catalog.close()


def test_what_is_kept_is_bounded_and_forgotten() -> None:
    moments = iter(range(10))
    spare = SpareNonces(lambda: next(moments), count_max=2)
    spare.use("a")
    spare.use("b")
    with pytest.raises(CatalogUnavailableError, match="too many"):
        spare.use("c")
    spare.forget(1)
    spare.use("a")
    with pytest.raises(NonceUsedError):
        spare.check("b")
