"""Are checksums those of the files, however often reading is broken off, and is one that changed meanwhile told apart?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from fastcrc import crc64

from penstock.errors import FailureCode
from penstock.model import FileSystem
from penstock.transfer import contents
from penstock.transfer.aside import ASIDE
from penstock.transfer.contents import Reading
from penstock.transfer.listed import Kind, Trouble


@pytest.fixture
def there(tmp_path: Path) -> FileSystem:
    (tmp_path / "d").mkdir()
    for name, size in {"large": 2_500_000, "small": 5, "void": 0, "d/exact": contents.BUFFER_BYTES}.items():
        (tmp_path / name).write_bytes(os.urandom(size))
    (tmp_path / "link").symlink_to("small")
    os.mkfifo(tmp_path / "fifo")
    return FileSystem(file_system_id="fs", root=str(tmp_path))


def read(there: FileSystem, readings: Sequence[Reading], budget_s: float) -> Sequence[Reading]:
    found = contents.read_on(there, readings, budget_s)
    assert not isinstance(found, Trouble)
    return found


def test_checksums_are_right_piece_by_piece_and_elsewhere(there: FileSystem) -> None:
    names = ("large", "small", "void", "d/exact")
    expected = {name: crc64.xz(Path(there.root, name).read_bytes()) for name in names}
    asked = [Reading(name) for name in names]
    rounds = 0
    while not all(one.is_whole for one in asked):
        further = {one.path: one for one in read(there, [one for one in asked if not one.is_whole], 0.0)}
        asked = [further.get(one.path, one) for one in asked]
        rounds += 1
        assert rounds <= 4
    assert rounds > 1, "with no time at all one buffer is read at once"
    assert {one.path: one.crc64 for one in asked} == expected
    aside = ASIDE.ask(contents.read_on, there, [Reading(name) for name in names], 30.0, limit_s=60)
    assert not isinstance(aside, Trouble)
    assert {one.path: one.crc64 for one in aside} == expected


def test_what_is_no_file_or_changed_is_told(there: FileSystem) -> None:
    found = read(there, [Reading(name) for name in ("link", "fifo", "none", "d")], 5.0)
    codes = [one.trouble.code for one in found if one.trouble is not None]
    assert codes == [
        FailureCode.OUTSIDE_FILE_SYSTEM, FailureCode.SOURCE_CHANGED, FailureCode.SOURCE_NOT_FOUND, FailureCode.SOURCE_CHANGED,
    ]  # fmt: skip
    (begun,) = read(there, [Reading("large")], 0.0)
    assert (begun.is_whole, begun.offset) == (False, contents.BUFFER_BYTES)
    Path(there.root, "large").write_bytes(b"another")
    (changed,) = read(there, [begun], 5.0)
    assert changed.trouble is not None
    assert (changed.trouble.code, changed.trouble.waiting_helps) == (FailureCode.SOURCE_CHANGED, False)


def test_states_are_as_a_look_lists_them(there: FileSystem) -> None:
    found = contents.states(there, ["small", "d", "none", "none/below", "small/below", "link"])
    assert not isinstance(found, Trouble)
    state = os.stat(f"{there.root}/small")
    assert found[0] is not None
    assert (found[0].size_bytes, found[0].modify_ns) == (5, state.st_mtime_ns)
    assert [one.kind if one is not None else None for one in found] == [Kind.FILE, None, None, None, None, Kind.SYMLINK]
    gone = contents.states(FileSystem(file_system_id="fs", root=f"{there.root}/none"), [])
    assert isinstance(gone, Trouble)
    assert gone.waiting_helps
