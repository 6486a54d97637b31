"""What a full disk, a lock, a damaged or a newer file do, with the real database."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from pathlib import Path

import msgspec
import pytest

from penstock import telemetry
from penstock.catalog import schema_versions
from penstock.catalog.catalog import Catalog
from penstock.catalog.database import BrokenConnectionError, Connection, Durability
from penstock.catalog.rows import digest
from penstock.catalog.sqlite import SqliteConnection, SqliteDatabase
from penstock.catalog.verbs import SubTaskQuery
from penstock.errors import CatalogUnavailableError
from tests.fixtures.ledger import FS, Book, make_older, recount

pytestmark = pytest.mark.anyio


class TightDatabase(SqliteDatabase):
    """Has room for some pages only, until `pages` is raised and a connection is opened anew."""

    pages = 1 << 20

    def open_writer(self) -> Connection:
        connection = super().open_writer()
        connection.script(f"PRAGMA max_page_count = {self.pages};")
        return connection


async def open_catalog(database: SqliteDatabase) -> Catalog:
    return await Catalog.open(database, now_ns=time.time_ns, entropy=os.urandom, boot_id="boot")


async def test_a_full_disk_accepts_nothing_says_so_and_recovers(tmp_path: Path) -> None:
    book = Book(tmp_path / "catalog.db")
    database = TightDatabase(book.path)
    database.pages = 90
    book.catalog = await open_catalog(database)
    flow = await book.flow()
    task = await book.stream(flow)
    accepted: list[str] = []
    refused = 0
    while refused < 3:
        work = [book.file(flow, task, f"{len(accepted)}-{number}" + "x" * 300) for number in range(10)]
        for answer in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(answer, str):
                accepted.append(answer)
            else:
                assert isinstance(answer, CatalogUnavailableError), answer
                refused += 1
    assert accepted
    assert (await book.counters(flow, task)).accepted == len(accepted)  # reading goes on
    database.pages = 1 << 20
    while True:  # the connection with the bound may be the present one: it is replaced after one more refusal
        try:
            accepted.append(await book.file(flow, task, "y" * 300))
            break
        except CatalogUnavailableError:
            continue
    await book.close()
    recount(book.path)
    ledger = sqlite3.connect(book.path)
    assert {name for (name,) in ledger.execute("SELECT sub_task_id FROM sub_tasks")} == set(accepted)
    ledger.close()


async def test_somebody_elses_lock_is_waited_for_and_then_told(tmp_path: Path) -> None:
    book = Book(tmp_path / "catalog.db")
    book.catalog = await open_catalog(SqliteDatabase(book.path, busy_wait_s=0.05))
    flow = await book.flow()
    other = sqlite3.connect(book.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogUnavailableError, match="locked"):
        await book.stream(flow)
    assert (await book.catalog.data_flow(FS, flow)).data_flow_id == flow
    other.execute("ROLLBACK")
    other.close()
    await book.stream(flow)
    await book.close()


async def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(CatalogUnavailableError, match="not a database"):
        await open_catalog(SqliteDatabase(path))
    with pytest.raises(CatalogUnavailableError):
        await open_catalog(SqliteDatabase(tmp_path / "no such directory" / "catalog.db"))


async def test_a_newer_penstocks_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    await (await open_catalog(SqliteDatabase(path))).close()
    ledger = sqlite3.connect(path)
    ledger.execute("INSERT INTO schema_versions (version) VALUES (999)")
    ledger.commit()
    ledger.close()
    with pytest.raises(CatalogUnavailableError, match="newer Penstock"):
        await open_catalog(SqliteDatabase(path))


async def test_an_older_ledgers_paths_are_found_as_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", telemetry.LOGGER_NAME)
    paths = ["/short", "/" + "é" * 119, "/" + "é" * 120]
    book = await Book(tmp_path / "a.db").open()
    flow = await book.flow()
    task = await book.stream(flow)
    for path in paths:
        new = msgspec.structs.replace(book.new_file(flow, task, target_name=f"{FS}:{path}"), source=path, target=path)
        await book.catalog.create_sub_task(book.call(), new)
    await book.close()
    _make_older(book.path)
    assert "catalog.migrat" not in caplog.text, "a new catalog is no news"
    await book.open()
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("catalog.migrat")]
    newest = f"to_schema={schema_versions.files(schema_versions.LEDGER)[-1][0]}"
    assert [line.split()[:2] for line in said] == [
        ["catalog.migrating", newest],
        ["catalog.migrated", newest],
    ]
    for path in paths:
        for query in (SubTaskQuery(file_system_id=FS, sources=[path]), SubTaskQuery(file_system_id=FS, targets=[path])):
            page = await book.catalog.sub_tasks(query, next_token="", limit=20)
            assert [(found.source, found.target) for found in page.items] == [(path, path)]
    await book.close()
    ledger = sqlite3.connect(book.path)
    found = ledger.execute("SELECT source_digest, target_digest FROM sub_tasks ORDER BY number").fetchall()
    assert found == [(0, 0), (0, 0), (digest(paths[2]), digest(paths[2]))]
    ledger.close()


def _make_older(path: Path) -> None:
    """As the fourth version of the schema left it: with a digest for every path, short ones included."""
    ledger = sqlite3.connect(path)
    ledger.create_function("digest", 1, digest)
    ledger.execute("UPDATE sub_tasks SET source_digest = digest(source), target_digest = digest(target)")
    make_older(ledger)
    ledger.execute("DELETE FROM schema_versions WHERE version > 4")
    ledger.commit()
    ledger.close()


async def test_a_schema_file_is_applied_whole_or_not_at_all(tmp_path: Path) -> None:
    connection = SqliteConnection(tmp_path / "a.db", busy_wait_s=1)
    connection.begin(Durability.SYNCED)
    connection.script("CREATE TABLE one (a BIGINT); -- a comment;\nCREATE TABLE two (\n  a BIGINT -- ; inside\n);")
    connection.rollback()
    assert connection.fetch("SELECT name FROM sqlite_master", ()) == []
    connection.close()
    connection.close()


def test_statement_errors_spare_the_connection_and_others_do_not(tmp_path: Path) -> None:
    connection = SqliteConnection(tmp_path / "a.db", busy_wait_s=0)
    connection.script("CREATE TABLE one (a BIGINT PRIMARY KEY);")
    assert connection.change("INSERT INTO one (a) VALUES (?1)", (1,)) == 1
    with pytest.raises(CatalogUnavailableError) as caught:
        connection.change("INSERT INTO one (a) VALUES (?1)", (1,))
    assert not isinstance(caught.value, BrokenConnectionError)
    with pytest.raises(BrokenConnectionError):
        connection.fetch("SELECT nonsense FROM nowhere", ())
    connection.close()
    with pytest.raises(CatalogUnavailableError):
        connection.fetch("SELECT 1", ())


@pytest.mark.parametrize("durability", Durability)
def test_each_transaction_is_synced_as_asked(tmp_path: Path, durability: Durability) -> None:
    connection = SqliteConnection(tmp_path / "a.db", busy_wait_s=0)
    for _ in range(2):
        connection.begin(Durability.UNSYNCED)
        connection.commit()
        connection.begin(durability)
        (level,) = connection.fetch("PRAGMA synchronous", ())
        connection.commit()
        assert level["synchronous"] == {Durability.SYNCED: 2, Durability.UNSYNCED: 1}[durability]
    connection.close()


def test_a_log_that_is_long_from_the_start_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    ready = 3 << 20
    connection = SqliteDatabase(path, log_bytes_ready=ready).open_writer()
    log = path.with_name("catalog.db-wal")
    long_bytes = log.stat().st_size
    connection.begin(Durability.SYNCED)
    connection.script("CREATE TABLE kept (word TEXT);")
    connection.change("INSERT INTO kept VALUES (?1)", ("here",))
    connection.commit()
    assert log.stat().st_size == long_bytes >= ready * 9 // 10

    after = tmp_path / "after" / "catalog.db"  # what is found there when the machine stops now
    after.parent.mkdir()
    for file in (path, log):
        shutil.copy(file, after.parent)
    other = SqliteDatabase(after).open_reader()
    assert [row["name"] for row in other.fetch("SELECT name FROM sqlite_schema", ())] == ["kept"]
    assert [row["word"] for row in other.fetch("SELECT word FROM kept", ())] == ["here"]
    other.close()
    connection.close()
    assert path.stat().st_size < 1 << 20


def test_a_log_is_not_made_long_where_room_is_scarce(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    SqliteDatabase(path, log_bytes_ready=1 << 60).open_writer().close()
    connection = SqliteDatabase(path, log_bytes_ready=1 << 60).open_writer()
    connection.begin(Durability.SYNCED)
    connection.script("CREATE TABLE kept (word TEXT);")
    connection.commit()
    assert path.with_name("catalog.db-wal").stat().st_size < 1 << 20
    connection.close()
