"""Do writes share a commit without sharing a fate?"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from penstock.emulator.storage import buckets, versions
from penstock.emulator.storage.ledger import Ledger, Transaction
from penstock.emulator.storage.room import Reserve
from penstock.emulator.storage.traits import NONE

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = Ledger(tmp_path / "index.sqlite3", reserve=Reserve(tmp_path / "reserve"), on_freed=lambda _: None)
    opened.open(asyncio.get_running_loop())
    yield opened
    await asyncio.to_thread(opened.close)


def adding(name: str, *, fails: bool = False) -> Callable[[Transaction], str]:
    def act(transaction: Transaction) -> str:
        transaction.database.execute(
            "INSERT INTO buckets (name, created_ns, versioning, storage, redundancy) VALUES (?, 0, '', '', '')", (name,)
        )
        if fails:
            raise LookupError(name)
        return name

    return act


def names(database: sqlite3.Connection) -> set[str]:
    return {row[0] for row in database.execute("SELECT name FROM buckets")}


async def test_a_refused_write_takes_no_other_down(ledger: Ledger) -> None:
    writes = [ledger.write(adding(f"bucket-{n}", fails=n % 3 == 0)) for n in range(60)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, LookupError) if number % 3 == 0 else outcome == f"bucket-{number}"
    assert await ledger.read(names) == {f"bucket-{n}" for n in range(60) if n % 3}


async def test_a_constraint_is_only_the_offenders(ledger: Ledger) -> None:
    outcomes = await asyncio.gather(
        *[ledger.write(adding("same")) for _ in range(8)],
        return_exceptions=True,
    )
    assert sorted(isinstance(outcome, sqlite3.IntegrityError) for outcome in outcomes) == [False] + [True] * 7


async def test_what_is_freed_is_told_after_the_commit_only(tmp_path: Path) -> None:
    freed: list[str] = []
    ledger = Ledger(tmp_path / "index.sqlite3", reserve=Reserve(tmp_path / "reserve"), on_freed=freed.extend)
    ledger.open(asyncio.get_running_loop())

    def good(transaction: Transaction) -> None:
        transaction.freed.append("good")

    def bad(transaction: Transaction) -> None:
        transaction.freed.append("bad")
        raise LookupError

    await asyncio.gather(ledger.write(good), ledger.write(bad), return_exceptions=True)
    await asyncio.to_thread(ledger.close)
    assert freed == ["good"]


async def test_reading_cannot_write(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await ledger.read(lambda database: database.execute("DELETE FROM buckets"))


async def test_close_finishes_what_is_queued(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "index.sqlite3", reserve=Reserve(tmp_path / "reserve"), on_freed=lambda _: None)
    ledger.open(asyncio.get_running_loop())
    waiting = [asyncio.ensure_future(ledger.write(adding(f"bucket-{n}"))) for n in range(20)]
    await asyncio.sleep(0)  # house: lets the writes be queued, waits for nothing
    await asyncio.to_thread(ledger.close)
    assert await asyncio.gather(*waiting) == [f"bucket-{n}" for n in range(20)]


async def test_a_ledger_of_a_newer_layout_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "index.sqlite3")
    database.execute("PRAGMA user_version = 99")
    database.close()
    ledger = Ledger(tmp_path / "index.sqlite3", reserve=Reserve(tmp_path / "reserve"), on_freed=lambda _: None)
    with pytest.raises(ValueError, match="layout 99"):
        ledger.open(asyncio.get_running_loop())


async def test_a_ledger_of_the_first_layout_is_taken_on(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    database = sqlite3.connect(path)
    database.executescript(FIRST_LAYOUT)
    database.close()
    ledger = Ledger(path, reserve=Reserve(tmp_path / "reserve"), on_freed=lambda _: None)
    ledger.open(asyncio.get_running_loop())
    try:
        bucket = await ledger.read(lambda database: buckets.find(database, "old"))
        assert bucket is not None
        assert bucket.acl == "private"
        kept = await ledger.read(lambda database: versions.newest(database, bucket, b"k"))
        assert kept is not None
        assert (kept.etag, kept.traits) == ("E", NONE)
    finally:
        ledger.close()


FIRST_LAYOUT = """
PRAGMA user_version = 1;
CREATE TABLE buckets (bucket INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_ns INTEGER NOT NULL,
    versioning TEXT NOT NULL, storage TEXT NOT NULL, redundancy TEXT NOT NULL) STRICT;
CREATE TABLE versions (version INTEGER PRIMARY KEY, bucket INTEGER NOT NULL REFERENCES buckets, key BLOB NOT NULL,
    version_id TEXT NOT NULL, latest INTEGER NOT NULL, kind TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    etag TEXT NOT NULL, crc64 TEXT, modified_ns INTEGER NOT NULL, headers TEXT NOT NULL, content TEXT) STRICT;
CREATE TABLE uploads (upload TEXT PRIMARY KEY, bucket INTEGER NOT NULL REFERENCES buckets, key BLOB NOT NULL,
    initiated_ns INTEGER NOT NULL, headers TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO buckets VALUES (1, 'old', 0, '', 'Standard', 'LRS');
INSERT INTO versions VALUES (1, 1, CAST('k' AS BLOB), 'null', 1, 'Normal', 0, 'E', NULL, 0, '{}', NULL);
"""
