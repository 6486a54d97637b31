"""A catalog's file that is locked, damaged, cut, emptied, removed or replaced: is it said, is nothing lost, does it recover?"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock.catalog.catalog import Catalog
from penstock.catalog.opening import CatalogBounds
from penstock.catalog.sqlite import SqliteDatabase
from penstock.errors import CatalogUnavailableError
from penstock.model import SubTaskStatus
from tests.fixtures.ledger import Book
from tests.fixtures.service import init_home, try_cli

pytestmark = pytest.mark.anyio

BUSY_S = 0.2


class HastyBook(Book):
    """A book whose catalog does not wait long for others."""

    async def open(self) -> Book:
        self.catalog = await Catalog.open(
            SqliteDatabase(self.path, busy_wait_s=BUSY_S),
            now_ns=self.clock,
            entropy=self.chance.randbytes,
            boot_id="boot",
            bounds=CatalogBounds(),
        )
        return self


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Book]:
    """A catalog in use; `path` is its file."""
    book = await HastyBook(path, seed=time.monotonic_ns()).open()
    try:
        yield book
    finally:
        await book.close()


async def some(book: Book, count: int = 3) -> tuple[str, str, list[str]]:
    """A dataflow, a stream, and some sub-tasks."""
    flow = await book.flow()
    task = await book.stream(flow)
    return flow, task, [await book.file(flow, task, f"{number}") for number in range(count)]


async def refusal(path: Path) -> str:
    with pytest.raises(CatalogUnavailableError) as caught:
        async with opened(path):
            pass
    return str(caught.value)


async def test_a_catalog_that_another_program_locks_is_waited_for_and_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "catalog.db") as book:
        flow, task, ids = await some(book)
        other = sqlite3.connect(book.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        began_s = time.monotonic()
        with pytest.raises(CatalogUnavailableError, match="another program holds it locked; it goes on when"):
            await book.file(flow, task, "refused")
        assert time.monotonic() - began_s >= BUSY_S
        assert await book.status(ids[0]) is SubTaskStatus.CREATED  # reading goes on
        other.execute("ROLLBACK")
        await book.file(flow, task, "accepted")
        other.close()
        assert (await book.counters(flow, task)).created == len(ids) + 1


async def test_a_locked_catalog_does_not_open_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    async with opened(path) as book:
        await some(book)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "another program holds it locked" in await refusal(path)
    other.close()
    async with opened(path) as book:
        pass


@pytest.mark.parametrize("damage", ["header", "cut", "garbage"])
async def test_a_damaged_catalog_does_not_open_and_says_what_to_do(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "catalog.db"
    async with opened(path) as book:
        await some(book, 40)
    shutil.copy(path, tmp_path / "backup")
    size = path.stat().st_size
    with path.open("r+b") as file:
        match damage:
            case "header":
                file.write(b"\0" * 100)
            case "cut":
                file.truncate(size // 2 // 4096 * 4096)
            case "garbage":
                file.write(random.Random(1).randbytes(size))
    said = await refusal(path)
    assert f"{path}: it is damaged" in said
    assert "put a backup in its place" in said
    assert "sqlite3 catalog.db .recover" in said
    shutil.copy(tmp_path / "backup", path)
    for left in ("catalog.db-wal", "catalog.db-shm"):
        (tmp_path / left).unlink(missing_ok=True)
    async with opened(path) as book:
        await some(book)


def test_a_service_whose_catalog_is_damaged_ends_with_that_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init_home(home)
    (home / "catalog.db").write_bytes(b"nothing of the kind" * 1000)
    ended = try_cli("serve", str(home), "--port", "0", "--emulator-port", "0")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"{home}/catalog.db: it is damaged" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("loss", ["empty", "missing", "empty with its log"])
async def test_an_empty_catalog_is_no_new_one_where_there_was_one(tmp_path: Path, loss: str) -> None:
    path = tmp_path / "catalog.db"
    async with opened(path) as book:
        await some(book)
        shutil.copy(tmp_path / "catalog.db-wal", tmp_path / "log")
    if loss == "missing":
        path.unlink()
    else:
        os.truncate(path, 0)
    if loss == "empty with its log":
        shutil.copy(tmp_path / "log", tmp_path / "catalog.db-wal")
    said = await refusal(path)
    assert "is missing or empty, but this HOME was served before" in said
    assert "put a backup there" in said
    assert path.exists() == (loss != "missing")
    (tmp_path / "nonces.db").unlink()
    (tmp_path / "catalog.db-wal").unlink(missing_ok=True)
    async with opened(path) as book:  # as it was asked for
        await some(book)


async def test_damaged_nonces_may_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    async with opened(path) as book:
        _, _, ids = await some(book)
    (tmp_path / "nonces.db").write_bytes(b"nothing of the kind" * 1000)
    said = await refusal(path)
    assert f"{tmp_path}/nonces.db: it is damaged" in said
    assert "remove it with its -wal and -shm" in said
    for left in ("nonces.db", "nonces.db-wal", "nonces.db-shm"):
        (tmp_path / left).unlink(missing_ok=True)
    async with opened(path) as book:
        assert await book.status(ids[0]) is SubTaskStatus.CREATED


async def test_nothing_is_accepted_into_a_catalog_that_was_removed(tmp_path: Path) -> None:
    async with opened(tmp_path / "catalog.db") as book:
        flow, task, ids = await some(book)
        book.path.rename(tmp_path / "elsewhere")
        for _ in range(3):
            with pytest.raises(CatalogUnavailableError, match="removed or replaced under the running service"):
                await book.file(flow, task, "refused")
        assert not book.path.exists()
        (tmp_path / "elsewhere").rename(book.path)
        await book.file(flow, task, "accepted")
        assert (await book.counters(flow, task)).created == len(ids) + 1


async def test_what_stood_in_a_log_that_was_removed_is_not_lost(tmp_path: Path) -> None:
    async with opened(tmp_path / "catalog.db") as book:
        flow, task, ids = await some(book)
        (tmp_path / "catalog.db-wal").unlink()
        with pytest.raises(CatalogUnavailableError, match="removed or replaced under the running service"):
            await book.file(flow, task, "refused")
        ids.append(await book.file(flow, task, "accepted"))
        assert [await book.status(each) for each in ids] == [SubTaskStatus.CREATED] * 4
    async with opened(tmp_path / "catalog.db") as book:
        assert [await book.status(each) for each in ids] == [SubTaskStatus.CREATED] * 4
        assert (await book.counters(flow, task)).created == len(ids)
    with sqlite3.connect(tmp_path / "catalog.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


async def test_another_catalog_in_the_place_of_the_running_ones_is_not_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path / "catalog.db") as book:
        flow, task, _ = await some(book)
        shutil.copy(book.path, tmp_path / "copy")
        (tmp_path / "copy").rename(book.path)
        for _ in range(3):
            with pytest.raises(CatalogUnavailableError, match="removed or replaced"):
                await book.file(flow, task, "refused")


async def test_a_damaged_log_gives_back_what_lies_before_the_damage(tmp_path: Path) -> None:
    path, copy = tmp_path / "catalog.db", tmp_path / "copy"
    copy.mkdir()
    async with opened(path) as book:
        flow, task, before = await some(book)
        whole = (tmp_path / "catalog.db-wal").stat().st_size
        after = [await book.file(flow, task, f"later {number}") for number in range(20)]
        for name in ("catalog.db", "catalog.db-wal", "nonces.db"):  # as after a power cut
            shutil.copy(tmp_path / name, copy / name)
    with (copy / "catalog.db-wal").open("r+b") as file:
        file.seek(whole)
        file.write(random.Random(2).randbytes(4096))
    with sqlite3.connect(copy / "catalog.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = {row[0] for row in raw.execute("SELECT sub_task_id FROM sub_tasks")}
    raw.close()
    assert set(before) <= found < {*before, *after}
    async with opened(copy / "catalog.db") as book:
        assert await book.status(before[0]) is SubTaskStatus.CREATED
