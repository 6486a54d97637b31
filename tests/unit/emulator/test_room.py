"""Does an emulator begin where no room can be kept back?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.emulator.storage.ledger import Ledger
from penstock.emulator.storage.room import RESERVE_BYTES, Reserve
from tests.fixtures.smalldisk import NoSmallDiskError, SmallDisk, small_disk


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Room for the reserve, and for few files."""
    try:
        with small_disk(tmp_path / "disk", size_bytes=2 * RESERVE_BYTES, files_max=8) as made:
            yield made
    except NoSmallDiskError as error:
        pytest.skip(str(error))


def use_up_files(disk: SmallDisk) -> None:
    """Not one more can be made."""
    for number in range(os.statvfs(disk.path).f_ffree):
        (disk.path / f"one{number}").touch()
    with pytest.raises(OSError, match="No space left"):
        (disk.path / "more").touch()


def test_where_no_file_can_be_made_none_is_kept_until_one_can(disk: SmallDisk) -> None:
    reserve = Reserve(disk.path / "reserve")
    reserve.keep()
    is_whole = [reserve.whole]
    reserve.give_up()
    use_up_files(disk)
    reserve.keep()
    is_whole.append(reserve.whole)
    (disk.path / "one0").unlink()
    reserve.keep()
    assert [*is_whole, reserve.whole] == [True, False, True]


def test_what_is_no_lack_of_room_is_told() -> None:
    with pytest.raises(NotADirectoryError):
        Reserve(Path(os.devnull) / "reserve").keep()


@pytest.mark.anyio
async def test_a_ledger_opens_without_room_for_a_reserve(disk: SmallDisk, tmp_path: Path) -> None:
    """Its own files are there from the time before; SQLite would not find them in another mount namespace."""
    use_up_files(disk)
    ledger = Ledger(tmp_path / "index", reserve=Reserve(disk.path / "reserve"), on_freed=lambda _: None)
    ledger.open(asyncio.get_running_loop())
    try:
        assert not (disk.path / "reserve").exists()
        assert await ledger.read(lambda database: database.execute("SELECT count(*) FROM buckets").fetchone()) == (0,)
    finally:
        await asyncio.to_thread(ledger.close)
