"""Is a copy of a catalog that is being written to of one moment, in one file, and does it give no number again?"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from penstock.catalog.copying import begin_after, copy_catalog, last_number
from penstock.catalog.soundness import Soundness, look_at_catalog
from penstock.errors import CatalogUnavailableError
from tests.fixtures.waiting import wait_until

ROWS = 20_000
WRITTEN = 200


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A database as a catalog is, of some megabytes, in which two tables always have as many rows."""
    path = tmp_path / "catalog.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        for table in ("data_flows", "tasks", "sub_tasks", "last_number"):
            raw.execute(f"CREATE TABLE {table} (number INTEGER, text TEXT)")
        raw.execute("CREATE TABLE schema_versions (version)")
        raw.execute("INSERT INTO schema_versions VALUES (1)")
        raw.execute("INSERT INTO last_number VALUES (7, '')")
        with raw:
            for table in ("tasks", "sub_tasks"):
                raw.executemany(f"INSERT INTO {table} VALUES (?, ?)", ((each, "x" * 200) for each in range(ROWS)))
    return path


def test_a_copy_is_of_one_moment_whatever_is_written_meanwhile(written: Path, tmp_path: Path) -> None:
    """Somebody who began anew at each change would not come to an end; each step of the copy waits for another change."""
    changes = [0]
    ending = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(written, timeout=30)) as raw:
            while not ending.is_set():
                with raw:
                    for table in ("tasks", "sub_tasks"):
                        raw.execute(f"INSERT INTO {table} VALUES (?, '')", (ROWS + changes[0],))
                changes[0] += 1

    steps: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        before = changes[0]
        wait_until(lambda: changes[0] > before, 30, "nobody writes")
        steps.append((done, total))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: changes[0] > WRITTEN, 30, "nobody writes")
        copy_catalog(written, tmp_path / "copy.db", on_progress=tell)
    finally:
        ending.set()
        writer.join()
    assert steps[-1][0] == steps[-1][1] == (tmp_path / "copy.db").stat().st_size
    assert len(steps) > 1
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        counts = [copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("tasks", "sub_tasks")]
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert counts[0] == counts[1] > ROWS + WRITTEN // 2
    assert not list(tmp_path.glob("copy.db-*"))
    assert look_at_catalog(tmp_path / "copy.db", until_s=float("inf")).soundness is Soundness.SOUND


def test_numbers_that_were_given_are_not_given_again(written: Path) -> None:
    assert last_number(written) == ROWS - 1
    begin_after(written, 10 * ROWS)
    assert last_number(written) == 10 * ROWS
    begin_after(written, 5)
    assert last_number(written) == 10 * ROWS
    assert last_number(written.with_name("none.db")) == 0


def test_what_is_no_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no database at all" * 1000)
    for name in ("text", "missing"):
        with pytest.raises(CatalogUnavailableError):
            copy_catalog(tmp_path / name, tmp_path / f"copy of {name}", on_progress=lambda _, __: None)
        with pytest.raises(CatalogUnavailableError):
            look_at_catalog(tmp_path / name, until_s=float("inf"))


def test_a_look_comes_to_an_end_in_time(written: Path) -> None:
    assert look_at_catalog(written, until_s=0).soundness is Soundness.UNDECIDED
